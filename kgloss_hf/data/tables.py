"""Read tables (CSV, TSV, JSON Lines, Parquet, XLSX) row by row, and text files line by line."""

from __future__ import annotations

import csv
import functools
import gzip
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import ArrowException, RecordBatch
from pyarrow.parquet import ParquetFile

from ..optional import require
from ..runtime.normalization import normalize
from .bounds import bounded_batches, check_parquet, check_unfolded

logger = logging.getLogger(__name__)

_LINE = 10 * 2**20  # characters
_SHEET_ROWS = 2**20  # of XLSX

TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx")
"""Of the files that `read_rows` reads, in any case; `.json` is JSON Lines too."""

TEXT_SUFFIXES = (".txt", ".txt.gz")
"""Of the files that `read_lines` reads, in any case."""


def is_table(name: str) -> bool:
    """Whether a name is that of a table file, by its ending.

    Example:
        >>> is_table("PAIRS.CSV"), is_table("someone/pairs")
        (True, False)
    """
    return name.lower().endswith(TABLE_SUFFIXES)


def is_text_file(name: str) -> bool:
    """Whether a name is that of a file with a sentence a line, by its ending.

    Example:
        >>> is_text_file("Reviews.TXT.gz")
        True
    """
    return name.lower().endswith(TEXT_SUFFIXES)


def read_rows(
    path: Path,
    *,
    encoding: str = "utf-8",
    suffix: str | None = None,
    header: Sequence[str] | None = None,
    columns: Sequence[str] = (),
) -> Iterator[tuple[int, Any]]:
    """The rows of a table and their numbers, of which only a part is ever in memory.

    Args:
        path: A file with one of `TABLE_SUFFIXES`, in any case. CSV, TSV and XLSX have a header; of a workbook the first
            sheet counts, with the results of formulas.
        encoding: Of CSV, TSV and JSON Lines, such as `cp949`. UTF-8 may begin with a byte order mark.
        suffix: What kind of file it is, where its name does not tell.
        header: Names of the columns of a CSV, TSV or XLSX file that has no header. Default: its first row.
        columns: Names that the header of a CSV, TSV or XLSX file must hold.

    Returns:
        An iterator over numbers and rows. A row is a dict, in JSON Lines whatever stands in the line. Cells that a row
        lacks are None, cells beyond the header come as a list under the key None, and whole numbers in XLSX come as
        strings. Numbers are those that a spreadsheet shows (the header is 1), lines in JSON Lines, and from 1 in
        Parquet. Blank rows are left out, and a warning at the end counts them.

    Raises:
        UnicodeError: A line is in another encoding. A ValueError.
        ValueError: The file is damaged, is not of its kind, has two columns of one name, lacks one of `columns`, or
            unfolds to far more than its size.
        ImportError: openpyxl, which reads XLSX, is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "pairs.csv")
        ...     _ = file.write_text("문장,글로스\\n집에 불이 났어요.,집 불\\n", "cp949")
        ...     list(read_rows(file, encoding="cp949"))
        [(2, {'문장': '집에 불이 났어요.', '글로스': '집 불'})]
    """
    match (suffix or path.suffix).lower():
        case ".parquet":
            yield from _parquet(path)
        case ".xlsx":
            yield from _records(path, _sheet(path), header, columns)
        case ".csv":
            yield from _records(path, _cells(path, encoding, delimiter=",", strict=True), header, columns)
        case ".tsv":
            # TSV knows no quoting: a stray quotation mark must not swallow the rows up to the next one.
            yield from _records(path, _cells(path, encoding, delimiter="\t", quoting=csv.QUOTE_NONE), header, columns)
        case ".json" | ".jsonl":
            yield from _objects(path, encoding)
        case other:
            raise ValueError(f"{path}: expected a {', '.join(TABLE_SUFFIXES)} file, found {other or 'no ending'!r}")


def read_batches(path: Path, *, columns: Sequence[str] = (), size: int = 65_536) -> Iterator[RecordBatch]:
    """Yield the Arrow batches of a Parquet file.

    Args:
        path: The file.
        columns: Names that it must have; no other column is read. Default: all columns.
        size: Most rows per batch; of long texts a batch holds fewer.

    Raises:
        ValueError: The file is damaged or cut off, has two columns of one name, lacks one of `columns`, or unfolds to
            far more than its size.

    Example:
        >>> import pyarrow, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "sentences.parquet")
        ...     pyarrow.parquet.write_table(pyarrow.table({"text": ["집", "불", "물"]}), file)
        ...     [batch.num_rows for batch in read_batches(file, size=2)]
        [2, 1]
    """
    rows = 0
    try:
        with ParquetFile(path) as file:
            _check_names(path, file.schema_arrow.names, columns)
            schema = pyarrow.schema([field for field in file.schema_arrow if not columns or field.name in columns])
            texts, most = check_parquet(path, file, schema)
        # Equal texts are stored once, and stay so until it is known how much they are.
        with ParquetFile(path, read_dictionary=texts) as file:
            batches = file.iter_batches(min(size, most), columns=list(columns) or None)
            for batch in bounded_batches(path, batches):
                cells = [column.cast(kind) for column, kind in zip(batch.columns, schema.types, strict=True)]
                yield RecordBatch.from_arrays(cells, schema=schema)
                rows += batch.num_rows
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise _no_parquet(path, rows, error) from error


def read_lines(path: Path, *, encoding: str = "utf-8") -> Iterator[str]:
    """The lines of a text file with their ends.

    Args:
        path: The file; packed if its name ends in `.gz`.
        encoding: Of the text. UTF-8 may begin with a byte order mark.

    Raises:
        UnicodeError: A line is in another encoding. A ValueError.
        ValueError: The file is damaged, or a line has more than ten million characters.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "sentences.txt")
        ...     _ = file.write_text("집에 불이 났어요.\\n도와 주세요.", "utf-8")
        ...     list(read_lines(file))
        ['집에 불이 났어요.\\n', '도와 주세요.']
    """
    utf8 = encoding.lower() in ("utf-8", "utf8", "utf-8-sig")
    for number, line in enumerate(_decoded_lines(path, "utf-8-sig" if utf8 else encoding), 1):
        try:
            line.encode()
        except UnicodeEncodeError as error:
            # Not every codec encodes what it smuggled.
            smuggled = "b" + ascii(line[error.start :][:10]).replace("\\udc", "\\x")
            raise _wrong_encoding(f"{path}, line {number}", "UTF-8" if utf8 else encoding, smuggled) from error
        if not (utf8 or line.isascii()) and _is_korean_utf8(line, encoding):
            raise _wrong_encoding(f"{path}, line {number}", encoding, "UTF-8")
        yield line


def is_text(value: str) -> bool:
    """Whether a file can hold a string: not if it has half a character, which JSON can write (`\\ud83d` of 😀).

    Args:
        value: As it was read.

    Example:
        >>> is_text("집"), is_text("\\ud83d")
        (True, False)
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decoded_lines(path: Path, encoding: str) -> Iterator[str]:
    unpacked = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        # What cannot be decoded is smuggled past the decoder, which would not know the line.
        with unpacked(path, "rt", encoding=encoding, errors="surrogateescape", newline="") as file:
            for number, line in enumerate(iter(functools.partial(file.readline, _LINE + 1), ""), 1):
                if len(line) > _LINE:
                    raise ValueError(
                        f"{path}, line {number}: expected at most {_LINE:,} characters in a line, found more; check "
                        "that it is a text file, and break the line"
                    )
                yield line
    except UnicodeError as error:  # UTF-16 and its like smuggle nothing
        raise _wrong_encoding(str(path), encoding, f"other ({error})") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged or not a gzip file ({error}); fetch it again") from error
    except LookupError as error:
        raise ValueError(f"{error}; name one that Python knows, such as 'utf-8' or 'cp949'") from error


def _wrong_encoding(where: str, expected: str, found: str) -> UnicodeError:
    repair = "convert the file to UTF-8, for example: iconv -f CP949 -t UTF-8"
    return UnicodeError(f"{where}: expected {expected}, found {found}; {repair}")


def _is_korean_utf8(line: str, encoding: str) -> bool:
    """Whether a line read in another encoding is Korean in UTF-8, which most encodings take without complaint."""
    try:
        return bool(re.search("[가-힣]", line.encode(encoding).decode("utf-8-sig")))
    except UnicodeError:
        return False


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    number = 0
    for batch in read_batches(path):
        try:
            rows = batch.to_pylist()
        except (ArrowException, ValueError, OverflowError) as error:  # dates that are none
            raise _no_parquet(path, number, error) from error
        yield from enumerate(rows, number + 1)
        number += len(rows)


def _no_parquet(path: Path, rows: int, error: Exception) -> ValueError:
    where = f"{path}, after row {rows}" if rows else str(path)
    return ValueError(f"{where}: damaged or not a Parquet file ({error}); fetch it again")


def _objects(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    blank = 0
    for number, line in enumerate(read_lines(path, encoding=encoding), 1):
        if not line.strip():
            blank += 1
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:  # also what is too long or nested too deeply
            raise ValueError(f"{path}, row {number}: expected one JSON object a line ({error})") from error
    _say_blank(path, blank)


def _say_blank(path: Path, count: int) -> None:
    if count:
        logger.warning("%s: %d blank %s left out", path, count, "row" if count == 1 else "rows")


def _cells(path: Path, encoding: str, **style: Any) -> Iterator[Sequence[Any]]:
    try:
        yield from csv.reader(read_lines(path, encoding=encoding), **style)
    except csv.Error as error:
        raise ValueError(f"{path}: {error}; check that every quotation mark that opens a cell closes it") from error


def _sheet(path: Path) -> Iterator[Sequence[Any]]:
    require("excel", "openpyxl", purpose=str(path))
    from openpyxl import load_workbook

    check_unfolded(path, _unfolded(path))
    try:
        workbook = load_workbook(path, read_only=True, data_only=True)
        try:
            first, *others = workbook.worksheets
            if others:
                logger.warning("%s: only the first sheet, %r, is read, of %d", path, first.title, 1 + len(others))
            first.reset_dimensions()  # some programs write wrong ones, and rows would be cut
            for number, cells in enumerate(first.iter_rows(values_only=True), 1):
                if number > _SHEET_ROWS:
                    raise ValueError(f"expected at most {_SHEET_ROWS:,} rows, found more")
                filled = [_as_in_csv(cell) for cell in cells]
                while filled and filled[-1] is None:
                    filled.pop()
                yield filled
        finally:
            workbook.close()
    except Exception as error:  # of zipfile, zlib, XML or openpyxl, each of which has its own
        raise ValueError(f"{path}: damaged or not an XLSX workbook ({error}); save it again as XLSX") from error


def _unfolded(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except Exception:  # a damaged archive has many; openpyxl will stumble over the same
        return 0


def _as_in_csv(cell: Any) -> Any:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell) if isinstance(cell, int) and not isinstance(cell, bool) else cell


def _records(
    path: Path, table: Iterator[Sequence[Any]], header: Sequence[str] | None, columns: Sequence[str]
) -> Iterator[tuple[int, dict[Any, Any]]]:
    first = 2 if header is None else 1
    names = ["" if name is None else normalize(str(name)) for name in (next(table, []) if header is None else header)]
    _check_names(path, names, columns)
    blank = 0
    for number, cells in enumerate(table, first):
        if not cells:
            blank += 1
            continue
        row = dict.fromkeys(names) | dict(zip(names, cells, strict=False))
        yield number, row | ({None: list(cells[len(names) :])} if len(cells) > len(names) else {})
    _say_blank(path, blank)


def _check_names(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    if doubled := sorted({name for name in header if name and header.count(name) > 1}):
        raise ValueError(f"{path}: expected one column of each name, found several {', '.join(doubled)}; rename them")
    if not set(columns) <= set(header):
        raise ValueError(f"{path}: expected the columns {', '.join(columns)}, found {list(header)!s:.300}; rename them")


def existing_file(name: str) -> Path:
    """The path of a file that must be there.

    Args:
        name: The path.

    Raises:
        FileNotFoundError: It is not.

    Example:
        >>> existing_file("nowhere.csv")
        Traceback (most recent call last):
        FileNotFoundError: nowhere.csv: no such file; give the path of a .csv, .tsv, .json, .jsonl, .parquet, .xlsx file
    """
    path = Path(name)
    if not path.is_file():
        kinds = TEXT_SUFFIXES if is_text_file(name) else TABLE_SUFFIXES
        raise FileNotFoundError(f"{path}: no such file; give the path of a {', '.join(kinds)} file")
    return path
