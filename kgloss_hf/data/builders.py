"""Common parts of the loading scripts of sentence–gloss pairs: options, checked rows, splits, and the cache key."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from ..reporting import counted
from .checks import BadRows
from .splitting import PARTS, comes_in_parts, keys_of_pair, split_rows
from .tables import is_table


@dataclass
class FolderConfig(datasets.BuilderConfig):
    """Options of a data set that is read from a folder of the user; `load_dataset` accepts them by name.

    Args:
        on_bad_rows: `raise` (default) stops at the first row that is not as expected; `skip` leaves out such rows and
            warns of their number. A damaged file or a wrong header is always an error.

    Examples:
        >>> FolderConfig("full").on_bad_rows
        'raise'
    """

    on_bad_rows: str = "raise"

    def files(self, folder: Path) -> list[Path]:
        """List the files in `data_dir` that may contain rows: by default all its tables, sorted by name.

        Args:
            folder: `data_dir`, which need not exist.
        """
        return [path for path in sorted(folder.glob("*")) if is_table(path.name) and path.is_file()]

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Any = None) -> str:
        """Return the component of the cache path that represents the options.

        It also depends on the names, sizes and modification times of the files, which may be too large to be read.
        """
        if self.data_dir:
            stats = [(str(path), path.stat()) for path in self.files(Path(self.data_dir))]
            files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
            config_kwargs = {**config_kwargs, "files": str(files)}
        config_id: str = super().create_config_id(config_kwargs, custom_features)
        return config_id


@dataclass
class PairConfig(FolderConfig):
    """Options of a data set of pairs: those of `FolderConfig`, and two for splitting.

    Args:
        split_by: `group` keeps equal sentences and equal gloss strings in one set; `row` splits at random by row, as
            the paper does, so that they leak; `given` uses the split that the data come with, or all rows as `train`
            if they come with none; `none` gives all rows in the order of the files as `train`. Default: the split that
            the data come with, else `group`.
        split_seed: Seed of the shuffle before a drawn split (default 0).

    Examples:
        >>> PairConfig("full", split_by="row").split_seed
        0
    """

    split_by: str | None = None
    split_seed: int = 0


def split_pairs_by(
    rows: list[dict[str, Any]],
    fractions: Mapping[str, float],
    *,
    by: str | None,
    seed: int,
    parts: Sequence[str | None] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Split rows with `text` and `glosses` as `kgloss_hf.data.pairs.split_pairs` splits pairs, in the same order.

    Args:
        rows: All rows.
        fractions: Shares of the sets by name, which add up to 1.
        by: See `PairConfig`.
        seed: See `PairConfig`.
        parts: For each row, the set that the data assign it to, or None.

    Raises:
        ValueError: `by` is unknown, `parts` names an unknown set, or there are too few rows to fill each set.

    Examples:
        >>> rows = [{"text": f"문장 {i}", "glosses": ["집", f"글로스{i}"]} for i in range(10)]
        >>> parts = split_pairs_by(rows, {"train": 0.7, "test": 0.3}, by="group", seed=0)
        >>> {name: len(part) for name, part in parts.items()}
        {'train': 7, 'test': 3}
    """
    keys = [keys_of_pair(row["text"], row["glosses"]) for row in rows]
    numbers = numbers_of_parts(keys, parts or [None] * len(rows), fractions, by=by, seed=seed)
    return {name: [rows[i] for i in part] for name, part in numbers.items()}


def numbers_of_parts(
    keys: Sequence[Iterable[Hashable]],
    parts: Sequence[str | None],
    fractions: Mapping[str, float],
    *,
    by: str | None,
    seed: int,
) -> dict[str, Sequence[int]]:
    """Return the numbers of the rows in each set.

    Args:
        keys: Keys of each row (`kgloss_hf.data.splitting`).
        parts: For each row, the set that the data assign it to, or None.
        fractions: As for `split_pairs_by`.
        by: See `PairConfig`.
        seed: See `PairConfig`.

    Raises:
        ValueError: As for `split_pairs_by`.

    Examples:
        >>> numbers_of_parts([("집",), ("불",)], ["test", "train"], {}, by=None, seed=0)
        {'train': [1], 'test': [0]}
    """
    if by not in (None, "group", "row", "given", "none"):
        raise ValueError(f"split_by: expected 'group', 'row', 'given' or 'none', found {by!r}")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"split_seed: expected a whole number of at least 0, found {seed!r}")
    if by in (None, "given") and comes_in_parts(set(parts), "the data set"):
        names = [name for name in PARTS if name in parts]
        return {name: [i for i, part in enumerate(parts) if part == name] for name in names}
    if by in ("given", "none"):
        return {"train": range(len(keys))}
    numbers = split_rows(keys, list(fractions.values()), by=by or "group", seed=seed)
    if not all(numbers):
        raise ValueError(
            f"expected enough different rows to split into {', '.join(fractions)}, found too few or too similar ones "
            f"({counted(len(keys), 'row')}); add rows, or load all as train with split_by='none'"
        )
    return dict(zip(fractions, numbers, strict=True))


class LazyRows:
    """Rows of one set in the order of the files, read anew on each pass so that they take no memory.

    Args:
        read: Picklable function that returns an iterator over the rows of all sets, the same on each call.
        numbers: Numbers of the rows that belong to the set.

    Examples:
        >>> from functools import partial
        >>> list(LazyRows(partial(iter, ["집", "불", "물"]), [2, 0]))
        ['집', '물']
    """

    def __init__(self, read: Callable[[], Iterator[Any]], numbers: Sequence[int]) -> None:
        self._read = read
        self._chosen = np.zeros(max(numbers, default=-1) + 1, dtype=bool)
        self._chosen[np.asarray(numbers, dtype=np.int64)] = True

    def __iter__(self) -> Iterator[Any]:
        for chosen, row in zip(self._chosen.tolist(), self._read(), strict=False):
            if chosen:
                yield row


class FolderBuilder(datasets.DatasetBuilder):
    """Base class of all builders of this package, which refuses arguments that the data set cannot honour.

    Args:
        args: As for `datasets.DatasetBuilder`.
        data_dir: The user's folder.
        data_files: Not supported; files are read from `data_dir`.
        kwargs: As for `datasets.DatasetBuilder`, and the options of the configuration.

    Raises:
        NotADirectoryError: data_dir is a file.
        ValueError: data_dir is empty, data_files are given, or an option is unknown.
    """

    def __init__(self, *args: Any, data_dir: Any = None, data_files: Any = None, **kwargs: Any) -> None:
        # The name of the script; `datasets` sets `self.name` only in the call below.
        name = type(self).__module__.rpartition(".")[2]
        if data_files is not None:
            raise ValueError(
                f"{name}: expected no data_files, found {data_files!r:.100}; put the files into a folder and name it: "
                f"load_dataset({name!r}, data_dir='FOLDER')"
            )
        if data_dir is not None and not (isinstance(data_dir, str | os.PathLike) and str(data_dir).strip()):
            raise ValueError(f"{name}: data_dir: expected the path of a folder, found {data_dir!r:.100}")
        if data_dir is not None and Path(data_dir).is_file():
            raise NotADirectoryError(
                f"{name}: data_dir: expected a folder, found the file {data_dir}; name the folder that contains it"
            )
        of_datasets = {"name", "version", "description", "data_dir", "data_files"}
        options = [field.name for field in fields(self.BUILDER_CONFIG_CLASS) if field.name not in of_datasets]
        if unknown := sorted(kwargs.keys() - inspect.signature(datasets.DatasetBuilder).parameters - set(options)):
            raise ValueError(f"{name}: no such option: {', '.join(unknown)}; the options are {', '.join(options)}")
        super().__init__(*args, data_dir=None if data_dir is None else str(data_dir), **kwargs)

    def as_streaming_dataset(self, *args: Any, **kwargs: Any) -> Any:
        """Stream the rows as `datasets.DatasetBuilder.as_streaming_dataset` does.

        Raises:
            ValueError: Other features are requested, which `datasets` would only declare, without converting the rows.
        """
        if self.info.features != self._info().features:
            raise ValueError(
                f"{self.name}: features: expected none with streaming, found some; load without streaming, or use "
                ".cast(features) on the stream"
            )
        return super().as_streaming_dataset(*args, **kwargs)

    def _save_infos(self) -> None:
        # `save_infos` of the script era; no public hook runs before it writes into the card next to the script.
        raise ValueError(
            f"{self.name}: save_infos: expected False, found True; leave it out, since it would change files of the "
            "installed package"
        )


class PairBuilder(FolderBuilder, datasets.GeneratorBasedBuilder):
    """Base class of the builders of pairs, which read and check their rows in `_split_generators`.

    `_generate_examples` only yields them, because `datasets` would hide its errors behind a DatasetGenerationError.
    """

    BUILDER_CONFIG_CLASS = PairConfig

    def checked(
        self, path: Path, rows: Iterable[tuple[int, Any]], check: Callable[[int, Any], dict[str, Any]], repair: str = ""
    ) -> list[dict[str, Any]]:
        """Return the results of `check` for the rows of a file; see `BadRows` for the arguments.

        Raises:
            ValueError: A row is bad, and the option `on_bad_rows` is `raise`.
        """
        bad = BadRows(path, self.config.on_bad_rows, repair)
        good = list(bad.checked(rows, check))
        bad.warn()
        return good

    def local(self, dl_manager: Any, files: Any) -> Any:
        """Return local paths of files even when streaming, where `dl_manager` itself would return URLs."""
        if not isinstance(dl_manager, datasets.DownloadManager):
            dl_manager = datasets.DownloadManager(
                base_path=self.base_path, download_config=dl_manager.download_config, record_checksums=False
            )
        return dl_manager.download(files)

    def generators(self, splits: Mapping[str, list[dict[str, Any]] | LazyRows]) -> list[datasets.SplitGenerator]:
        """Return a split generator for the rows of each set."""
        # `datasets` would treat a list in gen_kwargs as shards.
        kept = {name: tuple(rows) if isinstance(rows, list) else rows for name, rows in splits.items()}
        return [datasets.SplitGenerator(name, gen_kwargs={"rows": rows}) for name, rows in kept.items()]

    def _generate_examples(self, rows: Iterable[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(rows)
