"""Loading script of `ko_backtranslation`: pairs of Korean sentences that mean the same, for the pretext task.

The pairs come from the back-translation builder's shards, or are human paraphrases out of public corpora. It reads a
user's own copies; no data are shipped with it.
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
    """A file is not as published. `datasets` lets its own kind of error through and hides every other."""


@dataclass
class KoBacktranslationConfig(FolderConfig):
    """Options of `load_dataset("ko_backtranslation", …)`: those of `FolderConfig`, and two more.

    Args:
        pairs: `backtranslation`, rows of the shards, or `paraphrase`, human paraphrases out of the corpora.
        encoding: Encoding of the corpora's files, such as `cp949`. Shards are UTF-8, and it is refused for them.
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

    Features of a row: `source` and `target` (Korean sentences that mean the same), `origin` (the corpus) and `engine`
    (what wrote the target: a translation engine, or `human`). Options: `KoBacktranslationConfig`.

    Rows of shards come as they are, in the order of the files' names. Of a set of paraphrases, every two sentences
    are one pair, the earlier first; white space is folded, and pairs of equal sentences, or seen before in the same
    corpus in either order, are left out, and their number is logged.

    Raises:
        ValueError: No data_dir, data_files, an unknown option, a corpus without paraphrases, a path that leads out of
            data_dir, or a file that is not as expected (`CorpusError`).
        FileNotFoundError: data_dir holds none of the files that are looked for.

    Example:
        >>> from datasets import load_dataset
        >>> load_dataset("ko_backtranslation", "parakqc", data_dir="data", pairs="paraphrase")  # doctest: +SKIP
    """

    # Part of the cache's path: raise it with every change of what is made of the files.
    VERSION = datasets.Version("1.1.0")
    BUILDER_CONFIG_CLASS = KoBacktranslationConfig
    BUILDER_CONFIGS = [
        KoBacktranslationConfig(name, version=datasets.Version("1.0.0"), description=f"Pairs of {name}.")
        for name in (*CORPORA, "all")
    ]
    DEFAULT_CONFIG_NAME = "all"

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="Pairs of Korean sentences that mean the same: back-translations or human paraphrases.",
            features=datasets.Features({column: datasets.Value("string") for column in COLUMNS}),
            license="Each source has its own; see the card.",
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        config = self.config
        parts: list[Any]
        if config.pairs == "backtranslation":
            if config.encoding != KoBacktranslationConfig.encoding:
                raise ValueError(f"encoding: shards are UTF-8, found {config.encoding!r}; leave it out")
            parts = config.folder().find_shards(None if config.name == "all" else config.name)
        elif config.pairs != "paraphrase":
            raise ValueError(f"pairs: expected 'backtranslation' or 'paraphrase', found {config.pairs!r}")
        elif config.name not in (*PARAPHRASED, "all"):
            raise ValueError(
                f"{config.name} holds no paraphrases: expected one of {', '.join(PARAPHRASED)}, all for "
                "pairs='paraphrase'. For this corpus use pairs='backtranslation'."
            )
        else:
            parts = config.folder().corpora()
        # A list is what `datasets` divides among processes and workers.
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
