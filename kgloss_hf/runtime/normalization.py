"""Give text that looks the same the same code points.

Only three things change. Decomposed Korean is composed (NFC; macOS file names and many PDF files are decomposed).
Invisible characters are removed (zero-width spaces, soft hyphens, byte order marks, direction marks, fillers, control
characters). Full-width digits, letters and signs become ASCII. Full compatibility normalisation (NFKC) is not an
option, because it decomposes the letters of fingerspelling (`ㄱ`).
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from tokenizers import NormalizedString, PreTokenizedString, Regex

# Unicode's Default_Ignorable_Code_Point, and control characters that are not white space.
_INVISIBLE_RANGES = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_INVISIBLE_RANGES}]")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # ！ to ～
_CHANGED = re.compile(f"[{_INVISIBLE_RANGES}\uff01-\uff5e]")
_ANY = Regex(r".|\n")


def normalize(text: str) -> str:
    """Return the text composed, without invisible characters, and with full-width characters as ASCII.

    Args:
        text: Any text: a sentence, a gloss, a cell.

    Examples:
        >>> normalize("토기\u200b는 ２층"), normalize("\u1112\u1161\u11ab") == "한"
        ('토기는 2층', True)
    """
    if is_normalized(text):  # takes a fifth of the time
        return text
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text).translate(_FULL_WIDTH))


def normalize_line(text: str) -> str:
    """Return the text normalised, with each run of white space as one space and none at the ends.

    Args:
        text: Any text: a sentence, a gloss, a cell.

    Examples:
        >>> normalize_line(" V\u00a0（불꽃무늬）\u200b")
        'V (불꽃무늬)'
    """
    return " ".join(normalize(text).split())


def is_normalized(text: str) -> bool:
    """Return whether `normalize` would leave the text unchanged.

    Args:
        text: Any text.
    """
    return not _CHANGED.search(text) and unicodedata.is_normalized("NFC", text)


def normalize_with_offsets(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the text normalised, and the span of each of its characters in the text as given.

    Args:
        text: Any text without lone surrogates.

    Examples:
        >>> normalize_with_offsets("\u1112\u1161\u11ab\u200b２")
        ('한2', [(0, 3), (4, 5)])
    """

    def one_form(part: NormalizedString) -> None:
        part.filter(lambda character: not _INVISIBLE.match(character))
        part.map(lambda character: chr(_FULL_WIDTH.get(ord(character), ord(character))))
        part.nfc()

    parts = PreTokenizedString(text)
    parts.normalize(one_form)
    parts.split(lambda _, part: part.split(_ANY, "isolated"))
    characters = parts.get_splits(offset_referential="original", offset_type="char")
    starts = [start for _, (start, _), *_ in characters]  # the ends are those of the first character composed
    spans, end = [], len(text)
    for start, following in reversed(list(pairwise([*starts, len(text)]))):
        end = end if following == start else following  # equal if NFC turned one character into several
        spans.append((start, _visible_end(text, start, end)))
    return "".join(character for character, *_ in characters), spans[::-1]


def _visible_end(text: str, start: int, end: int) -> int:
    return next(at for at in range(end, start, -1) if not _INVISIBLE.match(text[at - 1]))
