"""User files: written content is read back, and any other file raises a ValueError that names it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from kgloss_hf.data.cells import SEPARATORS, GlossCells
from kgloss_hf.data.columns import find_columns
from kgloss_hf.data.lines import is_text, read_lines
from kgloss_hf.data.pairs import gloss_types, load_pairs, read_pairs
from kgloss_hf.data.tables import TABLE_SUFFIXES, read_rows
from kgloss_hf.data.texts import read_texts
from kgloss_hf.runtime.normalization import normalize_line

from .strategies import CELL, GLOSS, HALVES, TEXT, damaged, json_text, json_values, share, tables

Rows = list[dict[str, Any]]


def as_csv(rows: Rows) -> bytes:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def as_tsv(rows: Rows) -> bytes:
    return "".join(
        "\t".join(cells) + "\n" for cells in [list(rows[0]), *([row[name] for name in rows[0]] for row in rows)]
    ).encode()


def as_json_lines(rows: Rows) -> bytes:
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    return "".join((line if is_text(line) else json.dumps(json.loads(line))) + "\n" for line in lines).encode()


def as_json(rows: Rows) -> bytes:
    return json.dumps(rows, indent=len(rows) % 2 or None).encode()


def as_parquet(rows: Rows) -> bytes:
    content = io.BytesIO()
    packed = len(rows) % 2 == 0  # damage to an uncompressed file may affect only text
    parquet.write_table(
        pa.Table.from_pylist(rows), content, compression="snappy" if packed else "none", use_dictionary=packed
    )
    return content.getvalue()


def as_workbook(rows: Rows) -> bytes:
    workbook = pytest.importorskip("openpyxl").Workbook()
    sheet = workbook.active
    for number, cells in enumerate([list(rows[0]), *([row[name] for name in rows[0]] for row in rows)], 1):
        for column, cell in enumerate(cells, 1):
            sheet.cell(number, column, cell).data_type = "s"  # otherwise =1+1 would be a formula
    content = io.BytesIO()
    workbook.save(content)
    return content.getvalue()


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    ".csv": as_csv,
    ".tsv": as_tsv,
    ".jsonl": as_json_lines,
    ".parquet": as_parquet,
    ".xlsx": as_workbook,
}
QUICK = st.sampled_from((".csv", ".tsv", ".jsonl"))


def written(folder: Path, suffix: str, content: bytes) -> Path:
    path = folder / f"table{suffix}"
    path.write_bytes(content)
    return path


def read(path: Path, **options: Any) -> list[tuple[int, Any]] | None:
    """Return the rows, or None if the file is refused as documented."""
    return outcome(lambda: list(read_rows(path, **options)), path)


SENTENCE = st.text("집에불이났어요물산 .,;|/'\"12ab", min_size=1, max_size=12).map(normalize_line).filter(bool)
SIGNS = (
    *(
        "집",
        "불",
        "우리",
        "박물관",
        "V (불꽃무늬)",
        "(흙을)쌓다",
        "(흙, 돌/물)쌓다",
        "Number/4C",
        "Alpha/QR",
        "X-I",
        "ㄱ",
    ),
    *("디지털(컴퓨터)", "의문형(무엇)", "2,000원", "3", "10", "it's", "[의문]"),
)
LISTS: dict[str, Callable[[list[str]], Any]] = {
    "list": list,
    "JSON": lambda glosses: json.dumps(glosses, ensure_ascii=False),
    "Python": repr,
    "tuple": lambda glosses: repr(tuple(glosses)),
    "NumPy": lambda glosses: str(np.array(glosses)),
    "plain": lambda glosses: f"[{', '.join(glosses)}]",
    "spaces": " ".join,
}
TYPES = ("sign_word", "iconic", "unknown")
HEADERS = (("text", "glosses", "gloss_types"), ("문장", "글로스", "유형"), ("한국어", "수어 글로스", "글로스 유형"))


@st.composite
def shapes(draw: st.DrawFn) -> tuple[list[tuple[str, list[str]]], str, Callable[[list[str]], Any]]:
    """Draw pairs, the ending of a file, and a function that writes glosses to its cells."""
    form = draw(st.sampled_from((*LISTS, *SEPARATORS)))
    signs = [gloss for gloss in SIGNS if form != "plain" or "[" not in gloss]
    glosses = st.lists(st.sampled_from(signs), min_size=2, max_size=5).filter(
        lambda glosses: glosses[0] != "[의문]" and sum(gloss not in ("3", "10") for gloss in glosses) > 1
    )
    if form in SEPARATORS:
        glosses |= glosses.map(lambda glosses: [*glosses, "고맙 습니다", "집"])
    pairs = draw(st.lists(st.tuples(SENTENCE, glosses), min_size=1, max_size=4))
    space = draw(st.sampled_from(("", " ")))
    sign = f"{space if form not in ',;' else ''}{form}{space or ' ' * (form == ',')}"
    kinds = [".json", ".jsonl", ".parquet"]
    if form != "list":
        kinds += [*(f"{delimiter}.csv" for delimiter in ",;|\t"), ".xlsx"]
    if form not in ("list", "NumPy"):  # TSV allows no line breaks in cells
        kinds.append(".tsv")
    return pairs, draw(st.sampled_from(kinds)), LISTS.get(form, sign.join)


def as_table(kind: str, rows: Rows, pretty: bool) -> bytes:
    if kind.endswith(".csv"):
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=kind[0]).writerows([list(rows[0]), *(row.values() for row in rows)])
        return text.getvalue().encode()
    if kind == ".json":
        whole = rows[0] if len(rows) == 1 and pretty else rows
        return json.dumps(whole, ensure_ascii=False, indent=2 if pretty else None).encode()
    if kind != ".parquet":
        return WRITERS[kind](rows)
    types = list(rows[0])[2]
    features = Features.from_arrow_schema(pa.Table.from_pylist(rows).schema)
    features[types] = Sequence(ClassLabel(names=[*TYPES]))
    content = io.BytesIO()
    table = Dataset.from_list([{**row, types: list(map(TYPES.index, row[types]))} for row in rows], features=features)
    parquet.write_table(table.data.table, content)
    return content.getvalue()


@share(0.5)
@given(
    shapes(),
    st.sampled_from(HEADERS),
    st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp949")),
    st.booleans(),
    st.booleans(),
)
def test_pairs_of_any_shape_read_back_the_same(
    folder: Path,
    shape: tuple[list[tuple[str, list[str]]], str, Callable[[list[str]], Any]],
    header: tuple[str, str, str],
    encoding: str,
    packed: bool,
    pretty: bool,
) -> None:
    pairs, kind, write = shape
    as_lists = kind in (".json", ".jsonl", ".parquet")
    types = [[TYPES[len(gloss) % len(TYPES)] for gloss in glosses] for _, glosses in pairs]
    rows = [
        dict(zip(header, (text, write(glosses), kinds if as_lists else " ".join(kinds)), strict=True))
        for (text, glosses), kinds in zip(pairs, types, strict=True)
    ]
    content, suffix = as_table(kind, rows, pretty), kind.lstrip(",;|\t")
    if suffix not in (".parquet", ".xlsx"):
        mark = "\ufeff" if encoding == "utf-16-be" else ""
        content = (mark + content.decode()).encode(encoding)
        if packed:
            content, suffix = gzip.compress(content, 1), f"{suffix}.gz"
    path = written(folder, suffix, content)

    loaded = read_rows(path, encoding="cp949" if encoding == "cp949" else "utf-8")
    first = next(loaded)
    columns = find_columns(first[1], str(path))
    cells = GlossCells(str(path))
    numbered = list(cells.sampled(chain([first], loaded), columns["glosses"]))
    assert [number for number, _ in numbered] == list(range(1 if as_lists else 2, len(pairs) + (1 if as_lists else 2)))
    assert [(row[columns["text"]], cells.split(row[columns["glosses"]])) for _, row in numbered] == pairs
    read = list(read_pairs(str(path), encoding="cp949" if encoding == "cp949" else "utf-8"))
    assert [(row.pair.text, list(row.pair.glosses)) for row in read] == pairs
    assert [row.types for row in read] == types


def assert_rows_are_read(folder: Path, suffix: str, rows: Rows, mark: bytes = b"") -> None:
    loaded = list(read_rows(written(folder, suffix, mark + WRITERS[suffix](rows))))
    if suffix == ".xlsx":  # an empty cell is None there
        rows = [{name: cell or None for name, cell in row.items()} for row in rows]
    assert [row for _, row in loaded] == rows
    first = 1 if suffix in (".jsonl", ".parquet") else 2
    assert [number for number, _ in loaded] == list(range(first, first + len(rows)))


@share(0.2)
@given(QUICK, tables(), st.sampled_from((b"", b"\xef\xbb\xbf")))
def test_text_tables_are_read_as_written(folder: Path, suffix: str, rows: Rows, mark: bytes) -> None:
    assert_rows_are_read(folder, suffix, rows, mark)


@share(0.1)
@given(tables())
def test_parquet_is_read_as_written(folder: Path, rows: Rows) -> None:
    assert_rows_are_read(folder, ".parquet", rows)


@share(0.02)
@given(tables())
def test_workbooks_are_read_as_written(folder: Path, rows: Rows) -> None:
    assert_rows_are_read(folder, ".xlsx", rows)


@share(0.1)
@given(
    st.lists(st.dictionaries(st.text(max_size=5), json_values(), max_size=3), max_size=4),
    st.sampled_from(("\n", "\r\n", "\n\n")),
)
def test_any_json_objects_are_read_as_written(folder: Path, rows: Rows, end: str) -> None:
    path = written(folder, ".jsonl", "".join(json.dumps(row) + end for row in rows).encode())
    if (loaded := read(path)) is None:
        assert any("\\u" in json.dumps(row) for row in rows)
    else:
        assert repr([row for _, row in loaded]) == repr([json.loads(json.dumps(row)) for row in rows])


@share(0.06)
@given(tables(), st.sampled_from(("cp949", "euc-kr", "utf-16", "utf-16-le", "utf-32", "shift_jis", "utf-8-sig")))
def test_other_encodings_are_read_as_written(folder: Path, rows: Rows, encoding: str) -> None:
    try:
        content = as_csv(rows).decode().encode(encoding)
    except UnicodeEncodeError:
        return
    loaded = read(written(folder, ".csv", content), encoding=encoding)
    assert loaded is None or [row for _, row in loaded] == rows


@share(0.2)
@given(
    QUICK | st.just(".json"),
    damaged(
        st.builds(lambda rows, write: write(rows), tables(), st.sampled_from((as_csv, as_tsv, as_json_lines, as_json)))
    ),
)
def test_damaged_text_tables(folder: Path, suffix: str, content: bytes) -> None:
    read(written(folder, suffix, content))


@share(0.1)
@given(damaged(tables().map(as_parquet)))
def test_damaged_parquet(folder: Path, content: bytes) -> None:
    read(written(folder, ".parquet", content))


@share(0.02)
@given(damaged(tables().map(as_workbook)))
def test_damaged_workbooks(folder: Path, content: bytes) -> None:
    read(written(folder, ".xlsx", content))


@share(0.5)
@given(st.sampled_from((*TABLE_SUFFIXES, ".TSV", ".txt", "")), st.binary(max_size=60))
def test_arbitrary_bytes(folder: Path, suffix: str, content: bytes) -> None:
    read(written(folder, suffix, content))


@share(0.4)
@given(
    st.binary(max_size=40) | st.text(max_size=20).map(str.encode),
    st.sampled_from(
        (
            *("utf-8", "UTF8", "cp949", "euc_kr", "johab", "utf-16", "utf-32", "utf-7", "iso2022_kr", "latin-1", "hex"),
            *("idna", "punycode"),
            "",
            "rot13",
            "no such",
        )
    ),
)
def test_arbitrary_bytes_in_any_encoding(folder: Path, content: bytes, encoding: str) -> None:
    path = written(folder, ".tsv", content)
    try:
        list(read_rows(path, encoding=encoding))
    except ValueError as error:
        assert str(path) in str(error) or "choose one that Python knows" in str(error)


COLUMNS: dict[str, list[st.SearchStrategy[Any]]] = {
    "text": [CELL, st.just("문장"), st.none(), st.integers(-9, 9), st.binary(max_size=4), st.lists(CELL, max_size=2)],
    "glosses": [
        *(st.lists(GLOSS, max_size=3), st.lists(st.none() | GLOSS, max_size=2)),
        *(CELL, st.just("집 불"), st.floats()),
    ],
    "gloss_types": [
        st.lists(st.sampled_from(("sign_word", "iconic", "")), max_size=3),
        *(st.just("sign_word iconic"), st.none(), st.integers(-9, 9), st.dates()),
    ],
}


@st.composite
def typed_tables(draw: st.DrawFn) -> pa.Table:
    """Draw columns of any type, some of them wrong, some with equal names."""
    names = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=4))
    height = draw(st.integers(0, 3))
    columns = []
    for name in names:
        kind = draw(st.sampled_from(COLUMNS[name]))
        columns.append(pa.array(draw(st.lists(kind, min_size=height, max_size=height))))
    return pa.table(columns, names=names)


@share(0.1)
@given(typed_tables())
def test_parquet_columns_of_any_type(folder: Path, table: pa.Table) -> None:
    path = folder / "typed.parquet"
    parquet.write_table(table, path)
    loaded = read(path)
    assert (loaded is None) == (len(set(table.column_names)) < len(table.column_names))
    assert loaded is None or len(loaded) == len(table)
    pairs = outcome(lambda: load_pairs(str(path)), path)
    if pairs is not None:
        assert len(pairs) == len(table)
        outcome(lambda: gloss_types(read_pairs(str(path))), path)


def outcome(call: Callable[[], Any], path: Path) -> Any:
    """Return the result of a call, or None if it raises the documented ValueError, which names the place."""
    try:
        return call()
    except ValueError as error:
        assert str(path) in str(error)
        assert len(str(error)) < 1000
        return None


@share(0.25)
@given(QUICK, st.lists(st.tuples(TEXT, st.lists(st.one_of(GLOSS, TEXT, HALVES), max_size=3)), min_size=1, max_size=4))
def test_pairs_are_read_as_written(folder: Path, suffix: str, rows: list[tuple[str, list[str]]]) -> None:
    good = [
        (normalize_line(text), tuple(map(normalize_line, glosses)))
        for text, glosses in rows
        if normalize_line(text) and glosses and all(map(normalize_line, glosses))
    ]
    cells = [{"text": text, "glosses": json.dumps(glosses)} for text, glosses in rows]
    if suffix == ".tsv":
        cells = [{name: "".join(cell.splitlines()).replace("\t", "") for name, cell in row.items()} for row in cells]
    path = written(folder, suffix, WRITERS[suffix](cells))
    loaded = outcome(lambda: load_pairs(str(path)), path)
    if loaded is None:
        whole = all(gloss.isprintable() for _, glosses in rows for gloss in glosses)
        assert len(good) < len(rows) or not whole
    elif suffix != ".tsv":
        assert [tuple(pair) for pair in loaded] == good
    if loaded is not None:
        assert len(loaded) == len(rows)
        for text, glosses in loaded:
            "".join((text, *glosses)).encode()


@share(0.2)
@given(
    st.lists(
        json_text(st.sampled_from(("text", "glosses")))
        | json_values().map(lambda value: json.dumps({"text": "집", "glosses": value}))
        | json_values().map(lambda value: json.dumps({"text": value, "glosses": ["집"]})),
        max_size=3,
    )
)
def test_json_lines_of_any_kind(folder: Path, lines: list[str]) -> None:
    path = written(folder, ".jsonl", "\n".join(lines).encode(errors="replace"))
    outcome(lambda: load_pairs(str(path)), path)
    outcome(lambda: list(read_texts([str(path)])), path)


@share(0.25)
@given(st.lists(TEXT, max_size=4), st.booleans(), st.sampled_from(("\n", "\r\n")))
def test_lines_of_text_are_read_as_written(folder: Path, lines: list[str], packed: bool, end: str) -> None:
    lines = [line.replace("\n", "").replace("\r", "") for line in lines]
    content = "".join(line + end for line in lines).encode()
    path = written(folder, ".txt.gz" if packed else ".txt", gzip.compress(content, 1) if packed else content)
    if lines:
        lines[0] = lines[0].removeprefix("\ufeff")
    assert list(read_texts([str(path)])) == lines


@share(0.2)
@given(
    st.sampled_from((".txt", ".gz")),
    damaged(TEXT.map(lambda text: gzip.compress(text.encode(), 1))) | damaged(TEXT.map(str.encode)),
)
def test_damaged_lines(folder: Path, suffix: str, content: bytes) -> None:
    path = written(folder, suffix, content)
    outcome(lambda: list(read_lines(path)), path)
