from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgloss_hf.runtime.glosses import PLACEHOLDERS
from kgloss_hf.runtime.numerals import number_words
from kgloss_hf.runtime.okt import analyze
from kgloss_hf.runtime.placeholders import (
    _distance,
    assign_sources,
    mark_placeholders,
    placeholder_contents,
    placeholder_sources,
    restore_placeholders,
)


def test_contents_in_the_order_of_the_sentence() -> None:
    found = placeholder_contents(analyze(["1971년 7월에 6세기 QR 코드와 3점, 5G를"])[0])
    assert found == {"Number": ["1971년", "7월", "6C", "3", "5"], "Alpha": ["QR", "G"]}


def test_restoring_invents_nothing() -> None:
    morphemes = analyze(["4세기와 5세기의 QR 코드"])[0]
    restored = restore_placeholders(["Number", "Alpha", "Number", "Number", "문화", "Alpha"], morphemes)
    assert restored == ["4C", "QR", "5C", "Number", "문화", "Alpha"]


def test_marking_takes_only_what_the_sentence_holds() -> None:
    morphemes = analyze(["10분 뒤에 9호선이 도착합니다."])[0]
    assert mark_placeholders(["도착", "10분", "9호", "20분", "바꾸다2"], morphemes) == [
        "도착",
        "Number/10분",
        "9호",
        "20분",
        "바꾸다2",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4세기", [("4C", "4세기")]),
        ("4 세기의", [("4C", "4 세기")]),
        ("19세기에", [("19C", "19세기")]),
        ("1세기경", [("1C", "1세기")]),
        ("1,000원을", [("1,000원", "1,000원")]),
        ("3만 5천 원", [("3만", "3만"), ("5천", "5천")]),
        ("3.5점", [("3.5", "3.5")]),
        ("10~20명", [("10~20", "10~20")]),
        ("1900년대에", [("1900년", "1900년")]),
        ("2시30분", [("2시", "2시"), ("30분", "30분")]),
        ("1시간", [("1시간", "1시간")]),
        ("1호선", [("1", "1")]),
        ("100km", [("100", "100"), ("km", "km")]),
        ("２시", []),
    ],
)
def test_units_are_folded_in_as_okt_joins_them(text: str, expected: list[tuple[str, str]]) -> None:
    sources = placeholder_sources(analyze([text])[0])
    assert [(source.content, text[source.start : source.end]) for source in sources] == expected


def test_sources_say_where_they_stand() -> None:
    morphemes = analyze(["QR 코드 12개와 15세기"])[0]
    sources = placeholder_sources(morphemes)
    assert sources == [("Alpha", "QR", 0, 2, 0), ("Number", "12", 6, 8, 2), ("Number", "15C", 11, 15, 5)]
    named = [m._replace(tag="Name") if m.surface == "코드" else m for m in morphemes]
    assert placeholder_sources(named)[1] == ("Name", "코드", 3, 5, 1)
    assert placeholder_contents(named) == {"Number": ["12", "15C"], "Alpha": ["QR"], "Name": ["코드"]}


def test_number_words_are_taken_once_digits_run_out() -> None:
    morphemes = analyze(["두 명이 3시와 네 시에"])[0]
    assert restore_placeholders(["Number"], morphemes) == ["3시"]
    assert restore_placeholders(["Number"] * 4, morphemes) == ["2", "3시", "4", "Number"]
    assert [source and source.index for source in assign_sources(["Number", "명", "Number"], morphemes)] == [0, None, 3]
    assert mark_placeholders(["2", "3시"], morphemes) == ["2", "Number/3시"]


@pytest.mark.parametrize(
    ("text", "glosses", "expected"),
    [
        ("높이 12m, 폭 6m의 벽", "폭 Number 높이 Number", "6 12"),
        ("높이 12m, 폭 6m의 벽", "높이 Number 폭 Number", "12 6"),
        ("높이 12m, 폭 6m의 벽", "Number Number", "12 6"),
        ("어린이 3,000원, 어른 5,000원", "어른 Number 어린이 Number", "5,000원 3,000원"),
        ("어린이 3,000원, 어른 5,000원", "어른 Number", "5,000원"),
        ("QR 코드와 AI 로봇", "로봇 Alpha 코드 Alpha", "AI QR"),
        ("1 2 3 4 5 6 7 폭", "폭 Number Number", "1 2"),
    ],
)
def test_neighbours_tell_which_is_meant(text: str, glosses: str, expected: str) -> None:
    tokens = glosses.split()
    restored = restore_placeholders(tokens, analyze([text])[0])
    assert [gloss for gloss, token in zip(restored, tokens, strict=True) if token in PLACEHOLDERS] == expected.split()


PIECES = "한 두 세 네 열 스물 이 일 삼 백 천 만 십이 이천 시 명 층 년 사람 세기 3 4 10시 , 을 QR 천사 스물두살 집 🙂"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PIECES.split()), st.sampled_from(["", " "]))),
    st.lists(st.sampled_from(["Number", "Alpha", "집"])),
)
def test_restored_content_is_always_the_sentences(words: list[tuple[str, str]], glosses: list[str]) -> None:
    text = "".join(map("".join, words))
    morphemes = analyze([text])[0]
    digits, in_words = placeholder_sources(morphemes), number_words(morphemes)
    contents = [(source.tag, source.content) for source in [*digits, *in_words]]
    for gloss, restored in zip(glosses, restore_placeholders(glosses, morphemes), strict=True):
        if restored != gloss:
            contents.remove((gloss, restored))
    for source in in_words:
        assert 0 <= source.start < source.end <= len(text)
        assert not any(source.start < other.end and other.start < source.end for other in digits)
        assert morphemes[source.index].start == source.start


@given(st.integers(0, 9), st.lists(st.integers(0, 9), min_size=1))
def test_distance_is_to_the_nearest(index: int, indices: list[int]) -> None:
    assert _distance(index, sorted(indices)) == min(abs(index - other) for other in indices)
