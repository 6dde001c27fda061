"""Select the pairs of a corpus of back-translations that are worth training on, and write them as shards."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from tqdm import tqdm

from ..data.shards import COLUMNS, SHARDS
from ..files import save_folder
from .filters import REASONS, Thresholds, reason
from .near_duplicates import NearDuplicates

logger = logging.getLogger(__name__)

_NOT_TRANSLATED = "not_translated"  # counted with REASONS: a text was too long for its engine, or refused by it
_BATCH = 10_000
_SHARD_BATCHES = 20
_Row = tuple[str, str, str, str]
_SCHEMA = pa.schema([(column, pa.string()) for column in COLUMNS])


def select_pairs(folder: Path, names: Sequence[str], thresholds: Thresholds) -> dict[str, Any]:
    """Write the selected pairs as shards, and count the dropped ones by reason.

    Args:
        folder: Folder of the corpus, whose sentences must all be translated.
        names: Names of the engines, in the order of their numbers in the translations.
        thresholds: Thresholds that a pair must meet.

    Returns:
        `result` as `kgloss_hf.back_translation.corpus.build_corpus` returns it.
    """
    dropped = Counter(dict.fromkeys((_NOT_TRANSLATED, *REASONS), 0))
    origins: Counter[str] = Counter()
    engines: Counter[str] = Counter(dict.fromkeys(names, 0))
    shards: list[str] = []

    def write(partial: Path) -> None:
        rows = _different(folder, _passed(folder, names, thresholds, dropped), thresholds, dropped)
        for first in rows:
            shards.append(f"pairs-{len(shards):05d}.parquet")
            with parquet.ParquetWriter(partial / shards[-1], _SCHEMA) as writer:
                for batch in chain([first], islice(rows, _SHARD_BATCHES - 1)):
                    columns = list(zip(*batch, strict=True))
                    origins.update(columns[2])
                    engines.update(columns[3])
                    writer.write_table(pa.table(columns, schema=_SCHEMA))
        shutil.rmtree(folder / SHARDS, ignore_errors=True)

    save_folder(folder / SHARDS, write)
    if not shards:
        logger.warning("%s: no pair passed the selection; pairs dropped by reason: %s", folder, dict(dropped))
    return {
        "pairs": origins.total(),
        "dropped": dict(dropped),
        "origins": dict(origins),
        "engines": dict(engines),
        "shards": shards,
    }


def _passed(folder: Path, names: Sequence[str], thresholds: Thresholds, dropped: Counter[str]) -> Iterator[_Row]:
    """Return the rows that pass the filters of single pairs, in the order of the sentences."""
    for path in tqdm(sorted((folder / "translations").glob("*.parquet")), "selecting", unit=" files", disable=None):
        for row in parquet.read_table(path).to_pylist():
            if row["target"] is None:
                dropped[_NOT_TRANSLATED] += 1
            elif wrong := reason(row["source"], row["target"], row["similarity"], thresholds):
                dropped[wrong] += 1
            else:
                yield row["source"], row["target"], row["origin"], names[row["engine"]]


def _different(
    folder: Path, rows: Iterator[_Row], thresholds: Thresholds, dropped: Counter[str]
) -> Iterator[list[_Row]]:
    """Return batches of rows, without near duplicates."""
    with ExitStack() as stack:
        near_duplicates = None
        if thresholds.near_duplicates:
            scratch = NearDuplicates(folder / ".near-duplicates.sqlite", thresholds.near_duplicates)
            near_duplicates = stack.enter_context(scratch)
        while batch := list(islice(rows, _BATCH)):
            if near_duplicates is not None:
                seen = near_duplicates.seen_many([(source, target) for source, target, *_ in batch])
                dropped[REASONS[-1]] += sum(seen)
                batch = [row for row, again in zip(batch, seen, strict=True) if not again]
            if batch:
                yield batch
