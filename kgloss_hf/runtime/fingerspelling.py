"""Fingerspelling: glosses of the Korean finger alphabet, of Latin letters and of numbers."""

from __future__ import annotations

import re
import unicodedata

from .normalization import normalize

_FINALS = "ㄱ ㄲ ㄱㅅ ㄴ ㄴㅈ ㄴㅎ ㄷ ㄹ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ ㅁ ㅂ ㅂㅅ ㅅ ㅆ ㅇ ㅈ ㅊ ㅋ ㅌ ㅍ ㅎ"
_FINGER_LETTERS = {
    **dict(zip(map(chr, range(0x1100, 0x1113)), "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ", strict=True)),
    **dict(zip(map(chr, range(0x1161, 0x1176)), map(chr, range(0x314F, 0x3164)), strict=True)),
    **{chr(0x11A8 + place): letters for place, letters in enumerate(_FINALS.split())},
    # two clusters as their compatibility forms decompose
    **{"\u111a": "ㄹㅎ", "\u1121": "ㅂㅅ"},
}
_SPELLED = re.compile(
    r"(?P<phone>0[0-9]+(?:-[0-9]+)+)"
    r"|(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)*)"
    r"|(?P<letter>[A-Za-zᄀ-ᇿ])"
)
_MOST_DIGITS = 16  # above that 조 is no longer the largest unit


def fingerspell(text: str) -> list[str]:
    """Return the glosses that spell a text by hand.

    Args:
        text: Text in any Unicode form. Halfwidth and fullwidth characters and conjoining jamo are read as the usual
            ones, and invisible characters are skipped.

    Returns:
        The following glosses in order, and nothing for anything else in the text:

        - Hangul letters, such as the paper's `ㄱ, ㅏ`. The finger alphabet has a letter for each of 19 consonants,
          including double ones, and 21 vowels, including compound ones (Encyclopedia of Korean Culture, 한글 지문자); a
          cluster at the end of a syllable is two letters (값 is ㄱ ㅏ ㅂ ㅅ). Obsolete letters have no gloss.
        - Latin letters, upper case, one by one.
        - Numbers as they are spoken, with `0` to `9` and the powers of ten that have a name (10, 100, 1000, 10000,
          10^8, 10^12): 2026 is 2 1000 2 10 6. Numbers that begin with 0, including telephone numbers with hyphens, or
          have more than 16 digits are spelled digit by digit. The same holds for digits after a decimal point, which
          is itself the gloss `.`; if a number has several points, they are left out.

        `type_of_notation` cannot tell the type of a single Latin letter or of `.`; the caller knows it.

    Examples:
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
        glosses += _spoken(whole)
        if len(parts) == 1:
            glosses += [".", *parts[0]]
        else:
            for part in parts:
                glosses += _spoken(part)
    return glosses


def _spoken(digits: str) -> list[str]:
    """Return the glosses of a spoken integer. A 1 in front of a unit is spoken only before 억 and 조."""
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
