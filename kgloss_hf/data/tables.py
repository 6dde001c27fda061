"""Read tables (CSV, TSV, JSON, Parquet, XLSX) row by row."""

from __future__ import annotations

import csv
import json
import logging
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import ArrowException, RecordBatch
from pyarrow.parquet import ParquetFile

from ..optional import require
from ..reporting import counted
from ..runtime.normalization import normalize
from .bounds import bounded_batches, check_parquet, check_unfolded
from .json_items import JsonError, json_items
from .lines import TEXT_SUFFIXES, is_text_file, read_lines, read_text

logger = logging.getLogger(__name__)

_UNCALCULATED = re.compile(rb'<c r="([A-Z]+\d+)"[^>]*>\s*<f\b(?:[^>]*/>|[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>|</c>)')
_SHEET_ROWS, _FORMULA = 2**20, 2**14  # rows, and characters of a formula's cell: limits of XLSX
_HEAD_LINES, _PIECE = 50, 2**16  # characters
_ROW = 10 * 2**20  # characters of JSON

_DELIMITERS = ",;|\t"

TABLE_SUFFIXES = (
    *(".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx"),
    *(".csv.gz", ".tsv.gz", ".json.gz", ".jsonl.gz"),
)
"""Extensions of the files that `read_rows` reads, in any case."""


def is_table(name: str) -> bool:
    """Return whether a name has the extension of a table.

    Args:
        name: Name of a file, or any other text.

    Examples:
        >>> is_table("PAIRS.CSV"), is_table("someone/pairs")
        (True, False)
    """
    return name.lower().endswith(TABLE_SUFFIXES)


def table_suffix(name: str) -> str:
    """Return the extension of a table's name, one of `TABLE_SUFFIXES`, or an empty string.

    Args:
        name: Name of a file.

    Examples:
        >>> table_suffix("PAIRS.CSV.gz"), table_suffix("pairs.txt")
        ('.csv.gz', '')
    """
    return next((suffix for suffix in TABLE_SUFFIXES if name.lower().endswith(suffix)), "")


def read_rows(
    path: Path,
    *,
    encoding: str = "utf-8",
    suffix: str | None = None,
    header: Sequence[str] | None = None,
    columns: Sequence[str] = (),
) -> Iterator[tuple[int, Any]]:
    """Yield the numbered rows of a table, with only a part in memory at a time.

    Args:
        path: A file with one of `TABLE_SUFFIXES`, in any case. CSV, TSV and XLSX have a header. Only the first sheet of
            a workbook is read, with the results of formulas. Cells of a CSV file are separated by commas, or by `;`,
            `|` or tabs if its header and first rows indicate so; cells of TSV by tabs, without quotation marks. `.json`
            is JSON Lines, an array, or an object over several lines.
        encoding: Encoding of CSV, TSV and JSON, such as `cp949` (default `utf-8`). A byte order mark of UTF-8 or UTF-16
            is recognised.
        suffix: Extension that gives the kind of the file, if its name does not.
        header: Names of the columns of a CSV, TSV or XLSX file without a header. Default: its first row.
        columns: Names that the header of a CSV, TSV or XLSX file must contain.

    Returns:
        An iterator over numbers and rows. A row is a dict; in JSON Lines it is the value in the line. Missing cells are
        None, cells beyond the header are a list under the key None, and whole numbers in XLSX are strings. Class labels
        of a Parquet file written by `datasets` are returned as their names. Rows are numbered as in a spreadsheet
        (the header is 1), by lines in JSON Lines, and from 1 in a JSON array and in Parquet. Blank rows are left out
        and counted in a warning at the end.

    Raises:
        UnicodeError: A line is in another encoding. A ValueError.
        ValueError: The file is damaged, is not of its kind, has two columns of the same name, lacks one of `columns`,
            or unpacks to far more than its size.
        ImportError: openpyxl, which reads XLSX, is not installed.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "pairs.csv")
        ...     _ = file.write_text("문장,글로스\\n집에 불이 났어요.,집 불\\n", "cp949")
        ...     list(read_rows(file, encoding="cp949"))
        [(2, {'문장': '집에 불이 났어요.', '글로스': '집 불'})]
    """
    ending = (suffix or table_suffix(path.name) or path.suffix).lower()
    match ending.removesuffix(".gz"):
        case ".parquet":
            yield from _parquet(path)
        case ".xlsx":
            yield from _records(path, _sheet(path), header, columns)
        case ".csv":
            yield from _records(path, _csv(path, encoding), header, columns)
        case ".tsv":
            # TSV has no quoting: a stray quotation mark must not swallow the rows up to the next one.
            lines = read_lines(path, encoding=encoding)
            yield from _records(path, _cells(path, lines, delimiter="\t", quoting=csv.QUOTE_NONE), header, columns)
        case ".json" if _spans_lines(path, encoding):
            yield from _values(path, encoding)
        case ".json" | ".jsonl":
            yield from _objects(path, encoding)
        case _:
            raise ValueError(
                f"{path}: expected a {', '.join(TABLE_SUFFIXES)} file, found {ending or 'no extension'!r}; convert it"
            )


def read_batches(path: Path, *, columns: Sequence[str] = (), size: int = 65_536) -> Iterator[RecordBatch]:
    """Yield the Arrow batches of a Parquet file.

    Args:
        path: The file.
        columns: Names of the columns to read, which the file must have. Default: all columns.
        size: Maximum number of rows per batch; batches of long texts are smaller (default 65,536).

    Raises:
        ValueError: The file is damaged or truncated, has two columns of the same name, lacks one of `columns`, or
            unpacks to far more than its size.

    Examples:
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
            fields = [field for field in file.schema_arrow if not columns or field.name in columns]
            schema = pyarrow.schema(fields, file.schema_arrow.metadata)
            texts, most = check_parquet(path, file, schema)
        # Equal texts are stored once, and stay so until their total size is known.
        with ParquetFile(path, read_dictionary=texts) as file:
            batches = file.iter_batches(min(size, most), columns=list(columns) or None)
            for batch in bounded_batches(path, batches):
                cells = [column.cast(kind) for column, kind in zip(batch.columns, schema.types, strict=True)]
                yield RecordBatch.from_arrays(cells, schema=schema)
                rows += batch.num_rows
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise _no_parquet(path, rows, error) from error


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    before = 0
    for batch in read_batches(path):
        features = _labelled(batch.schema.metadata or {})
        try:
            rows = batch.to_pylist()
        except (ArrowException, ValueError, OverflowError) as error:  # invalid dates
            raise _no_parquet(path, before, error) from error
        for number, row in enumerate(rows, before + 1):
            for name in features:
                try:
                    row[name] = _named(row[name], features[name])
                except IndexError as error:
                    raise ValueError(f"{path}, row {number}, column {name!r}: {error}; write the file again") from error
            yield number, row
        before += len(rows)


def _labelled(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return the features of the columns with class labels, from the metadata that `datasets` writes."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: feature for name, feature in features.items() if '"ClassLabel"' in json.dumps(feature)}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):  # from another program, or damaged
        return {}


def _named(value: Any, feature: Any) -> Any:
    """Return a value with class labels, including those in lists and structures, replaced by their names."""
    while isinstance(feature, list) or (isinstance(feature, dict) and isinstance(feature.get("feature"), dict | list)):
        feature = (feature or [None])[0] if isinstance(feature, list) else feature["feature"]
    if isinstance(value, list):
        return [_named(item, feature) for item in value]
    if not isinstance(feature, dict):
        return value
    if isinstance(value, dict):
        return {name: _named(item, feature.get(name)) for name, item in value.items()}
    names = feature.get("names")
    if feature.get("_type") != "ClassLabel" or not isinstance(names, list) or not isinstance(value, int):
        return value
    if not -1 <= value < len(names):
        raise IndexError(f"expected a class label from 0 to {len(names) - 1}, found {value}")
    return None if value == -1 else names[value]  # -1 stands for a missing label


def _no_parquet(path: Path, rows: int, error: Exception) -> ValueError:
    where = f"{path}, after row {rows}" if rows else str(path)
    return ValueError(f"{where}: damaged or not a Parquet file ({error}); get the file again")


def _objects(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    blank = 0
    for number, line in enumerate(read_lines(path, encoding=encoding), 1):
        if not line.strip():
            blank += 1
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:  # raised also for values too long or too deeply nested
            raise ValueError(f"{path}, row {number}: expected one JSON object per line ({error})") from error
    _say_blank(path, blank)


def _say_blank(path: Path, count: int) -> None:
    if count:
        logger.warning("%s: %s left out", path, counted(count, "blank row"))


def _spans_lines(path: Path, encoding: str) -> bool:
    """Return whether a file holds a JSON array or objects over several lines, rather than JSON Lines."""
    pieces = read_text(path, encoding, _PIECE, cut=True)
    first = next((piece for piece in pieces if piece.strip()), "")
    try:
        whole = json.loads(first)
    except (ValueError, RecursionError):
        return first.lstrip().startswith(("[", "{"))
    return isinstance(whole, list) and not any(piece.strip() for piece in pieces)


def _values(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    """Yield the items of a JSON array, or consecutive JSON objects, with one in memory at a time."""
    number = 0
    try:
        for number, item in enumerate(json_items(read_text(path, encoding, _PIECE, cut=True), _ROW), 1):
            yield number, item
    except JsonError as error:
        where = f"{path}, row {number + 1}"
        raise ValueError(f"{where}: expected JSON objects, one per line or all in one array ({error})") from error


def _csv(path: Path, encoding: str) -> Iterator[Sequence[Any]]:
    lines = read_lines(path, encoding=encoding)
    head: list[str] = []
    while len(head) < _HEAD_LINES and sum(map(len, head)) < _PIECE and (line := next(lines, "")):
        head.append(line)
    delimiter = _delimiter_of(head)
    if delimiter != ",":
        logger.warning("%s: cells are taken to be separated by %r, as in the header and first rows", path, delimiter)
    return _cells(path, chain(head, lines), delimiter=delimiter, strict=True)


def _delimiter_of(head: Sequence[str]) -> str:
    """Return the delimiter of a CSV file: a comma, unless with another more rows are as wide as the header.

    Args:
        head: First lines of the file.
    """
    shares = {",": 0.0}
    for delimiter in _DELIMITERS:
        try:
            header, *rows = filter(None, csv.reader(head, delimiter=delimiter))
        except (ValueError, csv.Error):  # no row, or a cell that is too long
            continue
        if len(header) > 1:
            shares[delimiter] = (1 + sum(len(row) == len(header) for row in rows)) / (1 + len(rows))
    best = max(shares, key=lambda delimiter: shares[delimiter])
    return best if shares[best] > 0.5 else ","


def _cells(path: Path, lines: Iterable[str], **style: Any) -> Iterator[Sequence[Any]]:
    try:
        yield from csv.reader(lines, **style)
    except csv.Error as error:
        raise ValueError(f"{path}: {error}; check that every opening quotation mark has a closing one") from error


def _sheet(path: Path) -> Iterator[Sequence[Any]]:
    require("excel", "openpyxl", purpose=str(path))
    from openpyxl import load_workbook

    check_unfolded(path, _unfolded(path))
    if cell := _formula_without_value(path):
        raise ValueError(
            f"{path}: expected values, found a formula without one in cell {cell}; open the workbook in a spreadsheet, "
            "and save it again"
        )
    try:
        workbook = load_workbook(path, read_only=True, data_only=True)
        try:
            first, *other_sheets = workbook.worksheets
            if other_sheets:
                sheets = 1 + len(other_sheets)
                logger.warning("%s: only the first of %d sheets is read, %r", path, sheets, first.title)
            first.reset_dimensions()  # some programs write wrong ones, which would cut off rows
            for number, cells in enumerate(first.iter_rows(values_only=True), 1):
                if number > _SHEET_ROWS:
                    raise ValueError(f"expected at most {_SHEET_ROWS:,} rows, found more")
                filled = [_as_in_csv(cell) for cell in cells]
                while filled and filled[-1] is None:
                    filled.pop()
                yield filled
        finally:
            workbook.close()
    except Exception as error:  # from zipfile, zlib, XML or openpyxl, each with exceptions of its own
        raise ValueError(f"{path}: damaged or not an XLSX workbook ({error}); save it again as XLSX") from error


def _unfolded(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except Exception:  # a damaged archive raises many kinds; openpyxl will fail on it too
        return 0


def _formula_without_value(path: Path) -> str:
    """Return the first cell with a formula that no spreadsheet has calculated, or an empty string."""
    try:
        with zipfile.ZipFile(path) as archive:
            first = min(name for name in archive.namelist() if name.startswith("xl/worksheets/sheet"))
            with archive.open(first) as sheet:
                kept = b""
                while piece := sheet.read(_PIECE):
                    if found := _UNCALCULATED.search(kept + piece):
                        return found[1].decode()
                    kept = (kept + piece)[-_FORMULA:]
    except Exception:  # as above
        return ""
    return ""


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
        raise ValueError(f"{path}: expected unique column names, found several {', '.join(doubled)}; rename them")
    if not set(columns) <= set(header):
        raise ValueError(f"{path}: expected the columns {', '.join(columns)}, found {list(header)!s:.300}; rename them")


def existing_file(name: str) -> Path:
    """Return the path of a file after checking that it exists.

    Args:
        name: Path of the file.

    Raises:
        FileNotFoundError: The file does not exist.

    Examples:
        >>> existing_file("nowhere.csv")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileNotFoundError: nowhere.csv: no such file; give the path of a .csv, .tsv, ... file
    """
    path = Path(name)
    if not path.is_file():
        kinds = TEXT_SUFFIXES if is_text_file(name) else TABLE_SUFFIXES
        raise FileNotFoundError(f"{path}: no such file; give the path of a {', '.join(kinds)} file")
    return path
