"""Notation, placeholders, numbers in words and fingerspelling, without Java."""

from __future__ import annotations

import json
import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

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
    if cell.strip().startswith("["):
        assert list(map(normalize_line, glosses)) == list(map(normalize_line, json.loads(cell.strip())))
        return
    assert all(glosses)
    assert "".join("".join(glosses).split()) == "".join(normalize(cell).split())
    assert split_glosses(" ".join(glosses)) == glosses


@share(1)
@given(st.lists(GLOSS, max_size=8))
def test_glosses_are_what_was_written(glosses: list[str]) -> None:
    assert split_glosses(" ".join(glosses)) == glosses
    assert split_glosses(f" {json.dumps(glosses)}\n") == glosses


@share(1)
@given(st.one_of(json_text().map("[{}]".format), json_text(), DEEP, HUGE.map("[{}".format)))
def test_a_list_is_json_or_refused(cell: str) -> None:
    if not cell.strip().startswith("["):
        return
    try:
        glosses = split_glosses(cell)
    except ValueError as error:
        assert "expected a JSON list of glosses" in str(error)
        assert len(str(error)) < 200
    else:
        assert isinstance(glosses, list)


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
    for gloss, source, found in zip(glosses, used, restored, strict=True):
        assert found == (gloss if source is None else source.content)
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
    for gloss, found in zip(glosses, marked, strict=True):
        assert found == gloss or gloss in contents[placeholder_of(found)]


@share(0.5)
@given(sentences())
def test_numbers_in_words_lie_in_the_text_and_do_not_overlap(sentence: tuple[str, list[Morpheme]]) -> None:
    text, morphemes = sentence
    found = number_words(morphemes)
    end = 0
    for source in found:
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
    while letters:  # a final letter is one that no vowel follows
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
