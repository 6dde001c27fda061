"""Loading script of `ko_backtranslation`: pairs of Korean sentences with the same meaning, for the pretext task.

The pairs come from the shards of the back-translation builder, or are human paraphrases from public corpora. The script
reads a user's own copies and comes without data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from datasets.exceptions import DatasetGenerationError

from kgloss_hf.data.builders import FolderBuilder, FolderConfig
from kgloss_hf.data.corpora import CORPORA, PARAPHRASED, CorpusFolder
from kgloss_hf.data.shards import COLUMNS, read_shard, shard_files


class CorpusError(DatasetGenerationError, ValueError):
    """Error in a file that differs from the published one.

    `datasets` passes on only errors of its own class and hides all others.
    """


@dataclass
class KoBacktranslationConfig(FolderConfig):
    """Options of `load_dataset("ko_backtranslation", …)`: those of `FolderConfig` and two more.

    Args:
        pairs: `backtranslation` for rows of the shards (default), or `paraphrase` for human paraphrases from the
            corpora.
        encoding: Encoding of the files of the corpora, such as `cp949` (default: `utf-8`). It is refused for shards,
            which are UTF-8.
    """

    pairs: str = "backtranslation"
    encoding: str = "utf-8"

    def folder(self) -> CorpusFolder:
        """Open the user's folder."""
        names = [self.name] if self.name != "all" else PARAPHRASED if self.pairs == "paraphrase" else tuple(CORPORA)
        return CorpusFolder(self.data_dir, names, encoding=self.encoding, on_bad_rows=self.on_bad_rows)

    def files(self, folder: Path) -> list[Path]:
        """List the shards, or the files of the corpora."""
        if self.pairs != "paraphrase":
            return shard_files(folder)
        opened = self.folder()
        return [path for name in opened.names for path in opened.files(name).values()]


class KoBacktranslation(FolderBuilder, datasets.ArrowBasedBuilder):
    """Builder of the pretext corpus: one configuration per corpus and `all` (default), one split, `train`.

    Features of a row: `source` and `target` (Korean sentences with the same meaning), `origin` (the corpus) and
    `engine` (the author of the target: a translation engine, or `human`). Options: `KoBacktranslationConfig`.

    Rows of shards are returned unchanged, in the order of the file names. In a set of paraphrases, every two sentences
    form one pair, the earlier sentence first. Runs of white space become one space. Pairs of equal sentences, and pairs
    seen before in the same corpus in either order, are left out, and their number is logged.

    Raises:
        ValueError: data_dir is missing, data_files are given, an option is unknown, a corpus has no paraphrases, a path
            leads out of data_dir, or a file is invalid (`CorpusError`).
        FileNotFoundError: data_dir contains none of the expected files.

    Examples:
        >>> from datasets import load_dataset
        >>> load_dataset("ko_backtranslation", "parakqc", data_dir="data", pairs="paraphrase")  # doctest: +SKIP
    """

    # Part of the cache path: raise it with every change in how rows are made from the files.
    VERSION = datasets.Version("1.1.0")
    BUILDER_CONFIG_CLASS = KoBacktranslationConfig
    BUILDER_CONFIGS = [
        KoBacktranslationConfig(name, version=datasets.Version("1.0.0"), description=f"Pairs of {name}.")
        for name in (*CORPORA, "all")
    ]
    DEFAULT_CONFIG_NAME = "all"

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="Pairs of Korean sentences with the same meaning: back-translations or human paraphrases.",
            features=datasets.Features({column: datasets.Value("string") for column in COLUMNS}),
            license="Each source has its own; see the card.",
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        config = self.config
        parts: list[Any]
        if config.pairs == "backtranslation":
            if config.encoding != KoBacktranslationConfig.encoding:
                raise ValueError(
                    f"encoding: expected none for shards, which are UTF-8, found {config.encoding!r}; leave it out"
                )
            parts = config.folder().find_shards(None if config.name == "all" else config.name)
        elif config.pairs != "paraphrase":
            raise ValueError(f"pairs: expected 'backtranslation' or 'paraphrase', found {config.pairs!r}")
        elif config.name not in (*PARAPHRASED, "all"):
            raise ValueError(
                f"{config.name} contains no paraphrases: expected one of {', '.join(PARAPHRASED)}, all for "
                "pairs='paraphrase'; use pairs='backtranslation' for this corpus"
            )
        else:
            parts = config.folder().corpora()
        # `datasets` divides lists among processes and workers.
        return [datasets.SplitGenerator(datasets.Split.TRAIN, gen_kwargs={"parts": parts})]

    def _generate_tables(self, parts: list[Any]) -> Iterator[tuple[int, pa.Table]]:
        try:
            yield from enumerate(table for part in parts for table in self._tables(part))
        except ValueError as error:
            raise CorpusError(str(error)) from error

    def _tables(self, part: Any) -> Iterator[pa.Table]:
        if self.config.pairs == "paraphrase":
            return self.config.folder().read_paraphrases(part)
        tables = read_shard(part, self.config.on_bad_rows)
        name = self.config.name
        return tables if name == "all" else (table.filter(pc.equal(table["origin"], name)) for table in tables)
