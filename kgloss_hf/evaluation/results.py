"""Score the predictions of a run, and show scores as tables."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..reporting import Table, counted
from ..version import __version__
from .ceiling import agreement
from .metrics import bootstrap_interval, jaccard_result
from .sequences import GlossLists

logger = logging.getLogger(__name__)

_COLUMNS = {
    "bleu_4": ("BLEU-4", ".2f"),
    "chrf": ("chrF", ".2f"),
    "rouge_l": ("ROUGE-L", ".2f"),
    "gloss_error_rate": ("GER", ".1f"),
}
"""Title and format of the scores in a score table besides Jaccard. All of them fit in a terminal of 80 columns."""


def scores_on(
    references: Sequence[Sequence[str]], systems: Mapping[str, Sequence[Sequence[str]]]
) -> dict[str, dict[str, Any]]:
    """Return each system's Jaccard score, from 0 to 100, with its 95% bootstrap interval and its signature.

    If the extra `evaluate` is installed, a system has `bleu_1` to `bleu_4`, `chrf`, `rouge_l` and `gloss_error_rate`
    as well, × 100, and their `signatures` by name. If it is not, a single warning says so.

    Args:
        references: Lists of glosses; `Number/4C` counts as `4C`.
        systems: Lists of glosses of each system, one per reference, by the name of the system.

    Examples:
        >>> scores_on([["전남", "지역"]], {"ours": [["전남", "지역"]]})  # doctest: +ELLIPSIS
        {'ours': {'jaccard': 100.0, 'low': 100.0, 'high': 100.0, 'signature': 'jaccard|set|...'...}}
    """
    wanted, lists = GlossLists(map(list, references)), {name: GlossLists(map(list, of)) for name, of in systems.items()}
    return {
        name: jaccard_result(predicted, wanted, resamples=10_000) | _other_scores(predicted, wanted)
        for name, predicted in lists.items()
    }


def human_scores(pairs: Sequence[tuple[str, Sequence[str]]]) -> dict[str, dict[str, Any]]:
    """Return human scores on the pairs in the form of `scores_on`, for a score table with systems.

    Args:
        pairs: Sentences and their glosses, such as those of the test set. Only sentences with several different
            versions count (`kgloss_hf.evaluation.ceiling.agreement`).

    Returns:
        Two rows, each with its number of `pairs`: the mean Jaccard score of each human version with the other versions
        of its sentence, and that of the sentence's best single answer with all of them. No rows if no sentence has two
        versions.

    Examples:
        >>> pairs = [("불이 났어요.", ("불",)), ("불이 났어요.", ("불", "나다"))]
        >>> {name: score["jaccard"] for name, score in human_scores(pairs).items()}
        {'human versions (leave one out)': 50.0, 'best single human answer': 75.0}
        >>> human_scores(pairs[:1])
        {}
    """
    versions = agreement(pairs)
    rows = {
        "human versions (leave one out)": (versions.mean, "leave-one-out"),
        "best single human answer": (versions.answer, "best-answer"),
    }
    scores = {}
    for name, (values, mark) in rows.items():
        if len(values):
            low, high = bootstrap_interval(100 * values, resamples=10_000)
            signature = f"jaccard|set|nonmanual:kept|refs:mean|human:{mark}|bs:10000|seed:0|v:{__version__}"
            score = {"jaccard": 100 * float(values.mean()), "low": low, "high": high, "signature": signature}
            scores[name] = score | {"pairs": len(values)}
    return scores


def established_scores(predictions: Path) -> dict[str, dict[str, Any]] | str:
    """Return the scores of `kgloss evaluate` for a run's predictions, or the reason why there are none.

    Args:
        predictions: The run's `predictions.jsonl`, which need not exist. This function raises no error, so that a
            finished training run keeps its result in any case.

    Examples:
        >>> established_scores(Path("nowhere", "predictions.jsonl"))
        'no predictions.jsonl'
    """
    if not predictions.is_file():
        return f"no {predictions.name}"
    try:
        from .scores import evaluate_files

        scores: dict[str, dict[str, Any]] = evaluate_files(str(predictions))["scores"]
    except Exception as error:
        return (str(error) or repr(error)).replace(str(predictions), predictions.name)
    return scores


def score_table(title: str, scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table with one row per system: its Jaccard score, 95% interval and any other scores.

    GER is the gloss error rate: lower is better, and it can exceed 100.

    Args:
        title: Title of the table.
        scores: Scores as `scores_on` and `human_scores` return them.

    Examples:
        >>> score_table("Test", {"copy": {"jaccard": 9.5, "low": 8.0, "high": 11.0}}).rows
        [('copy', '9.50', '8.00 – 11.00')]
        >>> score_table("Test", {"copy": {"jaccard": 9.5, "low": 8.0, "high": 11.0, "bleu_4": 1.0}}).header
        ('system', 'JC', '95% interval', 'BLEU-4')
    """
    columns = {key: shown for key, shown in _COLUMNS.items() if any(key in row for row in scores.values())}
    rows = []
    for name, row in scores.items():
        pairs = f", {counted(row['pairs'], 'pair')}" if "pairs" in row else ""
        cells = (format(row[key], form) if key in row else "" for key, (_, form) in columns.items())
        rows.append((f"{name}{pairs}", f"{row['jaccard']:.2f}", f"{row['low']:.2f} – {row['high']:.2f}", *cells))
    return Table(title, ("system", "JC", "95% interval", *(name for name, _ in columns.values())), rows)


def evaluation_table(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table with one row per score, with an interval and a p value if there are any.

    Args:
        scores: The `scores` of `kgloss_hf.evaluation.scores.evaluate_systems`.
    """
    systems = [name for name, score in scores["jaccard"].items() if isinstance(score, Mapping)]
    header = ("× 100", *(title for name in systems for title in (name, "95% interval")))
    rows = []
    for name, score in scores.items():
        cells = [name.replace("_", " ") + " (lower is better)" * (name == "gloss_error_rate")]
        for system in systems:
            own = score.get(system, {})
            cells.append(f"{own['score']:.2f}" if own else "")
            cells.append(f"{own['low']:.2f} – {own['high']:.2f}" if "low" in own else "")
        if len(systems) > 1:
            cells.append(f"{score['p_value']:.4f}" if "p_value" in score else "")
        rows.append(tuple(cells))
    return Table("Scores", header + ("p",) * (len(systems) > 1), rows)


def review_table(review: Mapping[str, Any]) -> Table:
    """Return a table of the share of rows that each reviewer left unchanged, and the gloss error rate of shown glosses.

    Args:
        review: The `review` of `kgloss_hf.evaluation.scores.evaluate_files`.

    Examples:
        >>> one = {"rows": 4, "unchanged": 75.0, "gloss_error_rate": 12.5}
        >>> review_table({"not_reviewed": 6, "rejected": 0, "reviewers": {"": one}} | one).rows
        [('all', '4', '75.00', '12.50')]
    """
    of = {"all": review} | {name or "not named": own for name, own in review["reviewers"].items()}
    rows = [
        (name, f"{own['rows']:,}", f"{own['unchanged']:.2f}", f"{own['gloss_error_rate']:.2f}")
        for name, own in of.items()
    ]
    title = f"Reviewed rows; left out: {review['not_reviewed']:,} not reviewed, {review['rejected']:,} rejected"
    header = ("reviewer", "rows", "unchanged, %", "post-edit gloss error rate")
    return Table(title, header, rows[: 1 if len(rows) == 2 else None])


def _other_scores(predictions: GlossLists, references: GlossLists) -> dict[str, Any]:
    try:
        from .scores import corpus_scores

        scores = corpus_scores(predictions, references)
    except Exception as error:  # a finished training run keeps its Jaccard score in any case
        _say_once(str(error) or repr(error))
        return {}
    signatures = {name: score["signature"] for name, score in scores.items()}
    return {**{name: score["score"] for name, score in scores.items()}, "signatures": signatures}


@functools.cache
def _say_once(reason: str) -> None:
    logger.warning("Jaccard is the only score: %s", reason)
