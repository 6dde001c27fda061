"""Score what a run predicted, and show scores as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..reporting import Table
from .metrics import jaccard_result
from .sequences import GlossLists


def scores_on(
    references: Sequence[Sequence[str]], systems: Mapping[str, Sequence[Sequence[str]]]
) -> dict[str, dict[str, Any]]:
    """Return each system's Jaccard score, from 0 to 100, with its 95% bootstrap interval and its signature.

    Args:
        references: Lists of glosses; `Number/4C` counts as `4C`.
        systems: For each system's name, as many lists of glosses.

    Example:
        >>> scores_on([["전남", "지역"]], {"ours": [["전남", "지역"]]})  # doctest: +ELLIPSIS
        {'ours': {'jaccard': 100.0, 'low': 100.0, 'high': 100.0, 'signature': 'jaccard|set|...'}}
    """
    wanted, lists = GlossLists(map(list, references)), {name: GlossLists(map(list, of)) for name, of in systems.items()}
    return {name: jaccard_result(predicted, wanted, resamples=10_000) for name, predicted in lists.items()}


def established_scores(predictions: Path) -> dict[str, dict[str, Any]] | str:
    """Return the scores of `kgloss evaluate` for a run's predictions, or the reason why there are none.

    Args:
        predictions: The run's `predictions.jsonl`; it need not exist. No error leaves this function, so that a finished
            training keeps its result whatever happens here.

    Example:
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
    """Return a table with one row per system: its Jaccard score and 95% interval.

    Args:
        title: Title of the table.
        scores: Scores as `scores_on` returns them.

    Example:
        >>> score_table("Test", {"copy": {"jaccard": 9.5, "low": 8.0, "high": 11.0}}).rows
        [('copy', '9.50', '8.00 – 11.00')]
    """
    rows = [(name, f"{row['jaccard']:.2f}", f"{row['low']:.2f} – {row['high']:.2f}") for name, row in scores.items()]
    return Table(title, ("system", "JC", "95% interval"), rows)


def evaluation_table(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table with one row per score, with an interval and a p value where there are any.

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
