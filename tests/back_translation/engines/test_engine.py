from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.back_translation.engines.engine import Limits, batches, open_engine
from kgloss_hf.back_translation.engines.transformers import TransformersEngine


@pytest.mark.parametrize(
    ("lengths", "limits", "divided"),
    [
        ((1, 9, 2, 8, 3), Limits(texts=2, characters=100, text=100), [[1, 3], [4, 2], [0]]),
        # Each text counts as the longest.
        ((10, 1, 1, 1), Limits(texts=8, characters=20, text=100), [[0, 1], [2, 3]]),
        # A text longer than a batch forms one.
        ((30, 30), Limits(texts=8, characters=20, text=100), [[0], [1]]),
        ((), Limits(1, 1, 1), []),
    ],
)
def test_batches_are_of_similar_length_the_longest_first(
    lengths: tuple[int, ...], limits: Limits, divided: list[list[int]]
) -> None:
    assert batches(["가" * length for length in lengths], limits) == divided


@given(st.lists(st.text(min_size=1, max_size=30)), st.integers(1, 5), st.integers(1, 60))
def test_every_text_is_in_one_batch_within_the_limits(texts: list[str], size: int, characters: int) -> None:
    divided = batches(texts, Limits(size, characters, 30))
    assert sorted(itertools.chain.from_iterable(divided)) == list(range(len(texts)))
    for batch in divided:
        assert len(batch) <= size
        assert len(batch) == 1 or len(batch) * max(len(texts[index]) for index in batch) <= characters


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("num_beams=2,batch_size=7,name=opus,weight=0.5", ("opus", 7, 0.5)),
        # A word may look like a number. The weight is 1, and the engine's own defaults apply.
        ("back_model=1,name=2", ("2", 64, 1)),
    ],
)
def test_an_engine_by_name_and_options(options: str, expected: tuple[str, int, float]) -> None:
    engine, weight = open_engine(f"transformers:some/opus-mt-ko-en,{options}")
    assert isinstance(engine, TransformersEngine)
    assert (engine.name, engine.limits.texts, weight) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bing", "expected an engine of the kind transformers, ctranslate2, google, papago, found 'bing'"),
        ("transformers:a/b,beams=2", "the options of transformers are model, back_model, .*, weight"),
        ("transformers,num_beams=2", "missing a required"),
        ("transformers:a/b,num_beams", "expected OPTION=VALUE"),
        ("transformers:a/b,model=c/d", "expected OPTION=VALUE once"),
        ("transformers:a/b,num_beams=2,num_beams=3", "expected OPTION=VALUE once"),
        ("transformers:a/b,num_beams=many", "num_beams: expected a whole number from 1, found 'many'"),
        ("transformers:a/b,weight=0", "expected weight to be a number above 0, found 0"),
        ("transformers:a/b,weight=.inf", "expected weight to be a number above 0, found inf"),
        (f"transformers:a/b,weight=1{'0' * 400}", "expected weight to be a number above 0, found 10"),
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
