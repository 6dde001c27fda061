"""What the loading scripts of sentence–gloss pairs share: options, checked rows, splits, and the key of the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from .checks import BadRows
from .splitting import keys_of_pair, split_rows
from .tables import is_table


@dataclass
class FolderConfig(datasets.BuilderConfig):
    """Options of a data set that is read from a folder of the user, which `load_dataset` takes by name.

    Args:
        on_bad_rows: `raise` stops at the first row that is not as expected; `skip` leaves such rows out and says how
            many in a warning. A damaged file or a wrong header is an error in any case.

    Example:
        >>> FolderConfig("full").on_bad_rows
        'raise'
    """

    on_bad_rows: str = "raise"

    def files(self, folder: Path) -> list[Path]:
        """List the files in `data_dir` that rows may come from: by default all tables in it, sorted by name.

        Args:
            folder: `data_dir`, which need not exist.
        """
        return [path for path in sorted(folder.glob("*")) if is_table(path.name) and path.is_file()]

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Any = None) -> str:
        """Return the part of the cache's path that stands for the options.

        It changes with the files too: with their names, sizes and times of change, for they may be too large to read.
        """
        if self.data_dir:
            stats = [(str(path), path.stat()) for path in self.files(Path(self.data_dir))]
            files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
            config_kwargs = {**config_kwargs, "files": str(files)}
        config_id: str = super().create_config_id(config_kwargs, custom_features)
        return config_id


@dataclass
class PairConfig(FolderConfig):
    """Options of a data set of pairs: those of `FolderConfig`, and two for its splits.

    Args:
        split_by: `group` keeps equal sentences and equal gloss strings in one split; `row` splits at random by row, as
            the paper does, so that they leak; `none` gives all rows in the order of the files as `train`.
        split_seed: Of the shuffle before the split.

    Example:
        >>> PairConfig("full", split_by="row").split_seed
        0
    """

    split_by: str = "group"
    split_seed: int = 0


def split_pairs_by(
    rows: list[dict[str, Any]], fractions: Mapping[str, float], *, by: str, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Split rows with `text` and `glosses` as `kgloss_hf.data.pairs.split_pairs` splits pairs, in the same order.

    Args:
        rows: All rows.
        fractions: Names and sizes of the splits, which add up to 1.
        by: See `PairConfig`.
        seed: See `PairConfig`.

    Raises:
        ValueError: `by` is not known, or there are too few rows to fill each split.

    Example:
        >>> rows = [{"text": f"문장 {i}", "glosses": ["집", f"글로스{i}"]} for i in range(10)]
        >>> parts = split_pairs_by(rows, {"train": 0.7, "test": 0.3}, by="group", seed=0)
        >>> {name: len(part) for name, part in parts.items()}
        {'train': 7, 'test': 3}
    """
    if by == "none":
        return {"train": rows}
    if by not in ("group", "row"):
        raise ValueError(f"split_by: expected 'group', 'row' or 'none', found {by!r}")
    numbers = split_rows([pair_keys(row) for row in rows], list(fractions.values()), by=by, seed=seed)
    if not all(numbers):
        raise ValueError(
            f"{len(rows)} rows are too few, or too alike, to split into {', '.join(fractions)}; "
            "add rows, or take all as train with split_by='none'"
        )
    return {name: [rows[i] for i in part] for name, part in zip(fractions, numbers, strict=True)}


def pair_keys(row: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return what links a row with others: its sentence and its glosses, equal where they look the same.

    Args:
        row: With `text` and `glosses`.

    Example:
        >>> pair_keys({"text": "집에  불이 났어요.", "glosses": ["집", "불"]})
        ('집에 불이 났어요.', ('집', '불'))
    """
    return keys_of_pair(row["text"], row["glosses"])


class PairBuilder(datasets.GeneratorBasedBuilder):
    """Base of the builders: they read and check their rows in `_split_generators` and hand them on as they are.

    `datasets` would hide an error of `_generate_examples` behind a DatasetGenerationError.
    """

    BUILDER_CONFIG_CLASS = PairConfig

    def checked(
        self, path: Path, rows: Iterable[tuple[int, Any]], check: Callable[[int, Any], dict[str, Any]], repair: str = ""
    ) -> list[dict[str, Any]]:
        """Return what `check` makes of the rows of a file; `BadRows` has its arguments."""
        bad = BadRows(path, self.config.on_bad_rows, repair)
        good = list(bad.checked(rows, check))
        bad.warn()
        return good

    def local(self, dl_manager: Any, files: Any) -> Any:
        """Paths of files on this machine, also when streaming, for which `dl_manager` would hand URLs on."""
        if not isinstance(dl_manager, datasets.DownloadManager):
            dl_manager = datasets.DownloadManager(
                base_path=self.base_path, download_config=dl_manager.download_config, record_checksums=False
            )
        return dl_manager.download(files)

    def generators(self, splits: Mapping[str, list[dict[str, Any]]]) -> list[datasets.SplitGenerator]:
        """A split generator for each list of rows."""
        # A list among gen_kwargs would be taken for shards.
        return [datasets.SplitGenerator(name, gen_kwargs={"rows": tuple(rows)}) for name, rows in splits.items()]

    def _generate_examples(self, rows: tuple[dict[str, Any], ...]) -> Iterator[tuple[str, dict[str, Any]]]:
        for row in rows:
            yield row["id"], row
