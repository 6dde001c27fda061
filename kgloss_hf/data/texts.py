"""Read texts from files and data sets as one stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .arguments import ReadingArguments
from .columns import find_columns
from .lines import TEXT_SUFFIXES, is_text_file, read_lines
from .rows import Table, is_files, load_unsplit, place_of, tables_of
from .tables import TABLE_SUFFIXES, existing_file, is_table

_OPTIONS = {"text": "--corpus_column"}


def read_texts(sources: Sequence[str], *, column: str | None = None, encoding: str = "utf-8") -> Iterator[str]:
    """The texts of several sources, one after another, of which only a part is ever in memory.

    Args:
        sources: Text files with one sentence per line (.txt, .txt.gz); CSV, TSV, JSON, Parquet or XLSX files; sign
            corpora (`kgloss_hf.data.sign_corpora`); or data sets that `datasets.load_dataset` knows, as `NAME` or
            `NAME:CONFIGURATION`, all splits, streamed where the data set can be.
        column: Column with the text, where there are columns (default: by its name, such as `text` or 문장).
        encoding: Of text files, such as `cp949`.

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
        elif Path(source).is_file() and not is_files(source):
            raise ValueError(f"{source}: expected a {', '.join((*TEXT_SUFFIXES, *TABLE_SUFFIXES))} file; rename it")
    return (text for source in sources for text in _texts(source, column, encoding))


def _texts(source: str, column: str | None, encoding: str) -> Iterator[str]:
    if is_text_file(source):
        yield from (line.rstrip("\r\n") for line in read_lines(Path(source), encoding=encoding))
        return
    for table in tables_of(source, encoding=encoding) if is_files(source) else _streamed_tables(source):
        chosen = None
        for number, row in table.rows:
            where = place_of(table, number)
            if not isinstance(row, dict):
                raise ValueError(f"{where}: expected an object with a sentence, found {row!r:.60}")
            if chosen is None:
                chosen = find_columns(row, where, needed=("text",), given={"text": column}, options=_OPTIONS)["text"]
            text = row.get(chosen)
            if not isinstance(text, str | None):
                raise ValueError(f"{where}, column {chosen!r}: expected a sentence, found {text!r:.60}")
            yield text or ""


def _streamed_tables(dataset: str) -> Iterator[Table]:
    name, _, configuration = dataset.partition(":")
    try:
        splits = load_unsplit(name, configuration or None, streaming=True)
    except NotImplementedError:  # packed in a way that cannot be streamed
        splits = load_unsplit(name, configuration or None)
    for split, rows in splits.items():
        yield Table(f"{dataset}, split {split}", None, enumerate(rows, 1), ReadingArguments())
