"""Read the gloss sequences of systems and references from files, and check that the files belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..data.tables import is_table, is_text, read_lines, read_rows
from ..runtime.normalization import normalize_line
from .sequences import GlossLists, as_signed, gloss_list

_LINES = "lines"
_SCORED = re.compile(r"-?(\d+\.\d{4}|inf|nan)\t")
"""Begins a line of `kgloss translate --n_best N`, whose format text has an empty line after the N of a sentence."""
_GLOSS_COLUMNS = {"prediction", "reference", "glosses"}


def read_systems(
    predictions: str, *, references: str | None = None, baseline: str | None = None
) -> tuple[dict[str, GlossLists], GlossLists]:
    """Read the predictions of one or two systems and the references, each from a table or a text file.

    Args:
        predictions: The system's file, as for `kgloss_hf.evaluation.scores.evaluate_files`.
        references: File with the references (default: those in `predictions`).
        baseline: File of a second system's predictions for the same sentences.

    Returns:
        The gloss sequences of `system`, and of `baseline` where there is one; and those of the references.

    Raises:
        FileNotFoundError: A file is missing.
        TypeError: A row holds something other than glosses.
        ValueError: A file cannot be read, or the files have other sentences, references or columns than expected.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "predictions.jsonl")
        ...     _ = file.write_text('{"reference": ["집", "불"], "prediction": "집"}', "utf-8")
        ...     read_systems(str(file))
        ({'system': [['집']]}, [['집', '불']])
    """
    files = {path: _read(path) for path in (predictions, references, baseline) if path}
    if not references and _LINES in files[predictions]:
        raise ValueError(
            f"{predictions}: expected references too, found a text file; name their file with --references"
        )
    _check_same_sentences(files)
    if not references and "reference" not in files[predictions] and "glosses" in files[predictions]:
        raise ValueError(
            f"{predictions}: expected references too, found only glosses; name their file with --references"
        )
    wanted = GlossLists(_column(files, references or predictions, "reference"))
    for path, columns in files.items():
        if as_signed(columns.get("reference", wanted)) != as_signed(wanted):
            other = references or predictions
            raise ValueError(f"{path}: expected the references of {other}, found others; score the same sentences")
    systems = {"system": GlossLists(_column(files, predictions, "prediction"))}
    if baseline:
        systems["baseline"] = GlossLists(_column(files, baseline, "prediction"))
    return systems, wanted


def read_types(path: str) -> dict[str, str]:
    """Read the type of each gloss from a table with columns `gloss` and `type`.

    Args:
        path: A file for `kgloss_hf.data.tables.read_rows`.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: The file cannot be read, a row is not complete, a gloss has two types, or there are no rows.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "types.csv")
        ...     _ = file.write_text("gloss,type\\n집,sign_word\\n", "utf-8")
        ...     read_types(str(file))
        {'집': 'sign_word'}
    """
    types: dict[str, str] = {}
    for number, row in read_rows(_existing(path)):
        where = f"{path}, row {number}"
        if not isinstance(row, dict) or not {"gloss", "type"} <= row.keys():
            raise ValueError(f"{where}: expected columns gloss and type, found {row!r:.90}; add the header")
        gloss, kind = row["gloss"], row["type"]
        if not (isinstance(gloss, str) and gloss and isinstance(kind, str) and kind):
            raise ValueError(f"{where}: expected a gloss and its type, found {row!r:.90}; complete it")
        if types.setdefault(gloss, kind) != kind:
            raise ValueError(f"{where}: {gloss!r} has a second type; keep one")
    if not types:
        raise ValueError(f"{path}: expected rows with columns gloss and type, found none; add them")
    return types


def _read(path: str) -> dict[str, list[Any]]:
    """Return a table's columns of glosses and sentences; the gloss sequences of a text file are under `_LINES`."""
    file = _existing(path)
    suffix = file.suffix.lower()
    if suffix in (".jsonl", ".json", ".parquet", ".xlsx"):
        return _columns_of(path, read_rows(file))
    head = next(read_lines(file), "").rstrip("\r\n")
    for kind, separator in ((".csv", ","), (".tsv", "\t")):
        names = [name.strip().strip('"') for name in head.split(separator)]
        if _GLOSS_COLUMNS & set(names) and (len(names) > 1 or suffix == kind):
            return _columns_of(path, read_rows(file, suffix=kind))
    if is_table(path) and not _SCORED.match(head) and ("," in head if suffix == ".csv" else "\t" in head):
        raise ValueError(
            f"{path}: expected a header with {', '.join(sorted(_GLOSS_COLUMNS))}, found {head!r:.60}; add it, or write "
            "one gloss sequence per line into a .txt file"
        )
    return {_LINES: _sequences_of(path)}


def _sequences_of(path: str) -> list[list[str]]:
    """Return the gloss sequences of a text file, of several answers to a sentence the first."""
    lines = [line.rstrip("\r\n") for line in read_lines(Path(path))]
    filled = [line for line in lines if line.strip()]
    if filled and all(map(_SCORED.match, filled)):
        lines = [_SCORED.sub("", line) for line, before in zip(lines, ["", *lines], strict=False) if not before]
    for number, line in enumerate(lines, 1):
        if "\t" in line.strip():
            raise ValueError(
                f"{path}, line {number}: expected glosses with spaces between them, found a tab; remove it"
            )
    return [gloss_list(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def _columns_of(path: str, rows: Iterable[tuple[int, Any]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in (*sorted(_GLOSS_COLUMNS), "text")}
    count = 0
    for number, row in rows:
        where = f"{path}, row {number}"
        if not isinstance(row, dict):
            raise ValueError(f"{where}: expected a JSON object, found {type(row).__name__}; write one row per line")
        if "candidates" in row and "glosses" not in row:  # the answers of `kgloss translate --n_best`, the best first
            best = row["candidates"][:1] if isinstance(row["candidates"], list) else []
            row |= {"glosses": best[0].get("glosses") if best and isinstance(best[0], dict) else []}
        if str(row.get("rank", "1")) != "1" and "log_prob" in row:
            continue
        count += 1
        if isinstance(row.get("text"), str):
            columns["text"].append(_sentence(row["text"]))
        for name in sorted(_GLOSS_COLUMNS & row.keys()):
            glosses = gloss_list(row[name], f"{where}, {name}")
            if not is_text("".join(glosses)):
                raise ValueError(f"{where}, {name}: expected text, found half a character; correct it")
            columns[name].append(glosses)
    for name, sequences in columns.items():
        if name != "text" and len(sequences) not in (0, count):
            raise ValueError(
                f"{path}: expected {name!r} in all {count} rows, found it in {len(sequences)}; complete it"
            )
    return {name: cells for name, cells in columns.items() if len(cells) == count > 0}


def _sentence(text: str) -> str:
    # `kgloss translate` writes what would steer a terminal as JSON escapes.
    plain = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
    return normalize_line(plain)


def _check_same_sentences(files: Mapping[str, Mapping[str, list[Any]]]) -> None:
    texts = [(path, columns["text"]) for path, columns in files.items() if "text" in columns]
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
        others = " and ".join(column for column in columns if column != "text") or "no rows with glosses"
        raise ValueError(f"{path}: expected rows with {name!r}, found {others}; name the column {name!r}")
    return columns[name]


def _existing(path: str) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    return Path(path)
