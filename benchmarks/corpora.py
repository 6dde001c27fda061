"""Sentences of the public corpora in the folder named by KGLOSS_DATA, for the benchmarks."""

import csv
import gzip
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

COLUMNS = (
    "text",
    "Q",
    "A",
    "sentence",
    "sentence1",
    "sentence2",
    "question1",
    "question2",
    "premise",
    "hypothesis",
    "Word level Korean Language (WKL) sentence",
)


def folder() -> Path:
    """Return the folder of the corpora, or end the program with a hint if KGLOSS_DATA is not set."""
    if "KGLOSS_DATA" not in os.environ:
        sys.exit("set KGLOSS_DATA to the folder with the public corpora (gksl/, kornlu/, nsmc/, …)")
    return Path(os.environ["KGLOSS_DATA"])


def clean_sentences() -> list[str]:
    """Return all sentences of all corpora except NSMC, in random order (seed 0), including repetitions."""
    sentences = []
    for path in sorted(folder().rglob("*")):
        if path.suffix in (".tsv", ".csv") or path.match("question_pair/*.txt"):
            with path.open(encoding="utf-8-sig", newline="") as file:
                tabs = path.suffix != ".csv"
                style = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {}
                sentences += [row[c] for row in csv.DictReader(file, **style) for c in COLUMNS if row.get(c)]
        elif path.suffix == ".json":
            sentences += [row[c] for row in json.loads(path.read_text("utf-8")) for c in COLUMNS if c in row]
        elif path.suffix == ".ko" or path.name == "newstest2019-ref.kor.txt":
            sentences += path.read_text("utf-8").splitlines()
        elif path.name == "paraKQC_v1.txt":
            sentences += [line.split("\t")[-1] for line in path.read_text("utf-8").splitlines()]
        elif path.name.endswith(".tar.gz"):
            with tarfile.open(path) as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.name.endswith(".ko") else None
                    if content:
                        sentences += io.TextIOWrapper(content, "utf-8").read().splitlines()
    order = np.random.default_rng(0).permutation(len(sentences))
    return [sentences[i] for i in order]


def nsmc_lines() -> Iterator[str]:
    """Yield the lines of NSMC, a corpus of film reviews."""
    with gzip.open(folder() / "nsmc" / "reviews.txt.gz", "rt", encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")
