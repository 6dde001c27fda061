from __future__ import annotations

import csv
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from pympi.Elan import Eaf

from kgloss_hf.data.pairs import load_pairs
from kgloss_hf.data.review import TIERS, gloss_cell
from kgloss_hf.data.review_sheets import SHEET_FORMATS, Reviewed, write_sheet
from kgloss_hf.data.tables import read_rows
from kgloss_hf.runtime.glosses import split_glosses

ROWS = [
    Reviewed("007", "=1+1은 2이다.", ["1-2", "V (불꽃무늬)"], [["1-2"], ["집"]], 0.25, ["2이다"], doubtful=True),
    Reviewed("@2", "-5도 @집 +", ["4"], [["+", "불"]], 0.5),
    Reviewed("3", "도와 주세요.", [], [["돕다"]], 0.75),
]


@given(st.lists(st.text(st.sampled_from("집불V4C-=+@/()[]', |"), min_size=1, max_size=6), max_size=4))
def test_glosses_of_a_cell_read_back(texts: list[str]) -> None:
    glosses = [" ".join(text.split()) for text in texts if text.strip()]
    cell = gloss_cell(glosses)
    assert split_glosses(cell, "|" if "|" in cell else None) == glosses
    assert not cell.startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("kind", SHEET_FORMATS)
def test_equal_rows_give_equal_bytes(tmp_path: Path, kind: str) -> None:
    for name in "ab":
        write_sheet(tmp_path / name, ROWS, kind, alternatives=2)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    if kind == "xlsx":
        with zipfile.ZipFile(tmp_path / "a") as archive:
            assert re.findall(rb">(\d+)-01-01T", archive.read("docProps/core.xml")) == [b"1980"] * 2


def test_no_cell_of_a_workbook_is_a_formula_a_date_or_a_number(tmp_path: Path) -> None:
    write_sheet(file := tmp_path / "sheet.xlsx", ROWS, "xlsx", alternatives=2)
    sheet = load_workbook(file).active
    assert sheet is not None
    assert sheet.freeze_panes == "C2"
    assert [cell.value for cell in sheet[2]][:3] == ["007", "=1+1은 2이다.", "1-2 | V (불꽃무늬)"]
    for row in sheet.iter_rows(min_row=2):
        for cell in row:
            if cell.column_letter != "G":
                assert cell.number_format == "@"
                assert cell.data_type in ("s", "inlineStr") if cell.value else cell.value is None
            assert cell.alignment.wrap_text
    marked = [sheet[f"C{row}"].fill.fgColor.rgb == "FFFCE4D6" for row in (2, 3, 4)]
    assert marked == [True, False, False]


def test_no_cell_of_a_csv_file_is_a_formula(tmp_path: Path) -> None:
    write_sheet(file := tmp_path / "sheet.csv", ROWS, "csv", alternatives=2)
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    header, *rows = csv.reader(file.read_text("utf-8-sig").splitlines())
    assert header[:4] == ["번호 id", "문장 text", "글로스 glosses", "수정 correction"]
    assert rows[0][1:3] == ["'=1+1은 2이다.", "1-2 | V (불꽃무늬)"]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)


@pytest.mark.parametrize("kind", SHEET_FORMATS)
def test_what_is_approved_is_what_was_written(tmp_path: Path, kind: str) -> None:
    write_sheet(file := tmp_path / f"sheet.{kind}", ROWS, kind, alternatives=2)
    approve(file)
    expected = [(row.text, tuple(row.glosses)) for row in ROWS if row.glosses]
    assert load_pairs(str(file)) == expected


def approve(file: Path) -> None:
    """Name a reviewer in each row of a sheet."""
    if file.suffix == ".eaf":
        eaf = Eaf(file)
        reviewer = eaf.tiers["reviewer"][0]
        reviewer.update({key: (start, end, "김", svg) for key, (start, end, _, svg) in reviewer.items()})
        file.unlink()
        eaf.to_file(file)
    elif file.suffix == ".xlsx":
        workbook = load_workbook(file)
        assert workbook.active is not None
        for row in range(2, workbook.active.max_row + 1):
            workbook.active[f"E{row}"] = "김"
        workbook.save(file)
    else:
        rows = list(csv.reader(file.read_text("utf-8-sig").splitlines()))
        with file.open("w", encoding="utf-8", newline="") as table:
            csv.writer(table).writerows([rows[0], *([*row[:4], "김", *row[5:]] for row in rows[1:])])


def test_the_limits_of_workbooks_are_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected at most 32,767 characters in an XLSX cell, found 32,768; use CSV"):
        write_sheet(tmp_path / "sheet.xlsx", [Reviewed("1", "집" * 32_768, ["집"])], "xlsx", alternatives=0)


def test_sentences_of_an_elan_document_have_ten_seconds_each_in_their_order(tmp_path: Path) -> None:
    write_sheet(file := tmp_path / "sheet.eaf", ROWS, "eaf", alternatives=2)
    eaf = Eaf(file)
    assert set(eaf.get_tier_names()) == {*TIERS, "alternative-1", "alternative-2", "certainty"}
    assert eaf.get_annotation_data_for_tier("sentence") == [
        (10_000 * place, 10_000 * (place + 1), row.text) for place, row in enumerate(ROWS)
    ]
    assert [value for *_, value in eaf.get_annotation_data_for_tier("correction")] == ["", "", ""]
    assert [value for *_, value in eaf.get_annotation_data_for_tier("alternative-2")] == ["집"]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([(3, 4.5), (0, 1)], [(3_000, 4_500), (0, 1_000)]),
        ([(0, 2), (1, 3)], [(0, 10_000), (10_000, 20_000)]),  # apparently of two recordings
        ([(0, 2), None], [(0, 10_000), (10_000, 20_000)]),
    ],
)
def test_times_of_sentences_are_kept_where_they_do_not_overlap(
    tmp_path: Path, times: list[tuple[float, float] | None], expected: list[tuple[int, int]]
) -> None:
    rows = [row._replace(times=own) for row, own in zip(ROWS, times, strict=False)]
    write_sheet(file := tmp_path / "sheet.eaf", rows, "eaf", alternatives=0)
    found = [(start, end) for start, end, _ in Eaf(file).get_annotation_data_for_tier("sentence")]
    assert sorted(found) == sorted(expected)


def test_a_workbook_reads_as_the_csv_file_does(tmp_path: Path) -> None:
    for kind in ("xlsx", "csv"):
        write_sheet(tmp_path / f"sheet.{kind}", ROWS, kind, alternatives=1)
    ids = [[row["번호 id"] for _, row in read_rows(tmp_path / f"sheet.{kind}")] for kind in ("xlsx", "csv")]
    assert ids == [["007", "@2", "3"], ["007", "'@2", "3"]]
