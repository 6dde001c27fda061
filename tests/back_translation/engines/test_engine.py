from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.back_translation.engines.engine import Limits, batches, open_engine
from kgloss_hf.back_translation.engines.transformers import TransformersEngine


def test_batches_are_of_similar_length_the_longest_first() -> None:
    texts = ["가" * length for length in (1, 9, 2, 8, 3)]
    assert batches(texts, Limits(texts=2, characters=100, text=100)) == [[1, 3], [4, 2], [0]]


def test_batches_count_each_text_as_the_longest() -> None:
    texts = ["가" * length for length in (10, 1, 1, 1)]
    assert batches(texts, Limits(texts=8, characters=20, text=100)) == [[0, 1], [2, 3]]


def test_a_text_longer_than_a_batch_is_one() -> None:
    assert batches(["가" * 30, "나" * 30], Limits(texts=8, characters=20, text=100)) == [[0], [1]]


def test_no_texts_are_no_batches() -> None:
    assert batches([], Limits(1, 1, 1)) == []


@given(st.lists(st.text(min_size=1, max_size=30)), st.integers(1, 5), st.integers(1, 60))
def test_every_text_is_in_one_batch_within_the_limits(texts: list[str], size: int, characters: int) -> None:
    found = batches(texts, Limits(size, characters, 30))
    assert sorted(itertools.chain.from_iterable(found)) == list(range(len(texts)))
    for batch in found:
        assert len(batch) <= size
        assert len(batch) == 1 or len(batch) * max(len(texts[index]) for index in batch) <= characters


def test_an_engine_by_name_and_options() -> None:
    engine, weight = open_engine("transformers:some/opus-mt-ko-en,num_beams=2,batch_size=7,name=opus,weight=0.5")
    assert isinstance(engine, TransformersEngine)
    assert (engine.name, engine.limits.texts, weight) == ("opus", 7, 0.5)


def test_weight_is_one() -> None:
    assert open_engine("transformers:some/opus-mt-ko-en")[1] == 1


def test_words_that_look_like_numbers() -> None:
    engine, _ = open_engine("transformers:a/b,back_model=1,name=2")
    assert engine.name == "2"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bing", "expected an engine of the kind transformers, ctranslate2, google, papago, found 'bing'"),
        ("transformers:a/b,beams=2", "options of transformers are model, back_model, .*, weight"),
        ("transformers,num_beams=2", "missing a required"),
        ("transformers:a/b,num_beams", "expected OPTION=VALUE"),
        ("transformers:a/b,model=c/d", "expected OPTION=VALUE once"),
        ("transformers:a/b,num_beams=2,num_beams=3", "expected OPTION=VALUE once"),
        ("transformers:a/b,num_beams=many", "num_beams: expected a whole number from 1, found 'many'"),
        ("transformers:a/b,weight=0", "expected weight to be a number above 0, found 0"),
        ("transformers:a/b,weight=.inf", "expected weight to be a number above 0, found inf"),
        ("transformers:a/b,do_sample=maybe", "expected do_sample to be true or false, found 'maybe'"),
        ("transformers:a/b,do_sample=true,temperature=hot", "expected temperature to be a number, found 'hot'"),
        ("transformers:a/b,top_p=!!bool", "expected a number, true, false or a word for top_p"),
        ("transformers:a/b,top_p=2001-99-99", "expected a number, true, false or a word for top_p"),
        ("transformers:a/b,top_p=" + "[" * 2000, "expected a number, true, false or a word for top_p"),
        ("transformers:a/b,name=[", "expected a number, true, false or a word for name"),
    ],
)
def test_a_spec_that_means_nothing(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_engine(spec)
