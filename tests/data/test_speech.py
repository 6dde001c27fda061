from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.data.signs import Notes
from kgloss_hf.data.speech import LONGEST, MOST_CHARACTERS, MOST_CUES, sentences_of
from kgloss_hf.data.subtitles import Cue


def cues(*texts: str, length: int = 1_000, gap: int = 0) -> list[Cue]:
    starts = [number * (length + gap) for number in range(len(texts))]
    return [
        Cue(number, start, start + length, text) for number, (start, text) in enumerate(zip(starts, texts, strict=True))
    ]


def spoken(*texts: str, length: int = 1_000, gap: int = 0) -> list[str]:
    return [sentence.text for sentence in sentences_of(cues(*texts, length=length, gap=gap), Notes())]


@pytest.mark.parametrize(
    ("cue", "sentences"),
    [
        ("<i>이 토기는</i>\n<font color='red'>4세기</font>에", ["이 토기는 4세기에"]),
        ("- 안녕\n- 네", ["안녕", "네"]),
        ("-안녕 - 네", ["안녕", "네"]),
        ("-5도입니다", ["-5도입니다"]),
        (">> 안녕", ["안녕"]),
        ("홍길동: 안녕", ["안녕"]),
        ("남자 1: 안녕\n여자: 네", ["안녕", "네"]),
        ("철수(화난 목소리): 안녕", ["안녕"]),
        ("시간은 오후 3:30", ["시간은 오후 3:30"]),
        ("<기생충> 안녕 <3", ["<기생충> 안녕 <3"]),
        ("[홍길동] 안녕", ["안녕"]),
        ("(웃음) 안녕 (한숨)", ["안녕"]),
        ("- (웃음) 안녕\n- (한숨) (기침) 네", ["안녕", "네"]),
        ("<v 홍길동>안녕</v>\n<v.loud 영희>네</v>", ["안녕", "네"]),
        ("♪ 나는 나비 ♪", ["나는 나비"]),
        ("국립중앙박물관(서울)은", ["국립중앙박물관(서울)은"]),
        ("(주)한국은 10:30에", ["(주)한국은 10:30에"]),
        ("https://example.org", ["https://example.org"]),
        ("안녕하세요. 4.3 사건입니다! 볼까요?", ["안녕하세요.", "4.3 사건입니다!", "볼까요?"]),
        ("그런데... 말이야", ["그런데... 말이야"]),
        ("어디 가요\n집에 가요", ["어디 가요", "집에 가요"]),
        ("넓은 바다\n위로", ["넓은 바다 위로"]),
        ("...", [""]),
        ("(음악)", [""]),
        ("", [""]),
        ("안녕&nbsp;&lt;하세요&gt;", ["안녕 <하세요>"]),
        ("하나<br/>둘", ["하나 둘"]),
        ("한국", ["한국"]),
    ],
)
def test_sentences_of_one_cue(cue: str, sentences: list[str]) -> None:
    assert spoken(cue) == sentences


def test_what_is_left_out_is_counted() -> None:
    notes = Notes()
    sentences_of(cues("홍길동: (웃음) 안녕 ♪", "[문 닫는 소리]"), notes)
    for part in ("1 music symbol left out", "2 descriptions of sounds", "1 name of speakers", "1 cue without speech"):
        assert part in str(notes)


def test_cues_that_split_a_sentence_are_joined_and_known_by_characters() -> None:
    (sentence,) = sentences_of(cues("이 토기는", "4세기에", "만들어졌어요"), Notes())
    assert sentence.text == "이 토기는 4세기에 만들어졌어요"
    said = [(part.cue, sentence.text[part.start : part.end]) for part in sentence.parts]
    assert said == [(0, "이 토기는"), (1, "4세기에"), (2, "만들어졌어요")]


@pytest.mark.parametrize("final", ["했다", "가요", "합니까", "가죠", "하네", "했어요...", "네", "“갔어.”", "가!"])
def test_sentence_ends_with_a_final_ending(final: str) -> None:
    assert spoken(final, "다음 말") == [final, "다음 말"]


@pytest.mark.parametrize(
    "open_end", ["오니까", "아까", "보다", "넓은 바다", "우리 동네", "중요", "그런데...", "다", "집에,"]
)
def test_sentence_goes_on_behind_other_endings(open_end: str) -> None:
    assert spoken(open_end, "다음 말") == [f"{open_end} 다음 말"]


def test_what_ends_a_sentence_between_cues() -> None:
    assert spoken("이 토기는", "4세기에", gap=1_000) == ["이 토기는 4세기에"]
    assert spoken("이 토기는", "4세기에", gap=1_001) == ["이 토기는", "4세기에"]
    assert spoken("이 토기는", "- 4세기에") == ["이 토기는", "4세기에"]
    assert spoken("이 토기는", "(음악)", "4세기에") == ["이 토기는", "", "4세기에"]
    assert spoken("이 토기는", "4세기에", gap=-100) == ["이 토기는 4세기에"]
    assert spoken("이 토기는", "4세기에", gap=-101) == ["이 토기는", "4세기에"]


def test_lines_of_automatic_captions_that_scroll_are_spoken_once() -> None:
    film = [
        Cue(1, 0, 2_000, "이<00:00:00.500><c> 토기는</c>"),
        Cue(2, 2_000, 2_010, "이 토기는"),
        Cue(3, 2_010, 4_000, "이 토기는\n4세기에<00:00:03.000><c> 만들어졌어요</c>"),
        Cue(4, 4_000, 4_010, "4세기에 만들어졌어요"),
        Cue(5, 4_010, 6_000, "4세기에 만들어졌어요\n볼까요"),
    ]
    sentences = sentences_of(film, notes := Notes())
    assert [(one.text, [part.cue for part in one.parts]) for one in sentences] == [
        ("이 토기는 4세기에 만들어졌어요", [0, 2]),
        ("", [1]),
        ("", [3]),
        ("볼까요", [4]),
    ]
    assert str(notes).startswith("4 repeated lines left out")


def test_what_is_said_twice_is_kept() -> None:
    assert spoken("네", "네") == ["네", "네"]
    assert spoken("가요", "가요\n어서요", gap=11) == ["가요", "가요", "어서요"]


def test_sentence_is_bounded() -> None:
    assert [text.count("말") for text in spoken(*["말"] * (MOST_CUES + 1))] == [MOST_CUES, 1]
    assert len(spoken("말" * MOST_CHARACTERS, "말")) == 2
    assert len(spoken("말", "말", length=LONGEST // 2 + 1)) == 2


LINES = st.text(st.sampled_from("가요다.? \n-:[]()♪<v>/&;12…"), max_size=25)


@given(st.lists(st.tuples(LINES, st.integers(0, 3_000), st.integers(0, 3_000)), max_size=8))
def test_every_cue_is_in_a_sentence_and_every_character_in_a_cue(drawn: list[tuple[str, int, int]]) -> None:
    start, film = 0, []
    for number, (text, after, length) in enumerate(drawn):
        start += after
        film.append(Cue(number, start, start + length, text))
    sentences = sentences_of(film, Notes())
    assert {part.cue for sentence in sentences for part in sentence.parts} == set(range(len(film)))
    order = [sentence.parts[0].cue for sentence in sentences]
    assert order == sorted(order)
    for sentence in sentences:
        assert " ".join(sentence.text[part.start : part.end] for part in sentence.parts) == sentence.text
        assert sentence.text == " ".join(sentence.text.split())
