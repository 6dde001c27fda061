"""Read, check and split sentence–gloss pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from datasets import ClassLabel, load_dataset, load_dataset_builder

from ..runtime.analyzers import Analyzer
from ..runtime.glosses import UNKNOWN_TYPE, placeholder_of, split_glosses
from ..runtime.normalization import normalize, normalize_line
from ..runtime.okt import analyze
from ..runtime.placeholders import mark_placeholders
from .checks import check_columns
from .splitting import GROUP_FRACTIONS, ROW_FRACTIONS, keys_of_pair, split_rows, unlinked
from .tables import existing_file, is_table, is_text, read_rows


class Pair(NamedTuple):
    """A Korean sentence and its glosses in signing order."""

    text: str
    glosses: tuple[str, ...]


class Split(NamedTuple):
    """Pairs for training, for choosing the checkpoint, and for the reported score.

    `dropped` counts extra training pairs left out because they share a sentence or a gloss string with a held-out one.
    """

    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    dropped: int = 0


def load_pairs(
    dataset: str,
    *,
    config: str | None = None,
    data_dir: str | None = None,
    text_column: str = "text",
    gloss_column: str = "glosses",
) -> list[Pair]:
    """Read all pairs of a data set, in order: of `mcksg` and `gksl` in that of the files, not of their splits.

    Sentences and glosses are normalised (`kgloss_hf.runtime.normalization`), with each white space as one space.

    Args:
        dataset: `mcksg`, `gksl`, a Hub dataset id, or files (CSV, TSV, JSON Lines, Parquet, XLSX) separated by commas.
        config: Configuration of the data set, such as `augmented` of gksl (default: its own default).
        data_dir: Folder with the user's own copy, for datasets that are not shipped.
        text_column: Column with the Korean sentence.
        gloss_column: Column with the glosses: a list, or a string for `kgloss_hf.runtime.glosses.split_glosses`.

    Raises:
        FileNotFoundError: A file is not there.
        ImportError: openpyxl, which reads XLSX, is not installed.
        ValueError: A column is missing, or a row has no text or no glosses; names file, row and column. Or files are
            given a configuration or `data_dir`.
    """
    if names := _files(dataset, config, data_dir):
        return [pair for name in names for pair in _read_file(name, text_column, gloss_column)]
    return [
        pair
        for name, rows in load_unsplit(dataset, config, data_dir).items()
        for pair in _pairs_of(enumerate(rows, 1), f"dataset {dataset}, split {name}", text_column, gloss_column)
    ]


def load_extra_pairs(dataset: str, extra: str | None, **source: Any) -> list[Pair]:
    """Read pairs for training only.

    Args:
        dataset: As for `load_pairs`.
        extra: Files, or a configuration of the data set; None for no pairs.
        **source: Other arguments of `load_pairs`; `data_dir` is that of the data set, and does not concern files.

    Example:
        >>> load_extra_pairs("mcksg", None)
        []
    """
    if extra is None:
        return []
    files = any(map(is_table, extra.split(",")))
    return load_pairs(extra, **source | {"data_dir": None}) if files else load_pairs(dataset, config=extra, **source)


def load_unsplit(dataset: str, config: str | None = None, data_dir: str | None = None, streaming: bool = False) -> Any:
    """Load the splits of a data set by name: of ours all rows in file order as `train`, of any other its own.

    Args:
        dataset: Name of the data set.
        config: Its configuration (default: its own default).
        data_dir: Folder with the user's own copy.
        streaming: As of `datasets.load_dataset`.

    Example:
        >>> list(load_unsplit("mcksg", "sample", streaming=True))
        ['train']
    """
    options = load_dataset_builder(dataset, config, data_dir=data_dir).config
    unsplit = {"split_by": "none"} if hasattr(options, "split_by") else {}
    return load_dataset(dataset, config, data_dir=data_dir, streaming=streaming, **unsplit)


def typed_rows(dataset: str, data_dir: str | None = None, config: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield where each row stands, and the row, in the order of `load_pairs`; types by their names.

    Only a part of the rows is in memory.

    Args:
        dataset: As for `load_pairs`.
        data_dir: As for `load_pairs`.
        config: Configuration of the data set (default: its own).

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file cannot be read, or files are given a configuration or `data_dir`.

    Example:
        >>> where, row = next(typed_rows("mcksg", config="sample"))
        >>> where, row["gloss_types"][:2]
        ('dataset mcksg, split train, row 1', ['sign_word', 'sign_word'])
    """
    if names := _files(dataset, config, data_dir):
        for name in names:
            yield from ((f"{name}, row {number}", row) for number, row in read_rows(existing_file(name)))
        return
    for split, rows in load_unsplit(dataset, config, data_dir, streaming=True).items():
        kind = getattr((rows.features or {}).get("gloss_types"), "feature", None)
        for number, row in enumerate(rows, 1):
            if isinstance(kind, ClassLabel):
                row["gloss_types"] = kind.int2str(row["gloss_types"])
            yield f"dataset {dataset}, split {split}, row {number}", row


def types_of(row: Any) -> list[str] | None:
    """The types of a row's glosses, from its column `gloss_types`: a list, or a string as glosses are written.

    Args:
        row: Of `typed_rows`.

    Example:
        >>> types_of({"gloss_types": "sign_word iconic"}), types_of({})
        (['sign_word', 'iconic'], None)
    """
    cell = row.get("gloss_types") if isinstance(row, dict) else None
    return split_glosses(cell) if isinstance(cell, str) else cell or None


def load_gloss_types(dataset: str, *, data_dir: str | None = None, gloss_column: str = "glosses") -> dict[str, str]:
    """The type of each gloss whose type the data set tells; the most frequent where it has several.

    Args:
        dataset: As for `load_pairs`.
        data_dir: As for `load_pairs`.
        gloss_column: Column with the glosses.

    Raises:
        ValueError: A row has more or fewer types than glosses, or types that are no strings; names file and row. Or
            files are given `data_dir`.

    Example:
        >>> load_gloss_types("mcksg")["박물관"]
        'sign_word'
    """
    counts: Counter[tuple[str, str]] = Counter()
    for where, row in typed_rows(dataset, data_dir):
        if types := types_of(row):
            cell = row[gloss_column]
            glosses = split_glosses(cell) if isinstance(cell, str) else cell
            named = isinstance(types, list) and all(isinstance(kind, str) for kind in types)
            if not named or len(glosses) != len(types):
                raise ValueError(f"{where}: expected a type for each of {len(glosses)} glosses, found {types!r:.60}")
            counts.update(zip((placeholder_of(normalize_line(gloss)) for gloss in glosses), types, strict=True))
    ordered = (pair for pair, _ in reversed(counts.most_common()))  # the most frequent comes last, and stays
    return {gloss: kind for gloss, kind in ordered if kind != UNKNOWN_TYPE}


def _files(dataset: str, config: str | None, data_dir: str | None) -> list[str]:
    """Return the names of files, or none where `dataset` is the name of a data set."""
    names = dataset.split(",")
    if not any(map(is_table, names)):
        return []
    if config is not None:
        raise ValueError(f"{dataset}: files have no configurations, found {config!r}; leave it out")
    if data_dir is not None:
        raise ValueError(f"{dataset}: files have no data_dir, found {data_dir!r}; leave it out")
    return names


def _read_file(name: str, text_column: str, gloss_column: str) -> list[Pair]:
    path = existing_file(name)
    pairs = list(_pairs_of(read_rows(path), str(path), text_column, gloss_column))
    if not pairs:
        raise ValueError(f"{path}: no rows; expected columns {text_column!r} and {gloss_column!r} with one pair a row")
    return pairs


def _pairs_of(rows: Iterable[tuple[int, Any]], origin: str, text_column: str, gloss_column: str) -> Iterator[Pair]:
    for number, row in rows:
        where = f"{origin}, row {number}"
        check_columns(row, where, {"--text_column": text_column, "--gloss_column": gloss_column})
        text, glosses = row[text_column], row[gloss_column]
        if not isinstance(text, str) or not (sentence := normalize_line(text)) or not is_text(text):
            raise ValueError(f"{where}, column {text_column!r}: expected a Korean sentence, found {text!r:.60}")
        if isinstance(glosses, str):
            try:
                glosses = split_glosses(glosses)
            except ValueError as error:
                raise ValueError(f"{where}, column {gloss_column!r}: {error}") from error
        strings = isinstance(glosses, list) and all(isinstance(gloss, str) and is_text(gloss) for gloss in glosses)
        forms = tuple(map(normalize_line, glosses)) if strings else ("",)
        if not all(forms):
            raise ValueError(f"{where}, column {gloss_column!r}: expected glosses (strings), found {glosses!r:.60}")
        if not glosses:
            raise ValueError(f"{where}, column {gloss_column!r}: the row has no glosses; add them or remove the row")
        yield Pair(sentence, forms)


def split_pairs(pairs: Sequence[Pair], extra: Sequence[Pair] = (), *, by: str = "group", seed: int = 0) -> Split:
    """70% for training; the rest held out.

    Args:
        pairs: The corpus.
        extra: More pairs for training only, such as augmented ones.
        by: `group` keeps pairs with an equal sentence or an equal gloss string on one side, and holds out 10% for
            choosing the checkpoint and 20% for the score. `row` is the paper's: rows at random, 70:30, without a test
            part, so that the checkpoint is chosen on what is scored and a sentence with two versions leaks.
        seed: Of the shuffle.

    Returns:
        The parts. With `group`, extra pairs that share a sentence or a gloss string with a held-out pair are dropped
        and counted.

    Raises:
        ValueError: `by` is not known, or there are too few pairs to fill each part.

    Example:
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
        held_out_keys = [keys[i] for part in rows[1:] for i in part]
        clean = [extra[i] for i in unlinked([keys_of_pair(*pair) for pair in extra], held_out_keys)]
        parts = Split(train + clean, validation, test, len(extra) - len(clean))
    if not all((parts.train, parts.validation, parts.test)):
        raise ValueError(f"{len(pairs)} pairs are too few, or too alike, to split into training, validation and test")
    return parts


def marked_glosses(pairs: Sequence[Pair], analyze: Analyzer = analyze) -> list[list[str]]:
    """The glosses of each pair, with those that are one of the sentence's numbers or Latin words as placeholders.

    Args:
        pairs: Sentences and glosses.
        analyze: What finds numbers and Latin words (default: Okt).
    """
    analysed = analyze([normalize(pair.text) for pair in pairs])
    return [mark_placeholders(pair.glosses, morphemes) for pair, morphemes in zip(pairs, analysed, strict=True)]
