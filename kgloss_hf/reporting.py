"""Show values, tables and curves in terminals, Markdown and pictures, so that no value can act as markup."""

from __future__ import annotations

import codecs
import html
import io
import os
import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .optional import require

# Control characters except tab and line feed, other line separators, direction marks, surrogates, and the two other
# characters that XML cannot hold.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_MARKUP = re.compile(r"[|`*\[\]{}\\~$]|_(?![^\W_])")


def use_utf8() -> None:
    """Write UTF-8 if standard output and error are not terminals, and replace what a terminal cannot show.

    Python uses the encoding of the locale for both, which may lack `–` or Korean, so printing would end with a
    UnicodeEncodeError. `PYTHONIOENCODING` takes precedence.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
            terminal = stream.isatty() or "PYTHONIOENCODING" in os.environ
            stream.reconfigure(encoding=None if terminal else "utf-8", errors="replace")


def one_line_warnings() -> None:
    """Write each warning of this process on a line of its own, without the place in the code that issued it.

    Commands call this, because their users did not write that code.
    """
    warnings.formatwarning = lambda message, *_, **__: visible(f"{' '.join(str(message).split())}\n")


def late_bars() -> None:
    """Make tqdm, if it is not imported yet, show a bar only after three seconds and remove it at its end.

    `TQDM_DELAY` and `TQDM_LEAVE` take precedence if they are set.
    """
    os.environ.setdefault("TQDM_DELAY", "3")
    os.environ.setdefault("TQDM_LEAVE", "")  # only the empty text is False to tqdm


def visible(text: str) -> str:
    """Return text for a terminal: characters that control it, change direction or end lines become JSON escapes.

    Args:
        text: Any text; tabs and line feeds are kept.

    Examples:
        >>> print(visible("집\x1b[31m 불"))
        집\\u001b[31m 불
    """
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def one_line(value: Any) -> str:
    """Return a value as one line of visible text, with one space between words.

    Args:
        value: Anything.

    Examples:
        >>> one_line("집\\n\\t불 ")
        '집 불'
    """
    return visible(" ".join(str(value).split()))


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the singular or the plural.

    Args:
        number: Number of items.
        singular: Noun for one item.
        plural: Noun for any other number (default: the singular with an s).

    Examples:
        >>> counted(1, "pair"), counted(2000, "pair"), counted(0, "entry", "entries")
        ('1 pair', '2,000 pairs', '0 entries')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def escaped(value: Any) -> str:
    """Return a value as one line, with everything escaped that Markdown, HTML or Jinja would interpret.

    Args:
        value: Anything.

    Examples:
        >>> print(escaped("a|<b> gloss_jaccard"))
        a\\|&lt;b&gt; gloss_jaccard
    """
    return _MARKUP.sub(r"\\\g<0>", html.escape(one_line(value), quote=False))


def code(text: str) -> str:
    """Return text as a Markdown code span on one line. Backticks, which would end it, become apostrophes.

    Args:
        text: Any text, such as a command.

    Examples:
        >>> print(code("kgloss `x`"))
        `kgloss 'x'`
    """
    return f"`{one_line(text).replace('`', chr(39))}`"


def pipe_table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown.

    Args:
        header: Titles of the columns, as Markdown.
        rows: Cells of each row, as Markdown. Values from elsewhere must be `escaped`.

    Examples:
        >>> print(pipe_table(["gloss", "rows"], [["집", ""]]))
        | gloss | rows |
        |---|---|
        | 집 | |
    """
    lines = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


class Table(NamedTuple):
    """A table for the terminal and for a card."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def markdown(tables: Iterable[Table]) -> str:
    """Return tables in Markdown, each under its title. Cells are escaped, except for a cell that is a code span.

    Args:
        tables: At least one.

    Examples:
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


def print_tables(tables: Iterable[Table]) -> None:
    """Print tables on the terminal.

    Args:
        tables: Tables to print. Control characters in them are escaped.

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


def plot_training(log_history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot training loss, validation loss and, if recorded, the Jaccard score over epochs, as a PNG.

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
    loss_axes.set(xlabel="epoch", ylabel="cross-entropy per token")
    loss_axes.legend()
    if scores:
        panels[1].plot(*zip(*scores, strict=True), marker=".", color="tab:green")
        panels[1].set(xlabel="epoch", ylabel="validation JC", ylim=(0, None))
    for axes in panels:
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def plot_loss_curves(histories: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], path: Path) -> None:
    """Plot training loss above validation loss over epochs, one line per system (the paper's Figure 5), as a PNG.

    Args:
        histories: Log histories of the runs of each system. The line is their mean; the band reaches from the lowest
            to the highest.
        path: PNG file to write.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    figure = _figure("loss curves", figsize=(7, 6))
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
    """Plot how often each value occurs, one panel per histogram, as a PNG.

    Args:
        histograms: For each label, the values and how often each occurs.
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


def _figure(purpose: str, figsize: tuple[float, float]) -> Any:
    require("train", "matplotlib", purpose=purpose)
    from matplotlib.figure import Figure

    return Figure(figsize=figsize, layout="constrained")
