"""Read, check and split sentence–gloss pairs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

from ..reporting import counted
from ..runtime.analyzers import Analyzer
from ..runtime.glosses import UNKNOWN_TYPE, placeholder_of, split_glosses
from ..runtime.normalization import normalize, normalize_line
from ..runtime.okt import analyze
from ..runtime.placeholders import mark_placeholders
from .arguments import ReadingArguments
from .cells import GlossCells, is_spreadsheet_error, separator_of
from .checks import BadRows
from .columns import find_columns
from .lines import is_text
from .review import Sheet, review_columns, warn_of_contradictions
from .rows import Table, is_files, place_of, tables_of
from .splitting import GROUP_FRACTIONS, ROW_FRACTIONS, keys_of_pair, part_of, split_rows, unlinked

_SAMPLE = 1_000
_Checked = TypeVar("_Checked")


class Pair(NamedTuple):
    """A Korean sentence and its glosses in signing order."""

    text: str
    glosses: tuple[str, ...]


class Row(NamedTuple):
    """A pair with the other content of its row.

    Args:
        where: File, or data set and split, and the row number shown to users, for messages.
        number: That number; for a row of a sign corpus, its location in words.
        part: `train`, `validation` or `test`, if the data set comes with a split; any other name as written.
        pair: The normalised pair.
        types: Types of the glosses, if the row has them.
        cells: The row as it was read, under the names of `kgloss_hf.data.columns.COLUMNS` and its remaining headers.
            For a review sheet (`kgloss_hf.data.review.Sheet`), `reviewer` names who reviewed it, and `review` is
            `corrected` or `approved`.
    """

    where: str
    number: int | str
    part: str | None
    pair: Pair
    types: list[str] | None
    cells: Mapping[str, Any]


class Split(NamedTuple):
    """Pairs for training, for choosing the checkpoint, and for the reported score.

    `dropped` counts extra training pairs left out because they share a sentence or a gloss string with a held-out pair.
    """

    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    dropped: int = 0


def load_pairs(dataset: str, *, config: str | None = None, data_dir: str | None = None, **reading: Any) -> list[Pair]:
    """Read all pairs of a data set in order; those of `mcksg` and `gksl` in the order of the files or of their sets.

    Sentences and glosses are normalised (`kgloss_hf.runtime.normalization`), with runs of white space collapsed.

    Args:
        dataset: As for `read_pairs`.
        config: As for `read_pairs`.
        data_dir: As for `read_pairs`.
        **reading: As for `read_pairs`.

    Raises:
        FileNotFoundError: As for `read_pairs`.
        ImportError: As for `read_pairs`.
        ValueError: As for `read_pairs`.
    """
    return [row.pair for row in read_pairs(dataset, config=config, data_dir=data_dir, **reading)]


def read_pairs(
    dataset: str, *, config: str | None = None, data_dir: str | None = None, **reading: Any
) -> Iterator[Row]:
    """Read a data set pair by pair, with only part of each file in memory at a time.

    The pairs of a review sheet (`kgloss_hf.data.review.Sheet`) are those that reviewers corrected or approved. If
    several sheets contain the same sentences, all pairs are kept, and sentences reviewed in different ways are counted.

    Args:
        dataset: Name of a data set, or files, as for `kgloss_hf.data.rows.tables_of`.
        config: As for `tables_of`.
        data_dir: As for `tables_of`.
        **reading: As for `tables_of`.

    Raises:
        FileNotFoundError: A file does not exist.
        ImportError: openpyxl, which reads XLSX, is not installed.
        ValueError: A column is missing, or a row has no text or no glosses; the message names file, row and column.
            Also raised if an option does not apply, such as `data_dir` to files.

    Examples:
        >>> row = next(read_pairs("mcksg"))
        >>> row.where, row.pair.glosses[:2], row.types[:2]
        ('dataset mcksg, split train, row 1', ('우리', '박물관'), ['sign_word', 'sign_word'])
    """
    versions: dict[str, set[str]] = {}
    for table in tables_of(dataset, config=config, data_dir=data_dir, **reading):
        yield from pairs_of(table, lambda row: row, versions)
    warn_of_contradictions(dataset, versions)


def pairs_of(
    table: Table, check: Callable[[Row], _Checked], versions: dict[str, set[str]] | None = None
) -> Iterator[_Checked]:
    """Yield the result of a check for each pair of a table; bad rows are an error, or skipped and counted.

    Args:
        table: The table. Its columns are found by name, and the separator of its glosses from its first 1,000 rows.
        check: Function of a row, which raises a ValueError for a row that is bad for other reasons.
        versions: As for `kgloss_hf.data.review.Sheet`.

    Raises:
        ValueError: The table has no rows, lacks a column, holds a bad row, or is a review sheet without any review.

    Examples:
        >>> rows = [(2, {"문장": "집에 불이 났어요.", "글로스": "집|불"})]
        >>> [row.pair.glosses for row in pairs_of(Table("pairs.csv", None, rows, ReadingArguments()), lambda row: row)]
        [('집', '불')]
    """
    reading, rows = table.reading, iter(table.rows)
    if reading.sense != ReadingArguments.sense:
        raise ValueError(
            f"{table.origin}: expected a sign corpus for --sense {reading.sense}, found a table; leave the option out"
        )
    head = list(islice(rows, _SAMPLE))
    keys = dict.fromkeys(key for _, row in head if isinstance(row, Mapping) for key in row)
    if not head:
        raise ValueError(f"{table.origin}: expected a sentence and its glosses in each row, found no rows; add some")
    if not keys:
        raise ValueError(f"{place_of(table, head[0][0])}: expected an object, found {head[0][1]!r:.60}")
    chosen = {"text": reading.text_column, "glosses": reading.gloss_column}
    columns = find_columns(keys, table.origin, given=chosen)
    review = review_columns(keys, table.origin, columns.values())
    sheet = Sheet(table.origin, columns | review, reading.gloss_separator, versions) if review else None
    cells = sheet or GlossCells(table.origin, reading.gloss_separator)
    numbered = cells.sampled(chain(head, rows), columns["glosses"])
    if sheet:
        numbered = sheet.reviewed(numbered)
    bad = BadRows(table.origin, reading.on_bad_rows)
    renamed = {field: column for field, column in columns.items() if field != column}

    def checked(number: int | str, row: Any) -> _Checked:
        if not isinstance(row, Mapping):
            raise ValueError(f"expected an object, found {row!r:.60}")
        named = {**row, **{field: row.get(column) for field, column in renamed.items()}} if renamed else row
        column = sheet.column(row) if sheet else columns["glosses"]
        pair = Pair(_sentence(named.get("text"), columns["text"]), _glosses(row.get(column), column, cells))
        part = part_of(named.get("split")) or named.get("split") if "split" in columns else table.part
        return check(Row(place_of(table, number), number, part, pair, _types(named, pair), named))

    yield from bad.checked(numbered, checked)
    bad.warn()
    cells.warn()


def _sentence(cell: Any, column: str) -> str:
    if isinstance(cell, str) and not is_text(cell):
        raise ValueError(f"expected text in column {column!r}, found half a character in {cell!r:.60}; correct it")
    if not isinstance(cell, str) or is_spreadsheet_error(cell) or not (sentence := normalize_line(cell)):
        raise ValueError(f"expected a sentence in column {column!r}, found {cell!r:.60}; add it or remove the row")
    return sentence


def _glosses(cell: Any, column: str, cells: GlossCells | Sheet) -> tuple[str, ...]:
    where = f"expected glosses in column {column!r}"
    try:
        glosses = cells.split(cell)
    except ValueError as error:
        raise ValueError(f"column {column!r}: {error}") from error
    if not isinstance(glosses, list | tuple) or not glosses or any(map(is_spreadsheet_error, glosses)):
        raise ValueError(f"{where}, found {cell!r:.60}; add them or remove the row")
    if not all(isinstance(gloss, str) for gloss in glosses) or not "".join(glosses).isprintable():
        for gloss in glosses:
            if isinstance(gloss, str) and not is_text(gloss):
                raise ValueError(f"{where}, found half a character in {gloss!r:.60}; correct it")
            if not isinstance(gloss, str) or re.search(r"[\t\r\n]", gloss.strip()):
                raise ValueError(f"{where}, strings without tabs and line breaks, found {gloss!r:.60}; correct it")
    forms = tuple(map(normalize_line, glosses))
    if not all(forms):
        raise ValueError(f"{where}, found {cell!r:.60} with a blank gloss; correct it")
    return forms


def _types(cells: Mapping[str, Any], pair: Pair) -> list[str] | None:
    """Return the types of a row's glosses, given as a list or as a string written like glosses."""
    cell = cells.get("gloss_types")
    if cell is None or cell == "":
        return None
    types = split_glosses(cell, separator_of([cell])) if isinstance(cell, str) else cell
    named = isinstance(types, list) and all(isinstance(kind, str) for kind in types)
    if not named or len(types) != len(pair.glosses):
        glosses = counted(len(pair.glosses), "gloss", "glosses")
        raise ValueError(f"expected one type per gloss ({glosses}), found {cell!r:.60}; correct it")
    return types


def load_extra_pairs(dataset: str, extra: str | None, *, data_dir: str | None = None, **reading: Any) -> list[Pair]:
    """Read additional pairs, used for training only.

    Args:
        dataset: As for `read_pairs`.
        extra: Files, or a configuration of the data set; None for no pairs.
        data_dir: Folder of the data set; ignored for files.
        **reading: As for `read_pairs`.

    Examples:
        >>> load_extra_pairs("mcksg", None)
        []
    """
    if extra is None:
        return []
    if is_files(extra):
        return load_pairs(extra, **reading)
    return load_pairs(dataset, config=extra, data_dir=data_dir, **reading)


def gloss_types(rows: Iterable[Row]) -> dict[str, str]:
    """Return the type of each gloss whose type the rows give; the most frequent one if there are several.

    Args:
        rows: Rows from `read_pairs`.

    Examples:
        >>> gloss_types(read_pairs("mcksg"))["박물관"]
        'sign_word'
    """
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        counts.update(zip(map(placeholder_of, row.pair.glosses), row.types or (), strict=False))
    ordered = (pair for pair, _ in reversed(counts.most_common()))  # the most frequent comes last, and stays
    return {gloss: kind for gloss, kind in ordered if kind != UNKNOWN_TYPE}


def split_pairs(pairs: Sequence[Pair], extra: Sequence[Pair] = (), *, by: str = "group", seed: int = 0) -> Split:
    """Split pairs into 70% for training and 30% held out.

    Args:
        pairs: The corpus.
        extra: Additional pairs for training only, such as augmented ones.
        by: `group` keeps pairs with an equal sentence or an equal gloss string on one side, and holds out 10% for
            choosing the checkpoint and 20% for the score. `row` is the split of the paper: rows at random, 70:30,
            without a separate test set, so that the checkpoint is chosen on the pairs that are scored and a sentence
            with two versions leaks.
        seed: Seed of the shuffle (default 0).

    Returns:
        The three sets. With `group`, extra pairs that share a sentence or a gloss string with a held-out pair are
        dropped and counted.

    Raises:
        ValueError: `by` is unknown, or there are too few pairs to fill each set.

    Examples:
        >>> pairs = [Pair(f"문장 {i}", (f"글로스{i % 15}",)) for i in range(30)]
        >>> parts = split_pairs(pairs)
        >>> len(parts.train), len(parts.validation), len(parts.test)
        (20, 4, 6)
    """
    if by == "row":
        training, scored = split_rows(pairs, tuple(ROW_FRACTIONS.values()), by=by, seed=seed)
        held_out = [pairs[i] for i in scored]
        parts = Split([pairs[i] for i in training] + list(extra), held_out, held_out)
    else:
        keys = [keys_of_pair(*pair) for pair in pairs]
        rows = split_rows(keys, tuple(GROUP_FRACTIONS.values()), by=by, seed=seed)
        train, validation, test = ([pairs[i] for i in part] for part in rows)
        clean = without_leaks(extra, [*validation, *test])
        parts = Split(train + clean, validation, test, len(extra) - len(clean))
    if not all((parts.train, parts.validation, parts.test)):
        raise ValueError(
            "expected enough different pairs to split into training, validation and test sets, found too few or too "
            f"similar ones ({counted(len(pairs), 'pair')}); add pairs"
        )
    return parts


def without_leaks(extra: Sequence[Pair], held_out: Iterable[Pair]) -> list[Pair]:
    """Return the extra pairs that share neither a sentence nor a gloss string with a held-out pair.

    Args:
        extra: Pairs for training only.
        held_out: Pairs for choosing the checkpoint and for the score.

    Examples:
        >>> without_leaks([Pair("집", ("집",)), Pair("물", ("물",))], [Pair("집", ("불",))])
        [Pair(text='물', glosses=('물',))]
    """
    held = [keys_of_pair(*pair) for pair in held_out]
    return [extra[i] for i in unlinked([keys_of_pair(*pair) for pair in extra], held)]


def marked_glosses(pairs: Sequence[Pair], analyze: Analyzer = analyze) -> list[list[str]]:
    """Return the glosses of each pair, with those that are a number or Latin word of the sentence as placeholders.

    Args:
        pairs: Sentences and glosses.
        analyze: Analyser that finds numbers and Latin words (default: Okt).
    """
    analysed = analyze([normalize(pair.text) for pair in pairs])
    return [mark_placeholders(pair.glosses, morphemes) for pair, morphemes in zip(pairs, analysed, strict=True)]
