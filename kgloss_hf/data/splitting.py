"""Split a corpus of linked rows so that nothing equal is on both sides.

A row is represented by its keys, such as a sentence and a gloss string. Rows that share a key are linked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Sequence

import numpy as np

from ..runtime.normalization import normalize_line

GROUP_FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
"""Shares of a split by group."""

ROW_FRACTIONS = {"train": 0.7, "test": 0.3}
"""Shares of the paper's split by row, which has no validation set."""

_NAMES = {
    "train": ("train", "training", "trn", "학습", "훈련"),
    "validation": ("validation", "valid", "val", "dev", "development", "검증"),
    "test": ("test", "testing", "tst", "평가", "시험", "테스트"),
}

PARTS = tuple(_NAMES)
"""Names of the three sets of a split, the training set first."""

Row = Iterable[Hashable]
"""Keys of a row. A `kgloss_hf.data.pairs.Pair` has two: see `keys_of_pair`."""


def part_of(name: object) -> str | None:
    """Return the set that a name stands for: `train`, `validation`, `test`, or None.

    Args:
        name: Name of a split or folder, or the cell of a column `split`; case and a leading number are ignored.

    Examples:
        >>> part_of("1.Training"), part_of("dev"), part_of("fold 3")
        ('train', 'validation', None)
    """
    plain = re.sub(r"^\d+[\s._-]*", "", normalize_line(name).casefold()) if isinstance(name, str) else None
    return next((part for part, names in _NAMES.items() if plain in names), None)


def comes_in_parts(parts: Collection[str | None], origin: str) -> bool:
    """Return whether rows come with a split of their own, that is, with training rows and others.

    Args:
        parts: Sets that the rows are assigned to, or None.
        origin: Name of the data set, for the message.

    Raises:
        ValueError: A name is unknown, or none is `train`.

    Examples:
        >>> comes_in_parts({"train", "test"}, "pairs.csv"), comes_in_parts({None}, "pairs.csv")
        (True, False)
    """
    if not any(parts):
        return False
    if unknown := sorted(repr(part) for part in set(parts) - _NAMES.keys()):
        raise ValueError(
            f"{origin}: expected train, validation or test as the split of each row, found {', '.join(unknown):.90}; "
            "correct it, or draw a split: group or row"
        )
    if "train" not in parts:
        raise ValueError(f"{origin}: expected training rows, found none; add them, or draw a split: group or row")
    return len(set(parts)) > 1


def keys_of_pair(text: str, glosses: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return the keys that link a pair to others: its sentence and its glosses, equal if they look the same.

    Args:
        text: The sentence.
        glosses: The glosses.

    Examples:
        >>> keys_of_pair("집에\u200b  불이 났어요.", ["집", "불\ufeff"])
        ('집에 불이 났어요.', ('집', '불'))
    """
    return normalize_line(text), tuple(map(normalize_line, glosses))


def _group_rows(rows: Sequence[Row]) -> list[int]:
    """Return a label for each row, equal for rows that are linked directly or through others."""
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[Hashable, int] = {}
    for i, keys in enumerate(rows):
        for key in keys:
            parent[root(i)] = root(first.setdefault(key, i))
    return [root(i) for i in range(len(rows))]


def split_rows(rows: Sequence[Row], fractions: Sequence[float], *, by: str = "group", seed: int = 0) -> list[list[int]]:
    """Return the numbers of the rows of each set, in shuffled order.

    Args:
        rows: Keys of each row.
        fractions: Share of each set; they add up to 1.
        by: `group` keeps linked rows in one set: from the last set to the second, each takes whole groups until it
            has its share or a little more, and the first set takes the rest. `row` cuts the shuffled rows.
        seed: Seed of the shuffle (default 0).

    Returns:
        A list for each fraction. If there are few groups, some lists may be empty.

    Raises:
        ValueError: `by` is unknown, or the fractions do not add up to 1.

    Examples:
        >>> split_rows([("집", "불"), ("물", "비"), ("집", "비"), ("산", "강")], (0.7, 0.3))
        [[3], [2, 0, 1]]
    """
    if abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"expected fractions that add up to 1, found {tuple(fractions)}; correct them")
    order: list[int] = np.random.default_rng(seed).permutation(len(rows)).tolist()
    if by == "row":
        cuts = [round(sum(fractions[:i]) * len(rows)) for i in range(1, len(fractions))]
        return [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    if by != "group":
        raise ValueError(f"expected the split 'group' or 'row', found {by!r}; choose one of them")
    label = _group_rows(rows)
    groups: dict[int, list[int]] = {}
    for i in order:
        groups.setdefault(label[i], []).append(i)
    parts: list[list[int]] = [[] for _ in fractions]
    for members in groups.values():
        unfilled = (i for i in range(len(parts) - 1, 0, -1) if len(parts[i]) < fractions[i] * len(rows))
        parts[next(unfilled, 0)].extend(members)
    return parts


def unlinked(rows: Sequence[Row], others: Iterable[Row]) -> list[int]:
    """Return the numbers of the rows that have no key in common with the others.

    Args:
        rows: Keys of each row.
        others: Keys of the rows to avoid, such as those held out.

    Examples:
        >>> unlinked([("집", "불"), ("물", "비")], [("집", "비옷")])
        [1]
    """
    held = {key for keys in others for key in keys}
    return [i for i, keys in enumerate(rows) if held.isdisjoint(keys)]
