"""Sentence–gloss pairs: reading, checking and splitting them, and turning them into ids."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, load_dataset

from .glosses import mark_placeholders
from .okt import analyze
from .tokenization_kgloss import KGlossTokenizerFast

logger = logging.getLogger(__name__)

FILE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")


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
        return [pair for name in names for pair in _read_file(Path(name), text_column, gloss_column)]
    splits = load_dataset(dataset, extra, data_dir=data_dir)
    return [
        pair
        for name, rows in splits.items()
        for pair in _checked(enumerate(rows, 1), f"dataset {dataset}, split {name}", text_column, gloss_column)
    ]


def _read_file(path: Path, text_column: str, gloss_column: str) -> list[Pair]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a {', '.join(FILE_SUFFIXES)} file")
    pairs = list(_checked(_rows(path), str(path), text_column, gloss_column))
    if not pairs:
        raise ValueError(f"{path}: no rows; expected columns {text_column!r} and {gloss_column!r} with one pair a row")
    return pairs


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    if path.suffix == ".parquet":
        yield from enumerate(Dataset.from_parquet(str(path), keep_in_memory=True), 1)
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix in (".csv", ".tsv"):
                yield from enumerate(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","), 2)
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield number, json.loads(line)
                    except json.JSONDecodeError as error:
                        raise ValueError(f"{path}, row {number}: expected one JSON object a line ({error})") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: expected UTF-8 ({error}); convert it, for example: iconv -f CP949 -t UTF-8"
        ) from error


def _checked(rows: Iterable[tuple[int, Any]], origin: str, text_column: str, gloss_column: str) -> Iterator[Pair]:
    for number, row in rows:
        where = f"{origin}, row {number}"
        if not isinstance(row, dict):
            raise ValueError(
                f"{where}: expected an object with {text_column!r} and {gloss_column!r}, found {row!r:.60}"
            )
        for column, option in ((text_column, "--text_column"), (gloss_column, "--gloss_column")):
            if column not in row:
                found = ", ".join(map(repr, row))
                raise ValueError(f"{where}: no column {column!r}; found {found}; name the column with {option}")
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

    Sentences and marked glosses (`marked_glosses`) are cut at the tokenizer's `model_max_length`; how many were is said
    in a warning.
    """
    encoded = tokenizer([pair.text for pair in pairs], text_target=marked_glosses(pairs))
    limit = tokenizer.model_max_length
    columns = {name: encoded[name] for name in ("input_ids", "labels")}
    cut = sum(len(row) > limit for rows in columns.values() for row in rows)
    if cut:
        logger.warning("%d sentences or gloss sequences are longer than %d tokens and were cut", cut, limit)
        end = [tokenizer.eos_token_id]
        columns = {
            name: [row if len(row) <= limit else row[: limit - 1] + end for row in rows]
            for name, rows in columns.items()
        }
    return Dataset.from_dict(columns)


def marked_glosses(pairs: Sequence[Pair]) -> list[list[str]]:
    """The glosses of each pair, with those that are one of the sentence's numbers or Latin words as placeholders."""
    analysed = analyze([pair.text for pair in pairs])
    return [mark_placeholders(pair.glosses, morphemes) for pair, morphemes in zip(pairs, analysed, strict=True)]
