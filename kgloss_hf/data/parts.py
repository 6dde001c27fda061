"""Read the training, validation and test sets of a run: as split by the data set, or drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..reporting import counted
from .arguments import CorpusArguments, PartArguments, reading_of
from .pairs import Pair, Row, Split, gloss_types, load_extra_pairs, read_pairs, split_pairs, without_leaks
from .rows import is_files
from .splitting import PARTS, comes_in_parts, keys_of_pair, split_rows

_VALIDATION_SHARE = 0.1


class Corpus(NamedTuple):
    """Training, validation and test sets of a corpus, with the types of its glosses.

    Args:
        split: The three sets.
        by: `given` if the data came with a split; `group` or `row` if it was drawn.
        types: The type of each gloss whose type the data set gives.
        note: Description of the three sets in one line.
    """

    split: Split
    by: str
    types: dict[str, str]
    note: str


def load_corpus(arguments: CorpusArguments) -> Corpus:
    """Read the training, validation and test sets of a data set.

    A split that the data come with is used unchanged: the splits of a data set, a column `split`, folders such as
    `1.Training`, or a file per set. If there is no validation set, a tenth of the training groups is held out; if there
    is no test set, the validation set is scored. Otherwise a split is drawn (`kgloss_hf.data.pairs.split_pairs`).

    Args:
        arguments: The data set, how to read it, and its split.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file or row is not as expected, or options contradict each other.

    Examples:
        >>> corpus = load_corpus(CorpusArguments())
        >>> corpus.by, corpus.note
        ('group', '249 training, 36 validation and 72 test pairs, drawn by group')
    """
    pairs: list[Pair] = []
    names: list[str | None] = []

    def kept(rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            pairs.append(row.pair)
            names.append(row.part)
            yield row

    files = [name for name in PARTS if getattr(arguments, name)]
    if files and arguments.split:
        raise ValueError(
            f"expected --split {arguments.split} or a file per set, found both (--{', --'.join(files)}); leave one out"
        )
    types = gloss_types(kept(rows_in_parts(arguments)))
    extra = extra_pairs(arguments)
    if arguments.split is None and comes_in_parts(set(names), arguments.dataset):
        parts: dict[str, list[Pair]] = {part: [] for part in PARTS}
        for name, pair in zip(names, pairs, strict=True):
            parts[str(name)].append(pair)
        split, drawn = _as_given(parts, extra, arguments.split_seed)
        return Corpus(split, "given", types, _note(split, "as split by the data set") + drawn)
    by = arguments.split or "group"
    split = split_pairs(pairs, extra, by=by, seed=arguments.split_seed)
    return Corpus(split, by, types, _note(split, f"drawn by {by}"))


def training_pairs(arguments: PartArguments) -> list[Pair]:
    """Return the pairs that a vocabulary is learnt from: the training set, or all pairs of data without a split.

    Args:
        arguments: The data set and its extra pairs, which come last.

    Raises:
        ValueError: As for `load_corpus`.

    Examples:
        >>> len(training_pairs(PartArguments()))
        357
    """
    rows = [(row.part, row.pair) for row in rows_in_parts(arguments)]
    is_split = comes_in_parts({part for part, _ in rows}, arguments.dataset)
    return [pair for part, pair in rows if part == "train" or not is_split] + extra_pairs(arguments)


def extra_pairs(arguments: PartArguments) -> list[Pair]:
    """Return the additional pairs, used for training only.

    Args:
        arguments: Options with `extra_train`, and how to read it.

    Examples:
        >>> extra_pairs(PartArguments())
        []
    """
    source = {"data_dir": arguments.data_dir, **reading_of(arguments)}
    return load_extra_pairs(arguments.dataset, arguments.extra_train, **source)


def rows_in_parts(arguments: PartArguments) -> Iterator[Row]:
    """Yield the rows of the data set, and of the files that replace some of its sets.

    Args:
        arguments: As for `load_corpus`.

    Raises:
        ValueError: As for `load_corpus`.

    Examples:
        >>> {row.part for row in rows_in_parts(PartArguments())}
        {None}
    """
    files = {name: paths for name in PARTS if (paths := getattr(arguments, name))}
    reading = reading_of(arguments)
    if "train" not in files:
        for row in read_pairs(arguments.dataset, config=arguments.config, data_dir=arguments.data_dir, **reading):
            if not files:
                yield row
            elif row.part not in files:
                yield row._replace(part=row.part or "train")
    elif (arguments.dataset, arguments.config, arguments.data_dir) != (PartArguments.dataset, None, None):
        raise ValueError(f"expected --train or --dataset, found both, {arguments.dataset!r}; leave one out")
    for name, paths in files.items():
        if not is_files(paths):
            raise ValueError(f"--{name}: expected files, found {paths!r}; name a data set with --dataset")
        for row in read_pairs(paths, **reading):
            yield row._replace(part=name)


def _as_given(parts: dict[str, list[Pair]], extra: Sequence[Pair], seed: int) -> tuple[Split, str]:
    train, validation, test = parts.values()
    note = ""
    if not test:
        test, validation = validation, []
        note = "; the validation set is scored, because there is no test set"
    if not validation:
        keys = [keys_of_pair(*pair) for pair in train]
        kept, held_out = split_rows(keys, (1 - _VALIDATION_SHARE, _VALIDATION_SHARE), seed=seed)
        train, validation = [train[i] for i in kept], [train[i] for i in held_out]
        note += "; the checkpoint is chosen on a tenth of the training set"
    clean = without_leaks(extra, [*validation, *test])
    if not all((train, validation, test)):
        raise ValueError(
            "expected enough different training pairs to hold out a tenth, found too few or too similar ones "
            f"({counted(len(train) + len(validation), 'pair')}); add pairs"
        )
    return Split(train + clean, validation, test, len(extra) - len(clean)), note


def _note(split: Split, how: str) -> str:
    sizes = [f"{len(part):,} {name}" for name, part in zip(("training", *PARTS[1:]), split[:3], strict=True)]
    leaks = leaks_between(split.test, split.train)
    parts = [f"{sizes[0]}, {sizes[1]} and {sizes[2]} pairs, {how}"]
    if leaks["any"]:
        parts.append(
            f"test pairs with the sentence ({leaks['sentence']:,}) or the gloss string ({leaks['gloss_string']:,}) "
            f"of a training pair: {leaks['any']:,}"
        )
    if split.dropped:
        parts.append(
            f"extra pairs dropped for sharing the sentence or the gloss string of a held-out pair: {split.dropped:,}"
        )
    return "; ".join(parts)


def leaks_between(test: Sequence[Pair], train: Sequence[Pair]) -> dict[str, int]:
    """Count the test pairs that share something with a training pair.

    Args:
        test: The test set.
        train: The training set.

    Returns:
        Numbers of test pairs whose `sentence`, `gloss_string`, whole `pair`, or `any` of these occurs in training.

    Examples:
        >>> leaks_between([Pair("집", ("집",)), Pair("물", ("물",))], [Pair("집", ("집", "불"))])
        {'sentence': 1, 'gloss_string': 0, 'pair': 0, 'any': 1}
    """
    texts, strings, both = {pair.text for pair in train}, {pair.glosses for pair in train}, set(train)
    return {
        "sentence": sum(pair.text in texts for pair in test),
        "gloss_string": sum(pair.glosses in strings for pair in test),
        "pair": sum(pair in both for pair in test),
        "any": sum(pair.text in texts or pair.glosses in strings for pair in test),
    }
