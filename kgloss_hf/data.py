"""Sentence–gloss pairs: reading, checking and splitting them, and turning them into ids."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, load_dataset
from pyarrow.parquet import ParquetFile

from .analyzers import Analyzer
from .glosses import mark_placeholders
from .okt import analyze
from .tokenization_kgloss import KGlossTokenizerFast

FILE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
TEXT_SUFFIXES = (".txt", ".txt.gz")


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
    data_dir: str | None = None,
    extra: str | None = None,
    text_column: str = "text",
    gloss_column: str = "glosses",
) -> list[Pair]:
    """All pairs of a dataset, in order.

    Args:
        dataset: `mcksg`, `gksl`, a Hub dataset id, or files (CSV, TSV, JSON Lines, Parquet) separated by commas.
        data_dir: Folder with the user's own copy, for datasets that are not shipped.
        extra: Instead of the dataset's default configuration, this one (`augmented` of gksl), or these files.
        text_column: Column with the Korean sentence.
        gloss_column: Column with the glosses: a list, or a string split on white space.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A column is missing, or a row has no text or no glosses; names file, row and column.
    """
    names = (extra or dataset).split(",")
    if any(name.endswith(FILE_SUFFIXES) for name in names):
        return [pair for name in names for pair in _read_file(name, text_column, gloss_column)]
    splits = load_dataset(dataset, extra, data_dir=data_dir)
    return [
        pair
        for name, rows in splits.items()
        for pair in _checked(enumerate(rows, 1), f"dataset {dataset}, split {name}", text_column, gloss_column)
    ]


def read_texts(sources: Sequence[str], *, column: str = "text") -> Iterator[str]:
    """The texts of several sources, one after another, of which only a part is ever in memory.

    Args:
        sources: Text files with one sentence a line (.txt, .txt.gz); CSV, TSV, JSON Lines or Parquet files; or data
            sets that `datasets.load_dataset` knows, as `NAME` or `NAME:CONFIGURATION`, all splits, streamed where the
            data set can be.
        column: Column with the text, where there are columns.

    Returns:
        An iterator. Blank lines and empty cells come as blank texts, so that whoever drops them can count them.

    Raises:
        TypeError: One string is given for the list.
        FileNotFoundError: A file is not there; raised at once, not at its turn.
        ValueError: A file is of another kind, a line is not UTF-8, a column is missing, or a cell is not a string.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "sentences.txt")
        ...     _ = file.write_text("집에 불이 났어요.\\n도와 주세요.\\n", "utf-8")
        ...     list(read_texts([str(file)]))
        ['집에 불이 났어요.', '도와 주세요.']
    """
    if isinstance(sources, str):
        raise TypeError(f"read_texts expects a list of sources, found one string; write read_texts([{sources!r}])")
    for source in sources:
        if source.endswith((*TEXT_SUFFIXES, *FILE_SUFFIXES)):
            _existing(source)
        elif Path(source).is_file():
            raise ValueError(f"{source}: expected a {', '.join((*TEXT_SUFFIXES, *FILE_SUFFIXES))} file; rename it")
    return (text for source in sources for text in _texts(source, column))


def _texts(source: str, column: str) -> Iterator[str]:
    if source.endswith(TEXT_SUFFIXES):
        yield from (line.rstrip("\r\n") for line in _lines(Path(source)))
        return
    for number, row in _rows(Path(source)) if source.endswith(FILE_SUFFIXES) else _streamed_rows(source):
        where = f"{source}, row {number}"
        _check_columns(row, where, {"--corpus_column": column})
        text = row[column]
        if not isinstance(text, str | None):
            raise ValueError(f"{where}, column {column!r}: expected a sentence, found {text!r:.60}")
        yield text or ""


def _streamed_rows(dataset: str) -> Iterator[tuple[int, Any]]:
    name, _, configuration = dataset.partition(":")
    try:
        splits = load_dataset(name, configuration or None, streaming=True)
    except NotImplementedError:  # packed in a way that cannot be streamed
        splits = load_dataset(name, configuration or None)
    for rows in splits.values():
        yield from enumerate(rows, 1)


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        kinds = TEXT_SUFFIXES if name.endswith(TEXT_SUFFIXES) else FILE_SUFFIXES
        raise FileNotFoundError(f"{path}: no such file; give the path of a {', '.join(kinds)} file")
    return path


def _read_file(name: str, text_column: str, gloss_column: str) -> list[Pair]:
    path = _existing(name)
    pairs = list(_checked(_rows(path), str(path), text_column, gloss_column))
    if not pairs:
        raise ValueError(f"{path}: no rows; expected columns {text_column!r} and {gloss_column!r} with one pair a row")
    return pairs


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    if path.suffix == ".parquet":
        with ParquetFile(path) as file:
            yield from enumerate((row for batch in file.iter_batches() for row in batch.to_pylist()), 1)
        return
    lines = _lines(path)
    if path.suffix in (".csv", ".tsv"):
        # TSV knows no quoting: a stray quotation mark must not swallow the rows up to the next one.
        style: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if path.suffix == ".tsv" else {}
        try:
            yield from enumerate(csv.DictReader(lines, **style), 2)
        except csv.Error as error:
            raise ValueError(f"{path}: {error}; check that every quotation mark that opens a cell closes it") from error
        return
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, row {number}: expected one JSON object a line ({error})") from error


def _lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, packed or not, with their ends."""
    unpacked = gzip.open if path.suffix == ".gz" else open
    try:
        # What is not UTF-8 is smuggled past the decoder, which would not know the line.
        with unpacked(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.encode()
                except UnicodeEncodeError as error:
                    found = line[error.start :][:10].encode(errors="surrogateescape")
                    raise ValueError(
                        f"{path}, line {number}: expected UTF-8, found {found!r}; convert the file, "
                        "for example: iconv -f CP949 -t UTF-8"
                    ) from error
                yield line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged or not a gzip file ({error}); fetch it again") from error


def _check_columns(row: Any, where: str, columns: Mapping[str, str]) -> None:
    if not isinstance(row, dict):
        expected = " and ".join(map(repr, columns.values()))
        raise ValueError(f"{where}: expected an object with {expected}, found {row!r:.60}")
    for option, column in columns.items():
        if column not in row:
            found = ", ".join(map(repr, row))
            raise ValueError(f"{where}: no column {column!r}; found {found}; name the column with {option}")


def _checked(rows: Iterable[tuple[int, Any]], origin: str, text_column: str, gloss_column: str) -> Iterator[Pair]:
    for number, row in rows:
        where = f"{origin}, row {number}"
        _check_columns(row, where, {"--text_column": text_column, "--gloss_column": gloss_column})
        text, glosses = row[text_column], row[gloss_column]
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{where}, column {text_column!r}: expected a Korean sentence, found {text!r:.60}")
        if isinstance(glosses, str):
            glosses = glosses.split()
        if not isinstance(glosses, list) or not all(isinstance(gloss, str) and gloss.strip() for gloss in glosses):
            raise ValueError(f"{where}, column {gloss_column!r}: expected glosses (strings), found {glosses!r:.60}")
        if not glosses:
            raise ValueError(f"{where}, column {gloss_column!r}: the row has no glosses; add them or remove the row")
        yield Pair(" ".join(text.split()), tuple(glosses))


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
    order = np.random.default_rng(seed).permutation(len(pairs))
    if by == "row":
        cut = round(0.7 * len(pairs))
        held_out = [pairs[i] for i in order[cut:]]
        parts = Split([pairs[i] for i in order[:cut]] + list(extra), held_out, held_out)
    elif by == "group":
        groups: dict[int, list[int]] = {}
        label = _groups(pairs)
        for i in order:
            groups.setdefault(label[i], []).append(i)
        test: list[Pair] = []
        validation: list[Pair] = []
        train: list[Pair] = []
        for members in groups.values():
            part = test if len(test) < 0.2 * len(pairs) else validation if len(validation) < 0.1 * len(pairs) else train
            part.extend(pairs[i] for i in members)
        held = [*validation, *test]
        texts, gloss_strings = {pair.text for pair in held}, {pair.glosses for pair in held}
        clean = [pair for pair in extra if pair.text not in texts and pair.glosses not in gloss_strings]
        parts = Split(train + clean, validation, test, len(extra) - len(clean))
    else:
        raise ValueError(f"unknown split {by!r}; choose 'group' or 'row'")
    if not all((parts.train, parts.validation, parts.test)):
        raise ValueError(f"{len(pairs)} pairs are too few, or too alike, to split into training, validation and test")
    return parts


def _groups(pairs: Sequence[Pair]) -> list[int]:
    """A label for each pair, equal where pairs are linked by an equal sentence or an equal gloss string."""
    parent = list(range(len(pairs)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[object, int] = {}
    for i, pair in enumerate(pairs):
        for key in (pair.text, pair.glosses):
            parent[root(i)] = root(first.setdefault(key, i))
    return [root(i) for i in range(len(pairs))]


def encode_pairs(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> Dataset:
    """Pairs as `input_ids` and `labels`, once for the whole run, so that no worker ever starts a JVM.

    Sentences and marked glosses (`marked_glosses`) are cut at the tokenizer's `model_max_length`; how many tokens that
    drops is said in a warning.
    """
    glosses = marked_glosses(pairs, tokenizer.morphemes)
    encoded = tokenizer([pair.text for pair in pairs], text_target=glosses, truncation=True)
    return Dataset.from_dict({name: encoded[name] for name in ("input_ids", "labels")})


def marked_glosses(pairs: Sequence[Pair], analyze: Analyzer = analyze) -> list[list[str]]:
    """The glosses of each pair, with those that are one of the sentence's numbers or Latin words as placeholders.

    Args:
        pairs: Sentences and glosses.
        analyze: What finds numbers and Latin words (default: Okt).
    """
    analysed = analyze([pair.text for pair in pairs])
    return [mark_placeholders(pair.glosses, morphemes) for pair, morphemes in zip(pairs, analysed, strict=True)]
