"""Load the pairs of the pretext task, sentences with the same meaning, and split them for training and validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from datasets import Dataset, load_dataset

from ..reporting import counted
from ..runtime.normalization import normalize
from .encoding import ROWS_AT_ONCE


def load_pretext(data_dir: str, *, pairs: str = "backtranslation", corpus: str = "all") -> Dataset:
    """Return memory-mapped pairs with the columns `source`, `target` and `origin` (the corpus).

    Args:
        data_dir: Folder written by `kgloss back-translate`, or folder with copies of the public corpora.
        pairs: `backtranslation` (default), or `paraphrase` for human paraphrases.
        corpus: Configuration of `ko_backtranslation`, such as `parakqc` (default: `all`).

    Raises:
        ValueError: A name is unknown, or a file differs from the published one.
        FileNotFoundError: The folder contains no such pairs.
    """
    dataset = load_dataset("ko_backtranslation", corpus, data_dir=data_dir, pairs=pairs, split="train")
    return dataset.select_columns(["source", "target", "origin"])


def sentences(dataset: Dataset) -> Iterator[str]:
    """Yield all sentences of the pairs, sources and targets, while holding only some of them in memory.

    Args:
        dataset: Data set with the columns `source` and `target`.

    Examples:
        >>> list(sentences(Dataset.from_dict({"source": ["불이 났어요."], "target": ["화재입니다."]})))
        ['불이 났어요.', '화재입니다.']
    """
    for batch in dataset.iter(ROWS_AT_ONCE):
        yield from batch["source"]
        yield from batch["target"]


def split_pretext(
    dataset: Dataset, share: float = 0.3, *, by: str = "group", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers of the training set and of the validation set.

    Args:
        dataset: Data set with the columns `source` and `target`.
        share: Share of the rows for validation (default 0.3, as in the paper).
        by: `group` keeps pairs that share a sentence, directly or through other pairs, on one side. `row` is the
            paper's split.
        seed: Seed of the shuffle (default 0).

    Raises:
        ValueError: `by` is unknown, or one of the sets would be empty.

    Examples:
        >>> pairs = Dataset.from_dict({"source": ["가", "나", "다", "라"], "target": ["나", "가", "라", "다"]})
        >>> [sorted(rows.tolist()) for rows in split_pretext(pairs, 0.5)]
        [[0, 1], [2, 3]]
    """
    if by not in ("group", "row"):
        raise ValueError(f"split: expected 'group' or 'row', found {by!r}; choose one of these")
    label = _linked(dataset) if by == "group" else np.arange(len(dataset))
    groups, sizes = np.unique(label, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(groups))
    held_out = groups[order[np.cumsum(sizes[order]) - sizes[order] < share * len(dataset)]]
    validation = np.isin(label, held_out)
    if validation.all() or not validation.any():
        raise ValueError(
            f"cannot hold out {share:.0%} of {counted(len(dataset), 'pair')} in {counted(len(groups), 'group')}, which "
            "are too few or too similar; add pairs, or change the share"
        )
    return np.flatnonzero(~validation), np.flatnonzero(validation)


def _linked(dataset: Dataset) -> np.ndarray:
    """Return one label per row, equal for linked rows. Only hashes of sentences are in memory, 16 bytes per pair."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    def hashes(texts: Iterable[str]) -> np.ndarray:
        return pd.util.hash_array(np.array(list(map(normalize, texts)), dtype=object))

    keys = [hashes(batch[name]) for batch in dataset.iter(ROWS_AT_ONCE) for name in ("source", "target")]
    if not keys:
        return np.empty(0, dtype=np.int64)
    source, target = np.concatenate(keys[::2]), np.concatenate(keys[1::2])
    sentence, number = np.unique(np.concatenate([source, target]), return_inverse=True)
    first, second = number[: len(source)], number[len(source) :]
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(len(sentence), len(sentence)))
    return connected_components(graph, directed=False)[1][first]
