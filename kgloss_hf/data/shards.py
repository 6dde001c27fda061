"""Read shards of back-translated pairs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .checks import BadRows, inside, with_repair
from .lines import is_text, read_lines
from .tables import read_batches

COLUMNS = ("source", "target", "origin", "engine")
"""Columns of a shard, all strings: a sentence, its paraphrase, the corpus of the sentence, the paraphrase's author."""

SHARDS = "shards"
"""Subfolder of data_dir with the shards: `*.parquet` with these columns, or `*.jsonl` with one such object per line."""

_BATCH = 10_000
_AGAIN = "delete the shard and let the builder write it again"  # advice for messages


def shard_files(data_dir: Path) -> list[Path]:
    """List the shards of a folder in the order of their names.

    Args:
        data_dir: The folder that contains the folder of shards.

    Raises:
        ValueError: A shard is a link that leads out of the folder.

    Examples:
        >>> shard_files(Path("nowhere"))
        []
    """
    paths = sorted((data_dir / SHARDS).glob("[!.]*"))
    return [inside(data_dir, path) for path in paths if path.suffix in (".parquet", ".jsonl")]


def check_shards(paths: Sequence[Path], origin: str | None = None) -> None:
    """Refuse wrong columns, and shards without a row of an origin, before any is read in full.

    Args:
        paths: Shards from `shard_files`, at least one.
        origin: Origin of the requested rows; None for all rows.

    Raises:
        ValueError: A shard has other columns, or no shard holds the origin.
    """
    for path in paths:
        if path.suffix == ".parquet":
            next(_batches(path, size=1), None)
        else:
            _, row = next(_objects(path), (0, {}))
            if isinstance(row, dict) and not set(COLUMNS) <= set(row):
                keys = f"{list(row)!s:.300}"
                raise ValueError(f"{path}: expected the keys {', '.join(COLUMNS)}, found {keys}; {_AGAIN}")
    if origin and not any(_holds(path, origin) for path in paths):
        repair = "build them, or load another configuration"
        raise ValueError(f"{paths[0].parent}: expected rows with the origin {origin}, found none; {repair}")


def read_shard(path: Path, on_bad_rows: str = "raise") -> Iterator[pa.Table]:
    """Yield the rows of a shard in tables, with one table in memory at a time.

    Args:
        path: A shard from `shard_files`.
        on_bad_rows: `raise`, or `skip`, which leaves out bad rows and logs their number (default `raise`).

    Raises:
        ValueError: The shard is damaged, or holds a bad row.
    """
    bad = BadRows(path, on_bad_rows, f"; correct the row, or {_AGAIN}")
    if path.suffix == ".parquet":
        start = 1
        for table in _batches(path):
            yield _without_bad_rows(table, start, bad)
            start += len(table)
    else:
        yield from as_tables(bad.checked(_objects(path), _check_pair))
    bad.warn()


def as_tables(rows: Iterator[tuple[str, ...]]) -> Iterator[pa.Table]:
    """Yield rows in tables of a bounded size.

    Args:
        rows: Rows with a cell for each of `COLUMNS`.
    """
    while batch := list(islice(rows, _BATCH)):
        yield pa.table([pa.array(cells, pa.string()) for cells in zip(*batch, strict=True)], names=COLUMNS)


def _batches(path: Path, columns: Sequence[str] = COLUMNS, size: int = _BATCH) -> Iterator[pa.Table]:
    for batch in with_repair(read_batches(path, columns=columns, size=size), _AGAIN):
        for name in columns:
            kind = batch.schema.field(name).type
            if str(getattr(kind, "value_type", kind)) not in ("string", "large_string", "string_view"):
                raise ValueError(f"{path}: expected text in {name}, found the type {kind}; {_AGAIN}")
        yield pa.table([batch.column(name).cast(pa.string()) for name in columns], names=columns)


def _without_bad_rows(table: pa.Table, start: int, bad: BadRows) -> pa.Table:
    empty = pa.scalar(False)
    for cells in table.columns:
        empty = pc.or_(empty, pc.equal(pc.utf8_trim_whitespace(cells.fill_null("")), ""))
    numbers = pc.indices_nonzero(empty).to_pylist()
    for _ in bad.checked(((start + n, table.slice(n, 1).to_pylist()[0]) for n in numbers), _check_pair):
        pass
    return table.filter(pc.invert(empty)) if numbers else table


def _objects(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(with_repair(read_lines(path), _AGAIN), 1):
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError):
            yield number, line  # not an object, and therefore a bad row


def _check_pair(_: int, row: Any) -> tuple[str, ...]:
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {row!r:.60}")
    for column in COLUMNS:
        cell = row.get(column)
        if not isinstance(cell, str) or not cell.strip() or not is_text(cell):
            raise ValueError(f"expected text in {column}, found {cell!r:.60}")
    return tuple(row[column] for column in COLUMNS)


def _holds(path: Path, origin: str) -> bool:
    if path.suffix == ".parquet":
        return any(pc.any(pc.equal(table["origin"], origin)).as_py() for table in _batches(path, ("origin",)))
    return any(row[2] == origin for row in BadRows(path, "skip").checked(_objects(path), _check_pair))
