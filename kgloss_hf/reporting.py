"""Tables for the terminal and curves for the eye."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .data import Pair
from .glosses import content_of
from .markdown import escaped, one_line, pipe_table, visible
from .metrics import jaccard_result
from .optional import require


class Table(NamedTuple):
    """A table for the terminal and for a card."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def markdown(tables: Iterable[Table]) -> str:
    """Tables in Markdown, each under its title. No cell brings in markup; one that is a code span stays one.

    Args:
        tables: At least one.

    Example:
        >>> print(markdown([Table("Pairs", ("engine", "pairs"), [("a|<b>", "2")])]))
        **Pairs**
        <BLANKLINE>
        | engine | pairs |
        |---|---|
        | a\\|&lt;b&gt; | 2 |
    """
    parts = []
    for table in tables:
        rows = (map(_cell, row) for row in table.rows)
        parts += [f"**{table.title}**", pipe_table([*map(_cell, table.header)], rows)]
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    line = one_line(text)
    return line.replace("|", "\\|") if re.fullmatch("`[^`]+`", line) else escaped(line)


def scores_on(pairs: Sequence[Pair], systems: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, dict[str, Any]]:
    """Each system's Jaccard score, from 0 to 100, with its 95% bootstrap interval and its signature.

    Args:
        pairs: The references; `Number/4C` counts as `4C`.
        systems: For each system's name, its glosses for each pair.

    Example:
        >>> from kgloss_hf.data import Pair
        >>> scores_on([Pair("전남 지역", ("전남", "지역"))], {"ours": [["전남", "지역"]]})  # doctest: +ELLIPSIS
        {'ours': {'jaccard': 100.0, 'low': 100.0, 'high': 100.0, 'signature': 'jaccard|set|...'}}
    """
    references = [[content_of(gloss) for gloss in pair.glosses] for pair in pairs]
    return {name: jaccard_result(found, references, resamples=10_000) for name, found in systems.items()}


def score_table(title: str, scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a system: Jaccard score and 95% interval.

    Args:
        title: Of the table.
        scores: As `scores_on` returns them.

    Example:
        >>> score_table("Test", {"copy": {"jaccard": 9.5, "low": 8.0, "high": 11.0}}).rows
        [('copy', '9.50', '8.00 – 11.00')]
    """
    rows = [(name, f"{row['jaccard']:.2f}", f"{row['low']:.2f} – {row['high']:.2f}") for name, row in scores.items()]
    return Table(title, ("system", "JC", "95% interval"), rows)


def vocabulary_tables(statistics: Mapping[str, Any]) -> list[Table]:
    """What is in a vocabulary, and how well it fits.

    Args:
        statistics: As `kgloss_hf.tokenizer_training.train_and_save` returns them.
    """
    vocabulary = [(name.replace("_", " "), f"{count:,}") for name, count in statistics["vocabulary"].items()]
    parts = (statistics["corpus"], statistics["pairs"])
    fit = [(name.replace("_", " "), *(_readable(name, part[name]) for part in parts)) for name in parts[0]]
    shared = statistics["target_in_source"]
    fit.append(("gloss tokens in the source", "", f"{shared['of_tokens']:.2%}"))
    fit.append(("the same, mean of pairs", "", f"{shared['mean_of_pairs']:.2%}"))
    return [Table("Vocabulary", ("entries", "number"), vocabulary), Table("Fit", ("", "corpus", "pairs"), fit)]


def evaluation_table(scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a score, with an interval and a p value where there are any.

    Args:
        scores: The `scores` that `kgloss_hf.evaluation.evaluate_systems` returns.
    """
    systems = [name for name, score in scores["jaccard"].items() if isinstance(score, Mapping)]
    header = ("× 100", *(title for name in systems for title in (name, "95% interval")))
    rows = []
    for name, score in scores.items():
        cells = [name.replace("_", " ") + " (lower is better)" * (name == "gloss_error_rate")]
        for system in systems:
            found = score.get(system, {})
            cells.append(f"{found['score']:.2f}" if found else "")
            cells.append(f"{found['low']:.2f} – {found['high']:.2f}" if "low" in found else "")
        if len(systems) > 1:
            cells.append(f"{score['p_value']:.4f}" if "p_value" in score else "")
        rows.append(tuple(cells))
    return Table("Scores", header + ("p",) * (len(systems) > 1), rows)


def print_tables(tables: Iterable[Table]) -> None:
    """Print tables on the terminal.

    Args:
        tables: Nothing in them can steer it.

    Raises:
        ImportError: rich is not installed.
    """
    require("train", "rich", purpose="tables")
    from rich.console import Console
    from rich.table import Table as RichTable

    for table in tables:
        shown = RichTable(*map(visible, table.header), title=visible(table.title))
        for row in table.rows:
            shown.add_row(*map(visible, row))
        Console(markup=False, emoji=False).print(shown)


def _readable(name: str, value: float) -> str:
    if name in ("coverage", "unknown_rate"):
        return f"{value:.2%}"
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"


def plot_training(log_history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw training and validation loss, and the Jaccard score where there is one, over epochs, as a PNG.

    Args:
        log_history: `trainer.state.log_history`.
        path: PNG file to write.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    figure = _figure("the training curve", figsize=(9, 3.6))
    scores = [(row["epoch"], row["eval_jaccard"]) for row in log_history if "eval_jaccard" in row]
    panels = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
    loss_axes = panels[0]
    for key, label in (("loss", "training"), ("eval_loss", "validation")):
        points = [(row["epoch"], row[key]) for row in log_history if key in row]
        if points:
            loss_axes.plot(*zip(*points, strict=True), marker=".", label=label)
    loss_axes.set(xlabel="epoch", ylabel="cross-entropy a token")
    loss_axes.legend()
    if scores:
        panels[1].plot(*zip(*scores, strict=True), marker=".", color="tab:green")
        panels[1].set(xlabel="epoch", ylabel="validation JC", ylim=(0, None))
    for axes in panels:
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def plot_loss_curves(histories: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], path: Path) -> None:
    """Draw training loss above validation loss over epochs, a line for each system (the paper's Figure 5), as a PNG.

    Args:
        histories: For each system the log histories of its runs. The line is their mean, the band from the lowest to
            the highest.
        path: PNG file to write.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    figure = _figure("loss curves need", figsize=(7, 6))
    panels = figure.subplots(2, 1, sharex=True)
    for axes, key, label in zip(panels, ("loss", "eval_loss"), ("training", "validation"), strict=True):
        for name, runs in histories.items():
            by_epoch: dict[float, list[float]] = {}
            for row in (row for run in runs for row in run if key in row):
                by_epoch.setdefault(row["epoch"], []).append(row[key])
            epochs = sorted(by_epoch)
            (line,) = axes.plot(epochs, [sum(by_epoch[e]) / len(by_epoch[e]) for e in epochs], marker=".", label=name)
            low, high = ([extreme(by_epoch[e]) for e in epochs] for extreme in (min, max))
            axes.fill_between(epochs, low, high, alpha=0.15, color=line.get_color())
        axes.set(ylabel=f"{label} loss", ylim=(0, None))
        axes.grid(alpha=0.3)
    panels[0].legend()
    panels[1].set(xlabel="epoch")
    figure.savefig(path, dpi=120, format="png")


def plot_histograms(histograms: Mapping[str, Mapping[int, int]], path: Path) -> None:
    """Draw how often each value occurs, a panel each, as a PNG.

    Args:
        histograms: For each label the values and how often each occurs.
        path: PNG file to write.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    figure = _figure("histograms", figsize=(4.5 * len(histograms), 3.6))
    panels = figure.subplots(1, len(histograms), squeeze=False)[0]
    for axes, (label, counts) in zip(panels, histograms.items(), strict=True):
        axes.bar(list(counts), list(counts.values()), width=1, edgecolor="white", linewidth=0.3)
        axes.set(xlabel=label, ylabel="rows")
        axes.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=120)


def _figure(what: str, figsize: tuple[float, float]) -> Any:
    require("train", "matplotlib", purpose=what)
    from matplotlib.figure import Figure

    return Figure(figsize=figsize, layout="constrained")
