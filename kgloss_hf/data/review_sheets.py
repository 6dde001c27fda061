"""Write sheets in which reviewers correct glosses, as XLSX, CSV or ELAN documents."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from ..optional import require
from .elan_writing import new_document, text_of
from .review import HEADERS, TIERS, escaped, gloss_cell

SHEET_FORMATS = ("xlsx", "eaf", "csv")
"""Formats of review sheets, which are also the extensions of their files."""

_EPOCH = datetime(1980, 1, 1)  # earliest date in a ZIP archive; a fixed one makes equal sheets equal bytes
_SECONDS = 10.0  # length of a sentence without times
_CELL, _ROWS = 32_767, 2**20 - 1  # characters, and rows below the header, of XLSX
_WIDTHS = {"id": 18, "text": 50, "glosses": 45, "correction": 45, "reviewer": 14, "comment": 30, "unknown_words": 24}
_FILLED_IN = ("correction", "reviewer", "comment")
_HELP = {
    "glosses": (
        "이 칸은 그대로 두고, 고칠 것은 수정 칸에 쓰세요.\n"
        "Leave this cell unchanged, and write corrections in the next column."
    ),
    "correction": (
        "고칠 것이 있으면 맞는 글로스를 모두 쓰고 | 로 나누세요. 맞으면 비우고 검토자만 적으세요. "
        "쓸 수 없는 문장은 - 를 적으세요.\n"
        "Write all the correct glosses, separated by |. If the row is right, leave this empty and name the reviewer. "
        "To reject the sentence, write -."
    ),
    "reviewer": "검토한 사람의 이름이나 번호\nName or number of the reviewer",
}


class Reviewed(NamedTuple):
    """A sentence to be reviewed.

    Args:
        id: Name or number of the sentence.
        text: The sentence.
        glosses: The answer that is shown.
        alternatives: Further answers.
        certainty: Confidence of the model in its answer, from 0 to 1.
        unknown_words: Words of the sentence that the model does not know.
        doubtful: Whether to mark the answer, because of unknown words or placeholders without content in the sentence.
        times: Start and end in seconds, if the sentence has them.
    """

    id: str
    text: str
    glosses: Sequence[str]
    alternatives: Sequence[Sequence[str]] = ()
    certainty: float = 1.0
    unknown_words: Sequence[str] = ()
    doubtful: bool = False
    times: tuple[float, float] | None = None


def write_sheet(path: Path, rows: Sequence[Reviewed], format: str, *, alternatives: int) -> None:
    """Write a sheet for reviewers, which `kgloss_hf.data.pairs.read_pairs` reads once it is filled in.

    Equal rows give equal bytes.

    Args:
        path: File to write.
        rows: Sentences in the order in which they are to be reviewed. An ELAN document shows them in that order, ten
            seconds each, unless all have times and these do not overlap.
        format: One of `SHEET_FORMATS`.
        alternatives: Number of columns, or tiers, for further answers.

    Raises:
        ValueError: The format is unknown, or XLSX cannot hold the rows.
        ImportError: openpyxl (XLSX) or pympi (ELAN) is not installed.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "sheet.csv")
        ...     write_sheet(file, [Reviewed("1", "집이다.", ["집"])], "csv", alternatives=0)
        ...     file.read_text("utf-8-sig").splitlines()[1]
        '1,집이다.,집,,,,1.0000,'
    """
    writers = {"xlsx": _write_xlsx, "eaf": _write_eaf, "csv": _write_csv}
    if format not in writers:
        raise ValueError(f"format: expected one of {', '.join(writers)}, found {format!r}")
    writers[format](path, rows, alternatives)


def _headers(alternatives: int) -> list[str]:
    numbered = [f"다른 답 {number} alternative {number}" for number in range(1, alternatives + 1)]
    *before, last = HEADERS.values()
    return [*before, *numbered, last]


def _cells(row: Reviewed, alternatives: int) -> Iterator[str | float]:
    answers = [gloss_cell(glosses) for glosses in row.alternatives][:alternatives]
    yield from (row.id, row.text, gloss_cell(row.glosses), "", "", "", row.certainty)
    yield from (*answers, *[""] * (alternatives - len(answers)), ", ".join(row.unknown_words))


def _write_csv(path: Path, rows: Sequence[Reviewed], alternatives: int) -> None:
    # Excel reads a CSV file as UTF-8 only if it begins with a byte order mark.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(_headers(alternatives))
        for row in rows:
            cells = _cells(row, alternatives)
            table.writerow(f"{cell:.4f}" if isinstance(cell, float) else escaped(cell) for cell in cells)


def _write_xlsx(path: Path, rows: Sequence[Reviewed], alternatives: int) -> None:
    require("excel", "openpyxl", purpose="XLSX")
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    if len(rows) > _ROWS:
        raise ValueError(
            f"{path.name}: expected at most {_ROWS:,} sentences in XLSX, found {len(rows):,}; use CSV, or --limit"
        )
    table = [list(_cells(row, alternatives)) for row in rows]
    longest = max((len(cell) for cells in table for cell in cells if isinstance(cell, str)), default=0)
    if longest > _CELL:
        raise ValueError(
            f"{path.name}: expected at most {_CELL:,} characters in an XLSX cell, found {longest:,}; use CSV"
        )
    headers = _headers(alternatives)
    fields = dict(zip(HEADERS.values(), HEADERS, strict=True))
    columns = [fields.get(header, "alternative") for header in headers]
    workbook = Workbook(write_only=True)
    workbook.properties.creator, workbook.properties.created = "kgloss-hf", _EPOCH
    sheet = workbook.create_sheet("검토 review")
    sheet.freeze_panes = "C2"
    for number, field in enumerate(columns, 1):
        width = 45 if field == "alternative" else _WIDTHS.get(field, 12)
        sheet.column_dimensions[get_column_letter(number)].width = width
    for field, text in _HELP.items():
        letter = get_column_letter(columns.index(field) + 1)
        shown = DataValidation(showInputMessage=True, promptTitle=HEADERS[field], prompt=text)
        shown.add(f"{letter}2:{letter}{len(rows) + 1}")
        sheet.data_validations.append(shown)
    sheet.page_setup.orientation, sheet.print_title_rows = "landscape", "1:1"
    sheet.page_setup.fitToHeight, sheet.sheet_properties.pageSetUpPr.fitToPage = 0, True
    fills = {
        name: PatternFill("solid", fgColor=rgb)
        for name, rgb in (("head", "FFDCE6F1"), ("in", "FFFFF9E5"), ("doubtful", "FFFCE4D6"))
    }
    thin = Side(style="thin", color="FFBFBFBF")
    alike = {"alignment": Alignment(wrap_text=True, vertical="top"), "border": Border(thin, thin, thin, thin)}

    def styled(value: Any, fill: str | None, **style: Any) -> Any:
        cell = WriteOnlyCell(sheet, value=None if value == "" else value)
        if isinstance(value, str):  # must stay text, whatever it begins with or is changed to later
            cell.number_format = "@"
            if value:
                cell.data_type = "s"
        if fill:
            cell.fill = fills[fill]
        for name, look in (alike | style).items():
            setattr(cell, name, look)
        return cell

    bold = Font(bold=True)
    sheet.append([styled(header, "head", font=bold) for header in headers])
    for row, values in zip(rows, table, strict=True):
        cells = []
        for field, value in zip(columns, values, strict=True):
            fill = "in" if field in _FILLED_IN else "doubtful" if row.doubtful and field == "glosses" else None
            cells.append(styled(value, fill, **({"number_format": "0%"} if field == "certainty" else {})))
        sheet.append(cells)
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(headers))}{len(rows) + 1}"
    workbook.save(path)
    _without_clock(path)


def _without_clock(path: Path) -> None:
    """Rewrite a workbook without the time at which it was saved."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    core = "docProps/core.xml"
    parts[core] = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rf"\g<1>{_EPOCH.isoformat()}Z".encode(), parts[core])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)


def _write_eaf(path: Path, rows: Sequence[Reviewed], alternatives: int) -> None:
    eaf = new_document()
    answer_tiers = [f"alternative-{number}" for number in range(1, alternatives + 1)]
    for name in (*TIERS[:2], *answer_tiers, *TIERS[2:], "certainty"):
        eaf.add_tier(name)
    for row, (start, end) in zip(rows, _times(rows), strict=True):
        _, text, glosses, *_ = _cells(row, alternatives)
        values = {"sentence": text, "glosses": glosses, "certainty": f"{row.certainty:.4f}"}
        values |= dict(zip(answer_tiers, map(gloss_cell, row.alternatives), strict=False))
        values |= dict.fromkeys(_FILLED_IN, "")
        for name, value in values.items():
            eaf.add_annotation(name, start, end, value)
    path.write_text(text_of(eaf), "utf-8")


def _times(rows: Sequence[Reviewed]) -> list[tuple[int, int]]:
    """Return the times of the sentences in milliseconds: their own, or ten seconds each."""
    own = [(round(1000 * row.times[0]), round(1000 * row.times[1])) for row in rows if row.times]
    ordered = sorted(own)
    clear = all(0 <= start < end for start, end in own) and all(one[1] <= other[0] for one, other in pairwise(ordered))
    if len(own) == len(rows) and clear:
        return own
    step = round(1000 * _SECONDS)
    return [(step * place, step * (place + 1)) for place in range(len(rows))]
