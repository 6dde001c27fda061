"""Loading script of `mcksg`: Korean museum commentary and Korean Sign Language (KSL) glosses.

The only configuration, `sample`, is the demonstration sample beside this file.
"""

from __future__ import annotations

import csv
import functools
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import datasets

logger = logging.getLogger(__name__)

GLOSS_TYPES = ("sign_word", "similar_word", "iconic", "fingerspelling", "fingerspelled_number", "non_manual")
"""The six categories of the paper's Table 3."""

UNKNOWN_TYPE = "unknown"
"""Type of a gloss that the lexicon does not list."""

PLACEHOLDERS = ("Number", "Alpha")


@functools.cache
def _warn() -> None:
    logger.warning(
        "mcksg/sample was written for demonstration: it is not the MCKSG corpus and was not reviewed by KSL signers."
    )


def _headword(gloss: str) -> str:
    """The lexicon's entry for a gloss: `Number` for `Number/4C`, else the gloss itself."""
    head, _, _ = gloss.partition("/")
    return head if head in PLACEHOLDERS else gloss


class Mcksg(datasets.GeneratorBasedBuilder):
    """Builder of the demonstration sample: 357 rows in one split, `train`.

    Features of a row: `id`, `text` (a Korean sentence), `glosses` (strings, one a sign), `gloss_types` (a ClassLabel
    for each gloss, from lexicon.csv) and `source`.

    Example:
        >>> from datasets import load_dataset
        >>> load_dataset("mcksg", split="train")[0]["glosses"]  # doctest: +SKIP
        ['우리', '박물관', '여러분', '오다', '환영']
    """

    # Part of the cache's path: raise it with every change of the data files, which the script's own hash leaves out.
    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIGS = [
        datasets.BuilderConfig("sample", version=VERSION, description="Demonstration sample, written by the project.")
    ]
    DEFAULT_CONFIG_NAME = "sample"

    def _info(self) -> datasets.DatasetInfo:
        # Every load passes here, also one that the cache answers.
        _warn()
        return datasets.DatasetInfo(
            description="Demonstration sample in the style of museum commentary: Korean sentences and KSL glosses.",
            features=datasets.Features(
                {
                    "id": datasets.Value("string"),
                    "text": datasets.Value("string"),
                    "glosses": datasets.Sequence(datasets.Value("string")),
                    "gloss_types": datasets.Sequence(datasets.ClassLabel(names=[*GLOSS_TYPES, UNKNOWN_TYPE])),
                    "source": datasets.Value("string"),
                }
            ),
            license="apache-2.0",
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        # A script that `datasets` loads is copied away from its data, and base_path then says where they are.
        folder = "" if self.base_path else os.path.dirname(os.path.abspath(__file__))
        files = {"sample": os.path.join(folder, "sample.jsonl"), "lexicon": os.path.join(folder, "lexicon.csv")}
        return [datasets.SplitGenerator(datasets.Split.TRAIN, gen_kwargs=dl_manager.download(files))]

    def _generate_examples(self, sample: str, lexicon: str) -> Iterator[tuple[str, dict[str, Any]]]:
        with open(lexicon, encoding="utf-8", newline="") as file:
            types = {row["gloss"]: row["type"] for row in csv.DictReader(file)}
        with open(sample, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                row["gloss_types"] = [types.get(_headword(gloss), UNKNOWN_TYPE) for gloss in row["glosses"]]
                yield row["id"], row
