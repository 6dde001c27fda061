"""Score how well gloss sequences match: the paper's Jaccard score, its interval and its significance.

Glosses are compared as they are signed, in one form (`kgloss_hf.evaluation.sequences.as_signed`).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..runtime.glosses import UNKNOWN_TYPE, content_of, placeholder_of
from ..runtime.normalization import normalize
from ..version import __version__
from .sequences import as_signed, gloss_pairs

References = Iterable[str | Iterable[str] | Iterable[Iterable[str]]]
"""One gloss sequence per prediction, or a list of lists of glosses where it has several references."""

_NON_MANUAL = "non_manual"
_MEAN_OF_REFERENCES = "refs:mean"
_RESAMPLED_AT_ONCE = 2_000_000


def jaccard(predictions: Iterable[str | Iterable[str]], references: References) -> float:
    """Return the mean Jaccard score over pairs, × 100: the paper's JC (section IV.2, Table 5).

    Where a prediction has several references, its score is the mean over them, so that each prediction weighs the same.

    Order and repetition of glosses do not count. A gloss is compared as signed: `Number/4C` is `4C`, and a form
    with other code points for the same characters is the same gloss (`kgloss_hf.evaluation.sequences.as_signed`).

    Args:
        predictions: One gloss sequence per pair: a list of glosses, or a string of glosses with spaces between them,
            where a space before parentheses belongs to a gloss (`V (불꽃무늬)`). A string can also be a JSON list.
        references: For each prediction one gloss sequence, or several as a list of lists of glosses. Predictions can
            have different numbers of references.

    Returns:
        A number from 0 to 100. A pair scores 100 when both sides are empty, and 0 when only one is.

    Raises:
        TypeError: An argument is a single string or not iterable, or one of its items is not a gloss sequence.
        ValueError: The lengths differ, there are no pairs, or a list holds strings of several glosses each, which may
            be one sequence or several references: write references as lists of lists of glosses.

    Examples:
        >>> jaccard([["문화", "유산"], ["감사"]], ["유산 문화 보다 원하다", "감사"])
        75.0
        >>> jaccard([["문화", "유산"], ["감사"]], [[["유산"], ["문화", "유산"]], ["감사"]])  # (0.5 + 1) / 2, and 1
        87.5
    """
    return 100 * float(jaccard_scores(predictions, references).mean())


def jaccard_scores(
    predictions: Iterable[str | Iterable[str]],
    references: References,
    *,
    multiset: bool = False,
    best: bool = False,
    synonyms: Mapping[str, Iterable[str]] | None = None,
) -> npt.NDArray[np.float64]:
    """Return the Jaccard score of each prediction: glosses in both, over glosses in either (paper, section IV.2).

    Args:
        predictions: As for `jaccard`.
        references: As for `jaccard`.
        multiset: Count repetitions: a gloss that occurs twice on one side and once on the other matches once (default
            False).
        best: Of several references, use the one that agrees most (default: the mean over them).
        synonyms: As for `jaccard_result`.

    Returns:
        Array of shape (predictions,), each score from 0 to 1; 1 when both sides of a pair are empty, 0 when one is.

    Raises:
        TypeError: An argument is a single string or not iterable, or one of its items is not a gloss sequence.
        ValueError: The lengths differ, or there are no pairs.

    Examples:
        >>> jaccard_scores([["집", "불"], [], []], [["불", "나다"], [], ["불"]]).round(2).tolist()
        [0.33, 1.0, 0.0]
        >>> jaccard_scores(["집 집 불"], ["집 불"], multiset=True).round(2).tolist()
        [0.67]
        >>> jaccard_scores(["집 불"], [[["집"], ["집", "불"]]], best=True).tolist()
        [1.0]
    """
    pairs = gloss_pairs(predictions, references)
    equal = {} if synonyms is None else _one_of_synonyms(synonyms)[0]
    sides = (_merged(as_signed(side), equal) for side in (pairs.predictions, pairs.references))
    scores = _scores(*sides, multiset=multiset)
    return scores if pairs.counts is None else by_group(scores, _rows(pairs.counts), best=best)


def jaccard_result(
    predictions: Iterable[str | Iterable[str]],
    references: References,
    *,
    multiset: bool = False,
    types: Mapping[str, str] | None = None,
    ignore_non_manual: bool = False,
    synonyms: Mapping[str, Iterable[str]] | None = None,
    resamples: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the mean Jaccard score, × 100, the requested parts, and a signature that tells how it was computed.

    Args:
        predictions: As for `jaccard`.
        references: As for `jaccard`.
        multiset: As for `jaccard_scores`.
        types: Type of each gloss, such as `{"집": "sign_word"}`, for a score per type. Contents have the type of their
            placeholder (`Number`). A gloss that it does not list is `unknown`.
        ignore_non_manual: Drop the glosses of type `non_manual` from both sides first. A pair with nothing left scores
            100, like any pair of two empty sequences.
        synonyms: Glosses that count as equal, such as `{"집": ["가옥", "주택"]}`. Equality is transitive: what is equal
            to `가옥` is equal to `집` as well. A gloss keeps its own type.
        resamples: Samples for the 95% bootstrap interval, usually 10,000; 0 (default) for no interval.
        seed: Seed of the interval (default 0).

    Returns:
        `jaccard`, from 0 to 100; with `resamples`, `low` and `high`; with `types`, `by_type`: for each type found, the
        `jaccard` of only its glosses, over the `pairs` with one on either side; `signature`, in which `types` and
        `synonyms` are the beginning of the mapping's SHA-256.

        Where a prediction has several references, `jaccard` is the mean over them, with each prediction weighing the
        same, and its signature has `refs:mean`. The result then also has `jaccard_best`, which compares each prediction
        with the reference that agrees most, its interval `low_best` and `high_best`, and `signature_best` with
        `refs:best`. By type, `jaccard` is the mean as well, and `pairs` counts predictions.

    Raises:
        TypeError: As for `jaccard`, or `types` is not a mapping of strings to strings, or `synonyms` is not a mapping
            of strings to lists of strings.
        ValueError: As for `jaccard`, or `resamples` is negative, or `ignore_non_manual` finds no such type in `types`.

    Source:
        The paper, section IV.2. Signatures as in sacreBLEU (Post, "A Call for Clarity in Reporting BLEU Scores", 2018).

    Examples:
        >>> jaccard_result(["집 불"], ["불"], types={"집": "sign_word"})["by_type"]
        {'sign_word': {'jaccard': 0.0, 'pairs': 1}, 'unknown': {'jaccard': 100.0, 'pairs': 1}}
        >>> jaccard_result(["집 불"], ["불"], resamples=1000)["signature"]  # doctest: +ELLIPSIS
        'jaccard|set|nonmanual:kept|bs:1000|seed:0|v:...'
        >>> result = jaccard_result(["집 불"], [[["불"], ["불", "가옥"]]], synonyms={"집": ["가옥"]})
        >>> result["jaccard"], result["jaccard_best"], result["signature_best"]  # doctest: +ELLIPSIS
        (75.0, 100.0, 'jaccard|set|nonmanual:kept|refs:best|synonyms:...|v:...')
    """
    written = gloss_pairs(predictions, references)
    sides = as_signed(written.predictions), as_signed(written.references)
    rows = None if written.counts is None else _rows(written.counts)
    marks = [
        "jaccard",
        "multiset" if multiset else "set",
        "nonmanual:ignored" if ignore_non_manual else "nonmanual:kept",
    ]
    if rows is not None:
        marks.append(_MEAN_OF_REFERENCES)
    by_type = {}
    equal: dict[str, str] = {}
    if synonyms is not None:
        equal, digest = _one_of_synonyms(synonyms)
        marks.append(f"synonyms:{digest}")
    _check_types(types, ignore_non_manual)
    if types is not None:
        listing = json.dumps(sorted(types.items()), ensure_ascii=False)
        types = _types_as_signed(types, written[:2])
        kinds = {types.get(gloss, UNKNOWN_TYPE) for side in sides for glosses in side for gloss in glosses}
        if ignore_non_manual:
            kinds.discard(_NON_MANUAL)
            sides = _of_types(sides, types, kinds)
        for name in sorted(kinds):
            of_type = _of_types(sides, types, {name})
            chosen = [number for number, pair in enumerate(zip(*of_type, strict=True)) if any(pair)]
            predicted, wanted = ([side[number] for number in chosen] for side in of_type)
            of_pairs = _scores(_merged(predicted, equal), _merged(wanted, equal), multiset=multiset)
            of_rows = of_pairs if rows is None else by_group(of_pairs, rows[chosen])
            by_type[name] = {"jaccard": 100 * float(of_rows.mean()), "pairs": len(of_rows)}
        marks.append(f"types:{_digest(listing)}")
    if resamples:
        marks += [f"bs:{resamples}", f"seed:{seed}"]
    signature = "|".join([*marks, f"v:{__version__}"])
    of_pairs = _scores(*(_merged(side, equal) for side in sides), multiset=multiset)
    result: dict[str, Any] = {}
    for ending in ("",) if rows is None else ("", "_best"):
        scores = of_pairs if rows is None else by_group(of_pairs, rows, best=bool(ending))
        result[f"jaccard{ending}"] = 100 * float(scores.mean())
        if resamples:
            interval = bootstrap_interval(100 * scores, resamples=resamples, seed=seed)
            result[f"low{ending}"], result[f"high{ending}"] = interval
    if types is not None:
        result["by_type"] = by_type
    result["signature"] = signature
    if rows is not None:
        result["signature_best"] = signature.replace(_MEAN_OF_REFERENCES, "refs:best")
    return result


def by_group(
    scores: npt.NDArray[np.float64], groups: npt.NDArray[np.int64], *, best: bool = False
) -> npt.NDArray[np.float64]:
    """Return the mean or the best score of each group.

    Args:
        scores: One score per row.
        groups: The group of each row, as a number; rows of a group need not be adjacent.
        best: Take each group's highest score (default: the mean).

    Returns:
        One score per group, in the order of the groups' numbers. The order of rows within a group changes no digit
        of the result, and a mean lies between the group's lowest and highest score.

    Examples:
        >>> by_group(np.array([0.5, 0.25, 1.0]), np.array([0, 1, 0])).tolist()
        [0.75, 0.25]
    """
    order = np.lexsort((scores, groups))
    ordered = scores[order]
    _, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    highest: npt.NDArray[np.float64] = np.maximum.reduceat(ordered, starts)
    if best:
        return highest
    # Rounding can move the mean of equal scores.
    return np.clip(np.add.reduceat(ordered, starts) / counts, ordered[starts], highest)


def bootstrap_interval(
    scores: Sequence[float] | npt.NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the mean's percentile bootstrap interval: how far it would move with other sentences of the same kind.

    It says nothing about the spread between training runs, which needs several runs (the paper averages ten).

    Args:
        scores: One score per pair, as from `jaccard_scores`; the interval is in their unit.
        level: Share of resampled means inside the interval, between 0 and 1 (default 0.95).
        resamples: Number of samples to draw, with replacement, each as large as `scores` (default 10,000).
        seed: The same seed gives the same interval (default 0).

    Returns:
        Lower and upper end. Memory stays under about 50 MB, or 24 bytes per score for more than two million.

    Raises:
        TypeError: `scores` holds something other than numbers.
        ValueError: `scores` is empty, not one-dimensional or not finite; `level` or `resamples` is out of range.

    Source:
        Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.

    Examples:
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


def paired_p_value(
    first: Sequence[float] | npt.NDArray[np.float64],
    second: Sequence[float] | npt.NDArray[np.float64],
    *,
    trials: int = 10_000,
    seed: int = 0,
) -> float:
    """Return the probability that two equally good systems differ at least this much in their mean.

    The test is paired approximate randomisation.

    Each trial exchanges the two systems' scores of each pair, or not, at random.

    Args:
        first: Score of one system for each pair.
        second: Scores of the other system for the same pairs, in the same order.
        trials: Number of exchanges to draw (default 10,000).
        seed: The same seed gives the same number (default 0).

    Returns:
        Two-sided p-value from 1 / (trials + 1) to 1; 1 where the means are equal.

    Raises:
        TypeError: Scores are not numbers.
        ValueError: Scores are empty, not one-dimensional or not finite, their numbers differ, or `trials` is below 1.

    Source:
        Riezler and Maxwell, "On Some Pitfalls in Automatic Evaluation and Significance Testing for MT", 2005.

    Examples:
        >>> paired_p_value([0.5, 0.25], [0.25, 0.5])
        1.0
    """
    scores, other_scores = _finite_scores(first), _finite_scores(second)
    if len(scores) != len(other_scores):
        raise ValueError(
            f"expected equally many scores for both systems, found {len(scores)} and {len(other_scores)}; score the "
            "same pairs"
        )
    differences = scores - other_scores
    if trials < 1:
        raise ValueError(f"trials: expected at least 1, found {trials!r}; 10,000 is usual")
    # Sums that are equal on paper can differ in their last digits.
    observed = abs(differences.sum()) * (1 - 1e-9)
    random = np.random.default_rng(seed)
    as_large = 0
    rows = max(1, _RESAMPLED_AT_ONCE // len(differences))
    for start in range(0, trials, rows):
        signs = 2.0 * random.integers(2, size=(min(rows, trials - start), len(differences))) - 1
        as_large += int((np.abs(signs @ differences) >= observed).sum())
    return (as_large + 1) / (trials + 1)


def _types_as_signed(types: Mapping[str, str], sides: Iterable[list[list[str]]]) -> dict[str, str]:
    listed = {normalize(gloss): kind for gloss, kind in types.items()}
    forms = {normalize(gloss) for side in sides for glosses in side for gloss in glosses}
    kinds = {form: listed.get(form, listed.get(placeholder_of(form))) for form in sorted(forms)}
    return {content_of(form): kind for form, kind in kinds.items() if kind} | listed


def _rows(counts: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(len(counts)), counts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _one_of_synonyms(synonyms: Mapping[str, Iterable[str]]) -> tuple[dict[str, str], str]:
    """Return the representative of each gloss that has synonyms, and a digest of the groups of synonyms."""
    above: dict[str, str] = {}

    def top(gloss: str) -> str:
        while (higher := above.setdefault(gloss, gloss)) != gloss:
            above[gloss] = gloss = above[higher]
        return gloss

    if not isinstance(synonyms, Mapping):
        raise TypeError(
            f"synonyms: expected a mapping of gloss to equal glosses, found {type(synonyms).__name__}; write "
            "{gloss: [equal]}"
        )
    for gloss, equals in synonyms.items():
        listed = [] if isinstance(equals, str) or not isinstance(equals, Iterable) else list(equals)
        if (equals and not listed) or not all(isinstance(form, str) for form in (gloss, *listed)):
            raise TypeError(
                f"synonyms: expected lists of glosses, found {equals!r:.60} for {gloss!r:.60}; write {{gloss: [equal]}}"
            )
        for other in listed:
            one, two = sorted(top(content_of(normalize(form))) for form in (gloss, other))
            above[two] = one
    groups: dict[str, list[str]] = {}
    for gloss in sorted(above):
        groups.setdefault(top(gloss), []).append(gloss)
    several = sorted(group for group in groups.values() if len(group) > 1)
    return {gloss: group[0] for group in several for gloss in group[1:]}, _digest(
        json.dumps(several, ensure_ascii=False)
    )


def _merged(sequences: list[list[str]], equal: Mapping[str, str]) -> list[list[str]]:
    return [[equal.get(gloss, gloss) for gloss in glosses] for glosses in sequences] if equal else sequences


def _scores(
    hypothesis_lists: Sequence[Sequence[str]], reference_lists: Sequence[Sequence[str]], *, multiset: bool
) -> npt.NDArray[np.float64]:
    scores = []
    for hypothesis, reference in zip(hypothesis_lists, reference_lists, strict=True):
        if multiset:
            shared = (Counter(hypothesis) & Counter(reference)).total()
            total = len(hypothesis) + len(reference) - shared
        else:
            distinct, wanted = set(hypothesis), set(reference)
            shared = len(distinct & wanted)
            total = len(distinct) + len(wanted) - shared
        scores.append(shared / total if total else 1.0)
    return np.array(scores)


def _check_types(types: Mapping[str, str] | None, ignore_non_manual: bool) -> None:
    if types is not None and not isinstance(types, Mapping):
        raise TypeError(
            f"types: expected a mapping of gloss to type, found {type(types).__name__}; write {{gloss: type}}"
        )
    for item in (types or {}).items():
        if not all(isinstance(value, str) for value in item):
            raise TypeError(f"types: expected strings, found {item!r}; turn class labels into names with int2str")
    if ignore_non_manual and _NON_MANUAL not in (types or {}).values():
        raise ValueError(f"ignore_non_manual: expected glosses of type {_NON_MANUAL!r} in types, found none; list them")


def _of_types(
    sides: tuple[list[list[str]], list[list[str]]], types: Mapping[str, str], wanted: set[str]
) -> tuple[list[list[str]], list[list[str]]]:
    predictions, references = (
        [[gloss for gloss in glosses if types.get(gloss, UNKNOWN_TYPE) in wanted] for glosses in side] for side in sides
    )
    return predictions, references


def _finite_scores(scores: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values = np.asarray(scores)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"scores: expected a list with one number per pair, found shape {values.shape}")
    if values.dtype.kind not in "biuf":
        raise TypeError(f"scores: expected numbers, found {values.dtype}; pass what jaccard_scores returns")
    if not np.isfinite(values).all():
        raise ValueError(f"scores: expected finite numbers, found {values[~np.isfinite(values)][0]}; drop such pairs")
    return values.astype(np.float64)
