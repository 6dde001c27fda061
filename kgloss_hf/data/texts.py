"""Read texts from files and data sets as one stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..runtime.normalization import normalize_line
from .arguments import ReadingArguments
from .columns import COLUMNS, OPTIONS, find_columns
from .lines import TEXT_SUFFIXES, is_text_file, read_lines
from .review import review_columns, unescaped
from .rows import Table, is_files, load_unsplit, place_of, tables_of
from .tables import TABLE_SUFFIXES, existing_file, is_table

_OPTIONS = {"text": "--corpus_column"}


def read_texts(sources: Sequence[str], *, column: str | None = None, encoding: str = "utf-8") -> Iterator[str]:
    """Return the texts of several sources, one after another, with only a part in memory at a time.

    Args:
        sources: Text files with one sentence per line (.txt, .txt.gz); CSV, TSV, JSON, Parquet or XLSX files; sign
            corpora (`kgloss_hf.data.sign_corpora`); or data sets that `datasets.load_dataset` knows, as `NAME` or
            `NAME:CONFIGURATION`, with all their splits, streamed if possible.
        column: Column with the text, for sources with columns (default: by its name, such as `text` or 문장).
        encoding: Encoding of text files, such as `cp949` (default `utf-8`).

    Returns:
        An iterator. Blank lines and empty cells are returned as blank texts, so that the caller can count them.

    Raises:
        TypeError: A string is given instead of a list.
        FileNotFoundError: A file does not exist; raised immediately, not when its turn comes.
        ValueError: A file is of another kind, a line is not in `encoding`, a column is missing, or a cell is not a
            string. A line in another encoding raises a UnicodeError, which is a ValueError.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "sentences.txt")
        ...     _ = file.write_text("집에 불이 났어요.\\n도와 주세요.\\n", "utf-8")
        ...     list(read_texts([str(file)]))
        ['집에 불이 났어요.', '도와 주세요.']
    """
    if isinstance(sources, str):
        raise TypeError(f"read_texts: expected a list of sources, found a string; write read_texts([{sources!r}])")
    for source in sources:
        _check(source)
    return (text for source in sources for text, _ in _rows(source, column, encoding, None, _OPTIONS))


def read_text_rows(
    source: str, *, column: str | None = None, encoding: str = "utf-8", data_dir: str | None = None
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each text of a source with its id and its row.

    Args:
        source: As for `read_texts`.
        column: As for `read_texts`.
        encoding: As for `read_texts`.
        data_dir: Folder with the user's own copy of a data set that is not distributed with kgloss.

    Returns:
        An iterator. The id is the content of the only column of ids, such as `id` or 번호, or otherwise the number of
        the text, from 1. A line of a text file has an empty row.

    Raises:
        FileNotFoundError: As for `read_texts`.
        ValueError: As for `read_texts`; also if a `data_dir` is given for files.

    Examples:
        >>> [(name, text) for name, text, _ in read_text_rows("mcksg")][0]
        ('mcksg-sample-0001', '우리 박물관에 오신 여러분을 환영합니다.')
    """
    _check(source)
    if data_dir is not None and (is_text_file(source) or is_files(source)):
        raise ValueError(f"{source}: expected no data_dir for files, found {data_dir!r}; leave it out")
    if column is not None and is_text_file(source) and not is_files(source):
        raise ValueError(f"{source}: expected no column of sentences for a text file, found {column!r}; leave it out")
    binary = is_table(source) and source.lower().endswith((".xlsx", ".parquet"))
    if encoding != "utf-8" and (binary or not (is_text_file(source) or is_files(source))):
        raise ValueError(f"{source}: expected no encoding for this source, found {encoding!r}; leave it out")
    for number, (text, row) in enumerate(_rows(source, column, encoding, data_dir, OPTIONS), 1):
        ids = [key for key in row if isinstance(key, str) and normalize_line(key).casefold() in COLUMNS["id"]]
        name = row[ids[0]] if len(ids) == 1 else None
        yield (str(number) if name is None or not str(name).strip() else str(name)), text, row


def _check(source: str) -> None:
    """Refuse a file that does not exist or is of another kind."""
    if (is_text_file(source) and not is_files(source)) or is_table(source):
        existing_file(source)
    elif Path(source).is_file() and not is_files(source):
        raise ValueError(
            f"{source}: expected a {', '.join((*TEXT_SUFFIXES, *TABLE_SUFFIXES))} file, found another extension; "
            "rename the file"
        )


def _rows(
    source: str, column: str | None, encoding: str, data_dir: str | None, options: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    if is_text_file(source) and not is_files(source):
        yield from ((line.rstrip("\r\n"), {}) for line in read_lines(Path(source), encoding=encoding))
        return
    for table in tables_of(source, encoding=encoding) if is_files(source) else _streamed_tables(source, data_dir):
        chosen, plain = None, False
        for number, row in table.rows:
            where = place_of(table, number)
            if not isinstance(row, dict):
                raise ValueError(f"{where}: expected an object with a sentence, found {row!r:.60}")
            if chosen is None:
                chosen = find_columns(row, where, needed=("text",), given={"text": column}, options=options)["text"]
                plain = not review_columns(row, where, [chosen])
            text = row.get(chosen) if plain else unescaped(row.get(chosen), table.origin)
            if not isinstance(text, str | None):
                raise ValueError(f"{where}, column {chosen!r}: expected a sentence, found {text!r:.60}")
            yield text or "", row


def _streamed_tables(dataset: str, data_dir: str | None) -> Iterator[Table]:
    name, _, configuration = dataset.partition(":")
    try:
        splits = load_unsplit(name, configuration or None, data_dir, streaming=True)
    except NotImplementedError:  # compressed in a way that cannot be streamed
        splits = load_unsplit(name, configuration or None, data_dir)
    for split, rows in splits.items():
        yield Table(f"{dataset}, split {split}", None, enumerate(rows, 1), ReadingArguments())
