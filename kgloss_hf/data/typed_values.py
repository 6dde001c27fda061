"""Convert typed values of sign corpora (`날짜:8월19일`) to the package's notation (`Number/8월`, `Number/19일`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from ..runtime.glosses import CENTURY
from ..runtime.normalization import is_normalized, normalize_with_offsets
from ..runtime.numerals import number_words
from ..runtime.okt import analyze

# A number with everything that Okt joins to it, so that numbers match the placeholders of a sentence.
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:[.:/~-]\d+)?)"
_UNIT = "세기|시간|[원등년월일회시분초엔옌]|달러|위안|유로"
_NUMBER = rf"(?P<number>{_DIGITS}%?[십백천만억조]*)(?P<unit>{_UNIT})?"
_TOKEN = re.compile(rf"{_NUMBER}|(?P<latin>[A-Za-z]+)|(?P<word>[^\W\dA-Za-z_]+)")
_KIND = re.compile(r"(?P<kind>[^\W\d][^:#/()\s]*):\s*(?P<value>[^/\s].*)")
_HANGUL = re.compile("[가-힣]")


class Part(NamedTuple):
    """A gloss from a typed value.

    Args:
        gloss: The gloss in the package's notation.
        span: Its span of the sentence, if the typed value has a span.
        held: Whether the sentence contains it; words are not looked up.
    """

    gloss: str
    span: tuple[int, int] | None
    held: bool = True


class _Written(NamedTuple):
    """A number or Latin word of a sentence."""

    content: str
    unit: str
    start: int
    end: int


class Sentence:
    """A sentence in which numbers and Latin words are looked up.

    Args:
        text: The original text, to which spans refer.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _aligned(self) -> tuple[str, list[tuple[int, int]] | None]:
        return (self._text, None) if is_normalized(self._text) else normalize_with_offsets(self._text)

    @property
    def normal(self) -> str:
        """Normalised text of the sentence."""
        return self._aligned[0]

    @cached_property
    def is_korean(self) -> bool:
        """True if the sentence contains Hangul."""
        return bool(_HANGUL.search(self.normal))

    @cached_property
    def _tokens(self) -> list[re.Match[str]]:
        return list(_TOKEN.finditer(self.normal))

    def _given(self, start: int, end: int) -> tuple[int, int]:
        spans = self._aligned[1]
        return (start, end) if spans is None else (spans[start][0], spans[end - 1][1])

    def numbers(self, number: str, unit: str) -> Iterator[_Written]:
        """Yield the occurrences of a number in the sentence, its unit following directly or after white space."""
        for token in self._tokens:
            if not token["number"] or _bare(token["number"]) != _bare(number):
                continue
            spaced = re.compile(rf"\s+{unit}").match(self.normal, token.end()) if unit and not token["unit"] else None
            if unit == CENTURY and (spaced or token["unit"] == unit):
                yield _Written(
                    f"{token['number']}C", "", *self._given(token.start(), spaced.end() if spaced else token.end())
                )
            elif not unit or token["unit"] == unit:
                content = token["number"] + unit
                yield _Written(content, "", *self._given(token.start(), token.start() + len(content)))
            elif spaced:
                yield _Written(token["number"], unit, *self._given(*token.span()))

    def latin(self, word: str) -> Iterator[_Written]:
        """Yield the occurrences of a Latin word in the sentence, in any case."""
        for token in self._tokens:
            if token["latin"] and token["latin"].casefold() == word.casefold():
                yield _Written(token["latin"], "", *self._given(*token.span()))

    @cached_property
    def _numerals(self) -> dict[str, tuple[int, int]]:
        sources = number_words(analyze([self.normal])[0])
        return {source.content: self._given(source.start, source.end) for source in reversed(sources)}

    def numeral(self, number: str, unit: str) -> Iterator[_Written]:
        """Yield the occurrence of a number in Korean words (`열두 시`) in the sentence, if any."""
        content, unit = (f"{_bare(number)}C", "") if unit == CENTURY else (_bare(number), unit)
        if span := self._numerals.get(content):
            yield _Written(content, unit, *span)


def typed_parts(gloss: str, sentence: Sentence, span: tuple[int, int] | None = None) -> list[Part]:
    """Return the glosses that a typed value stands for; none if the gloss is not a typed value.

    Args:
        gloss: A gloss such as `날짜:8월19일`: a kind, a colon and a value of numbers, Latin words and other words. If
            the sentence is not Korean, the kind must be: `IX:i` of other sign languages is not a typed value.
        sentence: The sentence of the gloss. A number that it contains, ignoring white space and commas, becomes
            `Number/8월`, and a Latin word `Alpha/QR`, both as written in the sentence. Any other part stays a plain
            gloss.
        span: Span of the typed value in the sentence. Parts that occur inside it get the span of their occurrence.

    Examples:
        >>> [part.gloss for part in typed_parts("날짜:8월19일", Sentence("8월 19일에 QR 코드"))]
        ['Number/8월', 'Number/19일']
        >>> typed_parts("집", Sentence("집"))
        []
    """
    if ":" not in gloss or not (typed := _KIND.fullmatch(gloss)):
        return []
    if not (_HANGUL.search(typed["kind"]) or sentence.is_korean):
        return []
    parts: list[Part] = []
    open_end = -1  # end of a number that the sentence does not contain; adjoining words belong to it
    for token in _TOKEN.finditer(typed["value"]):
        if open_end == token.start() and not token["number"]:
            parts[-1] = parts[-1]._replace(gloss=parts[-1].gloss + token[0])
            open_end = token.end()
        elif token["word"]:
            parts.append(Part(token[0], span))
        elif written := _look_up(token, sentence, span):
            narrow = _inside(written, span)
            tag = "Alpha" if token["latin"] else "Number"
            parts.append(Part(f"{tag}/{written.content}", narrow))
            parts += [Part(written.unit, span)] if written.unit else []
        else:
            parts.append(Part(token[0], span, held=False))
            open_end = token.end() if token["number"] else -1
    return parts


def _look_up(token: re.Match[str], sentence: Sentence, span: tuple[int, int] | None) -> _Written | None:
    """Return the occurrence of a number or Latin word in the sentence, preferably inside the span."""
    if token["latin"]:
        places = list(sentence.latin(token["latin"]))
    else:
        number, unit = token["number"], token["unit"] or ""
        places = list(sentence.numbers(number, unit)) or list(sentence.numeral(number, unit))
    return min(places, key=lambda place: _inside(place, span) is span, default=None)


def _inside(written: _Written, span: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the span of an occurrence if it lies inside the given span, else the given span."""
    return (written.start, written.end) if span and span[0] <= written.start and written.end <= span[1] else span


def _bare(number: str) -> str:
    return number.replace(",", "")
