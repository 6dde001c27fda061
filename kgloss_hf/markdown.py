"""Values as text for terminals and in Markdown, where nothing in them can steer the one or mark up the other."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

# Control characters but tab and line feed, the other ends of lines, marks of direction, and halves of characters.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKUP = re.compile(r"[|`*\[\]{}\\~$]|_(?![^\W_])")


def visible(text: str) -> str:
    """Text for a terminal: what would steer it, turn its direction or end a line unseen is written as JSON escapes it.

    Args:
        text: Tabs and line feeds stay.

    Example:
        >>> print(visible("집\x1b[31m 불"))
        집\\u001b[31m 불
    """
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(value: Any) -> str:
    """A value as one line of visible text, with one space between words.

    Args:
        value: Anything.

    Example:
        >>> one_line("집\\n\\t불 ")
        '집 불'
    """
    return visible(" ".join(str(value).split()))


def escaped(value: Any) -> str:
    """A value as one line in which nothing means anything to Markdown, HTML or Jinja.

    Args:
        value: Anything.

    Example:
        >>> print(escaped("a|<b> gloss_jaccard"))
        a\\|&lt;b&gt; gloss_jaccard
    """
    return _MARKUP.sub(r"\\\g<0>", html.escape(one_line(value), quote=False))


def code(text: str) -> str:
    """Text as a code span of Markdown, in one line; a backtick, which would end it, becomes an apostrophe.

    Args:
        text: Such as a command.

    Example:
        >>> print(code("kgloss `x`"))
        `kgloss 'x'`
    """
    return f"`{one_line(text).replace('`', chr(39))}`"


def pipe_table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown.

    Args:
        header: Titles of the columns, as Markdown.
        rows: Cells of each row, as Markdown: whatever comes from elsewhere must be `escaped`.

    Example:
        >>> print(pipe_table(["gloss", "rows"], [["집", ""]]))
        | gloss | rows |
        |---|---|
        | 집 | |
    """
    lines = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])
