"""Choose the pairs of each optimiser step, and turn them into tensors."""

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
    """Return each row's source and target length, n × 2, from where rows begin in the file, without reading ids.

    Args:
        dataset: With the columns `input_ids` and `labels`.

    Example:
        >>> pair_lengths(Dataset.from_dict({"input_ids": [[2, 9, 3], [2, 3]], "labels": [[8, 3], [3]]})).tolist()
        [[3, 2], [2, 1]]
    """
    columns = [pc.list_value_length(dataset.data.column(name)).to_numpy() for name in ("input_ids", "labels")]
    lengths = np.stack(columns, axis=1)
    chosen = dataset._indices  # of a selection; reading its rows through the public way takes a hundred times as long
    return lengths if chosen is None else lengths[chosen.column(0).to_numpy()]


class StepSampler(Sampler[int]):
    """An order of the rows in which each optimiser step takes the same rows, however many processes share them.

    Every epoch has its own order, which depends on the seed and the epoch alone: a resumed run sees what it would have
    seen. The last step of an epoch is filled up with rows of the epoch's beginning, so that all steps are of one size
    and every row is seen. By length, rows are sorted within pools of 50 steps, so that a step holds rows of about equal
    length, and steps come in random order.

    Args:
        lengths: Source and target length of each row, n × 2 (`pair_lengths`), or the number of rows, for random order.
        step_size: Rows in an optimiser step: a device's batch × accumulation steps × processes.
        seed: Of the order.
        epoch: Called at the beginning of each pass; gives the number of the epoch (default: passes counted from 0).

    Raises:
        ValueError: There are no rows.

    Example:
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
                # Lengths of the pool's steps; ties keep their random order.
                order[start : start + pool] = rows[np.lexsort((target, source))]
            steps = order.reshape(-1, self._step_size)
            order = steps[random.permutation(len(steps))].ravel()
        for start in range(0, len(order), _ROWS_AT_ONCE):  # as Python's numbers they take five times the memory
            yield from order[start : start + _ROWS_AT_ONCE].tolist()


class PairCollator:
    """Rows of ids as padded tensors `input_ids`, `attention_mask` and `labels`.

    Args:
        pad_token_id: Pads `input_ids`; `labels` are padded with -100.
        multiple_of: Both lengths are rounded up to a multiple of this (default 1). On a GPU 8 gives few shapes, which
            its kernels like.

    Example:
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
