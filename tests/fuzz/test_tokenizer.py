"""Okt and the tokenizer on any text. Java analyses each new word, so inputs are batches of few texts."""

from __future__ import annotations

import itertools
import pickle
import re
import tempfile
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import PreTokenizer

from kgloss_hf.models.pre_tokenizers import OktPreTokenizer
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.runtime.analyzers import get_analyzer
from kgloss_hf.runtime.normalization import normalize_line
from kgloss_hf.runtime.okt import MAX_EOJEOL, Morpheme, analyze
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.runtime.words import DROPPED_TAGS

from .strategies import GLOSS, HALVES, TEXT, share

TEXTS = st.lists(TEXT, min_size=1, max_size=3)


def assert_in_order(text: str, morphemes: Sequence[Morpheme]) -> None:
    for morpheme in morphemes:
        assert morpheme.surface
        assert morpheme.lemma
        assert morpheme.tag
        assert 0 <= morpheme.start < morpheme.end <= len(text)
    for one, other in itertools.pairwise(morphemes):
        # Morphemes of a word that normalisation changed share its span.
        assert one.end <= other.start or (one.start, one.end) == (other.start, other.end)


@share(0.05)
@given(TEXTS)
def test_morphemes_are_the_text_in_its_order(texts: list[str]) -> None:
    together = analyze(texts)
    assert together == [analyze([text])[0] for text in texts]
    for text, morphemes in zip(texts, together, strict=True):
        assert_in_order(text, morphemes)
        for morpheme in morphemes:
            written = text[morpheme.start : morpheme.end]
            if written != morpheme.surface:
                assert not any(character.isspace() and character in " \t\n\v\f\r" for character in written)
                assert "".join(m.surface for m in morphemes if (m.start, m.end) == morpheme[3:]) != written


@share(0.1)
@given(
    st.text(
        "가각갇간갇했다요니됔됬닼ㄱㅋㅎㅠㅏ 는데지.,!?~…'\"()[]1a#@/:-+%$&😀e\u0301\u200b\u202eא漢字\0\t", max_size=20
    )
    | TEXT
)
def test_equals_konlpy(text: str) -> None:
    analyze(["불"])
    from konlpy.tag import Okt

    if any(len(word) > MAX_EOJEOL for word in text.split()):
        return  # only ours truncates it
    spaced = re.sub("[\t\n\v\f\r]", " ", text)  # KoNLPy makes each a morpheme
    assert [(m.lemma, m.tag) for m in analyze([text])[0]] == Okt().pos(spaced, norm=True, stem=True)


@share(0.1)
@given(HALVES, TEXT)
def test_half_a_character_counts_as_a_replacement_character(
    tokenizer: KGlossTokenizerFast, half: str, text: str
) -> None:
    read = "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in half)
    assert analyze([half + text]) == analyze([read + text])
    assert tokenizer(half + text).data == tokenizer(read + text).data


@share(0.1)
@given(TEXTS, st.integers(3, 12))
def test_a_batch_is_what_its_texts_are_alone(tokenizer: KGlossTokenizerFast, texts: list[str], limit: int) -> None:
    encoded = tokenizer(texts, return_offsets_mapping=True)
    short = tokenizer(texts, truncation=True, max_length=limit, padding="max_length")
    words = tokenizer.words(texts)
    for index, text in enumerate(texts):
        alone = tokenizer(text, return_offsets_mapping=True)
        ids = encoded["input_ids"][index]
        assert alone["input_ids"] == ids
        assert alone["offset_mapping"] == encoded["offset_mapping"][index]
        assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
        cut = ids if len(ids) <= limit else [*ids[: limit - 1], tokenizer.eos_token_id]
        assert short["input_ids"][index] == cut + [tokenizer.pad_token_id] * (limit - len(cut))
        assert sum(short["attention_mask"][index]) == len(cut)
        places = [place for place in encoded.word_ids(index) if place is not None]
        assert sorted(set(places)) == list(range(len(words[index])))
        spans = [
            span
            for span, place in zip(encoded["offset_mapping"][index], encoded.word_ids(index), strict=True)
            if place is not None
        ]
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert spans == sorted(spans)


@share(0.05)
@given(TEXT)
def test_the_component_splits_where_okt_does(text: str) -> None:
    pieces = PreTokenizer.custom(OktPreTokenizer()).pre_tokenize_str(text)
    kept = dict.fromkeys((m.start, m.end) for m in analyze([text])[0] if m.tag not in DROPPED_TAGS)
    assert pieces == [(text[start:end], (start, end)) for start, end in kept]


@share(0.03)
@given(st.sampled_from(("whitespace", "komoran")), TEXTS)
def test_other_analysers_keep_the_order(name: str, texts: list[str]) -> None:
    analyse = get_analyzer(name)
    for text, morphemes in zip(texts, analyse(texts), strict=True):
        assert [morphemes] == analyse([text])
        starts = [morpheme.start for morpheme in morphemes]
        assert starts == sorted(starts)
        assert all(0 <= morpheme.start <= morpheme.end <= len(text) for morpheme in morphemes)


@share(0.15)
@given(st.lists(st.one_of(GLOSS, TEXT), max_size=6))
def test_labels_are_one_id_a_gloss(tokenizer: KGlossTokenizerFast, glosses: list[str]) -> None:
    *ids, end = tokenizer(text_target=glosses)["input_ids"]
    assert end == tokenizer.eos_token_id
    assert len(ids) == len(glosses)
    batched = tokenizer(text_target=[glosses, []])["input_ids"]
    assert batched == [[*ids, end], [end]]


# Each input needs a vocabulary of its own, which is slow.
@share(0.01)
@given(
    st.lists(TEXT, max_size=3),
    st.lists(st.lists(st.one_of(GLOSS, TEXT.filter(bool)), max_size=4), max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_a_vocabulary_of_any_glosses_outlives_saving(
    texts: list[str], glosses: list[list[str]], normalize: bool, copy_names: bool
) -> None:
    options: dict[str, Any] = {"normalize": normalize, "copy_names": copy_names}
    try:
        made = train_tokenizer(texts, glosses, vocab_size=60, **options)
    except ValueError as error:
        assert re.search("glosses of at most 100 characters|without a visible character", str(error))
        return
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        loaded = KGlossTokenizerFast.from_pretrained(folder)
    for other in (loaded, pickle.loads(pickle.dumps(made))):  # noqa: S301
        assert other(texts)["input_ids"] == made(texts)["input_ids"] if texts else True
        assert other.glosses == made.glosses
        assert other(text_target=glosses)["input_ids"] == made(text_target=glosses)["input_ids"] if glosses else True
    for row in glosses:
        *ids, _ = made(text_target=row)["input_ids"]
        assert made.unk_token_id not in ids
        assert [made.convert_ids_to_tokens(index) for index in ids] == [
            gloss.partition("/")[0] if gloss.partition("/")[0] in ("Number", "Alpha", "Name") else gloss
            for gloss in map(normalize_line, row)
        ]
