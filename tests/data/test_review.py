from __future__ import annotations

import csv
import datetime
import io
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from openpyxl import Workbook

from kgloss_hf.data.elan import Annotation, Tier
from kgloss_hf.data.pairs import load_extra_pairs, load_pairs, read_pairs
from kgloss_hf.data.review import HEADERS, eaf_rows
from kgloss_hf.data.review_sheets import Reviewed, write_sheet
from kgloss_hf.data.texts import read_texts
from tests.data.test_review_sheets import approve

HEADER = [HEADERS[name] for name in ("id", "text", "glosses", "correction", "reviewer", "comment")]
ROWS = [
    ["1", "집이다.", "집", "", "김", ""],
    ["2", "불이 났다.", "물 | 나다", "불 나다", "이", "물?"],
    ["3", "모른다.", "모르다", "-", "김", ""],
    ["4", "돕는다.", "돕다", "", "", "?"],
    ["5", "간다.", "", "", "김", ""],
    ["6", "온다.", "가다", "오다", "", ""],
]


def sheet(file: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER) -> str:
    if file.suffix == ".xlsx":
        workbook = Workbook()
        assert workbook.active is not None
        for row in [header, *rows]:
            workbook.active.append(list(row))
        workbook.save(file)
    else:
        table = io.StringIO(newline="")
        csv.writer(table).writerows([header, *rows])
        file.write_text(table.getvalue(), "utf-8-sig", newline="")
    return str(file)


def test_what_becomes_of_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = list(read_pairs(sheet(tmp_path / "sheet.csv", ROWS)))
    assert [(row.number, row.pair.glosses, row.cells["review"], row.cells["reviewer"]) for row in rows] == [
        (2, ("집",), "approved", "김"),
        (3, ("불", "나다"), "corrected", "이"),
        (7, ("오다",), "corrected", ""),
    ]
    assert rows[1].cells["comment"] == "물?"
    assert "rows: 2 corrected, 1 approved; left out: 2 rejected, 1 not reviewed" in caplog.text


@pytest.mark.parametrize(
    ("correction", "glosses"),
    [
        ("불 나다", ("불", "나다")),
        ("불|나다", ("불", "나다")),
        ("| 불 | 고맙 습니다 |", ("불", "고맙 습니다")),
        ("V (불꽃무늬) Number/4C", ("V (불꽃무늬)", "Number/4C")),
        ('["고맙 습니다"]', ("고맙 습니다",)),
        ("불（큰）｜나다", ("불(큰)", "나다")),
        ("불\n나다", ("불", "나다")),
        ("불 | 크다\n나다 | 완료", ("불", "크다", "나다", "완료")),
        ("불 | 크다\n나다 완료", ("불", "크다", "나다", "완료")),
    ],
)
def test_notations_of_corrections(tmp_path: Path, correction: str, glosses: tuple[str, ...]) -> None:
    rows = [*ROWS[:1], ["2", "불이 났다.", "물 | 나다", correction, "", ""]]
    assert load_pairs(sheet(tmp_path / "sheet.xlsx", rows))[1].glosses == glosses


def test_commas_between_glosses_are_recognised_or_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [["1", "집이다.", "집 | 있다", "집, 이다", "김", ""], ["2", "불이다.", "불 | 있다", "불, 이다", "김", ""]]
    assert [pair.glosses for pair in load_pairs(sheet(tmp_path / "a.csv", rows))] == [("집", "이다"), ("불", "이다")]
    load_pairs(sheet(tmp_path / "b.csv", [*rows[:1], *([["2", "불이다.", "불", "큰 불 이다", "김", ""]] * 2)]))
    assert "1 cell seems to separate the glosses by something other than white space" in caplog.text


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (datetime.datetime(2026, 1, 2), "found datetime.datetime.* to which the spreadsheet converted them"),
        (0.5, "found 0.5, to which the spreadsheet converted them; format the cell as text"),
        *(
            (cell, "for which the sentence has no content; write what is signed")
            for cell in (
                "집 | Number",
                "Number｜집",
                "Ｎｕｍｂｅｒ | 집",
                "\u200bNumber | 집",
                '["Number", "집"]',
                "Number? | 집",
            )
        ),
        ("Alpha/ | 집", "found 'Alpha/', for which the sentence has no content"),
        ("집 || 불", "expected a gloss between two '|'"),
        ("?", "or - to reject the sentence, found '[?]'"),
    ],
)
def test_bad_corrections(tmp_path: Path, cell: object, problem: str, caplog: pytest.LogCaptureFixture) -> None:
    file = sheet(tmp_path / "sheet.xlsx", [*ROWS[:1], ["2", "불이 났다.", "물", cell, "이", ""]])
    with pytest.raises(ValueError, match=rf"sheet.xlsx, row 3: .*{problem.replace('||', '|').replace('|', '[|]')}"):
        load_pairs(file)
    assert len(load_pairs(file, on_bad_rows="skip")) == 1
    assert "1 bad row skipped" in caplog.text


@pytest.mark.parametrize("separator", [" ", "|", ","])
def test_bars_separate_whatever_separator_other_files_have(tmp_path: Path, separator: str) -> None:
    pairs = load_pairs(
        sheet(tmp_path / "sheet.csv", [["1", "집이다.", "집 | 크다", "", "김", ""]]), gloss_separator=separator
    )
    assert pairs[0].glosses == ("집", "크다")


def test_a_whole_number_is_a_gloss(tmp_path: Path) -> None:
    assert load_pairs(sheet(tmp_path / "a.xlsx", [["1", "4층", "층", 4, 7, ""]]))[0].glosses == ("4",)


def test_emptied_rows_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(load_pairs(sheet(tmp_path / "sheet.csv", [*ROWS, [""] * 6, ["", " ", "", "", "", ""]]))) == 3
    assert "2 blank" in caplog.text


def test_sheets_that_a_spreadsheet_saved_again(tmp_path: Path) -> None:
    file = Path(sheet(tmp_path / "sheet.csv", ROWS))
    text, expected = file.read_text("utf-8-sig"), load_pairs(str(file))
    file.write_text(text, "cp949")
    assert load_pairs(str(file), encoding="cp949") == expected
    with pytest.raises(ValueError, match="line 1: expected UTF-8.*--encoding cp949"):
        load_pairs(str(file))
    file.write_text(text.replace(",", "\t"), "utf-16")
    assert load_pairs(str(file)) == expected


@pytest.mark.parametrize(
    "header", [["문장", "글로스", "수정", "검토자"], ["text", "glosses", "correction", "reviewer"]]
)
def test_headers_of_other_sheets(tmp_path: Path, header: list[str]) -> None:
    rows = [row[1:5] for row in ROWS]
    assert len(load_pairs(sheet(tmp_path / "sheet.csv", rows, header))) == 3
    # Without a column of reviewers, only corrections count.
    assert len(load_pairs(sheet(tmp_path / "sheet.csv", [row[:3] for row in rows], header[:3]))) == 2


def test_two_columns_of_corrections_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one column of correction, found .'수정', 'correction'.; rename all"):
        load_pairs(sheet(tmp_path / "a.csv", [["집이다.", "집", "", "불"]], ["문장", "글로스", "수정", "correction"]))


@pytest.mark.parametrize("headers", [["수정 correction (김)"], ["수정 correction 김", "수정 correction 이"], []])
def test_a_sheet_that_lost_its_corrections_is_refused(tmp_path: Path, headers: list[str]) -> None:
    header = [*HEADER[:3], *headers, HEADERS["certainty"], "다른 답 1 alternative 1"]
    path = sheet(tmp_path / "sheet.xlsx", [[*row[:3], *[""] * len(headers), "0.5", "불"] for row in ROWS], header)
    for read in (load_pairs, lambda file: load_extra_pairs("mcksg", file)):
        with pytest.raises(ValueError, match="expected the column '수정 correction' of a review sheet, found only"):
            read(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [("correction", "correction-김"), ("correction", "수정"), ("comment", "correction-이"), ("comment", "reviewer-이")],
)
def test_an_elan_sheet_with_other_tiers_is_refused(tmp_path: Path, old: str, new: str) -> None:
    write_sheet(
        tmp_path / "sheet.eaf", [Reviewed("1", "집이다.", ["집", "이다"], certainty=0.5)], "eaf", alternatives=1
    )
    path = tmp_path / "sheet.eaf"
    path.write_text(path.read_text("utf-8").replace(f'TIER_ID="{old}"', f'TIER_ID="{new}"'), "utf-8")
    with pytest.raises(ValueError, match="expected a review sheet with one tier 'correction' and at most one"):
        load_pairs(str(path))


def test_white_space_between_bars_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    corrections = ["집 | V (불꽃무늬)", "칼 | 악기 같다"]
    rows = [[*row[:3], cell, "김", ""] for row, cell in zip(ROWS[:2], corrections, strict=True)]
    assert load_pairs(sheet(tmp_path / "sheet.xlsx", rows))[1].glosses == ("칼", "악기 같다")
    assert "1 cell with bars has white space inside a gloss, which counts as one; the first: '칼 | 악" in caplog.text


def test_equal_and_rejected_versions_are_no_contradiction(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = sheet(
        tmp_path / "1.xlsx", [["1", "집이다.", "물", "집 | 있다", "김", ""], ["2", "불이다.", "불", "불", "김", ""]]
    )
    second = sheet(
        tmp_path / "2.xlsx", [["1", "집이다.", "물", "집 있다", "이", ""], ["2", "불이다.", "불", "-", "이", ""]]
    )
    assert len(load_pairs(f"{first},{second}")) == 3
    assert "different ways" not in caplog.text


def test_a_placeholder_between_commas_is_a_bad_row(tmp_path: Path) -> None:
    rows = [["1", "집이다.", "집", "집, 있다, 가다", "김", ""], ["2", "둘이다.", "집", "Number, 집, 있다", "김", ""]]
    with pytest.raises(ValueError, match="row 3: .*found 'Number', for which the sentence has no content"):
        load_pairs(sheet(tmp_path / "sheet.csv", rows))


def test_an_apostrophe_of_the_text_stays_in_xlsx(tmp_path: Path) -> None:
    rows = [["1", "'-5도'라고 한다.", "집", "", "김", ""]]
    assert load_pairs(sheet(tmp_path / "sheet.xlsx", rows))[0].text == "'-5도'라고 한다."
    assert load_pairs(sheet(tmp_path / "sheet.csv", [["1", "'-5도", *rows[0][2:]]]))[0].text == "-5도"


@pytest.mark.parametrize("column", [1, 2, 3])
def test_errors_of_a_spreadsheet_are_bad_rows(tmp_path: Path, column: int) -> None:
    row = ["1", "집이다.", "집", "집" if column == 3 else "", "김", ""]
    row[column] = "#NAME?"
    with pytest.raises(ValueError, match="row 2: expected .* found '#NAME\\?'"):
        load_pairs(sheet(tmp_path / "sheet.csv", [row]))


def test_a_formula_without_a_value_is_refused(tmp_path: Path) -> None:
    rows = [["1", "집이다.", "집", "=C2", "김", ""]]
    with pytest.raises(ValueError, match="found a formula without one in cell D2"):
        load_pairs(sheet(tmp_path / "sheet.xlsx", rows))


def test_a_table_without_corrections_is_no_sheet(tmp_path: Path) -> None:
    header = ["문장", "글로스", "검토자", "의견"]
    assert len(load_pairs(sheet(tmp_path / "pairs.csv", [["집이다.", "집", "", ""]], header))) == 1
    file = sheet(tmp_path / "sheet.csv", ROWS[5:])
    assert load_pairs(file, gloss_column="수정 correction")[0].glosses == ("오다",)


def test_a_sheet_that_nobody_reviewed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sheet.csv: expected a review sheet with corrections.* in 1 row; have it"):
        load_pairs(sheet(tmp_path / "sheet.csv", ROWS[3:4]))


def test_several_sheets_are_several_references(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = sheet(tmp_path / "kim.csv", [["1", "집이다.", "집", "", "김", ""], ["2", "불이다.", "불", "", "김", ""]])
    other = sheet(
        tmp_path / "lee.xlsx", [["1", "집이다.", "집", "", "이", ""], ["2", "불이다.", "불", "물|불", "이", ""]]
    )
    pairs = load_extra_pairs("mcksg", f"{one},{other}")
    assert [pair.glosses for pair in pairs] == [("집",), ("불",), ("집",), ("물", "불")]
    assert "1 sentence was reviewed in different ways" in caplog.text


def test_elan_sheets(tmp_path: Path) -> None:
    write_sheet(file := tmp_path / "sheet.eaf", [Reviewed("1", "집이다.", ["집"])], "eaf", alternatives=0)
    assert list(read_texts([str(file)])) == ["집이다."]
    with pytest.raises(ValueError, match="sheet.eaf: expected a review sheet with corrections"):
        load_pairs(str(file))
    with pytest.raises(ValueError, match="found a review sheet; name the review sheets one by one"):
        load_pairs(str(tmp_path))
    with pytest.raises(
        ValueError, match="expected no encoding for an ELAN file, which states its own, found 'cp949'; leave it out"
    ):
        load_pairs(str(file), encoding="cp949")
    approve(file)
    (row,) = read_pairs(str(file))
    assert (row.where, row.pair.glosses, row.cells["reviewer"]) == (f"{file}, sentence 1", ("집",), "김")


def test_corrections_of_elan_sheets() -> None:
    tiers = [
        Tier("sentence", "", [Annotation("집이다.", 0, 10), Annotation("불이다.", 10, 20)], True),
        Tier("glosses", "", [Annotation("집", 0, 10), Annotation("물", 10, 20)], True),
        Tier("Correction", "박", [Annotation("불", 10, 14), Annotation("이다", 14, 20)], True),
        Tier("reviewer", "", [Annotation("김", 0, 10)], True),
    ]
    rows = [row for _, row in eaf_rows(Path("a.eaf"), tiers)]
    assert [(row["correction"], row["reviewer"]) for row in rows] == [("", "김"), ("불\n이다", "박")]
    tiers[2].annotations.append(Annotation("불", 30, 40))
    with pytest.raises(ValueError, match="a.eaf, tier correction: expected annotations in the time of a sentence"):
        list(eaf_rows(Path("a.eaf"), tiers))


def test_texts_of_a_sheet_are_those_of_its_sentences(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    write_sheet(file := tmp_path / "sheet.csv", [Reviewed("1", "-5도이다.", ["집"])], "csv", alternatives=0)
    assert list(read_texts([str(file)])) == ["-5도이다."]
