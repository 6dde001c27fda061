"""Spelling by hand: the glosses of the Korean finger alphabet, of Latin letters, and of numbers."""

from __future__ import annotations

import re
import unicodedata

from .normalization import normalize

_FINALS = "ㄱ ㄲ ㄱㅅ ㄴ ㄴㅈ ㄴㅎ ㄷ ㄹ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ ㅁ ㅂ ㅂㅅ ㅅ ㅆ ㅇ ㅈ ㅊ ㅋ ㅌ ㅍ ㅎ"
_FINGER_LETTERS = {
    **dict(zip(map(chr, range(0x1100, 0x1113)), "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ", strict=True)),
    **dict(zip(map(chr, range(0x1161, 0x1176)), map(chr, range(0x314F, 0x3164)), strict=True)),
    **{chr(0x11A8 + place): letters for place, letters in enumerate(_FINALS.split())},
    # what compatibility forms of two clusters come apart into
    **{"\u111a": "ㄹㅎ", "\u1121": "ㅂㅅ"},
}
_SPELLED = re.compile(
    r"(?P<phone>0[0-9]+(?:-[0-9]+)+)"
    r"|(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)*)"
    r"|(?P<letter>[A-Za-zᄀ-ᇿ])"
)
_MOST_DIGITS = 16  # above that 조 is no longer the largest unit


def fingerspell(text: str) -> list[str]:
    """The glosses that spell a text by hand.

    Args:
        text: In any Unicode form; halfwidth and fullwidth characters and conjoining jamo are read as the usual ones,
            and invisible characters are skipped.

    Returns:
        In order, and nothing for anything else in the text:

        - Hangul letters, as of the table's `ㄱ, ㅏ`. The finger alphabet has a letter for each of 19 consonants, double
          ones included, and 21 vowels, compound ones included (Encyclopedia of Korean Culture, 한글 지문자); a cluster
          at a syllable's end is two letters (값 is ㄱ ㅏ ㅂ ㅅ). Letters out of use have none.
        - Latin letters, upper case, one by one.
        - Numbers as they are said, `0` to `9` and the powers of ten that have a name (10, 100, 1000, 10000, 10^8,
          10^12): 2026 is 2 1000 2 10 6. One that begins with 0, telephone numbers with hyphens included, or has more
          than 16 digits goes digit by digit, and so does what stands behind a decimal point, itself a gloss `.`; more
          than one point in a number are left out.

        `type_of_notation` cannot tell the type of a single Latin letter or of `.`; who calls this knows it.

    Example:
        >>> fingerspell("값 4C"), fingerspell("2,026"), fingerspell("010")
        (['ㄱ', 'ㅏ', 'ㅂ', 'ㅅ', '4', 'C'], ['2', '1000', '2', '10', '6'], ['0', '1', '0'])
    """
    glosses: list[str] = []
    for match in _SPELLED.finditer(unicodedata.normalize("NFKD", normalize(text))):
        if letter := match["letter"]:
            glosses += _FINGER_LETTERS.get(letter, letter.upper() if letter.isascii() else "")
            continue
        if phone := match["phone"]:
            glosses += phone.replace("-", "")
            continue
        whole, *parts = match["number"].replace(",", "").split(".")
        glosses += _said(whole)
        if len(parts) == 1:
            glosses += [".", *parts[0]]
        else:
            for part in parts:
                glosses += _said(part)
    return glosses


def _said(digits: str) -> list[str]:
    """A whole number as it is said; 1 before a unit is not, save before 억 and 조."""
    if digits[0] == "0" or len(digits) > _MOST_DIGITS:
        return list(digits)
    glosses = []
    for large in (10**12, 10**8, 10**4, 1):
        section = int(digits) // large % 10**4
        if not section:
            continue
        if not (section == 1 and large == 10**4):
            for small in (1000, 100, 10, 1):
                digit = section // small % 10
                if digit:
                    glosses += [str(digit)] * (digit > 1 or small == 1) + [str(small)] * (small > 1)
        glosses += [str(large)] * (large > 1)
    return glosses
