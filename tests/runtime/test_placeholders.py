from __future__ import annotations

import re

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
    contents = placeholder_contents(analyze(["1971년 7월에 6세기 QR 코드와 3점, 5G를"])[0])
    assert contents == {"Number": ["1971년", "7월", "6C", "3", "5"], "Alpha": ["QR", "G"]}


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
        ("20세기초", [("20C", "20세기")]),
        ("20 세기말의", [("20C", "20 세기")]),
        ("2분기에", [("2", "2")]),
        ("3백여 명", [("3백", "3백")]),
        ("만 5천 원", [("만5천", "만 5천")]),
    ],
)
def test_units_are_folded_in_as_okt_joins_them(text: str, expected: list[tuple[str, str]]) -> None:
    sources = placeholder_sources(analyze([text])[0])
    assert [(source.content, text[source.start : source.end]) for source in sources] == expected


# The number alone if a unit after it is cut out of a longer word; the number with its unit before particles, forms of
# 이다, and endings.
CUT_OUT = """
    2분기에 2|8시즌 8|3등급 3|5일장 5|10월드컵 10|2회전 2|3등분 3|2분법 2|5분위 5|3분할로 3|5분량 5|3시트 3
    2시리즈 2|5시작 5|24시점 24|24시내 24|4시장 4|3일본 3|2월드 2|2원소 2|3원색 3|2원화 2|1회용품 1|3분카레 3
    9시뉴스 9|3시간표 3|1등급의 1|3초등학교 3|5유로존 5|2엔진 2|3조각을 3|3조각 3|2만두 2|1~2등급 1~2
    1,000등급 1,000|3.5등급 3.5|1/4분기 1/4|10분기째 10|8월령 8|3등칸 3|6월항쟁 6|8일요일 8|3천등급 3천|7회분수 7
"""
KEPT = """
    8시에|8시부터|8시까지는|8시에서는|8시쯤|8시경|8시경에|8시는|8시도|8시만|8시면|8시다|8시예요|8시입니다|8시였다|8시반에|8시정각
    8시엔|8시부턴|8시까지로|8시부로|8시∼오후|7월‘맞춤형’|19일에야|25일생은|25일생)은|1일호에|5분안에|200일됐어|5일차네|5천원인가요
    1등한|8시전에|8시이후|8시보다|8시라고|8시인데|8시께|8시요|2분이|2분을|2분간|2분간의|2분만에|2분짜리|2분째|2분당|2분마다|2분정도
    2분이내|2분가량|2분쯤이|2분전에|2분뒤|2분거리|3시간|3시간동안|3시간짜리|3시간째|3시간이나|4년제|4년간|4년생|4년차|4년째
    4년만에|4년이|4년도|4년대에|4년산|4년형|4년여|7월에|7월경|7월말|7월초에|7월호|7월생|7월까지|5일간|5일째|5일차|5일만에|5일까지
    3회|3회차|3회말|3회째|3회의|3회용|3등은|3등이다|3등까지|5원짜리|5원씩|5원이|5원어치|5,000원권|5천원대|100만원이상|3달러로
    3달러짜리|5유로|3만|3만을|1조|1조로|1~2분에|3~5월에|3%|3%를
"""


@pytest.fixture(scope="module")
def numbers() -> dict[str, list[str]]:
    """Return the contents of the numbers of each case, analysed in one call."""
    words = [word for line in (CUT_OUT + KEPT).split("\n") for case in line.strip().split("|") for word in case.split()]
    analysed = zip(words, analyze(words), strict=True)
    return {word: [source.content for source in placeholder_sources(morphemes)] for word, morphemes in analysed}


def test_a_unit_cut_out_of_a_longer_word_is_no_unit(numbers: dict[str, list[str]]) -> None:
    cases = [case.split() for case in CUT_OUT.replace("\n", "|").split("|") if case.strip()]
    expected = {word: [number] for word, number in cases}
    assert {word: numbers[word] for word in expected} == expected


def test_particles_and_endings_keep_the_unit(numbers: dict[str, list[str]]) -> None:
    words = [word.strip() for word in KEPT.replace("\n", "|").split("|") if word.strip()]
    with_unit = re.compile(r"[\d,~]+[천만]?(시간|달러|유로|[시분년월일회등원만조%])")
    expected = {word: [match[0]] for word in words if (match := with_unit.match(word))}
    assert len(expected) == len(words) > 60
    assert {word: numbers[word] for word in words} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2분의 1", "2 1"),
        ("3분의2를", "3 2"),
        ("10분의 1초", "10 1초"),
        ("3분의 일", "3"),
        ("2분의 시간", "2분"),
        ("2층집", "2"),
        ("1인당", "1"),
        ("5개월", "5"),
        ("3호선", "3"),
        ("7번째", "7"),
        ("1대1", "1 1"),
        ("20대", "20"),
        ("3세대", "3"),
        ("3백 명", "3백"),
        ("3백만원을", "3백만"),
        ("3백합", "3"),
        ("5백화점", "5"),
        ("3천5백 명", "3천 5백"),
        ("만5천원", "만5천원"),
        ("천 5백 원", "천5백"),
        ("십만 5천 원", "십만5천"),
        ("사람만 5천 명", "5천"),
        ("만 3세", "3"),
        ("8시30분에", "8시 30분"),
        ("8시에서9시", "8시 9시"),
        ("3월1일절", "3월 1"),
        ("1·2분기", "1 2"),
        ("2분 기다렸다", "2분"),
    ],
)
def test_numbers_beside_numbers_and_counters(text: str, expected: str) -> None:
    morphemes = analyze([text])[0]
    sources = placeholder_sources(morphemes)
    assert [source.content for source in sources] == expected.split()
    assert all(text[source.start : source.end].replace(" ", "") == source.content for source in sources)
    assert not any("만" in source.content for source in number_words(morphemes))


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
