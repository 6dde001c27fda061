"""Recognise the separator of the glosses in the cells of a table, and split the cells."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeVar

from ..reporting import counted
from ..runtime.glosses import split_glosses
from ..runtime.normalization import normalize_line

logger = logging.getLogger(__name__)

_Row = TypeVar("_Row")

SEPARATORS = ("|", "/", ",", ";", "+", "·")
"""Separators between glosses that are recognised; without one of them, glosses are separated by white space."""

_ERROR = re.compile(r"#(?:N/A|REF!|NAME\?|VALUE!|DIV/0!|NULL!|NUM!|SPILL!|CALC!|GETTING_DATA)")
_SAMPLE, _SAMPLE_SIZE = 1_000, 2**20  # rows, characters
_ANY_SIGN = re.compile(f"[{re.escape(''.join(SEPARATORS))}]")
_WITHIN_GLOSS = re.compile(
    r" \([^()]*\)(?![^ |/,;+·])|\([^()]*\)|(?<!\w)(?:Number|Alpha|Name)/\S|(?<=\d)[/,+·](?=\d)"
    r"|(?<!\w)[A-Za-zÀ-ÿ](?:\+[A-Za-zÀ-ÿ])+(?!\w)"  # a word that is fingerspelled
)
_SPACED_SIGN = re.compile(r" ?([|/+·]) ?|(?<! )([,;]) ")  # a comma after a space is a token of its own
_SIGN = re.compile(r"[|/+·]|(?<! )[,;]")


def separator_of(cells: Iterable[Any]) -> str | None:
    """Return the separator used by most cells with several glosses, or None for white space.

    A cell votes for a separator that divides its words at more places than white space does; for `|`, which no gloss
    contains, the same number of places is enough. Separators in parentheses, in placeholders and between digits do not
    count. A list, and a cell with a single gloss, cast no vote.

    Args:
        cells: A sample of a column; values other than strings are skipped.

    Examples:
        >>> separator_of(["우리|박물관", "고맙 습니다|V (불꽃무늬)|오다"])
        '|'
        >>> separator_of(["우리 박물관 Number/4C", "MOTHER+FATHER GO HOME", "오다"]) is None
        True
    """
    votes: Counter[str] = Counter()
    gaps: Counter[str] = Counter()
    several = 0
    for cell in cells:
        if isinstance(cell, str):
            spaces, signs = _gaps(cell)
            cell_votes = _signs(spaces, signs)
            votes.update(cell_votes)
            gaps.update(signs)
            several += bool(cell_votes or spaces)
    best = max(SEPARATORS, key=lambda sign: (votes[sign], gaps[sign]))
    return best if votes[best] > several / 2 else None


def is_spreadsheet_error(cell: Any) -> bool:
    """Return whether a cell holds an error of a spreadsheet, such as `#NAME?` for a text that began with `=` or `-`.

    Args:
        cell: The cell.

    Examples:
        >>> is_spreadsheet_error("#NAME?"), is_spreadsheet_error("#1")
        (True, False)
    """
    return isinstance(cell, str) and bool(_ERROR.fullmatch(cell.strip()))


class GlossCells:
    """Split the cells of a column of glosses, and count those that seem to use another separator.

    Args:
        origin: Name of the table, for messages.
        separator: As for `kgloss_hf.runtime.glosses.split_glosses`; a space for white space. Default: recognised by
            `sampled`, or white space if that is never called.
        remedy: Advice in messages, should the separator be another.

    Raises:
        ValueError: The separator is empty.

    Examples:
        >>> cells = GlossCells("pairs.csv", "|")
        >>> cells.split("우리|박물관"), cells.split(["우리", "박물관"])
        (['우리', '박물관'], ['우리', '박물관'])
        >>> cells.warn()
    """

    def __init__(
        self, origin: str, separator: str | None = None, *, remedy: str = "set the separator with --gloss_separator"
    ) -> None:
        if separator is not None:
            split_glosses("", separator)  # raises for an empty separator
        self.separator = separator
        self._origin, self._given, self._remedy = origin, separator is not None, remedy
        self._odd, self._first = 0, ""

    def sampled(self, rows: Iterable[tuple[_Row, Any]], column: str) -> Iterator[tuple[_Row, Any]]:
        """Recognise the separator from the first 1,000 rows, unless it was given, and return all rows unchanged.

        A recognised separator is logged.

        Args:
            rows: Numbered rows, as `kgloss_hf.data.tables.read_rows` returns them.
            column: Name of the column of glosses.
        """
        rows = iter(rows)
        if self._given:
            return rows
        sample, cells, size = [], [], 0
        for numbered in islice(rows, _SAMPLE):
            sample.append(numbered)
            cells.append(numbered[1].get(column) if isinstance(numbered[1], dict) else None)
            size += len(cells[-1]) if isinstance(cells[-1], str) else 0
            if size > _SAMPLE_SIZE:
                break
        self.separator = separator_of(cells)
        if self.separator:
            logger.warning(
                "%s: glosses are taken to be separated by %r, as in most cells (rows examined: %s); if that is "
                "wrong, %s",
                self._origin,
                self.separator,
                f"{len(sample):,}",
                self._remedy,
            )
        return chain(sample, rows)

    def split(self, cell: Any) -> Any:
        """Return the glosses of a cell; a value other than a string is returned unchanged.

        Raises:
            ValueError: As for `kgloss_hf.runtime.glosses.split_glosses`.
        """
        if not isinstance(cell, str):
            return cell
        glosses = split_glosses(cell, self.separator)
        if not self._given and self._is_odd(cell):
            self._odd, self._first = self._odd + 1, self._first or cell
        return glosses

    def warn(self) -> None:
        """Warn of the cells that seem to use another separator, with their number and the first of them."""
        if self._odd:
            logger.warning(
                "%s: %s to separate the glosses by something other than %s, so that several glosses count as one; the "
                "first: %.60r. Correct them, or %s",
                self._origin,
                counted(self._odd, "cell seems", "cells seem"),
                repr(self.separator) if self.separator else "white space",
                self._first,
                self._remedy,
            )

    def _is_odd(self, cell: str) -> bool:
        if (self.separator and self.separator in cell) or not (self.separator or _ANY_SIGN.search(cell)):
            return False
        spaces, signs = _gaps(cell)
        return bool(_signs(spaces, signs) or (self.separator and spaces))


def _gaps(cell: str) -> tuple[int, Counter[str]]:
    """Count the white space and the separators between the glosses of a cell; a list has none."""
    form = normalize_line(cell)
    if (form.startswith("[") and form.endswith("]")) or form.startswith(("('", '("')):
        return 0, Counter()
    plain = _SPACED_SIGN.sub(r"\1\2", _WITHIN_GLOSS.sub("x", form)).strip("".join(SEPARATORS))
    return max(0, len(plain.split()) - 1), Counter(_SIGN.findall(plain))


def _signs(spaces: int, signs: Counter[str]) -> list[str]:
    return [sign for sign, count in signs.items() if count > spaces or (sign == "|" and count == spaces)]
