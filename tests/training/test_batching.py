from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset, concatenate_datasets
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.training.batching import PairCollator, StepSampler, pair_lengths


def _dataset(lengths: list[tuple[int, int]]) -> Dataset:
    return Dataset.from_dict(
        {"input_ids": [[7] * source for source, _ in lengths], "labels": [[8] * target for _, target in lengths]}
    )


def test_lengths_of_parts_and_selections() -> None:
    first, second = [(3, 1), (5, 2), (1, 9)], [(4, 4), (2, 7)]
    dataset = concatenate_datasets([_dataset(first), _dataset(second)])
    assert pair_lengths(dataset).tolist() == [list(row) for row in first + second]
    assert pair_lengths(dataset.select([4, 0, 0])).tolist() == [[2, 7], [3, 1], [3, 1]]
    assert pair_lengths(dataset.select([1]).select([0])).tolist() == [[5, 2]]
    assert pair_lengths(dataset.shuffle(seed=1)).tolist() == [
        [len(row["input_ids"]), len(row["labels"])] for row in dataset.shuffle(seed=1)
    ]
    assert len(pair_lengths(dataset.select([]))) == 0


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(1, 9)), min_size=1, max_size=200),
    st.integers(1, 12),
    st.booleans(),
)
def test_every_row_is_seen_and_every_step_full(lengths: list[tuple[int, int]], size: int, by_length: bool) -> None:
    sampler = StepSampler(np.array(lengths) if by_length else len(lengths), size, seed=0)
    order = list(sampler)
    assert len(order) == len(sampler)
    assert len(order) % size == 0
    assert len(order) - len(lengths) < size
    assert set(order) == set(range(len(lengths)))
    counts = np.bincount(order)
    assert counts.max() <= 1 + -(-size // len(lengths))


def test_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = np.random.default_rng(0).integers(1, 20, (50, 2))
    sampler = StepSampler(lengths, 8, seed=0)
    first, second = list(sampler), list(sampler)
    assert first != second
    assert list(StepSampler(lengths, 8, seed=0, epoch=lambda: 1)) == second
    assert list(StepSampler(lengths, 8, seed=1)) != first


def test_steps_are_of_similar_length_and_in_random_order() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, (800, 2))
    steps = lengths[list(StepSampler(lengths, 16, seed=0))].reshape(50, 16, 2)
    random = lengths[list(StepSampler(800, 16, seed=0))].reshape(50, 16, 2)
    spread, spread_at_random = (np.ptp(part[:, :, 0], axis=1).mean() for part in (steps, random))
    assert spread < 3
    assert spread_at_random > 40
    longest = steps[:, :, 0].max(axis=1)
    assert abs(np.corrcoef(longest, np.arange(50))[0, 1]) < 0.4


def test_no_rows_are_no_corpus() -> None:
    with pytest.raises(ValueError, match="expected rows to train on, found none"):
        StepSampler(0, 8, seed=0)


def test_rows_are_padded_to_a_multiple() -> None:
    rows = [{"input_ids": [2, 9, 9, 9, 3], "labels": [8, 3]}, {"input_ids": [2, 3], "labels": [3]}]
    batch = PairCollator(0, 4)(rows)
    assert batch["input_ids"].tolist() == [[2, 9, 9, 9, 3, 0, 0, 0], [2, 3, 0, 0, 0, 0, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1] * 5 + [0] * 3, [1] * 2 + [0] * 6]
    assert batch["labels"].tolist() == [[8, 3, -100, -100], [3, -100, -100, -100]]
    assert "labels" not in PairCollator(0)([{"input_ids": [2, 3]}])
