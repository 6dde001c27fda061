"""Read texts from files and data sets as one stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .checks import check_columns
from .pairs import load_unsplit
from .tables import TABLE_SUFFIXES, TEXT_SUFFIXES, existing_file, is_table, is_text_file, read_lines, read_rows


def read_texts(sources: Sequence[str], *, column: str = "text") -> Iterator[str]:
    """The texts of several sources, one after another, of which only a part is ever in memory.

    Args:
        sources: Text files with one sentence a line (.txt, .txt.gz); CSV, TSV, JSON Lines, Parquet or XLSX files; or
            data sets that `datasets.load_dataset` knows, as `NAME` or `NAME:CONFIGURATION`, all splits, streamed where
            the data set can be.
        column: Column with the text, where there are columns.

    Returns:
        An iterator. Blank lines and empty cells come as blank texts, so that whoever drops them can count them.

    Raises:
        TypeError: One string is given for the list.
        FileNotFoundError: A file is not there; raised at once, not at its turn.
        ValueError: A file is of another kind, a line is not UTF-8, a column is missing, or a cell is not a string.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "sentences.txt")
        ...     _ = file.write_text("집에 불이 났어요.\\n도와 주세요.\\n", "utf-8")
        ...     list(read_texts([str(file)]))
        ['집에 불이 났어요.', '도와 주세요.']
    """
    if isinstance(sources, str):
        raise TypeError(f"read_texts expects a list of sources, found one string; write read_texts([{sources!r}])")
    for source in sources:
        if is_text_file(source) or is_table(source):
            existing_file(source)
        elif Path(source).is_file():
            raise ValueError(f"{source}: expected a {', '.join((*TEXT_SUFFIXES, *TABLE_SUFFIXES))} file; rename it")
    return (text for source in sources for text in _texts(source, column))


def _texts(source: str, column: str) -> Iterator[str]:
    if is_text_file(source):
        yield from (line.rstrip("\r\n") for line in read_lines(Path(source)))
        return
    for number, row in read_rows(Path(source)) if is_table(source) else _streamed_rows(source):
        where = f"{source}, row {number}"
        check_columns(row, where, {"--corpus_column": column})
        text = row[column]
        if not isinstance(text, str | None):
            raise ValueError(f"{where}, column {column!r}: expected a sentence, found {text!r:.60}")
        yield text or ""


def _streamed_rows(dataset: str) -> Iterator[tuple[int, Any]]:
    name, _, configuration = dataset.partition(":")
    try:
        splits = load_unsplit(name, configuration or None, streaming=True)
    except NotImplementedError:  # packed in a way that cannot be streamed
        splits = load_unsplit(name, configuration or None)
    for rows in splits.values():
        yield from enumerate(rows, 1)
