"""Tell what separates the glosses in the cells of a table, and split them."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeVar

from ..runtime.glosses import split_glosses
from ..runtime.normalization import normalize_line

logger = logging.getLogger(__name__)

_Row = TypeVar("_Row")

SEPARATORS = ("|", "/", ",", ";", "+", "·")
"""Signs between glosses that are recognised; white space is what separates else."""

_SAMPLE, _SAMPLE_SIZE = 1_000, 2**20  # rows, characters
_ANY_SIGN = re.compile(f"[{re.escape(''.join(SEPARATORS))}]")
_WITHIN_GLOSS = re.compile(
    r" \([^()]*\)(?![^ |/,;+·])|\([^()]*\)|(?<!\w)(?:Number|Alpha|Name)/\S|(?<=\d)[/,+·](?=\d)"
    r"|(?<!\w)[A-Za-zÀ-ÿ](?:\+[A-Za-zÀ-ÿ])+(?!\w)"  # a word that is fingerspelled
)
_SPACED_SIGN = re.compile(r" ?([|/+·]) ?|(?<! )([,;]) ")  # a comma after a space is a token of its own
_SIGN = re.compile(r"[|/+·]|(?<! )[,;]")


def separator_of(cells: Iterable[Any]) -> str | None:
    """Return the sign that separates the glosses in most cells of several glosses, or None for white space.

    A cell speaks for a sign that separates more of its words than white space does; for `|`, which no gloss holds, as
    many are enough. Signs in parentheses, in placeholders and between digits do not count. A list, and a cell of one
    gloss, speak for nothing.

    Args:
        cells: A sample of a column; what is no string is passed over.

    Example:
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
            spoken_for = _signs(spaces, signs)
            votes.update(spoken_for)
            gaps.update(signs)
            several += bool(spoken_for or spaces)
    best = max(SEPARATORS, key=lambda sign: (votes[sign], gaps[sign]))
    return best if votes[best] > several / 2 else None


class GlossCells:
    """Split the cells of a column of glosses, and count those that look as if another sign separated them.

    Args:
        origin: The table, for messages.
        separator: As for `kgloss_hf.runtime.glosses.split_glosses`; a space for white space. Default: recognised by
            `sampled`, and white space without it.

    Raises:
        ValueError: The separator is empty.

    Example:
        >>> cells = GlossCells("pairs.csv", "|")
        >>> cells.split("우리|박물관"), cells.split(["우리", "박물관"])
        (['우리', '박물관'], ['우리', '박물관'])
        >>> cells.warn()
    """

    def __init__(self, origin: str, separator: str | None = None) -> None:
        if separator is not None:
            split_glosses("", separator)  # which checks it
        self.separator = separator
        self._origin, self._given = origin, separator is not None
        self._odd, self._first = 0, ""

    def sampled(self, rows: Iterable[tuple[_Row, Any]], column: str) -> Iterator[tuple[_Row, Any]]:
        """Return numbered rows as they are, once the first 1,000 have told the separator, unless it was given.

        A line in the log says which sign was recognised.

        Args:
            rows: Numbers and rows, as of `kgloss_hf.data.tables.read_rows`.
            column: That of the glosses.
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
                "%s: glosses are separated by %r, as most cells of the first %s rows are; another separator is set "
                "with --gloss_separator",
                self._origin,
                self.separator,
                f"{len(sample):,}",
            )
        return chain(sample, rows)

    def split(self, cell: Any) -> Any:
        """Return the glosses of a cell; what is no string is returned as it is.

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
        """Warn of the cells that look as if another sign separated them: their number, and the first."""
        if self._odd:
            logger.warning(
                "%s: %d %s as if not %s separated the glosses, so that several count as one; the first: %.60r. Correct "
                "them, or set the separator with --gloss_separator",
                self._origin,
                self._odd,
                "cell looks" if self._odd == 1 else "cells look",
                repr(self.separator) if self.separator else "white space",
                self._first,
            )

    def _is_odd(self, cell: str) -> bool:
        if (self.separator and self.separator in cell) or not (self.separator or _ANY_SIGN.search(cell)):
            return False
        spaces, signs = _gaps(cell)
        return bool(_signs(spaces, signs) or (self.separator and spaces))


def _gaps(cell: str) -> tuple[int, Counter[str]]:
    """Count white space between glosses, and the signs between them; none in a list."""
    form = normalize_line(cell)
    if (form.startswith("[") and form.endswith("]")) or form.startswith(("('", '("')):
        return 0, Counter()
    plain = _SPACED_SIGN.sub(r"\1\2", _WITHIN_GLOSS.sub("x", form)).strip("".join(SEPARATORS))
    return max(0, len(plain.split()) - 1), Counter(_SIGN.findall(plain))


def _signs(spaces: int, signs: Counter[str]) -> list[str]:
    return [sign for sign, count in signs.items() if count > spaces or (sign == "|" and count == spaces)]
