"""What the loading scripts of sentence–gloss pairs share: options, checked rows, splits, and the key of the cache."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
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
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"split_seed: expected a whole number from 0 on, found {seed!r}")
    numbers = split_rows(
        [keys_of_pair(row["text"], row["glosses"]) for row in rows], list(fractions.values()), by=by, seed=seed
    )
    if not all(numbers):
        raise ValueError(
            f"{len(rows)} rows are too few, or too alike, to split into {', '.join(fractions)}; "
            "add rows, or take all as train with split_by='none'"
        )
    return {name: [rows[i] for i in part] for name, part in zip(fractions, numbers, strict=True)}


class FolderBuilder(datasets.DatasetBuilder):
    """Base of all builders of this package: refuses what `load_dataset` takes and the data set cannot do.

    Args:
        args: As of `datasets.DatasetBuilder`.
        data_dir: The user's folder.
        data_files: Refused: files are looked for in `data_dir`.
        kwargs: As of `datasets.DatasetBuilder`, and the options of the configuration.

    Raises:
        NotADirectoryError: data_dir is a file.
        ValueError: data_dir is empty, data_files are given, or an option is not known.
    """

    def __init__(self, *args: Any, data_dir: Any = None, data_files: Any = None, **kwargs: Any) -> None:
        # The script's name: `datasets` sets its own only below.
        name = type(self).__module__.rpartition(".")[2]
        if data_files is not None:
            raise ValueError(
                f"{name} takes no data_files, found {data_files!r:.100}; put the files into a folder and name it: "
                f"load_dataset({name!r}, data_dir='FOLDER')"
            )
        if data_dir is not None and not (isinstance(data_dir, str | os.PathLike) and str(data_dir).strip()):
            raise ValueError(f"{name}: data_dir: expected the path of a folder, found {data_dir!r:.100}")
        if data_dir is not None and Path(data_dir).is_file():
            raise NotADirectoryError(
                f"{name}: data_dir: expected a folder, found the file {data_dir}; name the folder that holds it"
            )
        of_datasets = {"name", "version", "description", "data_dir", "data_files"}
        options = [field.name for field in fields(self.BUILDER_CONFIG_CLASS) if field.name not in of_datasets]
        if unknown := sorted(kwargs.keys() - inspect.signature(datasets.DatasetBuilder).parameters - set(options)):
            raise ValueError(f"{name}: no such option: {', '.join(unknown)}; the options are {', '.join(options)}")
        super().__init__(*args, data_dir=None if data_dir is None else str(data_dir), **kwargs)

    def as_streaming_dataset(self, *args: Any, **kwargs: Any) -> Any:
        """Stream the rows, which `datasets` would only declare, and not make, to be of other features."""
        if self.info.features != self._info().features:
            raise ValueError(
                f"{self.name}: features: expected none with streaming; load without streaming, or use .cast(features) "
                "on the stream"
            )
        return super().as_streaming_dataset(*args, **kwargs)

    def _save_infos(self) -> None:
        # `save_infos` of the script era; no public method is asked before it writes into the card beside the script.
        raise ValueError(f"{self.name}: save_infos: expected False; it would change files of the installed package")


class PairBuilder(FolderBuilder, datasets.GeneratorBasedBuilder):
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
