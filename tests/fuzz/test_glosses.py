"""Notation, placeholders, numbers in words, and fingerspelling, without Java."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.data.cells import SEPARATORS
from kgloss_hf.runtime.fingerspelling import fingerspell
from kgloss_hf.runtime.glosses import (
    GLOSS_TYPES,
    PLACEHOLDERS,
    UNKNOWN_TYPE,
    content_of,
    placeholder_of,
    split_glosses,
    type_of_notation,
)
from kgloss_hf.runtime.normalization import normalize, normalize_line
from kgloss_hf.runtime.numerals import number_words
from kgloss_hf.runtime.okt import Morpheme
from kgloss_hf.runtime.placeholders import (
    assign_sources,
    mark_placeholders,
    placeholder_contents,
    placeholder_sources,
    restore_placeholders,
)

from .strategies import DEEP, GLOSS, HUGE, TEXT, json_text, sentences, share

CELLS = st.one_of(TEXT, st.lists(GLOSS).map(" ".join), st.text("가a( ) []{}\",'\t\u3000", max_size=20))


@share(2.5)
@given(CELLS)
def test_a_cell_is_split_without_loss(cell: str) -> None:
    try:
        glosses = split_glosses(cell)
    except ValueError as error:
        assert "expected" in str(error)
        assert len(str(error)) < 200
        return
    written, read = "".join(normalize(cell).split()), "".join("".join(map(str, glosses)).split())
    if read != written and written.startswith(("[", "('", '("')):
        letters = iter(written)
        assert "\\" in cell or all(letter in letters for letter in read)  # in this order
        return
    assert all(glosses)
    assert read == written
    assert split_glosses(" ".join(glosses)) == glosses


@share(2.5)
@given(CELLS, st.sampled_from((*SEPARATORS, "->", "ㆍ", "\t")))
def test_a_cell_is_separated_without_loss(cell: str, separator: str) -> None:
    try:
        glosses = split_glosses(cell, separator)
    except ValueError as error:
        assert "expected" in str(error)
        assert len(str(error)) < 200
        return
    if not normalize(cell).strip().startswith(("[", "('", '("')):
        assert all(glosses)
        left_out = str.maketrans("", "", separator)
        written, read = ("".join(text.split()).translate(left_out) for text in (normalize(cell), "".join(glosses)))
        assert read == written


@share(1)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_python_lists_are_read_as_json(glosses: list[str]) -> None:
    assert split_glosses(repr(glosses)) == split_glosses(json.dumps(glosses))
    assert split_glosses(repr(tuple(glosses))) == split_glosses(json.dumps(glosses))
    visible = [gloss for gloss in glosses if not gloss.endswith("\0")]  # NumPy strips it as padding
    if visible:
        assert split_glosses(str(np.array(visible))) == split_glosses(json.dumps(visible))
        assert split_glosses(str(np.array(visible, object))) == split_glosses(json.dumps(visible))


@share(1)
@given(st.lists(GLOSS, max_size=8))
def test_glosses_are_what_was_written(glosses: list[str]) -> None:
    assert split_glosses(" ".join(glosses)) == glosses
    assert split_glosses(f" {json.dumps(glosses)}\n") == glosses


@share(1)
@given(st.one_of(json_text().map("[{}]".format), json_text(), DEEP, HUGE.map("[{}".format)))
def test_a_json_list_is_what_it_says(cell: str) -> None:
    if not cell.strip().startswith("["):
        return
    try:
        glosses = split_glosses(cell)
    except ValueError as error:
        assert "expected" in str(error)
        assert len(str(error)) < 200
    else:
        try:
            items = json.loads(cell.strip())
        except ValueError:
            assert all(isinstance(gloss, str) for gloss in glosses)
        else:
            assert repr(list(map(_one_line, glosses))) == repr(list(map(_one_line, items)))


def _one_line(item: object) -> object:
    return normalize_line(item) if isinstance(item, str) else item


@share(2.5)
@given(st.one_of(GLOSS, TEXT), TEXT)
def test_every_gloss_has_a_type_and_a_content(gloss: str, content: str) -> None:
    assert type_of_notation(gloss) in (*GLOSS_TYPES, UNKNOWN_TYPE)
    assert gloss in (content_of(gloss), placeholder_of(gloss), f"{placeholder_of(gloss)}/{content_of(gloss)}")
    for head in PLACEHOLDERS:
        assert placeholder_of(f"{head}/{content}") == head
        assert content_of(f"{head}/{content}") == (content or f"{head}/")


@share(0.5)
@given(sentences(), st.lists(st.sampled_from((*PLACEHOLDERS, "집", "폭", "QR", "높이")), max_size=6))
def test_restoring_uses_each_source_once_and_invents_nothing(
    sentence: tuple[str, list[Morpheme]], glosses: list[str]
) -> None:
    text, morphemes = sentence
    available = Counter(placeholder_sources(morphemes) + number_words(morphemes))
    used = assign_sources(glosses, morphemes)
    restored = restore_placeholders(glosses, morphemes)
    for gloss, source, content in zip(glosses, used, restored, strict=True):
        assert content == (gloss if source is None else source.content)
        assert source is None or source.tag == gloss
        assert source is None or 0 <= source.start < source.end <= len(text)
    assert Counter(source for source in used if source) <= available


@share(0.4)
@given(sentences(), st.lists(st.sampled_from(("3", "12", "QR", "m", "4C", "집", "바꾸다2")), max_size=6))
def test_marking_is_undone_by_reading_contents(sentence: tuple[str, list[Morpheme]], glosses: list[str]) -> None:
    _, morphemes = sentence
    marked = mark_placeholders(glosses, morphemes)
    assert [content_of(gloss) for gloss in marked] == glosses
    contents = placeholder_contents(morphemes)
    for gloss, mark in zip(glosses, marked, strict=True):
        assert mark == gloss or gloss in contents[placeholder_of(mark)]


@share(0.5)
@given(sentences())
def test_numbers_in_words_lie_in_the_text_and_do_not_overlap(sentence: tuple[str, list[Morpheme]]) -> None:
    text, morphemes = sentence
    numbers = number_words(morphemes)
    end = 0
    for source in numbers:
        assert re.fullmatch("[0-9]+C?", source.content)
        assert end <= source.start < source.end <= len(text)
        assert morphemes[source.index].start == source.start
        end = source.end


SYLLABLES = st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), max_size=12)
_MEDIALS = [chr(0x314F + place) for place in range(21)]
_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_FINALS = "- ㄱ ㄲ ㄱㅅ ㄴ ㄴㅈ ㄴㅎ ㄷ ㄹ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ ㅁ ㅂ ㅂㅅ ㅅ ㅆ ㅇ ㅈ ㅊ ㅋ ㅌ ㅍ ㅎ"


@share(4)
@given(SYLLABLES)
def test_syllables_can_be_read_back_from_their_letters(word: str) -> None:
    letters = "".join(fingerspell(word))
    read = ""
    while letters:  # a final letter has no vowel after it
        initial, medial = _INITIALS.index(letters[0]), _MEDIALS.index(letters[1])
        vowel = next((place for place, letter in enumerate(letters[2:], 2) if letter in _MEDIALS), len(letters) + 1)
        final = letters[2 : vowel - 1]
        read += chr(0xAC00 + (initial * 21 + medial) * 28 + _FINALS.split().index(final or "-"))
        letters = letters[vowel - 1 :]
    assert read == word


@share(0.7)
@given(TEXT, TEXT)
def test_words_are_spelled_one_after_another(one: str, other: str) -> None:
    assert fingerspell(f"{one} {other}") == fingerspell(one) + fingerspell(other)
