"""Tables for the terminal and curves for the eye."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .data import Pair
from .glosses import content_of
from .metrics import bootstrap_interval, jaccard_scores

_INSTALL = 'pip install "kgloss-hf[train]"'


def scores_on(pairs: Sequence[Pair], systems: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, dict[str, float]]:
    """Each system's Jaccard score with its 95% bootstrap interval (10,000 resamples, seed 0), from 0 to 100.

    Args:
        pairs: The references; `Number/4C` counts as `4C`.
        systems: For each system's name, its glosses for each pair.

    Example:
        >>> from kgloss_hf.data import Pair
        >>> scores_on([Pair("전남 지역", ("전남", "지역"))], {"ours": [["전남", "지역"]]})
        {'ours': {'jaccard': 100.0, 'low': 100.0, 'high': 100.0}}
    """
    references = [[content_of(gloss) for gloss in pair.glosses] for pair in pairs]
    scores = {}
    for name, predictions in systems.items():
        of_pairs = 100 * jaccard_scores(predictions, references)
        low, high = bootstrap_interval(of_pairs)
        scores[name] = {"jaccard": float(of_pairs.mean()), "low": low, "high": high}
    return scores


def print_scores(title: str, scores: Mapping[str, Mapping[str, float]]) -> None:
    """Print one line a system: Jaccard score and 95% interval.

    Raises:
        ImportError: rich is not installed.
    """
    rows = [(name, f"{row['jaccard']:.2f}", f"{row['low']:.2f} – {row['high']:.2f}") for name, row in scores.items()]
    _print_table(title, ("system", "JC", "95% interval"), rows)


def print_statistics(statistics: Mapping[str, Any]) -> None:
    """Print what `kgloss_hf.tokenizer_training.train_and_save` found of a vocabulary, as two tables.

    Args:
        statistics: Its result.

    Raises:
        ImportError: rich is not installed.
    """
    vocabulary = [(name.replace("_", " "), f"{count:,}") for name, count in statistics["vocabulary"].items()]
    _print_table("Vocabulary", ("entries", "number"), vocabulary)
    parts = (statistics["corpus"], statistics["pairs"])
    fit = [(name.replace("_", " "), *(_readable(name, part[name]) for part in parts)) for name in parts[0]]
    shared = statistics["target_in_source"]
    fit.append(("gloss tokens in the source", "", f"{shared['of_tokens']:.2%}"))
    fit.append(("the same, mean of pairs", "", f"{shared['mean_of_pairs']:.2%}"))
    _print_table("Fit", ("", "corpus", "pairs"), fit)


def _readable(name: str, value: float) -> str:
    if name in ("coverage", "unknown_rate"):
        return f"{value:.2%}"
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"


def _print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError as error:
        raise ImportError(f"tables need rich; run: {_INSTALL}") from error
    table = Table(*header, title=title)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def plot_training(log_history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw training and validation loss, and the Jaccard score, over epochs, as a PNG.

    Args:
        log_history: `trainer.state.log_history`.
        path: PNG file to write.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"the training curve needs Matplotlib; run: {_INSTALL}") from error
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss_axes, score_axes = figure.subplots(1, 2)
    for key, label in (("loss", "training"), ("eval_loss", "validation")):
        points = [(row["epoch"], row[key]) for row in log_history if key in row]
        loss_axes.plot(*zip(*points, strict=True), marker=".", label=label)
    points = [(row["epoch"], row["eval_jaccard"]) for row in log_history if "eval_jaccard" in row]
    score_axes.plot(*zip(*points, strict=True), marker=".", color="tab:green")
    loss_axes.set(xlabel="epoch", ylabel="cross-entropy a token")
    loss_axes.legend()
    score_axes.set(xlabel="epoch", ylabel="validation JC", ylim=(0, None))
    for axes in (loss_axes, score_axes):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
