from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgloss_hf.runtime.numerals import number_words
from kgloss_hf.runtime.okt import analyze


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # native, before a counter
        ("세 시에 만나요", ["3"]),
        ("세시에", ["3"]),
        ("두 명이", ["2"]),
        ("두명", ["2"]),
        ("열두 살", ["12"]),
        ("스무 살", ["20"]),
        ("스물 한 살", ["21"]),
        ("스물다섯 명", ["25"]),
        ("열 한 시", ["11"]),
        ("백 스물 한 명", ["121"]),
        ("석 달", ["3"]),
        ("두 번째", ["2"]),
        ("두 배이다", ["2"]),
        ("커피를 한 잔 마셨다", ["1"]),
        ("여덟시", ["8"]),
        # native, alone
        ("일곱", ["7"]),
        ("마흔 일곱에", ["47"]),
        ("아이 넷을", ["4"]),
        ("하나 둘", ["1", "2"]),
        ("다섯 살이 되었다", ["5"]),
        # Sino-Korean
        ("십이", ["12"]),
        ("십이 년", ["12"]),
        ("이천이십육년에", ["2026"]),
        ("이천 이십육 년", ["2026"]),
        ("삼백", ["300"]),
        ("삼백원을", ["300"]),
        ("만 이천 원", ["12000"]),
        ("일억 이천만 원", ["120000000"]),
        ("백이십삼만 사천오백육십칠", ["1234567"]),
        ("이천 원", ["2000"]),
        ("만 십오 세", ["15"]),
        ("백 일", ["100"]),
        # single digits, before a unit
        ("삼 층", ["3"]),
        ("이층에", ["2"]),
        ("일 년에 한 번", ["1", "1"]),
        ("유월 칠 일", ["6", "7"]),
        ("이 개월", ["2"]),
        ("구호선", ["9"]),
        ("십구 세기", ["19C"]),
        ("이세기", ["2C"]),
        ("두 시 삼십 분", ["2", "30"]),
        # after a subject, which ends in 이 as "two" and "this" do
        ("학생이 백 명 왔습니다", ["100"]),
        ("관람객이 만 오천 명", ["15000"]),
        ("요금이 만원", ["10000"]),
        ("일이 세 개", ["3"]),
        ("천이 세 장", ["3"]),
        ("천이 백 장", ["100"]),
        ("만이 일 층에", ["1"]),
        ("둘이 세 개를", ["2", "3"]),
        ("이 세 명이", ["3"]),
        ("이천명이", ["2000"]),
    ],
)
def test_number_words(text: str, expected: list[str]) -> None:
    assert [source.content for source in number_words(analyze([text])[0])] == expected


@pytest.mark.parametrize(
    "text",
    [
        *("이 사람", "일이 많다", "월세", "전세 집", "세를 냈다", "세 들어 살다", "밥을 한 사람", "전화를 한 분"),
        *("오늘", "사과", "구두", "만나다", "이층집", "이 층", "이 분", "이 세기", "삼국시대", "삼층석탑", "삼일절"),
        *("오일", "이번", "한번", "한시", "열이 난다", "네, 알겠습니다", "네 집", "네가 한 일", "내 사람", "천사가"),
        *("천사만 왔다", "만일", "구조대가", "구조", "조사", "이천시에", "이천에", "이만 가자", "천만에요", "백일장"),
        *("십일조", "십팔번", "일일이", "두세 명", "한두 명", "사오 년", "첫 번째", "수천 명", "하나은행", "일일구"),
        *("스물두", "3 만 원", "12개", "10 분"),
        *("이 백 명", "이 만 오천 원", "3 만 오천 원", "몇 백 명", "수 천 명", "두 세 명", "한 두 명", "삼 사 년"),
        *("이천시에", "백만장자", "천장", "만 3세"),
        *("이 천 원", "서 말", "쉰 목소리", "", "!"),
    ],
)
def test_what_is_no_number_word(text: str) -> None:
    assert number_words(analyze([text])[0]) == []


def test_number_words_say_where_they_stand() -> None:
    text = "그는 만 이천 원을 여덟시에, 십구 세기에 냈다"
    sources = number_words(analyze([text])[0])
    assert [text[source.start : source.end] for source in sources] == ["만 이천", "여덟", "십구 세기"]
    assert [source.index for source in sources] == [2, 6, 9]
    assert {source.tag for source in sources} == {"Number"}


def in_korean(number: int) -> str:
    words = ""
    for large, unit in ((10**4, "만"), (1, "")):
        section = number // large % 10**4
        digits = "".join(
            ("" if digit == "1" and small else "일이삼사오육칠팔구"[int(digit) - 1]) + small
            for digit, small in zip(f"{section:04}", ("천", "백", "십", ""), strict=True)
            if digit != "0"
        )
        words += ("" if section == 1 and unit else digits) + unit if section else ""
    return words


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9999_9999), st.booleans())
def test_sino_korean_numbers_are_read(number: int, spaced: bool) -> None:
    word = in_korean(number)
    word = re.sub("만(?=.)", "만 ", word) if spaced and not word.startswith("만일") else word
    numbers = [source.content for source in number_words(analyze([f"{word} 년"])[0])]
    assert numbers == [str(number)]


NOUNS = ["학생", "사람", "손님", "직원", "아이", "어린이", "고양이", "가족", "선생님", "관람객"]
NUMBERS = {
    **{"한": 1, "두": 2, "세": 3, "네": 4, "다섯": 5, "열": 10, "열두": 12, "스무": 20, "스물다섯": 25, "쉰": 50},
    **{"십오": 15, "이십": 20, "백": 100, "백이십": 120, "이백": 200, "천": 1000, "천 이백": 1200, "이천": 2000},
    **{"구천": 9000, "만": 10_000, "만 오천": 15_000, "이만": 20_000, "십만": 100_000},
}
PARTICLES = [
    *("이", "가", "은", "는", "을", "를", "의", "에", "도", "만", "과", "와"),
    *("에서", "에게", "부터", "까지", "들이"),
]


def fits(noun: str, particle: str) -> bool:
    """Return whether the particle has the form that the noun's last syllable requires."""
    closed = (ord(noun[-1]) - ord("가")) % 28 > 0
    return {"이": closed, "은": closed, "을": closed, "과": closed}.get(
        particle, not closed if particle in ("가", "는", "를", "와") else True
    )


@pytest.mark.parametrize("particle", PARTICLES)
def test_a_number_word_is_found_behind_every_particle(particle: str) -> None:
    words = itertools.product((noun for noun in NOUNS if fits(noun, particle)), NUMBERS, ("명", "사람", "번"))
    cases = [(f"{noun}{particle} {number} {counter} 왔습니다.", NUMBERS[number]) for noun, number, counter in words]
    # "아이를 한 사람" is the person who did it
    cases = [case for case in cases if not re.search("[을를] 한 사람", case[0])]
    numbers = [[source.content for source in number_words(row)] for row in analyze([text for text, _ in cases])]
    assert cases
    assert numbers == [[str(value)] for _, value in cases]


ALIKE = """
    일이 오이 구두 사과 삼이 이제 육지 천이 만두 한이 두부 세금이 네가 네 열이 조가 억새
"""


@pytest.mark.parametrize("word", ALIKE.split())
def test_what_looks_like_a_number_takes_nothing_from_one(word: str) -> None:
    texts = [f"{word} {number} 개 있습니다." for number in NUMBERS]
    numbers = [[source.content for source in number_words(row)] for row in analyze(texts)]
    expected = [[str(value)] for value in NUMBERS.values()]
    # yes, five, or four to five
    assert numbers == [
        [] if (word, number) == ("네", "다섯") else e for number, e in zip(NUMBERS, expected, strict=True)
    ]
