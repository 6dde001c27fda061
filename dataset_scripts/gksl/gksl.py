"""Loading script of `gksl`: KETI's Korean sentences with Korean Sign Language (KSL) glosses.

It reads a user's own copy of the two published CSV files; no data are shipped with it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from typing import Any

import datasets

REPOSITORY = "https://github.com/AIRC-KETI/GKSL-dataset"
COMMIT = "20df79136bc301763059089692661bc49c5de478"

FILES = {
    "original": ("GKSL3k_original.csv", "dataset"),
    "augmented": ("GKSL13k_augmented.csv", "augmentation_method"),
}
"""The file of each configuration, and its column that says where a row comes from."""

GLOSSES = "Gloss level Korean Sign Language (GKSL) sentence"
TEXT = "Word level Korean Language (WKL) sentence"

REPAIR = f"Correct the file, or take it again, unchanged, from {REPOSITORY} at commit {COMMIT}."

CITATION = """\
@inproceedings{jang-etal-2022-automatic,
    title = "Automatic Gloss-level Data Augmentation for Sign Language Translation",
    author = "Jang and Park and Shin and Shin and Yoon and Gweon",
    booktitle = "Proceedings of the Thirteenth Language Resources and Evaluation Conference",
    year = "2022",
    url = "https://aclanthology.org/2022.lrec-1.734",
}
"""


def find_file(data_dir: str | None, name: str) -> str:
    """Where the file of a configuration is.

    Args:
        data_dir: The user's folder with the published files.
        name: Configuration, `original` or `augmented`.

    Raises:
        ValueError: No folder was given.
        FileNotFoundError: The folder does not hold the file.

    Example:
        >>> find_file("data/GKSL-dataset/dataset", "original")  # doctest: +SKIP
        'data/GKSL-dataset/dataset/GKSL3k_original.csv'
    """
    file = FILES[name][0]
    where = (
        f"Get {' and '.join(file for file, _ in FILES.values())} from the folder dataset of {REPOSITORY} "
        f"(commit {COMMIT}) and name their folder: load_dataset('gksl', '{name}', data_dir='FOLDER')."
    )
    if data_dir is None:
        raise ValueError(f"gksl/{name} expects data_dir, a folder that holds {file}, and got none. {where}")
    path = os.path.join(data_dir, file)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"gksl/{name} expects {file} in the folder {data_dir}, which holds none. {where}")
    return path


def read_rows(path: str, source: str) -> Iterator[dict[str, Any]]:
    """The rows of a GKSL file: `text`, `glosses` as a list, and `source`.

    Args:
        path: A CSV file, UTF-8 with or without byte order mark.
        source: Column that says where a row comes from.

    Raises:
        ValueError: The file is empty, is not UTF-8, is not well-formed CSV, lacks a column, or has a row without
            sentence or glosses. Rows are numbered from 1, the header aside.

    Example:
        >>> next(read_rows("GKSL3k_original.csv", "dataset"))  # doctest: +SKIP
        {'text': '집에 불이 났어요.', 'glosses': ['집', '불'], 'source': 'KETI-Emergency'}
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: expected UTF-8, found the byte 0x{content[error.start]:02x}. "
            f"Save the file as UTF-8. {REPAIR}"
        ) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns, rows = reader.fieldnames or [], list(reader)
    except csv.Error as error:
        raise ValueError(f"{path}, after line {reader.line_num}: expected CSV, found: {error}. {REPAIR}") from error
    if not columns:
        raise ValueError(f"{path}: expected a header and rows, found an empty file. {REPAIR}")
    for column in (source, GLOSSES, TEXT):
        if column not in columns:
            raise ValueError(f"{path}: expected a column {column!r}, found the columns {columns}. {REPAIR}")
    if not rows:
        raise ValueError(f"{path}: expected rows below the header, found none. {REPAIR}")
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise ValueError(
                f"{path}, row {number}: expected {len(columns)} columns, found {len(columns) + len(row[None])}. "
                f"Put a cell that holds a comma in quotation marks. {REPAIR}"
            )
        for column, what in ((GLOSSES, "glosses"), (TEXT, "a sentence")):
            if not (row[column] or "").strip():
                raise ValueError(f"{path}, row {number}, column {column!r}: expected {what}, found nothing. {REPAIR}")
        yield {"text": row[TEXT], "glosses": row[GLOSSES].split(), "source": row[source]}


class Gksl(datasets.GeneratorBasedBuilder):
    """Builder of GKSL from a user's own copy: `original` (default) and `augmented`, one split, `train`.

    Features of a row: `id` (`original-12` is row 12, the header aside), `text` (a Korean sentence), `glosses`
    (strings), and `source` (the sub-corpus, or the augmentation method BR, SP or SR).

    Raises:
        ValueError: No data_dir, or a file that is not as published.
        FileNotFoundError: data_dir does not hold the configuration's file.

    Example:
        >>> from datasets import load_dataset
        >>> load_dataset("gksl", "augmented", data_dir="data/GKSL-dataset/dataset")  # doctest: +SKIP
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIGS = [
        datasets.BuilderConfig("original", version=VERSION, description="The original rows."),
        datasets.BuilderConfig("augmented", version=VERSION, description="Blank replacement, paraphrases, synonyms."),
    ]
    DEFAULT_CONFIG_NAME = "original"

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="GKSL: Korean sentences and KSL glosses of taxi, airport, daily life and emergencies.",
            features=datasets.Features(
                {
                    "id": datasets.Value("string"),
                    "text": datasets.Value("string"),
                    "glosses": datasets.Sequence(datasets.Value("string")),
                    "source": datasets.Value("string"),
                }
            ),
            homepage=REPOSITORY,
            license="CC BY-NC-SA 4.0",
            citation=CITATION,
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        path = find_file(self.config.data_dir, self.config.name)
        # Read now: `datasets` hides an error of _generate_examples behind a DatasetGenerationError.
        list(read_rows(path, FILES[self.config.name][1]))
        return [datasets.SplitGenerator(datasets.Split.TRAIN, gen_kwargs={"path": path})]

    def _generate_examples(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for number, row in enumerate(read_rows(path, FILES[self.config.name][1]), start=1):
            key = f"{self.config.name}-{number}"
            yield key, {"id": key, **row}
