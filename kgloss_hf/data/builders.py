"""What the loading scripts of sentence–gloss pairs share: options, checked rows, splits, and the key of the cache."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from .splitting import split_rows
from .tables import TABLE_SUFFIXES, is_text

logger = logging.getLogger(__name__)


@dataclass
class PairConfig(datasets.BuilderConfig):
    """Options of a data set of pairs, which `load_dataset` takes by name.

    Args:
        split_by: `group` keeps equal sentences and equal gloss strings in one split; `row` splits at random by row, as
            the paper does, so that they leak; `none` gives all rows in the order of the files as `train`.
        split_seed: Of the shuffle before the split.
        on_bad_rows: `raise` stops at the first row that is not as expected; `skip` leaves such rows out and says how
            many in a warning. A damaged file or a wrong header is an error in any case.

    Example:
        >>> PairConfig("full", split_by="row").split_seed
        0
    """

    split_by: str = "group"
    split_seed: int = 0
    on_bad_rows: str = "raise"

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Any = None) -> str:
        """The part of the cache's path that stands for the options; it changes with the files in `data_dir` too."""
        if self.data_dir:
            config_kwargs = {**config_kwargs, "files": fingerprint(Path(self.data_dir))}
        config_id: str = super().create_config_id(config_kwargs, custom_features)
        return config_id


def fingerprint(folder: Path) -> str:
    """A hash of the names, sizes and times of change of a folder's tables, which may be too large to read.

    Args:
        folder: It need not exist.

    Example:
        >>> len(fingerprint(Path("nowhere")))
        16
    """
    found = sorted(folder.glob("*")) if folder.is_dir() else []
    stats = [(path.name, path.stat()) for path in found if path.suffix.lower() in TABLE_SUFFIXES and path.is_file()]
    seen = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


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
    """What links a row with others: its sentence, whatever its white space, and its glosses.

    Args:
        row: With `text` and `glosses`.

    Example:
        >>> pair_keys({"text": "집에  불이 났어요.", "glosses": ["집", "불"]})
        ('집에 불이 났어요.', ('집', '불'))
    """
    return " ".join(row["text"].split()), tuple(row["glosses"])


class PairBuilder(datasets.GeneratorBasedBuilder):
    """Base of the builders: they read and check their rows in `_split_generators` and hand them on as they are.

    `datasets` would hide an error of `_generate_examples` behind a DatasetGenerationError.
    """

    BUILDER_CONFIG_CLASS = PairConfig

    def checked(
        self,
        path: Path,
        rows: Iterable[tuple[int, Any]],
        check: Callable[[int, Any], dict[str, Any]],
        *,
        repair: str = "",
    ) -> Iterator[dict[str, Any]]:
        """What `check` makes of the rows of a file; bad ones are treated as `on_bad_rows` says.

        Args:
            path: The file, for messages.
            rows: Numbers and rows.
            check: Takes a number and a row; raises ValueError for a bad row.
            repair: What to do about a bad row, a sentence for the end of the message.

        Raises:
            ValueError: A row is bad, or `on_bad_rows` is not known.
        """
        if self.config.on_bad_rows not in ("raise", "skip"):
            raise ValueError(f"on_bad_rows: expected 'raise' or 'skip', found {self.config.on_bad_rows!r}")
        skipped: list[str] = []
        for number, row in rows:
            try:
                if isinstance(row, dict) and None in row:
                    width = len(row) - 1
                    raise ValueError(
                        f"expected {width} cells, as in the header, found {width + len(row[None])}; "
                        "put a cell that holds a comma in quotation marks"
                    )
                good = check(number, row)
                if broken := [name for name, cell in good.items() if not is_text("".join(cell or ""))]:
                    raise ValueError(f"expected text in {broken[0]}, found half a character; correct it")
            except ValueError as error:
                message = f"{path}, row {number}: {error}"
                if self.config.on_bad_rows == "raise":
                    raise ValueError(f"{message}{repair}, or leave bad rows out with on_bad_rows='skip'") from error
                skipped.append(message)
            else:
                yield good
        if skipped:
            logger.warning("%s: %d bad rows skipped; the first: %s", path, len(skipped), skipped[0])

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
