"""Choose the pairs of each optimiser step and turn them into tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch.utils.data import Sampler

_ROWS_AT_ONCE = 10_000
_STEPS_A_POOL = 50


def pair_lengths(dataset: Dataset) -> np.ndarray:
    """Return the source and target length of each row (n × 2), computed from row offsets without reading the ids.

    Args:
        dataset: A data set with the columns `input_ids` and `labels`.

    Examples:
        >>> pair_lengths(Dataset.from_dict({"input_ids": [[2, 9, 3], [2, 3]], "labels": [[8, 3], [3]]})).tolist()
        [[3, 2], [2, 1]]
    """
    columns = [pc.list_value_length(dataset.data.column(name)).to_numpy() for name in ("input_ids", "labels")]
    lengths = np.stack(columns, axis=1)
    indices = dataset._indices  # set for a selection; reading its rows through the public API is a hundred times slower
    return lengths if indices is None else lengths[indices.column(0).to_numpy()]


class StepSampler(Sampler[int]):
    """Sampler that gives each optimiser step the same rows, however many processes share them.

    Every epoch has its own order, which depends only on the seed and the epoch, so a resumed run sees the rows that it
    would have seen without the interruption. The last step of an epoch is filled up with rows from the beginning of the
    epoch, so that all steps have the same size and every row is seen. If lengths are given, rows are sorted by length
    within pools of 50 steps, so that the rows of a step have similar lengths, and the steps are shuffled.

    Args:
        lengths: Source and target length of each row, n × 2 (`pair_lengths`), or the number of rows for random order.
        step_size: Rows per optimiser step: batch size per device × accumulation steps × processes.
        seed: Seed of the order.
        epoch: Function called at the beginning of each pass that returns the number of the epoch (default: passes are
            counted from 0).

    Raises:
        ValueError: There are no rows.

    Examples:
        >>> order = list(StepSampler(np.array([[3, 1], [9, 4], [4, 1], [8, 4]]), step_size=2, seed=0))
        >>> sorted(sorted(order[start : start + 2]) for start in (0, 2))
        [[0, 2], [1, 3]]
    """

    def __init__(
        self, lengths: np.ndarray | int, step_size: int, seed: int, epoch: Callable[[], int] | None = None
    ) -> None:
        self._lengths = None if isinstance(lengths, int) else lengths
        self._rows = lengths if isinstance(lengths, int) else len(lengths)
        if not self._rows:
            raise ValueError("expected rows to train on, found none; check the corpus and its split")
        self._step_size = step_size
        self._seed = seed
        self._epoch = epoch
        self._passes = 0

    def __len__(self) -> int:
        return -(-self._rows // self._step_size) * self._step_size

    def __iter__(self) -> Iterator[int]:
        epoch = self._passes if self._epoch is None else self._epoch()
        self._passes += 1
        random = np.random.default_rng([self._seed, epoch])
        order = np.resize(random.permutation(self._rows), len(self))
        if self._lengths is not None:
            pool = self._step_size * _STEPS_A_POOL
            for start in range(0, len(order), pool):
                rows = order[start : start + pool]
                source, target = self._lengths[rows].T
                # The sort is stable: ties keep their random order.
                order[start : start + pool] = rows[np.lexsort((target, source))]
            steps = order.reshape(-1, self._step_size)
            order = steps[random.permutation(len(steps))].ravel()
        for start in range(0, len(order), _ROWS_AT_ONCE):  # as Python integers, rows take five times the memory
            yield from order[start : start + _ROWS_AT_ONCE].tolist()


class PairCollator:
    """Collator that pads rows of ids into the tensors `input_ids`, `attention_mask` and `labels`.

    Args:
        pad_token_id: Id that pads `input_ids`; `labels` are padded with -100.
        multiple_of: Multiple to which both lengths are rounded up (default 1). On a GPU, 8 keeps the number of
            different shapes small, which suits its kernels.

    Examples:
        >>> batch = PairCollator(0)([{"input_ids": [2, 9, 3], "labels": [8, 3]}, {"input_ids": [2, 3], "labels": [3]}])
        >>> batch["input_ids"].tolist(), batch["labels"].tolist()
        ([[2, 9, 3], [2, 3, 0]], [[8, 3], [3, -100]])
    """

    def __init__(self, pad_token_id: int, multiple_of: int = 1) -> None:
        self._pad = pad_token_id
        self._multiple = multiple_of

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        sources = [row["input_ids"] for row in rows]
        batch = {"input_ids": self._padded(sources, self._pad)}
        batch["attention_mask"] = self._padded([[1] * len(ids) for ids in sources], 0)
        if "labels" in rows[0]:
            batch["labels"] = self._padded([row["labels"] for row in rows], -100)
        return batch

    def _padded(self, rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
        width = -(-max(map(len, rows)) // self._multiple) * self._multiple
        padded = np.full((len(rows), width), value, dtype=np.int64)
        for place, row in zip(padded, rows, strict=True):
            place[: len(row)] = row
        return torch.from_numpy(padded)
