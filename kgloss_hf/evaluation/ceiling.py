"""Measure how far human versions of one sentence agree; their agreement limits any score against one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .metrics import by_group, jaccard_scores
from .sequences import GlossLists, as_signed


class Agreement(NamedTuple):
    """Agreement of versions, with one item per version of a sentence that has several.

    `sentence` numbers the sentence, `mean` and `best` are the version's Jaccard scores with the other versions, from 0
    to 1, and `answer` is the score of the sentence's best single answer with the version.
    """

    sentence: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    best: npt.NDArray[np.float64]
    answer: npt.NDArray[np.float64]


def agreement(pairs: Iterable[tuple[str, Sequence[str]]], *, repeats: bool = False) -> Agreement:
    """Compare each human version of a sentence with the others (leave-one-out).

    Args:
        pairs: Sentences and their glosses, such as `kgloss_hf.data.pairs.load_pairs` returns; pairs of equal sentences
            are versions of one. Glosses are compared as they are signed (`kgloss_hf.evaluation.sequences.as_signed`).
        repeats: Count a gloss string that occurs in several rows of a sentence as that many versions. Default: count it
            once, because a copied row shows no agreement.

    Returns:
        The scores of each version, or empty arrays where no sentence has two versions. The best single answer is the
        version that agrees most with all versions of its sentence, itself included.

    Examples:
        >>> pairs = [("불이 났어요.", ("불",)), ("불이 났어요.", ("불", "나다")), ("네.", ("네",))]
        >>> agreement(pairs).mean.tolist(), agreement(pairs).answer.tolist()
        ([0.5, 0.5], [1.0, 0.5])
    """
    sentences: dict[str, Counter[tuple[str, ...]]] = {}
    rows = list(pairs)
    for (text, _), glosses in zip(rows, as_signed([list(glosses) for _, glosses in rows]), strict=True):
        sentences.setdefault(text, Counter())[tuple(glosses)] += 1
    numbers: list[int] = []
    columns: tuple[list[float], list[float], list[float]] = ([], [], [])
    for number, counts in enumerate(sentences.values()):
        weights = np.array(list(counts.values()) if repeats else [1] * len(counts))
        if (total := int(weights.sum())) < 2:
            continue
        versions = GlossLists(map(list, counts))
        scores: list[tuple[float, float]] = []
        answer, most = np.zeros(0), -1.0
        for index, version in enumerate(versions):
            own = jaccard_scores(GlossLists([version] * len(versions)), versions)
            other_weights = weights - (np.arange(len(versions)) == index)
            scores.append((float(own @ other_weights) / (total - 1), float(own[other_weights > 0].max())))
            if (of_all := float(own @ weights)) > most:
                answer, most = own, of_all
        for (mean, best), score, weight in zip(scores, answer.tolist(), weights.tolist(), strict=True):
            numbers += [number] * weight
            for column, value in zip(columns, (mean, best, score), strict=True):
                column += [value] * weight
    return Agreement(np.array(numbers, dtype=np.int64), *(np.array(column, dtype=np.float64) for column in columns))


def ceiling(pairs: Iterable[tuple[str, Sequence[str]]], *, repeats: bool = False) -> dict[str, float]:
    """Return how far the human versions of a corpus agree, as a standard for a system's Jaccard score.

    Args:
        pairs: As for `agreement`.
        repeats: As for `agreement`.

    Returns:
        The number of `sentences` with several versions, the number of these `versions`, and scores from 0 to 100.
        `mean` is the mean score of a version with the others, `best` its score with the other that agrees most.
        `answer` is the score of each sentence's best single answer with all versions; no system that always gives the
        same one of a sentence's versions can score higher. Each is a mean over versions (`_by_row`), and a mean over
        sentences of the mean over a sentence's versions (`_by_sentence`). Empty if no sentence has two versions.

    Examples:
        >>> scores = ceiling([("불이 났어요.", ("불",)), ("불이 났어요.", ("불", "나다"))])
        >>> scores["versions"], scores["mean_by_row"], scores["answer_by_sentence"]
        (2, 50.0, 75.0)
    """
    versions = agreement(pairs, repeats=repeats)
    if not len(versions.sentence):
        return {}
    result: dict[str, float] = {"sentences": len(np.unique(versions.sentence)), "versions": len(versions.sentence)}
    for name in ("mean", "best", "answer"):
        scores = getattr(versions, name)
        result[f"{name}_by_row"] = 100 * float(scores.mean())
        result[f"{name}_by_sentence"] = 100 * float(by_group(scores, versions.sentence).mean())
    return result
