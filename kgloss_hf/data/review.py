"""Read reviewed sheets: glosses that were corrected, approved or rejected, and by whom."""

from __future__ import annotations

import json
import logging
import math
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ..reporting import counted
from ..runtime.glosses import PLACEHOLDERS, split_glosses
from ..runtime.normalization import normalize_line
from .cells import GlossCells, is_spreadsheet_error
from .corpus_files import members, read_text
from .elan import Annotation, Tier, read_eaf
from .signs import word

logger = logging.getLogger(__name__)

HEADERS = {
    "id": "번호 id",
    "text": "문장 text",
    "glosses": "글로스 glosses",
    "correction": "수정 correction",
    "reviewer": "검토자 reviewer",
    "comment": "의견 comment",
    "certainty": "확신 certainty",
    "unknown_words": "모르는 단어 unknown words",
}
"""Headers of a sheet by field. Numbered headers of alternatives stand between the last two."""

REVIEW_COLUMNS = {
    "correction": ("correction", HEADERS["correction"], "수정", "수정 글로스", "수정글로스"),
    "reviewer": ("reviewer", HEADERS["reviewer"], "검토자", "수정자"),
    "comment": ("comment", HEADERS["comment"], "의견"),
}
"""Header names of the columns for reviewers, like `kgloss_hf.data.columns.COLUMNS`; a sheet has at most one of each."""

TIERS = ("sentence", "glosses", "correction", "reviewer", "comment")
"""Tiers of a sheet for ELAN, by which it is recognised."""

BAR = "|"
"""Separator between the glosses in a cell of a sheet."""

REJECTIONS = ("-", "\N{EN DASH}", "\N{EM DASH}")
"""Corrections that reject a sentence, which then has no signs to learn from."""

_SAMPLE = 1_000
# Headers and tiers that only a review sheet has.
_OF_SHEETS = re.compile(
    rf"{HEADERS['certainty']}|{HEADERS['unknown_words']}|다른 답 \d+ alternative \d+|{HEADERS['correction']}\b.*"
)
_TIER_OF_SHEETS = re.compile(r"certainty|alternative-\d+|(?:correction|reviewer|수정).*")
_FORMULA = re.compile(r"'*[=+\-@]")
_ESCAPED = re.compile(r"'+[=+\-@]")
_WORD = re.compile(r"[가-힣ㄱ-ㅣ][\w()]*")


def gloss_cell(glosses: Sequence[str]) -> str:
    """Return the cell of a sheet for glosses: with bars, which no spreadsheet reads as a number, date or formula.

    Args:
        glosses: Glosses in signing order.

    Examples:
        >>> gloss_cell(["집", "V (불꽃무늬)"]), gloss_cell(["집"]), gloss_cell(["1-2"])
        ('집 | V (불꽃무늬)', '집', '| 1-2 |')
    """
    line = f" {BAR} ".join(glosses)
    bare = len(glosses) != 1 or _WORD.fullmatch(line)
    for cell in (line, f"{BAR} {line} {BAR}")[not bare or bool(_FORMULA.match(line)) :]:
        if not glosses or _split(cell) == list(glosses):
            return cell
    return json.dumps(list(glosses), ensure_ascii=False)


def _split(cell: str) -> list[str]:
    try:
        return split_glosses(cell, BAR if BAR in cell else None)
    except ValueError:
        return []


def escaped(text: str) -> str:
    """Return a text that no spreadsheet reads as a formula when it opens a CSV file, by prefixing an apostrophe.

    Args:
        text: Text to be shown in a cell.

    Examples:
        >>> escaped("=1+1"), escaped("집")
        ("'=1+1", '집')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(text: Any, origin: str = "") -> Any:
    """Undo `escaped`; a value other than a string is returned unchanged.

    Args:
        text: A cell of a sheet.
        origin: Name of the sheet; in XLSX and ELAN nothing is escaped (default: a CSV file).

    Examples:
        >>> unescaped("'=1+1"), unescaped("집"), unescaped("'=1+1", "sheet.xlsx")
        ('=1+1', '집', "'=1+1")
    """
    is_escaped = isinstance(text, str) and _ESCAPED.match(text) and not origin.lower().endswith((".xlsx", ".eaf"))
    return text[1:] if is_escaped else text


def review_columns(names: Iterable[Any], origin: str, taken: Collection[str] = ()) -> dict[str, str]:
    """Return the columns that reviewers fill in, by field; none for a table that is not a review sheet.

    A sheet is recognised by its column of corrections. If other columns show that it was a sheet, but none holds
    corrections, its glosses would be answers of a model that nobody has reviewed.

    Args:
        names: Headers of the table.
        origin: Name of the table, for messages.
        taken: Headers already used for other fields.

    Raises:
        ValueError: Several columns match, or a sheet has lost its column of corrections.

    Examples:
        >>> review_columns(["문장", "글로스", "수정 correction", "검토자"], "sheet.csv")
        {'correction': '수정 correction', 'reviewer': '검토자'}
        >>> review_columns(["문장", "글로스", "의견"], "pairs.csv")
        {}
    """
    free = {name: normalize_line(name).casefold() for name in names if isinstance(name, str)}
    columns: dict[str, str] = {}
    for field, known in REVIEW_COLUMNS.items():
        matches = [name for name, form in free.items() if form in known and name not in taken]
        if len(matches) > 1:
            raise ValueError(f"{origin}: expected one column of {field}, found {matches!s:.300}; rename all but one")
        if matches:
            columns[field] = matches[0]
        if "correction" not in columns:
            if own := [name for name, form in free.items() if _OF_SHEETS.fullmatch(form) and name not in taken]:
                raise ValueError(
                    f"{origin}: expected the column {HEADERS['correction']!r} of a review sheet, found only "
                    f"{', '.join(own):.200}; restore its name, or delete these columns to read the glosses shown"
                )
            return {}
    return columns


class Sheet:
    """Rows of a review sheet, counted by their verdicts.

    | correction | reviewer | verdict |
    |---|---|---|
    | glosses | named or not | `corrected`: the correction counts |
    | none | named | `approved`: the glosses shown count |
    | `-` | named or not | `rejected`: yields no glosses, like a row that is approved without glosses |
    | none | none | `not reviewed`: yields no glosses |

    Args:
        origin: Name of the table, for messages.
        columns: Headers by field: `text` and `glosses` of `kgloss_hf.data.columns`, and those of `review_columns`.
        separator: Separator between glosses in cells without bars (default: recognised). Bars always separate.
        versions: Dictionary that collects the glosses given to each sentence, so that contradictions between several
            sheets can be counted (default: one of this sheet alone).

    Examples:
        >>> rows = [{"text": "집", "glosses": "집", "correction": "", "reviewer": "김"},
        ...         {"text": "불", "glosses": "물", "correction": "불 나다", "reviewer": "김"}]
        >>> sheet = Sheet("sheet.csv", {name: name for name in rows[0]})
        >>> [(row["review"], sheet.split(row[sheet.column(row)])) for _, row in sheet.reviewed(enumerate(rows))]
        [('approved', ['집']), ('corrected', ['불', '나다'])]
        >>> sheet.counts["corrected"], sheet.counts["not reviewed"]
        (1, 0)
    """

    def __init__(
        self,
        origin: str,
        columns: Mapping[str, str],
        separator: str | None = None,
        versions: dict[str, set[str]] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._origin, self._columns = origin, columns
        self._cells = GlossCells(origin, None if separator == BAR else separator)
        self._versions = {} if versions is None else versions
        self._spaced, self._first = 0, ""

    def sampled(self, rows: Iterable[tuple[Any, Any]], column: str) -> Iterator[tuple[Any, Any]]:
        """Recognise the separator from the corrections without bars in the first rows, and return all rows unchanged.

        Args:
            rows: Numbered rows.
            column: As for `kgloss_hf.data.cells.GlossCells.sampled`.
        """
        rows = iter(rows)
        head = list(islice(rows, _SAMPLE))
        cells = [row.get(self._columns["correction"]) for _, row in head if isinstance(row, Mapping)]
        plain = [form for cell in cells if isinstance(cell, str) and BAR not in (form := normalize_line(cell))]
        self._cells.sampled(((0, {column: form}) for form in plain), column)
        return chain(head, rows)

    def reviewed(self, rows: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        """Yield the rows that were corrected or approved, with `review`, `reviewer` and `comment` added.

        Args:
            rows: Numbered rows; malformed ones are passed on unchanged.
        """
        for number, row in rows:
            if not isinstance(row, Mapping) or None in row:
                yield number, row
                continue
            if all(map(_is_blank, row.values())):
                self.counts["blank"] += 1
                continue
            shown, correction, reviewer, comment = (row.get(self._columns.get(name)) for name in TIERS[1:])
            verdict = _verdict(shown, correction, reviewer)
            self.counts[verdict] += 1
            if verdict == "not reviewed":
                continue
            text = unescaped(row.get(self._columns.get("text")), self._origin)
            if verdict != "rejected":
                if isinstance(text, str):
                    with suppress(ValueError):  # reported where the row is split
                        glosses = self._pieces(correction if verdict == "corrected" else shown)
                        self._versions.setdefault(normalize_line(text), set()).add(BAR.join(map(str, glosses)))
                added = {self._columns["text"]: text} if "text" in self._columns else {}
                added |= {"review": verdict, "reviewer": word(reviewer), "comment": word(comment)}
                yield number, {**row, **added}

    def column(self, row: Mapping[str, Any]) -> str:
        """Return the column whose glosses count in a row: that of the correction, or that of the glosses shown.

        Args:
            row: A row from `reviewed`.

        Raises:
            ValueError: A spreadsheet turned the glosses into a date, a number or an error, the cell has no letters or
                digits, or the glosses include a placeholder without content.
        """
        column = self._columns["correction" if row["review"] == "corrected" else "glosses"]
        cell = row[column]
        if not isinstance(cell, str | list) or is_spreadsheet_error(cell):
            raise ValueError(
                f"expected glosses in column {column!r}, found {cell!r:.60}, to which the spreadsheet converted them; "
                "format the cell as text and write them again"
            )
        if isinstance(cell, str) and not re.search(r"\w", cell):
            raise ValueError(
                f"expected glosses in column {column!r}, or - to reject the sentence, found {cell!r:.60}; correct it"
            )
        pieces = []
        with suppress(ValueError):  # reported by `split`
            pieces = [normalize_line(piece) for piece in self._pieces(cell) if isinstance(piece, str)]
        if empty := next((piece for piece in pieces if piece.rstrip("?/") in PLACEHOLDERS), None):
            raise ValueError(
                f"expected glosses in column {column!r}, found {empty!r}, for which the sentence has no content; write "
                "what is signed, such as Number/4C, or leave it out"
            )
        return column

    def split(self, cell: Any) -> Any:
        """Return the glosses of a cell; values other than strings are unchanged.

        Line breaks separate glosses. Cells with bars that also have white space inside a gloss are counted.

        Raises:
            ValueError: As for `kgloss_hf.runtime.glosses.split_glosses`.
        """
        if not isinstance(cell, str):
            return cell
        if BAR not in (form := normalize_line(cell)):
            return self._cells.split(form)
        glosses = self._pieces(cell)
        if any(len(_split(gloss)) > 1 for gloss in glosses):
            self._spaced, self._first = self._spaced + 1, self._first or cell
        return glosses

    def _pieces(self, cell: Any) -> list[Any]:
        if not isinstance(cell, str):
            return cell if isinstance(cell, list) else [cell]
        whole = normalize_line(cell)
        lines = list(filter(None, map(normalize_line, cell.splitlines())))
        if BAR not in whole or whole.startswith("["):
            lines = [whole]
        pieces = (split_glosses(line, BAR if BAR in line else self._cells.separator) for line in lines)
        return list(chain.from_iterable(pieces))

    def warn(self) -> None:
        """Log the number of rows per verdict, and of cells with bars and white space, in a line each.

        Raises:
            ValueError: No row was reviewed.
        """
        counts = self.counts
        if counts.keys() <= {"not reviewed", "blank"}:
            raise ValueError(
                f"{self._origin}: expected a review sheet with corrections, or with the reviewer of each correct row, "
                f"found none in {counted(counts['not reviewed'], 'row')}; have it reviewed first"
            )
        rows = [f"{counts[name]:,} {name}" for name in ("corrected", "approved")]
        left_out = [f"{counts[name]:,} {name}" for name in ("rejected", "not reviewed", "blank") if counts[name]]
        logger.warning(
            "%s: read as a review sheet, rows: %s%s",
            self._origin,
            ", ".join(rows),
            f"; left out: {', '.join(left_out)}" if left_out else "",
        )
        self._cells.warn()
        if self._spaced:
            logger.warning(
                "%s: %s white space inside a gloss, which counts as one; the first: %.60r. Write a bar between glosses",
                self._origin,
                counted(self._spaced, "cell with bars has", "cells with bars have"),
                self._first,
            )


def warn_of_contradictions(origin: str, versions: Mapping[str, set[str]]) -> None:
    """Warn of the number of sentences with different glosses by different reviewers, which all count as references.

    Args:
        origin: Names of the sheets, for the message.
        versions: As for `Sheet`.
    """
    if several := sum(len(glosses) > 1 for glosses in versions.values()):
        logger.warning(
            "%s: %s reviewed in different ways; all versions are kept",
            origin,
            counted(several, "sentence was", "sentences were"),
        )


def _verdict(shown: Any, correction: Any, reviewer: Any) -> str:
    if not _is_blank(correction):
        rejects = isinstance(correction, str) and normalize_line(unescaped(correction)) in REJECTIONS
        return "rejected" if rejects else "corrected"
    if _is_blank(reviewer):
        return "not reviewed"
    return "rejected" if _is_blank(shown) else "approved"


def _is_blank(cell: Any) -> bool:
    if isinstance(cell, str):
        return not normalize_line(cell)
    return cell is None or cell == [] or (isinstance(cell, float) and math.isnan(cell))


def is_review(tiers: Iterable[Tier]) -> bool:
    """Return whether the tiers of an ELAN document are those of a review sheet.

    Args:
        tiers: Tiers from `kgloss_hf.data.elan.read_eaf`.

    Examples:
        >>> is_review([Tier("sentence", "", [], True), Tier("RH", "", [], True)])
        False
    """
    return {normalize_line(tier.name).casefold() for tier in tiers} >= set(TIERS[:3])


def review_tiers(path: Path) -> list[Tier]:
    """Return the tiers of a review sheet for ELAN, or an empty list for any other file.

    Args:
        path: Any file.

    Raises:
        ValueError: The file is damaged, or a sheet whose tier of corrections is missing or not the only one.

    Examples:
        >>> review_tiers(Path("sheet.xlsx"))
        []
    """
    if path.suffix.lower() != ".eaf" or not path.is_file():
        return []
    document = next((read_text(member) for member in members(path)), "")
    if not re.search(rf"TIER_ID\s*=\s*.\s*(?:{_TIER_OF_SHEETS.pattern})", document, re.IGNORECASE):  # before parsing
        return []
    tiers = read_eaf(document)
    names = {normalize_line(tier.name).casefold() for tier in tiers}
    own = {name for name in names - set(TIERS) if _TIER_OF_SHEETS.fullmatch(name)}
    of_reviewers = {name for name in own if not re.match("certainty|alternative", name)}
    if names.issuperset(TIERS[:2]) and (of_reviewers if TIERS[2] in names else own):
        raise ValueError(
            f"{path}: expected a review sheet with one tier 'correction' and at most one 'reviewer', found the tiers "
            f"{', '.join(sorted(names)):.200}; rename the tier, and give each reviewer a copy of the file"
        )
    return tiers if is_review(tiers) else []


def eaf_rows(path: Path, tiers: Sequence[Tier]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the location of each sentence of a review sheet for ELAN, and its row.

    Several annotations of a tier in the time of a sentence are its glosses in order. If a corrected sentence has no
    reviewer, the participant of the tier of corrections counts as the reviewer.

    Args:
        path: The file, for messages.
        tiers: Tiers from `review_tiers`.

    Raises:
        ValueError: An annotation lies outside the times of all sentences.

    Examples:
        >>> sheet = [Tier(name, "김", [Annotation("집", 0, 1)], True) for name in TIERS[:3]]
        >>> [row["reviewer"] for _, row in eaf_rows(Path("sheet.eaf"), [*sheet, Tier("reviewer", "", [], True)])]
        ['김']
    """
    named = {normalize_line(tier.name).casefold(): tier for tier in tiers}
    sentences = [one for one in named["sentence"].annotations if one.value]
    starts = [sentence.start for sentence in sentences]
    cells = {name: _by_sentence(named[name].annotations, sentences, starts) for name in TIERS[1:] if name in named}
    for name, by_sentence in cells.items():
        if outside := by_sentence.pop(-1, []):
            raise ValueError(
                f"{path}, tier {name}: expected annotations in the time of a sentence, found {outside[0]!r:.60} "
                "outside all sentences; move it"
            )
    for place, sentence in enumerate(sentences):
        row = {
            name: ("\n" if name in TIERS[1:3] else f" {BAR} ").join(by_sentence.get(place, ()))
            for name, by_sentence in cells.items()
        }
        if row["correction"] and not row.get("reviewer"):
            row["reviewer"] = named["correction"].participant
        yield f"{path}, sentence {place + 1}", {"id": f"{path.stem}-{place + 1}", "text": sentence.value, **row}


def _by_sentence(
    annotations: Iterable[Annotation], sentences: Sequence[Annotation], starts: Sequence[float]
) -> dict[int, list[str]]:
    """Return the values of the annotations in the time of each sentence, and under -1 those outside all sentences."""
    by_sentence = defaultdict(list)
    for annotation in annotations:
        if annotation.value:
            place = bisect_right(starts, annotation.middle) - 1
            inside = place >= 0 and annotation.middle <= sentences[place].end
            by_sentence[place if inside else -1].append(annotation.value)
    return by_sentence
