"""How well gloss sequences match: the paper's Jaccard score, as pure functions, and an interval around a mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

_RESAMPLED_AT_ONCE = 2_000_000


def jaccard(predictions: Iterable[str | Iterable[str]], references: Iterable[str | Iterable[str]]) -> float:
    """Mean Jaccard score over pairs, × 100: the paper's JC (section IV.2, Table 5).

    Order and repetition of glosses do not count. A gloss is compared as it is written: `Number/4C` differs from `4C`.

    Args:
        predictions: One gloss sequence a pair: a list of glosses, or a string of glosses separated by white space.
            Give lists where glosses hold spaces, such as `V (불꽃무늬)`.
        references: As many gloss sequences as `predictions` has.

    Returns:
        A number from 0 to 100. A pair counts 1 when both sides are empty and 0 when one is.

    Raises:
        TypeError: An argument is one string or no sequence, or one of its items is no gloss sequence.
        ValueError: The two lengths differ, or there are no pairs.

    Example:
        >>> jaccard([["문화", "유산"], ["감사"]], ["유산 문화 보다 원하다", "감사"])
        75.0
    """
    return 100 * float(jaccard_scores(predictions, references).mean())


def jaccard_scores(
    predictions: Iterable[str | Iterable[str]], references: Iterable[str | Iterable[str]]
) -> npt.NDArray[np.float64]:
    """Jaccard score of each pair: glosses in both, over glosses in either (paper, section IV.2).

    Args:
        predictions: As for `jaccard`.
        references: As for `jaccard`.

    Returns:
        Array of shape (pairs,), each score from 0 to 1; 1 when both sides of a pair are empty, 0 when one is.

    Raises:
        TypeError: An argument is one string or no sequence, or one of its items is no gloss sequence.
        ValueError: The two lengths differ, or there are no pairs.

    Example:
        >>> jaccard_scores([["집", "불"], [], []], [["불", "나다"], [], ["불"]]).round(2).tolist()
        [0.33, 1.0, 0.0]
    """
    hypothesis_lists, reference_lists = gloss_pairs(predictions, references)
    scores = np.ones(len(hypothesis_lists))
    for index, (hypothesis, reference) in enumerate(zip(hypothesis_lists, reference_lists, strict=True)):
        union = {*hypothesis, *reference}
        if union:
            scores[index] = len(set(hypothesis).intersection(reference)) / len(union)
    return scores


def bootstrap_interval(
    scores: Sequence[float] | npt.NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean: how far it would move with other sentences of the same kind.

    It says nothing about the spread between training runs, which needs several runs (the paper averages ten).

    Args:
        scores: One score a pair, as `jaccard_scores` gives them; the interval is in their unit.
        level: Share of resampled means inside the interval, between 0 and 1.
        resamples: How many samples to draw, with replacement, each as large as `scores`.
        seed: The same seed gives the same interval.

    Returns:
        Lower and upper end. Memory stays under some 50 MB, or 24 bytes a score where there are over two million.

    Raises:
        TypeError: `scores` holds something that is no number.
        ValueError: `scores` is empty, not one-dimensional or not finite; `level` or `resamples` is out of range.

    Source:
        Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.

    Example:
        >>> bootstrap_interval([0.0, 0.5, 0.5, 1.0])
        (0.125, 0.875)
    """
    values = _finite_scores(scores)
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, found {level!r}; write 0.95 for 95%")
    if resamples < 1:
        raise ValueError(f"resamples: expected at least 1, found {resamples!r}; 10,000 is usual")
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, _RESAMPLED_AT_ONCE // len(values))
    for start in range(0, resamples, rows):
        chunk = means[start : start + rows]
        chunk[:] = values[random.integers(len(values), size=(len(chunk), len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def gloss_pairs(
    predictions: Iterable[str | Iterable[str]], references: Iterable[str | Iterable[str]]
) -> tuple[list[list[str]], list[list[str]]]:
    """Both arguments as lists of gloss lists, checked: what every gloss metric starts from.

    Args:
        predictions: Gloss sequences, each a list of glosses or a string of glosses separated by white space.
        references: As many gloss sequences as `predictions` has.

    Returns:
        Predictions and references, in order.

    Raises:
        TypeError: An argument is one string or no sequence, or one of its items is no gloss sequence.
        ValueError: The two lengths differ, or there are no pairs.

    Example:
        >>> gloss_pairs(["집 불"], [["집", "불"]])
        ([['집', '불']], [['집', '불']])
    """
    hypothesis_lists = gloss_lists(predictions, "predictions")
    reference_lists = gloss_lists(references, "references")
    if len(hypothesis_lists) != len(reference_lists):
        raise ValueError(
            f"expected one reference a prediction, found {len(hypothesis_lists)} predictions and "
            f"{len(reference_lists)} references; where a sentence has several references, choose one or repeat it"
        )
    if not hypothesis_lists:
        raise ValueError("expected at least one pair, found none; check that the split or filter left some rows")
    return hypothesis_lists, reference_lists


def gloss_lists(sequences: Iterable[str | Iterable[str]], name: str = "glosses") -> list[list[str]]:
    """Gloss sequences as lists of glosses: strings are split on white space, anything that is neither is refused.

    Args:
        sequences: A list of lists of glosses, of strings, or of both; tuples, arrays and dataset columns do as well.
        name: What errors call the argument.

    Returns:
        One list of glosses a sequence.

    Raises:
        TypeError: `sequences` is one string or not iterable, or one of its items is no gloss sequence.

    Example:
        >>> gloss_lists(["집  불", ["V (불꽃무늬)"]])
        [['집', '불'], ['V (불꽃무늬)']]
    """
    if isinstance(sequences, str):
        raise TypeError(f"{name}: expected a list of gloss sequences, found one string; write [{sequences!r:.40}]")
    if not _is_listing(sequences):
        raise TypeError(f"{name}: expected a list of gloss sequences, found {type(sequences).__name__}; pass a list")
    return [_glosses(sequence, f"{name}[{index}]") for index, sequence in enumerate(sequences)]


def _glosses(sequence: str | Iterable[str], name: str) -> list[str]:
    if isinstance(sequence, str):
        return sequence.split()
    if not _is_listing(sequence):
        found = type(sequence).__name__
        raise TypeError(f"{name}: expected a list of glosses or a string, found {found}; check for missing values")
    glosses = list(sequence)
    for gloss in glosses:
        if not isinstance(gloss, str):
            found = type(gloss).__name__
            raise TypeError(f"{name}: expected glosses as strings, found {found}; pass one decoded sequence a pair")
    return glosses


def _is_listing(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping))


def _finite_scores(scores: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values = np.asarray(scores)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"scores: expected a list with one number a pair, found shape {values.shape}")
    if values.dtype.kind not in "biuf":
        raise TypeError(f"scores: expected numbers, found {values.dtype}; pass what jaccard_scores returns")
    if not np.isfinite(values).all():
        raise ValueError(f"scores: expected finite numbers, found {values[~np.isfinite(values)][0]}; drop such pairs")
    return values.astype(np.float64)
