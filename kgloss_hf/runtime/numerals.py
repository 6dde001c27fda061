"""Find the numbers that a sentence writes in Korean words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from .glosses import CENTURY
from .okt import Morpheme


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DIGITS = {syllable: value for value, syllable in enumerate("일이삼사오육칠팔구", 1)}
_SMALL_UNITS = {"십": 10, "백": 100, "천": 1000}
_LARGE_UNITS = {"만": 10**4, "억": 10**8, "조": 10**12}
_ONES = {
    **{"하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "넷": 4, "네": 4, "다섯": 5},
    **{"여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9},
}
_TENS = {"열": 10, "스물": 20, "서른": 30, "마흔": 40, "쉰": 50, "예순": 60, "일흔": 70, "여든": 80, "아흔": 90}
_NATIVE = {
    **{"스무": 20, "석": 3, "넉": 4},
    **_ONES,
    **{tens + ones: value + of_ones for tens, value in _TENS.items() for ones, of_ones in [("", 0), *_ONES.items()]},
}

# Counters of native numbers, and of Sino-Korean numbers from ten up.
_COUNTERS = _words(
    "시 시간 명 사람 분 개 살 살이 번 번째 층 마리 권 장 대 병 잔 달 가지 곳 배 채 벌 켤레 송이 그루 군데 줄 "
    "자리 정거장 그릇 조각 컵 바퀴 걸음 자루 쌍 통"
)
# Units that a single Sino-Korean digit may stand before.
_UNITS = _words(
    "층 월 일 년 분 초 원 호 호선 호실 세기 번 회 개월 주일 주년 학년 인분 교시 번지 페이지 쪽 단계 퍼센트 프로 "
    "미터 센티미터 킬로미터 킬로 킬로그램"
)
_AGE = "세"
COUNTERS = _COUNTERS | _UNITS | {_AGE}
"""Counters and units that follow a number: a closed list."""

_LONGEST_FIRST = sorted(COUNTERS, key=len, reverse=True)
# 이 before a space is usually the determiner "this", but rarely before these units.
_UNITS_OF_SPACED_TWO = _words("년 개월 주년 학년 인분 퍼센트 미터 센티미터 킬로미터 킬로그램")
# "X를 한 사람" is the person who did X.
_COUNTERS_OF_DOERS = _words("사람 분 곳")

# Numbers only before a counter: "열" is also a fever, "천사" an angel, "구조" a structure, "이천" a city.
_HOMOGRAPHS = _words(
    "열 쉰 구만 구백 구조 구천 만사 만삼 만오 만이 만일 만조 백구 백만 백사 백삼 백오 백이 백일 백조 사만 사백 사조 "
    "사천 삼조 삼천 십일조 십조 억만 오만 오조 육조 이만 이백 이조 이천 일만 일백 일조 일천 천구 천만 천백 천사 "
    "천삼 천오 천이 천일 천조 칠조 팔조"
)
# One-syllable numbers joined to a counter. Other such words have other meanings (한번 once, 이번 this time, 오일 oil).
_WRITTEN_TOGETHER = re.compile(
    "[두세네열](시|번)|[한두세네열](명|개|시간|달|살|마리|가지|번째)|[일이삼사오육칠팔구십](층|세기|개월|호선)"
    "|[일이삼사오칠팔구]월|[일이삼사오육칠팔십백천]년|[십백천만]원|[일이삼사오육]학년|[일이삼]주일"
)
_TOGETHER = _words("원 명 장 권 마리 번")  # after numbers such as 이천; without 시, as 이천시 is a city
_IRREGULAR_MONTHS = {"유월": 6, "시월": 10}
_OTHER_WORDS = frozenset(["삼백초", "십팔번"])
_MOST_EOJEOLS = 4


class Source(NamedTuple):
    """Part of a sentence that a placeholder can stand for.

    Args:
        tag: The placeholder, one of `PLACEHOLDERS`.
        content: Signed form: `4C`, `10시`, `QR`.
        start: Index of its first character in the text.
        end: Index after its last character, including everything that the content represents (`4세기` for `4C`).
        index: Index of its first morpheme in the sentence.
    """

    tag: str
    content: str
    start: int
    end: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which is not needed here


def number_words(morphemes: Sequence[Morpheme]) -> list[Source]:
    """Return the numbers that a sentence writes in Korean, in the sentence's order, with digits as their content.

    Okt tags them Noun, Modifier, Verb or Josa, like their homographs, so the context decides:

    - Native determiners (한 두 세 네 스무 …, also 열 and 쉰) count directly before a counter of a closed list;
      하나, 둘, 다섯, 스물셋 … count as a whole eojeol apart from particles.
    - Sino-Korean numbers of two or more syllables count as a whole eojeol apart from particles or a counter;
      homographs (`천사`, `이천`, `만일`), 십, 백, 천 and 만 count only before a counter.
    - Single Sino-Korean digits count directly before a unit of a closed list; 이 followed by a space is "this"
      (`이 층`), except before a few units such as 개월.
    - A number may be written in several eojeols (`만 이천 원`).
    - The following do not count: approximate numbers (`두세 명`, `몇 백 명`), ordinals with a word of their own
      (`첫 번째`), digits read out (`일일구`), the rest of a number that begins with digits (`3 만 원`), and ambiguous
      expressions with 이 (`이 백 명`: 200, or these 100).

    Args:
        morphemes: Morphemes of the sentence, from `kgloss_hf.runtime.okt.analyze` or a tokenizer's `morphemes`.

    Returns:
        Sources with the tag `Number`. The span is that of the number without its counter, except that it includes the
        word for century.

    Examples:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> [source.content for source in number_words(analyze(["이 사람은 열두 살 때 만 이천 원을 냈다."])[0])]
        ['12', '12000']
    """
    eojeols = list(_eojeols(morphemes))
    sources = []
    at = 0
    while at < len(eojeols):
        for upto in range(min(at + _MOST_EOJEOLS, len(eojeols)), at, -1):
            if number_and_source := _number_word(morphemes, eojeols, at, upto):
                number, source = number_and_source
                if not (at and _continues(number, [morphemes[i] for i in eojeols[at - 1]])):
                    sources.append(source)
                at = upto
                break
        else:
            at += 1
    return sources


def _eojeols(morphemes: Sequence[Morpheme]) -> Iterator[range]:
    """Yield the range of the morphemes of each word delimited by white space. Punctuation is separate."""
    start = 0
    for index in range(1, len(morphemes) + 1):
        if index == len(morphemes) or (
            morphemes[index].start > morphemes[index - 1].end
            or "Punctuation" in (morphemes[index].tag, morphemes[index - 1].tag)
        ):
            yield range(start, index)
            start = index


def _number_word(
    morphemes: Sequence[Morpheme], eojeols: Sequence[range], at: int, upto: int
) -> tuple[str, Source] | None:
    """Return the number that begins eojeol `at` and ends in the one before `upto`, in words and as a source."""
    *whole, last = eojeols[at:upto]
    parts = ["".join(morphemes[i].surface for i in eojeol) for eojeol in whole]
    # "이 천 원" may be 2,000 won or these 1,000; a space after a homograph such as "구조" or "천이" ends the number.
    if any(
        _numeral(part) is None or part == "이" or (part in _HOMOGRAPHS and part[-1] in ("조", *_DIGITS))
        for part in parts
    ):
        return None
    before = morphemes[eojeols[at].start - 1] if at else None
    for stop in range(last.stop, last.start, -1):
        if stop > last.start + 1 and morphemes[stop - 1].tag == "Josa" and morphemes[stop - 1].surface not in _ONES:
            continue  # in "천사만" the last is a particle; Okt also tags 한 and 두 as particles
        tail = "".join(m.surface for m in morphemes[last.start : stop])
        word = "".join(parts) + tail
        number, counter = (word, "") if _numeral(word) is not None else _split_counter(word)
        value = _numeral(number)
        if value is None or (counter and len(counter) > len(tail)):
            continue
        spaced = False
        end_of_counter = stop
        if not counter:
            following = _counter_after(morphemes, eojeols, upto, stop)
            if following is not None:
                counter, end_of_counter = morphemes[following].surface, following + 1
                spaced = stop == last.stop
            elif _is_bare(number) and all(map(_is_ending, morphemes[stop : last.stop])):
                if parts and tail == "일":
                    continue  # "백 일" is a hundred days
                if number[-1] in "천만" and stop < len(morphemes) and morphemes[stop].tag == "Number":
                    return None  # "십만 5천" continues in digits
            else:
                continue
        if counter and not _may_count(number, counter, spaced, before):
            continue
        if counter in (_AGE, "살") and parts[:1] == ["만"]:
            return None  # "만 십오 세" is fully 15 years
        first = eojeols[at].start
        ends = [end for m in morphemes[first:end_of_counter] for end in character_ends(m)]
        length = len(number) + (len(counter) if counter == CENTURY else 0)
        content = f"{value}{'C' * (counter == CENTURY)}"
        return number, Source("Number", content, morphemes[first].start, ends[length - 1], first)
    return None


def _numeral(word: str) -> int | None:
    """Return the value of a number word: Sino-Korean (삼백이), native (스물둘), or both from 100 up (백스물둘)."""
    if word in _NATIVE:
        return _NATIVE[word]
    if word in _IRREGULAR_MONTHS or not word:
        return None
    if (value := _sino(word)) is not None:
        return value
    cut = max(map(word.rfind, "백천만억")) + 1
    larger = _sino(word[:cut]) if cut else None
    smaller = _NATIVE.get(word[cut:])
    return None if larger is None or smaller is None or word[cut:] in ("석", "넉") else larger + smaller


def _sino(word: str) -> int | None:
    """Return the value of a Sino-Korean number; 0 for an empty word, None for other words."""
    total = section = digit = 0
    small = 10**4
    large = 10**16
    for syllable in word:
        if syllable in _DIGITS and not digit:
            digit = _DIGITS[syllable]
        elif (unit := _SMALL_UNITS.get(syllable, small)) < small:
            section += (digit or 1) * unit
            digit, small = 0, unit
        elif (unit := _LARGE_UNITS.get(syllable, large)) < large:
            # 만 needs no 일 before it; 억 and 조 do.
            if not (section := section + digit) and not (unit == _LARGE_UNITS["만"] and not total):
                return None
            total += (section or 1) * unit
            section, digit, small, large = 0, 0, 10**4, unit
        else:
            return None
    return total + section + digit


def _split_counter(word: str) -> tuple[str, str]:
    """Return a number and the counter joined to it, which Okt sometimes analyses as one noun (`여덟시`, `삼백원`)."""
    if word in _IRREGULAR_MONTHS:
        return next(name for name in ("육", "십") if _numeral(name) == _IRREGULAR_MONTHS[word]), "월"
    if word not in _OTHER_WORDS:
        for counter in _LONGEST_FIRST:
            number = word.removesuffix(counter)
            if number in ("", word) or _numeral(number) is None:
                continue
            if len(number) == 1:
                together = _WRITTEN_TOGETHER.fullmatch(word) is not None
            else:
                large = number[-1] in "백천만" and counter in _TOGETHER
                together = number not in _HOMOGRAPHS or counter == "년" or large
            if together:
                return number, counter
    return "", ""


def _counter_after(morphemes: Sequence[Morpheme], eojeols: Sequence[range], upto: int, stop: int) -> int | None:
    """Return the index of the counter after the morpheme before `stop`: in its eojeol, or first in the next."""
    if stop == eojeols[upto - 1].stop and upto == len(eojeols):
        return None
    counter = morphemes[stop].surface
    if counter in (_AGE, "일") and stop + 1 < len(morphemes) and morphemes[stop + 1].surface in COUNTERS:
        return None  # the number in "세 명" (three people) or "일 층" (first floor)
    return stop if counter in COUNTERS else None


def _may_count(number: str, counter: str, spaced: bool, before: Morpheme | None) -> bool:
    if number in ("석", "넉"):
        return counter in ("달", "장", "잔")
    if number == "한" and counter in _COUNTERS_OF_DOERS and before and before.surface in ("을", "를"):
        return False
    if number in _DIGITS:
        return counter in (_UNITS_OF_SPACED_TWO if number == "이" and spaced else _UNITS)
    return counter in _COUNTERS or (_sino(number) is not None and counter in _UNITS | {_AGE})


def _is_bare(number: str) -> bool:
    """Return whether a word is a number even without a counter."""
    determiner = number.endswith(("한", "두", "세", "네", "석", "넉", "스무"))
    homograph = number in _HOMOGRAPHS or number.removesuffix("만") in _HOMOGRAPHS  # 천사만 is "only angels"
    return number in ("둘", "셋", "넷") or (len(number) > 1 and not determiner and not homograph)


def _is_ending(morpheme: Morpheme) -> bool:
    particle = morpheme.tag in ("Josa", "Eomi", "Suffix") and morpheme.surface not in _ONES
    return particle or morpheme.lemma == "이다"


def _continues(number: str, before: Sequence[Morpheme]) -> bool:
    """Return whether a word is the rest of a number that begins in the eojeol before it.

    This covers 만 after `3`; 백 after 몇; 천 after 이, which may be `2,000`, but not after the subject particle 이; and
    세 after 두, which is approximate.
    """
    *earlier, last = before
    word = last.surface
    if last.tag == "Number":
        return _sino(number) is not None and (word[-1].isdecimal() or word[-1] in _SMALL_UNITS | _LARGE_UNITS)
    if earlier:
        return False
    if _sino(number) is None:
        return word in ("한", "두", "세", "네") and _ONES.get(number) == _ONES[word] + 1
    if word in ("몇", "수"):
        return True
    return (word == "이" and _sino(word + number) is not None) or _DIGITS.get(number) == _DIGITS.get(word, 9) + 1


def character_ends(morpheme: Morpheme) -> Iterator[int]:
    """Yield the end of each character of the surface in the text, or the morpheme's end if the text differs.

    Args:
        morpheme: Morpheme of a text in composed or decomposed Korean.

    Examples:
        >>> list(character_ends(Morpheme("열두", "열두", "Noun", 3, 5)))
        [4, 5]
    """
    for form in ("NFC", "NFD"):
        sizes = [len(unicodedata.normalize(form, character)) for character in morpheme.surface]
        if sum(sizes) == morpheme.end - morpheme.start:
            yield from (morpheme.start + end for end in accumulate(sizes))
            return
    yield from (morpheme.end for _ in morpheme.surface)
