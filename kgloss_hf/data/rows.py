"""Read the unprocessed rows of data sets and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from ..artefacts import DATASETS
from .arguments import ReadingArguments, changed_options
from .corpus_files import ARCHIVE, SUFFIXES
from .lines import is_text_file, read_lines
from .review import eaf_rows, review_tiers
from .sign_corpora import is_corpus, read_corpus
from .splitting import part_of
from .tables import existing_file, is_table, read_rows


class Table(NamedTuple):
    """Rows of a file or of a split of a data set, each with its number or a description of its location."""

    origin: str
    part: str | None
    rows: Iterable[tuple[int | str, Any]]
    reading: ReadingArguments


def tables_of(
    dataset: str, *, config: str | None = None, data_dir: str | None = None, **reading: Any
) -> Iterator[Table]:
    """Yield the tables of a data set with unprocessed rows. To read pairs, use `kgloss_hf.data.pairs.read_pairs`.

    Args:
        dataset: `mcksg`, `gksl`, a Hub dataset id, or files separated by commas: tables (CSV, TSV, JSON, Parquet,
            XLSX), two text files with a sentence and its glosses on equal lines (`TEXT.txt+GLOSSES.txt`), or a sign
            corpus (`kgloss_hf.data.sign_corpora`): a folder, a ZIP archive, JSON or .eaf files.
        config: Configuration of the data set, such as `augmented` of gksl (default: its own default).
        data_dir: Folder with the user's own copy, for data sets that are not distributed with kgloss.
        **reading: Fields of `kgloss_hf.data.arguments.ReadingArguments`, such as `text_column`.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An option does not apply.

    Examples:
        >>> [(table.origin, table.part) for table in tables_of("mcksg")]
        [('dataset mcksg, split train', None)]
    """
    options = ReadingArguments(**reading)
    if not (names := _files(dataset)):
        yield from _tables_of_dataset(dataset, config, data_dir, options)
        return
    for option, value in (("configurations", config), ("data_dir", data_dir)):
        if value is not None:
            raise ValueError(f"{dataset}: expected no {option} for files, found {value!r}; leave it out")
    for name in names:
        if _is_parallel(name):
            yield Table(name, None, _parallel_rows(name, options.encoding), options)
        elif tiers := review_tiers(Path(name)):
            if options.encoding != ReadingArguments.encoding:
                raise ValueError(
                    f"{name}: expected no encoding for an ELAN file, which states its own, found {options.encoding!r}; "
                    "leave it out"
                )
            yield Table(name, None, eaf_rows(Path(name), tiers), options)
        elif is_corpus(Path(name)) or name.lower().endswith((ARCHIVE, ".eaf")):
            yield corpus_table(Path(name), options)
        else:
            yield Table(name, None, read_rows(existing_file(name), encoding=options.encoding), options)


def place_of(table: Table, number: int | str) -> str:
    """Return a description of the location of a row, for messages.

    Args:
        table: The table.
        number: Number of the row, or its description.

    Examples:
        >>> place_of(Table("pairs.csv", None, [], ReadingArguments()), 2)
        'pairs.csv, row 2'
    """
    return number if isinstance(number, str) else f"{table.origin}, row {number}"


def load_unsplit(
    dataset: str, config: str | None = None, data_dir: str | None = None, streaming: bool = False, **options: Any
) -> Any:
    """Load the splits of a data set by name: its own, or if it has none, all rows in file order as `train`.

    Args:
        dataset: Name of the data set.
        config: Configuration of the data set (default: its own default).
        data_dir: Folder with the user's own copy.
        streaming: As for `datasets.load_dataset`.
        **options: Options of the configuration.

    Examples:
        >>> list(load_unsplit("mcksg", "sample", streaming=True))
        ['train']
    """
    from datasets import load_dataset, load_dataset_builder

    known = load_dataset_builder(dataset, config, data_dir=data_dir, **options).config
    unsplit = {"split_by": "given"} if hasattr(known, "split_by") else {}
    return load_dataset(dataset, config, data_dir=data_dir, streaming=streaming, **unsplit, **options)


def is_files(dataset: str) -> bool:
    """Return whether a data set is given as files.

    Args:
        dataset: As for `tables_of`.

    Examples:
        >>> is_files("pairs.csv,more.jsonl"), is_files("mcksg")
        (True, False)
    """
    return bool(_files(dataset))


def _files(dataset: str) -> list[str]:
    """Return the names of the files, or an empty list if `dataset` is the name of a data set."""
    names = dataset.split(",")
    if dataset in DATASETS:
        return []
    are_files = [
        _is_parallel(name) or is_table(name) or name.lower().endswith((ARCHIVE, *SUFFIXES)) or is_corpus(Path(name))
        for name in names
    ]
    return names if any(are_files) else []


def _is_parallel(name: str) -> bool:
    parts = name.split("+")
    return len(parts) == 2 and all(map(is_text_file, parts))


def _parallel_rows(name: str, encoding: str) -> Iterator[tuple[int, dict[str, str]]]:
    paths = [existing_file(part) for part in name.split("+")]
    lines = zip_longest(*(read_lines(path, encoding=encoding) for path in paths))
    for number, (text, glosses) in enumerate(lines, 1):
        if text is None or glosses is None:
            shorter = paths[0] if text is None else paths[1]
            raise ValueError(
                f"{name}: expected the same number of lines in both files, found only {number - 1:,} in {shorter}; add "
                "the missing lines"
            )
        yield number, {"text": text.strip(), "glosses": glosses.strip()}


def corpus_table(path: Path, reading: ReadingArguments, *, again: bool = False) -> Table:
    """Return the rows of a sign corpus as a table.

    Args:
        path: As for `kgloss_hf.data.sign_corpora.read_corpus`.
        reading: Reading options, whose columns name tiers of ELAN files.
        again: Whether the rows were read before, so that nothing is logged about them.

    Raises:
        ValueError: An option does not apply.
    """
    if unfit := sorted({"encoding", "gloss_separator"} & set(changed_options(reading))):
        raise ValueError(
            f"{path}: expected no encoding or separator for a sign corpus, which is UTF-8 and holds lists of glosses, "
            f"found {' and '.join(unfit)}; leave out what is set"
        )
    tiers = [tier.strip() for tier in (reading.gloss_column or "").split(",") if tier.strip()]
    rows = read_corpus(
        path,
        sense=reading.sense,
        text_tier=reading.text_column,
        gloss_tiers=tiers,
        on_bad_rows=reading.on_bad_rows,
        quiet=again,
    )
    return Table(str(path), None, rows, ReadingArguments(on_bad_rows=reading.on_bad_rows))


def _tables_of_dataset(
    dataset: str, config: str | None, data_dir: str | None, reading: ReadingArguments
) -> Iterator[Table]:
    from datasets import load_dataset_builder

    known = {option.name for option in fields(load_dataset_builder(dataset, config, data_dir=data_dir).config)}
    changed = set(changed_options(reading))
    # Options that the data set applies itself, such as decoding its files; the rest is applied to its rows.
    own = {name: getattr(reading, name) for name in changed & known}
    if unknown := sorted((changed - known) & {"encoding", "sense"}):
        raise ValueError(f"{dataset}: no such option: {', '.join(unknown)}; leave it out")
    reading = replace(reading, **{name: getattr(ReadingArguments, name) for name in own})
    splits = load_unsplit(dataset, config, data_dir, **own)
    parts = {name: part_of(name) for name in splits}
    is_split = len(parts) > 1 and None not in parts.values()
    for name, rows in splits.items():
        part = parts[name] if is_split else None
        yield Table(f"dataset {dataset}, split {name}", part, enumerate(_with_types(rows), 1), reading)


def _with_types(rows: Any) -> Iterator[Any]:
    from datasets import ClassLabel

    kind = getattr((rows.features or {}).get("gloss_types"), "feature", None)
    for row in rows:
        if isinstance(kind, ClassLabel):
            row["gloss_types"] = kind.int2str(row["gloss_types"])
        yield row
