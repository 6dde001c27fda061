"""Options for choosing and reading sentence–gloss pairs, the same in every command and script."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class ReadingArguments:
    """Options for reading pairs from files of any kind.

    Examples:
        >>> ReadingArguments(gloss_separator="|").on_bad_rows
        'raise'
    """

    text_column: str | None = field(
        default=None,
        metadata={"help": "Column, or ELAN tier, with the sentence (default: by its name, such as text or 문장)."},
    )
    gloss_column: str | None = field(
        default=None,
        metadata={
            "help": "Column with the glosses, or ELAN tiers separated by commas (default: by its name, such as glosses "
            "or 글로스)."
        },
    )
    gloss_separator: str | None = field(
        default=None,
        metadata={
            "help": "Separator between glosses, such as | (default: white space, or the sign that most cells use)."
        },
    )
    encoding: str = field(default="utf-8", metadata={"help": "Encoding of text files, such as cp949."})
    on_bad_rows: str = field(
        default="raise",
        metadata={
            "help": "raise: stop at the first bad row. skip: leave out bad rows and count them.",
            "choices": ("raise", "skip"),
        },
    )
    sense: str = field(
        default="keep",
        metadata={"help": "Keep or drop the sense numbers of a sign corpus (낮1).", "choices": ("keep", "drop")},
    )


@dataclass
class SourceArguments(ReadingArguments):
    """Options for choosing a data set and reading it.

    Examples:
        >>> SourceArguments().dataset
        'mcksg'
    """

    dataset: str = field(
        default="mcksg",
        metadata={
            "help": "mcksg, gksl, a Hub id, or files separated by commas: CSV, TSV, JSON, Parquet, XLSX; two text "
            "files as TEXT.txt+GLOSSES.txt; folders, ZIP archives, JSON or .eaf files of a sign corpus."
        },
    )
    config: str | None = field(default=None, metadata={"help": "Configuration of the data set (default: its own)."})
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder with your copy of a data set that is not distributed with kgloss."}
    )


@dataclass
class PartArguments(SourceArguments):
    """Options for choosing a data set together with its training, validation and test sets.

    Examples:
        >>> PartArguments(train="train.csv", test="test.csv").validation is None
        True
    """

    train: str | None = field(default=None, metadata={"help": "Files with the training set, instead of --dataset."})
    validation: str | None = field(default=None, metadata={"help": "Files with the validation set."})
    test: str | None = field(default=None, metadata={"help": "Files with the test set."})
    extra_train: str | None = field(
        default=None, metadata={"help": "Additional training pairs: a configuration of the data set, or files."}
    )


@dataclass
class CorpusArguments(PartArguments):
    """Options for the pairs of a run: for training, for choosing the checkpoint and for the score.

    Examples:
        >>> CorpusArguments().split is None
        True
    """

    split: str | None = field(
        default=None,
        metadata={
            "help": "Default: the split that the data set comes with, else group. group: draw a leak-free 70:10:20 "
            "split. row: draw the paper's 70:30 split by row, without a test set.",
            "choices": ("group", "row"),
        },
    )
    split_seed: int = field(default=0, metadata={"help": "Seed of a drawn split, independent of the seed of training."})


def reading_of(arguments: ReadingArguments) -> dict[str, Any]:
    """Return the reading options as keyword arguments of `kgloss_hf.data.pairs.read_pairs`.

    Args:
        arguments: Options of a command, a script or a data set.

    Examples:
        >>> reading_of(CorpusArguments(encoding="cp949"))["encoding"]
        'cp949'
    """
    return {option.name: getattr(arguments, option.name) for option in fields(ReadingArguments)}


def changed_options(arguments: ReadingArguments, kind: type[ReadingArguments] = ReadingArguments) -> list[str]:
    """Return the names of the options that differ from their defaults.

    Args:
        arguments: Options of a command, a script or a data set.
        kind: The dataclass whose options are compared (default: `ReadingArguments`).

    Examples:
        >>> changed_options(CorpusArguments(encoding="cp949", split="row"))
        ['encoding']
    """
    return [option.name for option in fields(kind) if getattr(arguments, option.name) != option.default]
