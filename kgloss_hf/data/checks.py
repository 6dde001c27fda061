"""Check rows, paths and XML, and count the rows that are skipped."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET  # documents with a DOCTYPE, which all attacks need, are refused
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from ..reporting import counted

logger = logging.getLogger(__name__)

_Row = TypeVar("_Row")
_Number = TypeVar("_Number", int, str, int | str)
_Good = TypeVar("_Good")


def inside(folder: Path, path: Path) -> Path:
    """Return a path after checking that it does not lead out of a folder.

    Args:
        folder: A folder named by the user.
        path: A file or folder to be read from it.

    Raises:
        ValueError: The path leads out of the folder, through a link or `..`.

    Examples:
        >>> inside(Path("data"), Path("data/pairs.csv")).name
        'pairs.csv'
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{path}: expected a file inside {folder}, found {path.resolve()}; copy it into the folder")
    return path


def parse_xml(document: str, kind: str, remedy: str) -> ET.Element:
    """Return the root of an XML document; refuse one that declares entities, which could fill the memory.

    Args:
        document: Text of the document.
        kind: Expected kind of document, with its article, for messages.
        remedy: Advice for a damaged document, for messages.

    Raises:
        ValueError: The document has a DOCTYPE, or is damaged.

    Examples:
        >>> parse_xml("<gloss>집</gloss>", "XML", "save it again").text
        '집'
    """
    if "<!DOCTYPE" in document or "<!ENTITY" in document:
        raise ValueError(f"expected {kind} without a DOCTYPE, found one; remove it, since it could fill the memory")
    try:
        return ET.fromstring(document)  # noqa: S314
    except (ET.ParseError, ValueError) as error:
        raise ValueError(f"damaged or not {kind} ({error}); {remedy}") from error


class BadRows:
    """Raise an error at the first bad row of a file, or skip bad rows and count them.

    Args:
        path: The file, for messages.
        on_bad_rows: `raise` or `skip`.
        repair: Advice for a bad row, appended to the error message.

    Raises:
        ValueError: `on_bad_rows` is something else.

    Examples:
        >>> bad = BadRows(Path("numbers.csv"), "skip")
        >>> list(bad.checked([(1, "7"), (2, "집")], lambda number, row: int(row)))
        [7]
        >>> bad.warn()
    """

    def __init__(self, path: Path | str, on_bad_rows: str, repair: str = "") -> None:
        if on_bad_rows not in ("raise", "skip"):
            raise ValueError(f"on_bad_rows: expected 'raise' or 'skip', found {on_bad_rows!r}")
        self._path, self._skip, self._repair = path, on_bad_rows == "skip", repair
        self._count, self._first = 0, ""

    def checked(self, rows: Iterable[tuple[_Number, _Row]], check: Callable[[_Number, _Row], _Good]) -> Iterator[_Good]:
        """Yield the result of `check` for the number and content of each row.

        A row is bad if `check` raises a ValueError for it, or if it has more cells than the header.

        Args:
            rows: Numbered rows.
            check: Function of the number and the content of a row.

        Raises:
            ValueError: A row is bad, and `on_bad_rows` is `raise`.
        """
        for number, row in rows:
            try:
                if isinstance(row, dict) and None in row:
                    width = len(row) - 1
                    raise ValueError(
                        f"expected {counted(width, 'cell')}, as in the header, found {width + len(row[None]):,}; "
                        "put a cell that contains the separator in quotation marks, or remove the surplus cells"
                    )
                good = check(number, row)
            except ValueError as error:
                where = number if isinstance(number, str) else f"{self._path}, row {number}"
                problem = f"{where}: {error}"
                if not self._skip:
                    raise ValueError(f"{problem}{self._repair}, or skip bad rows with on_bad_rows='skip'") from error
                self._count, self._first = self._count + 1, self._first or problem
            else:
                yield good

    def warn(self) -> None:
        """Warn of the skipped rows, with their number and the problem of the first."""
        if self._count:
            rows = counted(self._count, "bad row")
            logger.warning("%s: %s skipped; the first: %s", self._path, rows, self._first)


def with_repair(items: Iterator[_Row], repair: str) -> Iterator[_Row]:
    """Yield items unchanged, and append advice to a ValueError that their iterator raises.

    Args:
        items: An iterator such as that of `read_rows`.
        repair: Further advice for the error message.
    """
    try:
        yield from items
    except ValueError as error:
        raise ValueError(f"{error}, or {repair}") from error
