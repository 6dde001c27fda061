"""Refuse files that unpack to more than fits into memory, and cut batches of long texts into smaller ones.

A small file can unpack to more than fits into memory. An archive or Parquet file may unpack to 64 MiB or to 200 times
its size, whichever is larger. Gzip files need no bound, because their lines are read one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.compute as pc
from pyarrow import RecordBatch, types
from pyarrow.parquet import ParquetFile

from ..reporting import counted

_UNFOLDED, _UNFOLDED_TIMES = 2**26, 200
_BATCH_BYTES = 2**26


def check_unfolded(path: Path, unfolded: int) -> None:
    """Refuse a file that unpacks to far more than its size.

    Args:
        path: The file.
        unfolded: Number of bytes that it unpacks to.

    Raises:
        ValueError: `unfolded` is more than both 64 MiB and 200 times the size of the file.

    Examples:
        >>> check_unfolded(Path(__file__), 2**26)
    """
    size = path.stat().st_size
    limit = max(_UNFOLDED, _UNFOLDED_TIMES * size)
    if unfolded > limit:
        raise ValueError(
            f"{path}: expected a file of {counted(size, 'byte')} to unpack to at most {limit:,} bytes, found more; "
            "it is damaged, or built to fill the memory. If it is neither, save it again in several files"
        )


def check_parquet(path: Path, file: ParquetFile, schema: pyarrow.Schema) -> tuple[list[str], int]:
    """Refuse a Parquet file whose metadata announce far more data than its size, and return how to read it.

    Args:
        path: The file.
        file: The same file, opened.
        schema: The columns to read.

    Returns:
        The text columns, which are to be read as dictionaries, and the maximum number of rows to read at once.

    Raises:
        ValueError: The file unpacks to far more than its size.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "sentences.parquet")
        ...     pyarrow.parquet.write_table(pyarrow.table({"text": ["집", "불"]}), path)
        ...     with ParquetFile(path) as file:
        ...         check_parquet(path, file, file.schema_arrow)
        (['text'], 67108864)
    """
    texts, nested, flat, longest = [], [], 0, 0
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    for number in range(len(file.schema)):
        column = file.schema.column(number)
        field = next((f for f in schema if f"{column.path}.".startswith(f"{f.name}.")), None)
        if field is None:
            continue
        if column.max_repetition_level:
            file.scan_contents([number])  # raises for damaged metadata, which would abort the process below
            nested.append(number)
        else:
            flat += 1
        if column.physical_type == "BYTE_ARRAY":
            if _is_text(field.type):
                texts.append(column.path)
            else:
                longest = max([longest, *(group.total_byte_size for group in groups)])
    for group in groups:
        check_unfolded(path, group.total_byte_size)
    values = sum(group.column(number).num_values for group in groups for number in nested)
    check_unfolded(path, 8 * (values + flat * sum(group.num_rows for group in groups)))
    return texts, max(1, _BATCH_BYTES // max(1, longest))


def bounded_batches(path: Path, batches: Iterable[RecordBatch]) -> Iterator[RecordBatch]:
    """Cut the batches of a Parquet file wherever their rows take more than 64 MiB.

    Args:
        path: The file.
        batches: Its batches, in which the columns named by `check_parquet` are dictionaries.

    Raises:
        ValueError: The batches together unpack to far more than the size of the file, or one is damaged.

    Examples:
        >>> batch = RecordBatch.from_pydict({"n": [1, 2, 3]})
        >>> [part.num_rows for part in bounded_batches(Path(__file__), [batch])]
        [3]
    """
    unfolded = 0
    for batch in batches:
        batch.validate(full=True)  # a damaged page may hold text that is not valid UTF-8
        sizes = sum(map(_row_bytes, batch.columns), np.zeros(batch.num_rows, np.int64))
        unfolded += int(sizes.sum())
        check_unfolded(path, unfolded)
        part = np.cumsum(sizes) // _BATCH_BYTES
        starts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), batch.num_rows]
        for start, end in pairwise(starts):
            yield batch.slice(start, end - start)


def _is_text(kind: pyarrow.DataType) -> bool:
    """Return whether a column of this type holds texts or lists of texts."""
    if types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    return types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)


def _row_bytes(column: pyarrow.Array) -> npt.NDArray[np.int64]:
    """Return the number of bytes per row of a column once equal texts are no longer shared."""
    if types.is_list(column.type) or types.is_large_list(column.type):
        ends = np.concatenate([[0], np.cumsum(_row_bytes(column.values))])
        offsets = column.offsets.to_numpy()
        return np.asarray(ends[offsets[1:]] - ends[offsets[:-1]] + 8, np.int64)
    if types.is_dictionary(column.type) and _is_text(column.type):
        lengths = np.append(pc.fill_null(pc.binary_length(column.dictionary), 0).to_numpy(), 0)
        return np.asarray(lengths[column.indices.fill_null(len(column.dictionary)).to_numpy()] + 8, np.int64)
    return np.full(len(column), column.nbytes // max(1, len(column)), np.int64)
