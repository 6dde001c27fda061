"""Loading script of `gksl`: KETI's Korean sentences with Korean Sign Language (KSL) glosses.

It reads a user's own copy of the two published CSV files, or downloads them from where they were published. The script
comes without data.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from pathlib import Path
from typing import Any, NamedTuple

import datasets

from kgloss_hf.data.builders import PairBuilder, PairConfig, split_pairs_by
from kgloss_hf.data.splitting import GROUP_FRACTIONS, ROW_FRACTIONS, keys_of_pair, unlinked
from kgloss_hf.data.tables import read_rows
from kgloss_hf.runtime.normalization import normalize_line

logger = logging.getLogger(__name__)

REPOSITORY = "https://github.com/AIRC-KETI/GKSL-dataset"
COMMIT = "20df79136bc301763059089692661bc49c5de478"
URL = f"https://raw.githubusercontent.com/AIRC-KETI/GKSL-dataset/{COMMIT}/dataset"


class _Published(NamedTuple):
    """Published file: its name, the column with the source of a row, its size in bytes, and its git blob id."""

    name: str
    source: str
    size: int
    blob: str


FILES = {
    "original": _Published("GKSL3k_original.csv", "dataset", 252685, "729ae1c96d3627b224fa120950b5dbc454f72c1f"),
    "augmented": _Published(
        "GKSL13k_augmented.csv", "augmentation_method", 1030069, "eb216bec2ae6cce910007783bfa343017018cc96"
    ),
}
"""File of each configuration."""

GLOSSES = "Gloss level Korean Sign Language (GKSL) sentence"
TEXT = "Word level Korean Language (WKL) sentence"

_WHERE = (
    f"Get {' and '.join(file.name for file in FILES.values())} from the folder dataset of {REPOSITORY} "
    f"(commit {COMMIT}) and pass their folder: load_dataset('gksl', data_dir='FOLDER')."
)
_REPAIR = f". Correct the file, or download it again, unchanged, from {REPOSITORY} at commit {COMMIT}"

_CITATION = """\
@inproceedings{jang-etal-2022-automatic,
    title = "Automatic Gloss-level Data Augmentation for Sign Language Translation",
    author = "Jang and Park and Shin and Shin and Yoon and Gweon",
    booktitle = "Proceedings of the Thirteenth Language Resources and Evaluation Conference",
    year = "2022",
    url = "https://aclanthology.org/2022.lrec-1.734",
}
"""


@functools.cache
def _show_licence() -> None:
    logger.warning("gksl is KETI's data under CC BY-NC-SA 4.0, for research and not for commercial use.")


class Gksl(PairBuilder):
    """Builder of GKSL: `original` (default) and `augmented`.

    The files come from `data_dir`, or are downloaded and verified. Features of a row: `id` (`original-12` is row 12,
    not counting the header), `text` (a Korean sentence), `glosses` (strings), and `source` (the sub-corpus, or the
    augmentation method BR, SP or SR).

    `original` is split 70:10:20 into `train`, `validation` and `test` by groups, into the same pairs as training with
    `--split group`. `augmented` consists of `train` only, without the rows that share a sentence or a gloss string with
    a held-out row of `original`, whose file is read too; a warning reports their number. With `split_by="row"`,
    `original` is split 70:30 into `train` and `test`, and `augmented` is complete, as with `split_by="none"`.

    Raises:
        ValueError: A file differs from the published one, data_files are given, or an option is unknown.
        NotADirectoryError: data_dir is a file.
        FileNotFoundError: data_dir does not contain the file.
        ConnectionError: data_dir is not given, and the file could not be downloaded.

    Examples:
        >>> from datasets import load_dataset
        >>> load_dataset("gksl", "augmented", data_dir="data/GKSL-dataset/dataset")  # doctest: +SKIP
    """

    # Part of the cache path: raise it with every change in how rows are made from the files.
    VERSION = datasets.Version("2.1.0")
    BUILDER_CONFIGS = [
        PairConfig("original", version=VERSION, description="The original rows."),
        PairConfig("augmented", version=VERSION, description="Blank replacement, paraphrases, synonyms."),
    ]
    DEFAULT_CONFIG_NAME = "original"

    def _info(self) -> datasets.DatasetInfo:
        # Every load calls this, even if the data are cached.
        _show_licence()
        return datasets.DatasetInfo(
            description="GKSL: Korean sentences and KSL glosses about taxis, airports, daily life and emergencies.",
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
            citation=_CITATION,
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        by = {None: "group", "given": "none"}.get(self.config.split_by, self.config.split_by)
        rows = self._rows("original" if by == "group" else self.config.name, dl_manager)
        if self.config.name == "augmented" and by == "row":
            by = "none"
        fractions = ROW_FRACTIONS if by == "row" else GROUP_FRACTIONS
        splits = split_pairs_by(rows, fractions, by=by, seed=self.config.split_seed)
        if self.config.name == "augmented" and by == "group":
            held_out = [
                keys_of_pair(row["text"], row["glosses"]) for name in ("validation", "test") for row in splits[name]
            ]
            rows = self._rows("augmented", dl_manager)
            clean = [rows[i] for i in unlinked([keys_of_pair(row["text"], row["glosses"]) for row in rows], held_out)]
            logger.warning(
                "gksl/augmented: dropped %d of %d rows because they share a sentence or a gloss string with a held-out "
                "row of gksl/original",
                len(rows) - len(clean),
                len(rows),
            )
            splits = {"train": clean}
        return self.generators(splits)

    def _rows(self, name: str, dl_manager: Any) -> list[dict[str, Any]]:
        """Return the rows of a published file, in its order."""
        file, folder = FILES[name], self.config.data_dir
        path = Path(folder, file.name) if folder else self._fetch(file, dl_manager)
        if not path.is_file():
            raise FileNotFoundError(
                f"gksl expects {path.name} in the folder {folder}, which does not contain it. {_WHERE}"
            )
        try:
            numbered = list(read_rows(path, suffix=".csv", columns=(file.source, GLOSSES, TEXT)))
        except ValueError as error:
            raise ValueError(f"{error}{_REPAIR}.") from error
        if not numbered:
            raise ValueError(f"{path}: expected rows below a header, found none{_REPAIR}.")

        def check(number: int, row: Any) -> dict[str, Any]:
            for column, content in ((GLOSSES, "glosses"), (TEXT, "a sentence")):
                if not normalize_line(row[column] or ""):
                    raise ValueError(f"expected {content} in the column {column!r}, found nothing")
            glosses = normalize_line(row[GLOSSES]).split()
            # The header is row 1 of the file.
            return {"id": f"{name}-{number - 1}", "text": row[TEXT], "glosses": glosses, "source": row[file.source]}

        return self.checked(path, numbered, check, _REPAIR)

    def _fetch(self, file: _Published, dl_manager: Any) -> Path:
        """Download a file and check that it is the published one."""
        url = f"{URL}/{file.name}"
        try:
            path = Path(self.local(dl_manager, url))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"gksl could not find {url} ({error}). {_WHERE}") from error
        except Exception as error:  # the libraries below raise their own errors for network failures
            raise ConnectionError(f"gksl could not download {url} ({error}). {_WHERE}") from error
        content = path.read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        if (len(content), blob) != (file.size, file.blob):
            raise ValueError(
                f"{file.name}: expected {file.size} bytes with the git blob id {file.blob}, found {len(content)} with "
                f"{blob} at {URL}. Download it again with download_mode='force_redownload'. {_WHERE}"
            )
        return path
