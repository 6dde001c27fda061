from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.runtime.fingerspelling import fingerspell
from kgloss_hf.runtime.glosses import type_of_notation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("가", "ㄱ ㅏ"),
        ("값", "ㄱ ㅏ ㅂ ㅅ"),
        ("닭", "ㄷ ㅏ ㄹ ㄱ"),
        ("앉다", "ㅇ ㅏ ㄴ ㅈ ㄷ ㅏ"),
        ("잃", "ㅇ ㅣ ㄹ ㅎ"),
        ("밖", "ㅂ ㅏ ㄲ"),
        ("까", "ㄲ ㅏ"),
        ("과", "ㄱ ㅘ"),
        ("의", "ㅇ ㅢ"),
        ("ㅄㅀㄳ ㅞ", "ㅂ ㅅ ㄹ ㅎ ㄱ ㅅ ㅞ"),
        ("ㄱㅏㅂㅅ", "ㄱ ㅏ ㅂ ㅅ"),
        ("ﾡￂﾱ", "ㄱ ㅏ ㅁ"),
        ("ㆍㆁ", ""),
        ("QR", "Q R"),
        ("ｑr", "Q R"),
        ("é", "E"),
        ("12", "10 2"),
        ("20", "2 10"),
        ("200", "2 100"),
        ("111", "100 10 1"),
        ("2026", "2 1000 2 10 6"),
        ("10000", "10000"),
        ("12345", "10000 2 1000 3 100 4 10 5"),
        ("120000", "10 2 10000"),
        ("1,200", "1000 2 100"),
        ("100000000", "1 100000000"),
        ("0", "0"),
        ("007", "0 0 7"),
        ("010-1234-5678", "0 1 0 1 2 3 4 5 6 7 8"),
        ("12345678901234567", "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7"),
        ("3.14", "3 . 1 4"),
        ("0.05", "0 . 0 5"),
        ("2026.1.5", "2 1000 2 10 6 1 5"),
        ("5.", "5"),
        ("4C", "4 C"),
        ("10~20", "10 2 10"),
        ("한 글🙂!", "ㅎ ㅏ ㄴ ㄱ ㅡ ㄹ"),
        ("", ""),
    ],
)
def test_fingerspelling(text: str, expected: str) -> None:
    assert fingerspell(text) == expected.split()


def test_every_modern_syllable_is_spelled_in_finger_letters() -> None:
    letters = {letter for code in range(ord("가"), ord("힣") + 1) for letter in fingerspell(chr(code))}
    assert letters == set("ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ") | set(map(chr, range(ord("ㅏ"), ord("ㅣ") + 1)))
    assert {type_of_notation(letter) for letter in letters} == {"fingerspelling"}


TEXTS = st.text() | st.text(st.sampled_from("가값ㄱㅄ각ﾡ０12.,-0Qé²½")) | st.from_regex(r"[0-9.,-]*", fullmatch=True)


@given(TEXTS)
def test_fingerspelling_takes_any_text(text: str) -> None:
    spelled = fingerspell(text)
    assert all(re.fullmatch("[ㄱ-ㅎㅏ-ㅣA-Z0-9.]|10{1,4}|10{8}|10{12}", gloss) for gloss in spelled)
    assert all(fingerspell(unicodedata.normalize(form, text)) == spelled for form in ("NFC", "NFD", "NFKC", "NFKD"))


@given(st.integers(1, 10**16 - 1))
def test_spelled_numbers_add_up(number: int) -> None:
    total = section = digit = 0
    for gloss in map(int, fingerspell(str(number))):
        if gloss < 10:
            digit = gloss
        elif gloss < 10**4:
            section, digit = section + (digit or 1) * gloss, 0
        else:
            total, section, digit = total + (section + digit or 1) * gloss, 0, 0
    assert total + section + digit == number
