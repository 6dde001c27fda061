from __future__ import annotations

import csv
import gzip
import json
import logging
import sys
import zipfile
from codecs import BOM_UTF8
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from kgloss_hf.data import bounds, json_items, lines, tables
from kgloss_hf.data.checks import BadRows
from kgloss_hf.data.lines import read_lines
from kgloss_hf.data.tables import TABLE_SUFFIXES, is_table, read_batches, read_rows, table_suffix

from ..fuzz.test_tables import WRITERS, as_csv, as_parquet

ROWS = [{"문장": "집에 불이 났어요.", "글로스": "집 불"}, {"문장": "도와 주세요.", "글로스": "돕다 부탁"}]


def write_xlsx(path: Path, *sheets: list[list[object]]) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for number, cells in enumerate(sheets):
        sheet = workbook.create_sheet(f"쪽{number}")
        for row in cells:
            sheet.append(row)
    workbook.save(path)


@pytest.mark.parametrize(
    ("name", "mark", "first"),
    [("a.csv", BOM_UTF8, 2), ("a.CSV", b"", 2), ("a.tsv", b"", 2), ("a.parquet", b"", 1), ("a.xlsx", b"", 2)],
)
def test_rows_and_their_numbers(tmp_path: Path, name: str, mark: bytes, first: int) -> None:
    (tmp_path / name).write_bytes(mark + WRITERS[Path(name).suffix.lower()](ROWS))
    assert list(read_rows(tmp_path / name)) == list(enumerate(ROWS, first))


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_delimiter_of_csv_is_recognised(tmp_path: Path, delimiter: str, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        ["id", "문장", "글로스"],
        ["1", "집에, 불이; 났어요.", "집|불"],
        ["2", "도와 주세요.", "돕다,부탁;물"],
        ["3", "", ""],
    ]
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    assert [list(row.values()) for _, row in read_rows(tmp_path / "a.csv")] == rows[1:]
    said = f"a.csv: cells are taken to be separated by {delimiter!r}, as in the header and first rows"
    assert (said in caplog.text) == (delimiter != ",")


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("text,glosses\n집,우리|박물관|물\n", {"text": "집", "glosses": "우리|박물관|물"}),
        ("text,note|or;more\n집,불\n", {"text": "집", "note|or;more": "불"}),
        ("text\n우리|박물관\n", {"text": "우리|박물관"}),
        ("글로스 (A|B)\n집\n불\n", {"글로스 (A|B)": "집"}),
        ('text|glosses\n"집|불"|"물\n불"\n', {"text": "집|불", "glosses": "물\n불"}),
        ("a, b|text|glosses\n1|집, 물|불\n2|집|불\n", {"a, b": "1", "text": "집, 물", "glosses": "불"}),
        ("text;glosses\n집;불;물\n집;불\n집;불\n", {"text": "집", "glosses": "불", None: ["물"]}),
        ("text;glosses\n" + "집;불\n" * 49 + '"집\n' * 3 + '";불\n', {"text": "집", "glosses": "불"}),
        ("text;glosses\n" + "집;" + "불 " * 200_000 + "\n", {"text": "집", "glosses": "불 " * 200_000}),
    ],
    ids=["glosses", "header", "one", "one with a sign", "quoted", "comma", "long row", "cut", "long cell"],
)
def test_delimiter_of_csv_that_is_not_plain(
    tmp_path: Path, content: str, row: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text(content, "utf-8")
    if len(content) < 200_000:
        assert next(read_rows(tmp_path / "a.csv")) == (2, row)
    else:
        with pytest.raises(ValueError, match="a.csv: field larger than field limit"):
            next(read_rows(tmp_path / "a.csv"))


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".json"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp949"])
def test_packed_and_plain_text_tables(tmp_path: Path, kind: str, encoding: str) -> None:
    content = WRITERS[".jsonl" if kind == ".json" else kind](ROWS).decode()
    coded = (b"\xfe\xff" if encoding == "utf-16-be" else b"") + content.encode(encoding)
    (tmp_path / f"a{kind}").write_bytes(coded)
    (tmp_path / f"A{kind.upper()}.gz").write_bytes(gzip.compress(coded))
    given = {"encoding": "cp949"} if encoding == "cp949" else {}
    for name in (f"a{kind}", f"A{kind.upper()}.gz"):
        assert [row for _, row in read_rows(tmp_path / name, **given)] == ROWS


def test_wrong_encoding_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("문장,글로스\n집,불\n".encode("cp949"))
    with pytest.raises(UnicodeError, match="line 1: expected UTF-8, .* or set its encoding: --encoding cp949$"):
        list(read_rows(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('[{"a": 1}, {"a": 2}]', [(1, {"a": 1}), (2, {"a": 2})]),
        ('\n [\n  {"a": 1},\n  [2, "]"]\n]\n\n', [(1, {"a": 1}), (2, [2, "]"])]),
        ("[]", []),
        ("[\n]", []),
        ("[1, 23, 4.5, -1e+3\n]", [(1, 1), (2, 23), (3, 4.5), (4, -1000.0)]),
        ('{\n "a": 1\n}\n', [(1, {"a": 1})]),
        ('{\n "a": 1\n}\n{\n "a": 2\n}{"a": 3}', [(1, {"a": 1}), (2, {"a": 2}), (3, {"a": 3})]),
        ('{"a": 1}\n\n{"a": 2}\n', [(1, {"a": 1}), (3, {"a": 2})]),
        ("[1]\n[2]\n", [(1, [1]), (2, [2])]),
        ("", []),
    ],
)
def test_json_of_any_layout(
    tmp_path: Path, content: str, rows: list[tuple[int, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text(content)
    assert list(read_rows(tmp_path / "a.json")) == rows
    monkeypatch.setattr(tables, "_PIECE", 1)
    monkeypatch.setattr(json_items, "_PIECE", 1)
    if "\n" in content and not content.startswith(("[1]", '{"a": 1}')):
        assert list(read_rows(tmp_path / "a.json")) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1}, {"a": 2]', r"row 2: expected JSON objects, one per line or all in one array \(Expecting ','"),
        ('[{"a": 1}, {"a": 2}', r"row 3: .*\(the array is not closed"),
        ('[{"a": 1},', r"row 2: .*\(the array is not closed"),
        ('[{"a": 1},]', r"row 2: .*\(Expecting value"),
        ('[{"a": 1} {"a": 2}]', r"row 2: .*\(no comma before the next item"),
        ('[\n{"a": 1}]\n{"a": 2}', r"row 2: .*\(unexpected content after the array"),
        ("[\n" + "[" * 99_999, "row 1: .*recursion"),
        ("[\n" + "9" * 9_999 + "]", r"row 1: .*\(Exceeds the limit"),
        ("[\n" + '"' + "9" * 9_999, r"row 1: .*\(Unterminated string"),
        ("집", "row 1: expected one JSON object per line"),
    ],
)
def test_damaged_json(tmp_path: Path, content: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_PIECE", 10)
    (tmp_path / "a.json").write_text(content, "utf-8")
    with pytest.raises(ValueError, match=f"a.json, {message}"):
        list(read_rows(tmp_path / "a.json"))


def test_json_on_one_line_has_no_longest_line_but_a_longest_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROW", 1_000)
    monkeypatch.setattr(tables, "_PIECE", 100)
    rows = [{"a": "집" * number} for number in range(1, 150)]
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
    assert [row for _, row in read_rows(tmp_path / "a.json")] == rows
    (tmp_path / "a.json").write_text(json.dumps([{"a": "b" * 100_000}] * 2), "utf-8")
    with pytest.raises(ValueError, match="a.json, row 1: expected JSON objects"):
        list(read_rows(tmp_path / "a.json"))


@pytest.mark.parametrize("sequence", ["List", "Sequence", "LargeList", None])
def test_class_labels_come_as_names(tmp_path: Path, sequence: str | None) -> None:
    def several(feature: object) -> object:
        return {"feature": feature, "_type": sequence} if sequence else [feature]

    label = {"names": ["sign_word", "iconic"], "_type": "ClassLabel"}
    text = {"dtype": "string", "_type": "Value"}
    features = {
        "text": text,
        "one": label,
        "types": several(label),
        "nested": {"type": label, "n": {"dtype": "int64", "_type": "Value"}},
        "signs": several({"type": label, "gloss": text}),
    }
    rows = [
        {"text": "집", "one": 1, "types": [0, 1], "nested": {"type": 0, "n": 0}, "signs": [{"type": 1, "gloss": "집"}]},
        {"text": "불", "one": -1, "types": None, "nested": None, "signs": []},
    ]
    table = pyarrow.Table.from_pylist(rows)
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    assert [row for _, row in read_rows(tmp_path / "a.parquet")] == [
        {
            "text": "집",
            "one": "iconic",
            "types": ["sign_word", "iconic"],
            "nested": {"type": "sign_word", "n": 0},
            "signs": [{"type": "iconic", "gloss": "집"}],
        },
        {"text": "불", "one": None, "types": None, "nested": None, "signs": []},
    ]


@pytest.mark.parametrize(
    "metadata", ["", "[]", '{"info": {"features": []}}', '{"info": {"features": {"one": 5}}}', "{"]
)
def test_parquet_with_metadata_of_another_kind(tmp_path: Path, metadata: str) -> None:
    table = pyarrow.table({"one": [1]}).replace_schema_metadata({"huggingface": metadata})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert list(read_rows(tmp_path / "a.parquet")) == [(1, {"one": 1})]


def test_class_label_without_a_name(tmp_path: Path) -> None:
    features = {"type": {"names": ["sign_word"], "_type": "ClassLabel"}}
    table = pyarrow.table({"type": [0, 7]})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    with pytest.raises(
        ValueError, match="a.parquet, row 2, column 'type': expected a class label from 0 to 0, found 7"
    ):
        list(read_rows(tmp_path / "a.parquet"))


def test_json_lines_are_numbered_as_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n[2]\n')
    assert list(read_rows(tmp_path / "a.jsonl")) == [(1, {"a": 1}), (3, [2])]


def test_names_of_columns_are_given_or_checked(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1\t2\n3\t4\n")
    rows = read_rows(tmp_path / "a.txt", suffix=".tsv", header=["a", "b"])
    assert list(rows) == [(1, {"a": "1", "b": "2"}), (2, {"a": "3", "b": "4"})]
    assert len(list(read_rows(tmp_path / "a.txt", suffix=".tsv", columns=["2"]))) == 1
    with pytest.raises(ValueError, match=r"a.txt: expected the columns 2, 3, found \['1', '2'\]; rename them"):
        next(read_rows(tmp_path / "a.txt", suffix=".tsv", columns=["2", "3"]))


def test_batches_hold_the_named_columns(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(as_parquet(ROWS))
    batches = list(read_batches(tmp_path / "a.parquet", columns=["글로스"], size=1))
    assert [batch.to_pylist() for batch in batches] == [[{"글로스": row["글로스"]}] for row in ROWS]
    with pytest.raises(ValueError, match=r"a.parquet: expected the columns text, found \['문장', '글로스'\]"):
        next(read_batches(tmp_path / "a.parquet", columns=["text"]))


def test_bad_rows_are_raised_or_counted(caplog: pytest.LogCaptureFixture) -> None:
    rows: list[tuple[int, object]] = [(1, "1"), (3, "집"), (4, "2"), (5, {"a": "1", None: ["2"]})]
    skipped = BadRows(Path("a.csv"), "skip")
    assert list(skipped.checked(rows, lambda number, row: int(row))) == [1, 2]
    skipped.warn()
    assert "a.csv: 2 bad rows skipped; the first: a.csv, row 3: invalid literal" in caplog.text
    for bad, message in (
        (rows[1:], "row 3: invalid.*; mend it, or skip bad rows"),
        (rows[3:], "row 5: expected 1 cell, .* 2; .*, or skip bad rows"),
    ):
        with pytest.raises(ValueError, match=f"a.csv, {message} with on_bad_rows='skip'"):
            list(BadRows(Path("a.csv"), "raise", "; mend it").checked(bad, lambda number, row: int(row)))


def test_short_long_and_blank_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1\n\n1,2,3\n")
    assert list(read_rows(tmp_path / "a.csv")) == [(2, {"a": "1", "b": None}), (4, {"a": "1", "b": "2", None: ["3"]})]


def test_cells_of_a_workbook(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.xlsx"
    write_xlsx(path, [["id", None, "glosses"], [1, None, 100.0], [None] * 3, [2, None, 0.5]], [["다른 쪽"]])
    with caplog.at_level(logging.WARNING, logger="kgloss_hf"):
        rows = list(read_rows(path))
    assert rows == [(2, {"id": "1", "": None, "glosses": "100"}), (4, {"id": "2", "": None, "glosses": 0.5})]
    assert "only the first of 2 sheets is read, '쪽0'" in caplog.text


def test_without_openpyxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r'pip install "kgloss-hf\[excel\]"'):
        list(read_rows(tmp_path / "a.xlsx"))


@pytest.mark.parametrize("encoding", ["cp949", "euc-kr", "utf-16"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text(as_csv(ROWS).decode(), encoding)
    assert [row for _, row in read_rows(tmp_path / "a.csv", encoding=encoding)] == ROWS


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        ("a\n집\n".encode("cp949"), "utf-8", "line 2: expected UTF-8, found b'.xc1.xfd.n'; convert.* iconv -f CP949"),
        ("a\n집\n".encode() + "불\n".encode("cp949"), "utf-8", "line 3: expected UTF-8"),
        ("a\n집\n".encode("cp949") + "불이\n".encode(), "cp949", "line 3: expected cp949, found"),
        ("a\n집,\n".encode(), "cp949", "line 2: expected cp949, found"),
        (b"\0\0", "utf-16", "a.csv: expected utf-16, found other .*BOM"),
        ("집".encode("utf-16")[:3], "utf-16", "a.csv, line 1: expected utf-16, found b'.xd1'"),
        (b"\xff\xfe\0\xdc", "utf-16", "a.csv: expected utf-16, found other .*illegal encoding"),
        (b"a\n", "korean-of-old", "unknown encoding: korean-of-old; choose one that Python knows"),
    ],
    ids=["cp949", "mixed", "mixed the other way", "utf-8 as cp949", "no mark", "half", "surrogate", "unknown"],
)
def test_wrong_encoding(tmp_path: Path, content: bytes, encoding: str, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(read_rows(tmp_path / "a.csv", encoding=encoding))


def test_utf8_that_passes_for_cp949(tmp_path: Path) -> None:
    text = "무덤"
    assert text.encode().decode("cp949") != text
    (tmp_path / "a.txt").write_text(text, "utf-8")
    with pytest.raises(UnicodeError, match="line 1: expected cp949, found UTF-8"):
        list(read_lines(tmp_path / "a.txt", encoding="cp949"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR1 and then nothing", "a.parquet: damaged or not a Parquet file"),
        ("a.parquet", as_parquet(ROWS)[:-100], "a.parquet: damaged or not a Parquet file.*get the file again"),
        ("a.xlsx", b"PK and then nothing", "a.xlsx: damaged or not an XLSX workbook"),
        ("a.csv", b'a\n"1\n2\n', "a.csv: unexpected end of data; check that every opening quotation mark"),
        ("a.csv", b"a,b,a\n1,2,3\n", "a.csv: expected unique column names, found several a; rename"),
        ("a.jsonl", b'{"a": 1}\n{', "a.jsonl, row 2: expected one JSON object per line"),
    ],
    ids=["Parquet", "cut off", "XLSX", "open quotation", "header", "JSON"],
)
def test_damaged_file(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(read_rows(tmp_path / name))


def test_parquet_with_two_columns_of_one_name(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table([["집"], ["불"]], names=["글로스", "글로스"]), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="a.parquet: expected unique column names, found several 글로스; rename"):
        list(read_rows(tmp_path / "a.parquet"))


def test_parquet_with_text_that_is_none(tmp_path: Path) -> None:
    cells = pyarrow.array([b"\xb0\xa1"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table([cells], names=["글로스"]), tmp_path / "a.parquet")
    with pytest.raises(
        ValueError, match="a.parquet: damaged or not a Parquet file .*UTF8 sequence.*; get the file again"
    ):
        list(read_rows(tmp_path / "a.parquet"))


@pytest.mark.parametrize("member", ["xl/theme/theme1.xml", "xl/worksheets/sheet1.xml", "xl/workbook.xml"])
def test_workbook_of_which_a_part_is_damaged(tmp_path: Path, member: str) -> None:
    path = tmp_path / "a.xlsx"
    content = bytearray(WRITERS[".xlsx"](ROWS))
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo(member).header_offset + 30 + len(member)
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(ValueError, match="a.xlsx: damaged or not an XLSX workbook .*; save it again as XLSX"):
        list(read_rows(path))


def test_kind_of_file(tmp_path: Path) -> None:
    for suffix in TABLE_SUFFIXES:
        assert is_table(f"A{suffix.upper()}")
        assert table_suffix(f"A{suffix.upper()}") == suffix
    assert not is_table("a.gz")
    assert not is_table("a.parquet.gz")
    for name in ("a.docx", "a"):
        (tmp_path / name).write_bytes(as_csv(ROWS))
        with pytest.raises(ValueError, match=f"{name}: expected a .csv, .tsv, .*found"):
            list(read_rows(tmp_path / name))
        assert [row for _, row in read_rows(tmp_path / name, suffix=".csv")] == ROWS


def _repeated(text: str | None, number: int) -> pyarrow.Array:
    return pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * number, pyarrow.int32()), pyarrow.array([text]))


def _one_list(number: int) -> pyarrow.Array:
    return pyarrow.ListArray.from_arrays(pyarrow.array([0, number], pyarrow.int32()), _repeated("집", number))


@pytest.mark.parametrize(
    "column",
    [_repeated("가" * 100_000, 50_000), pyarrow.nulls(10_000_000, pyarrow.string()), _one_list(10_000_000)],
    ids=["one long text", "many rows", "one long list"],
)
def test_parquet_that_would_fill_the_memory(tmp_path: Path, column: pyarrow.Array) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": column}), path, compression="zstd")
    assert path.stat().st_size < 30_000
    with pytest.raises(
        ValueError, match=r"a\.parquet: expected a file of .* to unpack to at most 67,108,864 bytes, found more"
    ):
        for _ in read_rows(path):
            pass


def test_long_texts_come_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_BATCH_BYTES", 1000)
    texts = ["가" * (1 + i % 50) for i in range(200)]
    glosses = [["집"] * (i % 7) for i in range(199)] + [None]
    nested = [{"a": "x", "n": i} for i in range(200)]
    table = pyarrow.table({"text": texts, "glosses": glosses, "n": range(200), "other": nested, "none": [None] * 200})
    parquet.write_table(table, tmp_path / "a.parquet")
    batches = list(read_batches(tmp_path / "a.parquet"))
    assert max(batch.nbytes for batch in batches) < 2500
    assert [row for batch in batches for row in batch.to_pylist()] == table.to_pylist()
    assert batches[0].schema.types == table.schema.types
    assert [row for _, row in read_rows(tmp_path / "a.parquet")] == table.to_pylist()


def test_workbook_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 80_000_000)
    with pytest.raises(ValueError, match=r"a\.xlsx: .* file of .* to unpack to at most 67,108,864 bytes, found more"):
        list(read_rows(path))


def test_workbook_of_endless_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_SHEET_ROWS", 1)
    (tmp_path / "a.xlsx").write_bytes(WRITERS[".xlsx"](ROWS))
    with pytest.raises(ValueError, match="expected at most 1 rows, found more"):
        list(read_rows(tmp_path / "a.xlsx"))


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.jsonl", "a.csv", "a.tsv"])
def test_line_without_an_end(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_LINE", 1000)
    path = tmp_path / name
    with (gzip.open if name.endswith(".gz") else open)(path, "wb") as file:
        file.write(b"text\n" * (name[2] != "j") + b'"' + b"a" * 5000)
    with pytest.raises(ValueError, match=rf"{name}, line \d: expected at most 1,000 characters per line, found more"):
        list(read_lines(path) if ".txt" in name else read_rows(path))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".xlsx"])
def test_blank_rows_are_counted(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        for row in (["a"], ["1"], [None], [None], ["2"]):
            book.active.append(row)
        book.save(path)
    else:
        row = '{"a": "%s"}' if suffix == ".jsonl" else "%s"
        path.write_text("\n".join(["a"] * (suffix != ".jsonl") + [row % 1, "", "", row % 2]), "utf-8")
    start = 1 if suffix == ".jsonl" else 2
    assert list(read_rows(path)) == [(start, {"a": "1"}), (start + 3, {"a": "2"})]
    assert f"a{suffix}: 2 blank rows left out" in caplog.text
