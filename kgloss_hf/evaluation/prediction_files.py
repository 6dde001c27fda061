"""Read the gloss sequences of systems and references from files, and check that the files belong together."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from ..data.cells import GlossCells
from ..data.columns import COLUMNS, find_columns
from ..data.lexicon import LEXICON_COLUMNS
from ..data.lines import is_text, read_lines
from ..data.review import Sheet, eaf_rows, review_columns, review_tiers
from ..data.sign_corpora import is_corpus, read_corpus
from ..data.tables import read_rows
from ..reporting import counted
from ..runtime.glosses import PLACEHOLDERS
from ..runtime.normalization import normalize_line
from .alignment import Spans
from .sequences import GlossLists, GlossReferences, as_signed, gloss_list

logger = logging.getLogger(__name__)

_MARKED = re.compile(rf"(?<!\S)({'|'.join(PLACEHOLDERS)})\?(?!\S)")
"""A placeholder without a source, as `kgloss translate` marks it in text."""

_LINES = "lines"
_SCORED = re.compile(r"-?(\d+\.\d{4}|inf|nan)\t")
"""Start of a line of `kgloss translate --n_best N`, whose text format has an empty line after a sentence's N lines."""

_GLOSS_COLUMNS = {
    "prediction": ("prediction", "predictions", "예측", "예측 글로스", "예측글로스"),
    "reference": ("reference", "references", "정답", "정답 글로스", "정답글로스", "참조"),
    "glosses": COLUMNS["glosses"],
}
_WANTED = _GLOSS_COLUMNS | {"sentence": COLUMNS["text"]}
_SENTENCE_COLUMNS = ("sentence", "written", "alignment", "spans")
_LEXICON = {
    "gloss": ("gloss", *COLUMNS["glosses"]),
    **{name: LEXICON_COLUMNS[name] for name in ("type", "synonyms", "group")},
}
_DELIMITERS = {",": ".csv", "\t": ".tsv", ";": ".csv", "|": ".csv"}
"""Separators of names in a header, and the kind of table that each stands for."""


class Review(NamedTuple):
    """Reviewers of the rows of a sheet, and counts of rows: corrected, approved, rejected and not reviewed."""

    reviewers: list[str]
    counts: Counter[str]


class SystemFiles(NamedTuple):
    """Contents of the files that `read_systems` reads.

    `references` holds lists of references if some row has several. `sentences` is None if no file has any.
    `alignments` is filled for each system whose file has them, if the references have `spans`: it holds the span of
    each gloss of each row, or None for a row whose sentence is written differently in the references. `review`
    describes a system's file that is a review sheet.
    """

    systems: dict[str, GlossLists]
    references: GlossLists | GlossReferences
    sentences: list[str] | None
    alignments: dict[str, list[Spans | None]]
    spans: list[Spans]
    review: Review | None = None


class Lexicon(NamedTuple):
    """Type of each gloss, and the glosses that count as equal to it; each is empty if the table lacks the column."""

    types: dict[str, str]
    synonyms: dict[str, list[str]]


def read_systems(
    predictions: str,
    *,
    references: str | None = None,
    baseline: str | None = None,
    gloss_separator: str | None = None,
    encoding: str = "utf-8",
) -> SystemFiles:
    """Read the predictions of one or two systems and the references, each from a table or a text file.

    Args:
        predictions: File of the system, as for `kgloss_hf.evaluation.scores.evaluate_files`.
        references: File of the references (default: those in `predictions`).
        baseline: File of a second system's predictions for the same sentences (default: none).
        gloss_separator: As for `kgloss_hf.evaluation.scores.evaluate_files`.
        encoding: As for `kgloss_hf.evaluation.scores.evaluate_files`.

    Returns:
        The gloss sequences of `system`, and of `baseline` if given; those of the references; the sentences and spans of
        glosses, if the files have them.

    Raises:
        FileNotFoundError: A file is missing.
        TypeError: A row holds something other than glosses.
        ValueError: A file cannot be read, or the files have other sentences, references or columns than expected.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "predictions.jsonl")
        ...     _ = file.write_text('{"reference": ["집", "불"], "prediction": "집"}', "utf-8")
        ...     read_systems(str(file))[:2]
        ({'system': [['집']]}, [['집', '불']])
    """
    files = {path: _read(path, gloss_separator, encoding) for path in (predictions, references, baseline) if path}
    if not references and _LINES in files[predictions]:
        raise ValueError(
            f"{predictions}: expected references too, found a text file; name their file with --references"
        )
    _check_same_sentences(files)
    if not references and "reference" not in files[predictions] and "glosses" in files[predictions]:
        raise ValueError(
            f"{predictions}: expected references too, found only glosses; name their file with --references"
        )
    gold = references or predictions
    wanted = _column(files, gold, "reference")
    for path, columns in files.items():
        if _compared(columns.get("reference", wanted)) != _compared(wanted):
            raise ValueError(f"{path}: expected the references of {gold}, found others; score the same sentences")
    paths = {"system": predictions} | ({"baseline": baseline} if baseline else {})
    systems = {name: GlossLists(_column(files, path, "prediction")) for name, path in paths.items()}
    sentences = next((columns["sentence"] for columns in files.values() if "sentence" in columns), None)
    review = next(iter(files[predictions].get("review", ())), None)
    aligned = {name: path for name, path in paths.items() if "alignment" in files[path]}
    if isinstance(wanted, GlossReferences) or "spans" not in files[gold] or not aligned:
        return SystemFiles(systems, _known(wanted), sentences, {}, [], review)
    alignments = {name: _alignment(path, files[path], systems[name], files[gold]) for name, path in aligned.items()}
    spans = [
        _checked_spans(row, glosses, f"{gold}, sentence {number}, spans")
        for number, (row, glosses) in enumerate(zip(files[gold]["spans"], wanted, strict=True), 1)
    ]
    return SystemFiles(systems, _known(wanted), sentences, alignments, spans, review)


def read_lexicon(path: str, encoding: str = "utf-8") -> Lexicon:
    """Read the type and the synonyms of each gloss from a table with `gloss`, `type`, `synonyms` and `group`.

    Args:
        path: File for `kgloss_hf.data.tables.read_rows`. Headers can be Korean (글로스, 유형, 동의어, 같은 수어). One
            of `type`, `synonyms` and `group` is enough. A cell of `synonyms` holds glosses in any form that
            `kgloss_hf.runtime.glosses.split_glosses` reads, or none. Glosses with the same `group` are synonyms, so
            that a table for `kgloss_hf.load_lexicon` serves both purposes.
        encoding: Encoding of a text file, such as `cp949` (default `utf-8`).

    Returns:
        Types and synonyms by gloss.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: The file cannot be read, a row is incomplete, a gloss has two types, or there are no rows.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "types.csv")
        ...     _ = file.write_text("gloss,type,synonyms\\n집,sign_word,가옥 주택\\n", "utf-8")
        ...     read_lexicon(str(file))
        Lexicon(types={'집': 'sign_word'}, synonyms={'집': ['가옥', '주택']})
    """
    lexicon = Lexicon({}, {})
    rows = read_rows(_existing(path), encoding=encoding)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{path}: expected rows with columns gloss and type, found none; add them")
    columns = _lexicon_columns(path, first)
    cells = GlossCells(path)
    groups: dict[str, list[str]] = {}
    for number, row in cells.sampled(chain([first], rows), columns.get("synonyms", "synonyms")):
        where = f"{path}, row {number}"
        if not isinstance(row, dict) or not row.keys() >= {*columns.values()}:
            columns = _lexicon_columns(path, (number, row))
        gloss, kind, equal, group = (row[columns[name]] if name in columns else None for name in _LEXICON)
        synonyms = [] if equal is None else gloss_list(equal, f"{where}, synonyms", cells.split)
        untyped = kind in (None, "") and ("type" not in columns or "group" in columns or bool(synonyms))
        if not (isinstance(gloss, str) and gloss and (untyped or (isinstance(kind, str) and kind))):
            raise ValueError(f"{where}: expected a gloss and its type, found {row!r:.90}; complete it")
        if kind and (first_type := lexicon.types.setdefault(gloss, kind)) != kind:
            raise ValueError(f"{where}: expected one type of {gloss!r}, found {first_type} and {kind}; remove one")
        if synonyms:
            lexicon.synonyms.setdefault(gloss, []).extend(synonyms)
        if group not in (None, "") and group == group:  # NaN, as of pandas
            groups.setdefault(str(group), []).append(gloss)
    for first_gloss, *equals in groups.values():
        if equals:
            lexicon.synonyms.setdefault(first_gloss, []).extend(equals)
    cells.warn()
    return lexicon


def _lexicon_columns(path: str, numbered: tuple[int, Any]) -> dict[str, str]:
    number, row = numbered
    columns = find_columns(row, path, wanted=_LEXICON, needed=()) if isinstance(row, dict) else {}
    if "gloss" not in columns or len(columns) < 2:
        raise ValueError(
            f"{path}, row {number}: expected columns gloss and type, found {row!r:.90}; add the header (columns "
            "synonyms and group may accompany type or replace it)"
        )
    return columns


def _read(path: str, gloss_separator: str | None, encoding: str) -> dict[str, list[Any]]:
    """Return a table's columns of glosses and sentences; the gloss sequences of a text file are under `_LINES`."""
    if "," in path and not Path(path).exists():
        return _columns_of_sheets(path, [_read(part, gloss_separator, encoding) for part in path.split(",")])
    if tiers := review_tiers(Path(path)):
        return _columns_of(path, eaf_rows(Path(path), tiers), gloss_separator)
    if Path(path).exists() and is_corpus(Path(path)):
        return _columns_of(path, read_corpus(Path(path)), gloss_separator)
    file = _existing(path)
    suffix = Path(path.lower().removesuffix(".gz")).suffix
    if suffix in (".jsonl", ".json", ".parquet", ".xlsx"):
        return _columns_of(path, read_rows(file, suffix=suffix, encoding=encoding), gloss_separator)
    head = next(read_lines(file, encoding=encoding), "").rstrip("\r\n")
    for delimiter, kind in _DELIMITERS.items():
        names = [name.strip().strip('"') for name in head.split(delimiter)]
        if find_columns(names, path, wanted=_GLOSS_COLUMNS, needed=()) and (len(names) > 1 or suffix == kind):
            return _columns_of(path, read_rows(file, suffix=kind, encoding=encoding), gloss_separator)
    if suffix in (".csv", ".tsv") and not _SCORED.match(head) and ("," if suffix == ".csv" else "\t") in head:
        raise ValueError(
            f"{path}: expected a header with {', '.join(sorted(_GLOSS_COLUMNS))}, found {head!r:.60}; add it, or write "
            "one gloss sequence per line into a .txt file"
        )
    return {_LINES: _sequences_of(path, gloss_separator, encoding)}


def _sequences_of(path: str, gloss_separator: str | None, encoding: str) -> list[list[str]]:
    """Return the gloss sequences of a text file; of several answers to a sentence, only the first."""
    lines = [line.rstrip("\r\n") for line in read_lines(Path(path), encoding=encoding)]
    lines = [_MARKED.sub(r"\1", line) for line in lines]
    filled = [line for line in lines if line.strip()]
    if filled and all(map(_SCORED.match, filled)):
        lines = [_SCORED.sub("", line) for line, before in zip(lines, ["", *lines], strict=False) if not before]
    for number, line in enumerate(lines, 1):
        if "\t" in line.strip():
            raise ValueError(
                f"{path}, line {number}: expected glosses with spaces between them, found a tab; remove it"
            )
    cells = GlossCells(path, gloss_separator)
    rows = cells.sampled(enumerate(({_LINES: line} for line in lines), 1), _LINES)
    sequences = [gloss_list(row[_LINES], f"{path}, line {number}", cells.split) for number, row in rows]
    cells.warn()
    return sequences


def _columns_of(path: str, rows: Iterable[tuple[int | str, Any]], gloss_separator: str | None) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in (*sorted(_GLOSS_COLUMNS), *_SENTENCE_COLUMNS)}
    fields_of: dict[tuple[Any, ...], dict[str, str]] = {}
    numbered = iter(rows)
    if (first := next(numbered, None)) is not None:
        numbered = chain([first], numbered)
    if first and isinstance(first[1], dict) and (review := review_columns(first[1], path)):
        return _columns_of_sheet(path, numbered, _fields_of(path, first[1]) | review, gloss_separator)
    cells = {name: GlossCells(path, gloss_separator) for name in sorted(_GLOSS_COLUMNS)}
    fields = _fields_of(path, first[1]) if first and isinstance(first[1], dict) else {}
    for name in _GLOSS_COLUMNS:
        numbered = cells[name].sampled(numbered, fields.get(name, name))
    count = 0
    for number, row in numbered:
        where = number if isinstance(number, str) else f"{path}, row {number}"
        if not isinstance(row, dict):
            raise ValueError(f"{where}: expected a JSON object, found {type(row).__name__}; write one row per line")
        if "candidates" in row and "glosses" not in row:  # the answers of `kgloss translate --n_best`, the best first
            candidates = row["candidates"][:1] if isinstance(row["candidates"], list) else []
            best = candidates[0] if candidates and isinstance(candidates[0], dict) else {}
            row |= {"glosses": best.get("glosses") if best else [], "alignment": best.get("alignment")}
        if str(row.get("rank", "1")) != "1" and "log_prob" in row:
            continue
        count += 1
        if (names := tuple(row)) not in fields_of:
            fields_of[names] = _fields_of(path, row)
        fields = fields_of[names]
        if isinstance(text := row.get(fields.get("sentence", "")), str):
            columns["sentence"].append(_sentence(text))
            columns["written"].append(text)
        for name in ("alignment", "spans"):
            if isinstance(row.get(name), list):
                columns[name].append(row[name])
        for name in sorted(_GLOSS_COLUMNS & fields.keys()):
            cell, named = row[fields[name]], f"{where}, {fields[name]}"
            several = name == "reference" and isinstance(cell, list) and any(isinstance(item, list) for item in cell)
            lists = [_listed(item, named) for item in cell] if several else [gloss_list(cell, named, cells[name].split)]
            if not is_text("".join(chain.from_iterable(lists))):
                raise ValueError(f"{named}: expected text, found half a character; correct it")
            columns[name].append(lists if name == "reference" else lists[0])
    for name, sequences in columns.items():
        if name in _GLOSS_COLUMNS and len(sequences) not in (0, count):
            raise ValueError(
                f"{path}: expected {name!r} in all {count} rows, found it in {len(sequences)}; complete the column"
            )
    for column in cells.values():
        column.warn()
    if all(len(lists) == 1 for lists in columns["reference"]):
        columns["reference"] = [lists[0] for lists in columns["reference"]]
    else:
        columns["reference"] = GlossReferences(columns["reference"])
    return {name: column for name, column in columns.items() if len(column) == count > 0}


def _columns_of_sheet(
    path: str, rows: Iterable[tuple[int | str, Any]], fields: Mapping[str, str], gloss_separator: str | None
) -> dict[str, list[Any]]:
    """Return the glosses that a review sheet shows as predictions, and those that reviewers made of them as references.

    Args:
        path: File of the sheet.
        rows: Rows of the sheet.
        fields: Columns of the sheet.
        gloss_separator: As for `kgloss_hf.evaluation.scores.evaluate_files`.
    """
    if not {"sentence", "glosses"} <= fields.keys():
        raise ValueError(
            f"{path}: expected the columns text and glosses besides {fields['correction']!r}, found no "
            f"{' and no '.join(sorted({'sentence', 'glosses'} - fields.keys()))}; name them as kgloss review does"
        )
    sheet = Sheet(path, {**fields, "text": fields["sentence"]}, gloss_separator)
    columns: dict[str, list[Any]] = {name: [] for name in ("prediction", "reference", "sentence")}
    reviewers = []
    for number, row in sheet.reviewed(sheet.sampled(rows, fields["glosses"])):
        where = number if isinstance(number, str) else f"{path}, row {number}"
        if not isinstance(row, dict) or None in row:
            raise ValueError(f"{where}: expected a cell per column, found {row!r:.90}; correct it")
        try:
            column = sheet.column(row)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        for name, cell in (("prediction", row[fields["glosses"]]), ("reference", row[column])):
            glosses = gloss_list("" if cell is None else cell, f"{where}, {name}", sheet.split)
            if not is_text("".join(glosses)):
                raise ValueError(f"{where}, {name}: expected text, found half a character; correct it")
            columns[name].append(glosses)
        columns["sentence"].append(normalize_line(str(row[fields["sentence"]] or "")))
        reviewers.append(row["reviewer"])
    sheet.warn()
    if not reviewers:
        raise ValueError(f"{path}: expected rows that were corrected or approved, found only rejected ones")
    return columns | {"review": [Review(reviewers, sheet.counts)]}


def _columns_of_sheets(path: str, sheets: Sequence[Mapping[str, list[Any]]]) -> dict[str, list[Any]]:
    if not all("review" in sheet for sheet in sheets):
        raise ValueError(
            f"{path}: expected one file, or several review sheets, found several files that are not all review sheets; "
            "name one file"
        )
    reviews = [sheet["review"][0] for sheet in sheets]
    reviewers = [name for review in reviews for name in review.reviewers]
    counts = sum((review.counts for review in reviews), Counter[str]())
    columns = {name: [*chain.from_iterable(sheet[name] for sheet in sheets)] for name in sheets[0] if name != "review"}
    return columns | {"review": [Review(reviewers, counts)]}


def _fields_of(path: str, row: Mapping[Any, Any]) -> dict[str, str]:
    return find_columns(row, path, wanted=_WANTED, needed=())


def _listed(reference: Any, where: str) -> list[str]:
    if not isinstance(reference, list):
        kind = type(reference).__name__
        raise TypeError(f"{where}: expected a list of glosses for each reference, found {kind}; write it as a list")
    return gloss_list(reference, where)


def _sentence(text: str) -> str:
    # `kgloss translate` writes what would steer a terminal as JSON escapes.
    plain = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
    return normalize_line(plain)


def _check_same_sentences(files: Mapping[str, Mapping[str, list[Any]]]) -> None:
    texts = [(path, columns["sentence"]) for path, columns in files.items() if "sentence" in columns]
    for path, other in texts[1:]:
        first, wanted = texts[0]
        for number, pair in enumerate(zip(wanted, other, strict=False), 1):
            if pair[0] != pair[1]:
                raise ValueError(
                    f"{path}: expected the sentences of {first}, found {pair[1]!r:.60} for {pair[0]!r:.60} as sentence "
                    f"{number}; score the same sentences in the same order"
                )


def _column(files: Mapping[str, Mapping[str, list[Any]]], path: str, name: str) -> list[list[str]]:
    columns = files[path]
    if _LINES in columns:
        return columns[_LINES]
    if name not in columns and "glosses" in columns:
        return columns["glosses"]
    if name not in columns:
        columns_found = " and ".join(column for column in columns if column in _GLOSS_COLUMNS) or "no rows with glosses"
        raise ValueError(f"{path}: expected rows with {name!r}, found {columns_found}; name the column {name!r}")
    return columns[name]


def _known(references: list[Any]) -> GlossLists | GlossReferences:
    return references if isinstance(references, GlossReferences) else GlossLists(references)


def _compared(references: list[Any]) -> list[list[list[str]]]:
    lists = references if isinstance(references, GlossReferences) else [[glosses] for glosses in references]
    return [as_signed(several) for several in lists]


def _alignment(
    path: str, columns: Mapping[str, list[Any]], glosses: list[list[str]], gold: Mapping[str, list[Any]]
) -> list[Spans | None]:
    """Return the spans of each row's glosses, or None where its sentence is written differently from the gold one.

    The sentences of both agree except for white space and forms of characters, which shift places.
    """
    alignment: list[Spans | None] = [
        _checked_spans(row, of, f"{path}, sentence {number}, alignment")
        for number, (row, of) in enumerate(zip(columns["alignment"], glosses, strict=True), 1)
    ]
    both = zip(columns.get("written", ()), gold.get("written", ()), strict=False)
    if differing := [row for row, (own, other) in enumerate(both) if own != other]:
        logger.warning(
            "%s: %s written differently in the references, so places of glosses are not compared there",
            path,
            counted(len(differing), "sentence is", "sentences are"),
        )
    for row in differing:
        alignment[row] = None
    return alignment


def _checked_spans(spans: list[Any], glosses: Sequence[str], where: str) -> Spans:
    checked: Spans = []
    for span in spans:
        if span is None:
            checked.append(None)
            continue
        if not (
            isinstance(span, list | tuple)
            and len(span) == 2
            and all(isinstance(place, int) and not isinstance(place, bool) for place in span)
            and 0 <= span[0] <= span[1]
        ):
            raise ValueError(f"{where}: expected a start and an end, or null, found {span!r:.60}; correct it")
        checked.append((span[0], span[1]))
    if len(checked) != len(glosses):
        raise ValueError(
            f"{where}: expected {counted(len(glosses), 'span')}, one per gloss, found {len(checked)}; correct it"
        )
    return checked


def _existing(path: str) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    return Path(path)
