"""Read sentences and paraphrases of Korean corpora, and shards of back-translated pairs, from a folder of the user."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ..reporting import counted
from ..runtime.normalization import normalize_line
from .checks import BadRows, inside, with_repair
from .lines import read_lines
from .shards import COLUMNS, SHARDS, as_tables, check_shards, shard_files
from .tables import read_rows

logger = logging.getLogger(__name__)

_SET = 10
_FILE_AGAIN = "get an unchanged copy of the file, or set its encoding, such as encoding='cp949'"


class _Layout(NamedTuple):
    """Layout of one kind of tab-separated file."""

    sentences: tuple[str, ...] = ("sentence1", "sentence2")  # columns
    # A column, and a function of its cell: whether the row's sentences are paraphrases (None: an unknown label).
    label: tuple[str, Callable[[str], bool | None]] | None = None
    keys: tuple[str, ...] = ()  # columns that are equal in the ten rows of a set of paraphrases
    header: bool = True  # the header may have more columns, in any order
    blank: str | None = None  # marks a missing sentence; rows with it are left out

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are read, in the order of a file without a header."""
        return (*self.keys, *self.sentences, *(self.label or ())[:1])


class Corpus(NamedTuple):
    """Source of a corpus and layout of its files.

    Args:
        clone: Folder of the files in a clone of the repository, within data_dir.
        flat: Alternative folder, in which a `/` in the name of a file is written as `__`.
        repository: Place to get the corpus from.
        licence: Licence of the corpus.
        layouts: Layout of the files named in the key, separated by spaces; None is the layout of Naver NER.
    """

    clone: str
    flat: str
    repository: str
    licence: str
    layouts: Mapping[str, _Layout | None]

    @property
    def files(self) -> dict[str, _Layout | None]:
        """Layout of each file by its name."""
        return {name: layout for names, layout in self.layouts.items() for name in names.split()}


def _is_high(score: str) -> bool | None:
    try:
        return float(score) >= 4 if 0 <= float(score) <= 5 else None
    except ValueError:
        return None


_ENTAILMENT = {"entailment": True, "neutral": False, "contradiction": False}.get
_ZERO_IS_SAME = {"0": True, "1": False}.get
_ONE_IS_SAME = {"1": True, "0": False}.get

_NLI = _Layout(label=("gold_label", _ENTAILMENT))
_STS = _Layout(label=("score", _is_high))
_QUESTIONS = _Layout(("question1", "question2"), label=("is_duplicate", _ZERO_IS_SAME))
_TEXT = _Layout(("text",))
_PARAKQC = _Layout(("sentence",), keys=("topic", "act"), header=False)
_STYLE_SETS = _Layout(("sentence",), keys=("act",))
_STYLE_PAIRS = _Layout(label=("similarity", _ONE_IS_SAME))
_PAWSX = _Layout(label=("label", _ONE_IS_SAME), blank="NS")

# Repository and licence
_KOR_NLU = ("https://github.com/kakaobrain/kor-nlu-datasets", "CC BY-SA 4.0")
_NAVER = ("https://github.com/naver/nlp-challenge", "no licence to pass it on")
_QUESTION_PAIR = ("https://github.com/songys/Question_pair", "MIT")
_MCKSG = ("its owner, for it was never published: a header and a column text", "the owner's")
_PARAKQC_HOME = ("https://github.com/warnikchow/paraKQC", "CC BY-SA 4.0")
_STYLEKQC = ("https://github.com/cynthia/stylekqc", "CC BY-SA 4.0")
_KOELECTRA = ("https://github.com/monologg/KoELECTRA", "free for any purpose")
_NLI_FILES = "snli_1.0_train.ko.tsv multinli.train.ko.tsv xnli.dev.ko.tsv xnli.test.ko.tsv"
_STYLE = {"act/train.tsv act/dev.tsv act/test.tsv": _STYLE_SETS, "sts/train.tsv sts/dev.tsv sts/test.tsv": _STYLE_PAIRS}
_PAWS_FILES = "translated_train.tsv dev_2k.tsv test_2k.tsv"

CORPORA = {
    "kornli": Corpus("kor-nlu-datasets/KorNLI", "kornlu", *_KOR_NLU, {_NLI_FILES: _NLI}),
    "korsts": Corpus("kor-nlu-datasets/KorSTS", "kornlu", *_KOR_NLU, {"sts-train.tsv sts-dev.tsv sts-test.tsv": _STS}),
    "naver_ner": Corpus("nlp-challenge/missions/ner/data/train", "naver_ner", *_NAVER, {"train_data": None}),
    "question_pair": Corpus(
        "Question_pair", "question_pair", *_QUESTION_PAIR, {"train.txt validation.txt test.txt": _QUESTIONS}
    ),
    "mcksg": Corpus("mcksg", "mcksg", *_MCKSG, {"mcksg.tsv": _TEXT}),
    "parakqc": Corpus("paraKQC/data", "parakqc", *_PARAKQC_HOME, {"paraKQC_v1.txt": _PARAKQC}),
    "stylekqc": Corpus("stylekqc", "stylekqc", *_STYLEKQC, _STYLE),
    "pawsx": Corpus("KoELECTRA/finetune/data/paws", "pawsx_ko", *_KOELECTRA, {_PAWS_FILES: _PAWSX}),
}
"""Corpora by the name of their configuration, which is also the `origin` of their rows."""

PARAPHRASED = tuple(
    name
    for name, corpus in CORPORA.items()
    if any(file and (file.label or file.keys) for file in corpus.files.values())
)
"""Names of the corpora that contain paraphrases."""


def _where_to_get(names: Iterable[str]) -> str:
    lines = [
        f"Back-translated pairs (pairs='backtranslation') are read from DATA_DIR/{SHARDS}/*.parquet or *.jsonl, with "
        f"the columns {', '.join(COLUMNS)}, as `kgloss back-translate` writes them.",
        "Human paraphrases (pairs='paraphrase') and plain sentences are read from your copies of the corpora:",
    ]
    for name in names:
        corpus = CORPORA[name]
        files = ", ".join(corpus.files) + (" or with __ for /" if "/" in "".join(corpus.files) else "")
        folders = " or ".join(f"DATA_DIR/{folder}/" for folder in dict.fromkeys((corpus.clone, corpus.flat)))
        lines.append(f"- {name}: {files} in {folders}, from {corpus.repository} (licence: {corpus.licence})")
    return "\n".join(lines)


class _Row(NamedTuple):
    sentences: list[str]
    are_paraphrases: bool = False
    keys: tuple[str, ...] = ()


@dataclass
class CorpusFolder:
    """A user's folder with copies of corpora and shards of back-translated pairs.

    Args:
        data_dir: The folder.
        names: Names of the corpora to read (default: all).
        encoding: Encoding of the corpora's files, such as `cp949`. Shards are always UTF-8.
        on_bad_rows: `raise`, or `skip`, which leaves out bad rows and logs their number (default `raise`).

    Raises:
        ValueError: No folder is named or an option is unknown; while reading, a path leads out of the folder or a
            file is not as published.
        FileNotFoundError: The folder does not exist; later, it contains none of the requested data.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as data_dir:
        ...     Path(data_dir, "mcksg").mkdir()
        ...     _ = Path(data_dir, "mcksg", "mcksg.tsv").write_text("text\\n환영합니다.\\n", "utf-8")
        ...     list(CorpusFolder(data_dir, ["mcksg"]).read_sentences())
        [('환영합니다.', 'mcksg')]
    """

    data_dir: str | None
    names: Sequence[str] = tuple(CORPORA)
    encoding: str = "utf-8"
    on_bad_rows: str = "raise"

    def __post_init__(self) -> None:
        if not self.data_dir or not Path(self.data_dir).is_dir():
            problem = f"expected data_dir, your data folder, found {self.data_dir}.\n{_where_to_get(self.names)}"
            raise FileNotFoundError(problem) if self.data_dir else ValueError(problem)
        self._root = Path(self.data_dir)
        BadRows(self._root, self.on_bad_rows)  # raises for an unknown option

    def files(self, name: str) -> dict[str, Path]:
        """Return the paths of a corpus's files that exist, by their published names."""
        corpus, files = CORPORA[name], {}
        for file in corpus.files:
            places = self._root / corpus.clone / file, self._root / corpus.flat / file.replace("/", "__")
            if path := next(filter(Path.is_file, places), None):
                files[file] = inside(self._root, path)
        return files

    def corpora(self) -> list[str]:
        """Return the names of the corpora in the folder, and warn of missing corpora and files.

        Raises:
            FileNotFoundError: The folder contains none of the corpora.
            ValueError: A file has a wrong header.
        """
        present = [name for name in self.names if self.files(name)]
        if not present:
            wanted = ", ".join(self.names)
            raise FileNotFoundError(
                f"{self._root}: expected files of {wanted}, found none.\n{_where_to_get(self.names)}"
            )
        missing = [name for name in self.names if name not in present]
        for name in present:
            files = self.files(name)
            missing += [f"{name}'s {file}" for file in CORPORA[name].files if file not in files]
            for file, path in files.items():
                next(self._rows(path, CORPORA[name].files[file]), None)
        if missing:
            logger.warning("%s: not found, and therefore left out: %s", self._root, ", ".join(missing))
        return present

    def read_sentences(self) -> Iterator[tuple[str, str]]:
        """Return the sentences with the names of their corpora, in the order of the files.

        Each distinct sentence of a corpus is returned once, normalised and with runs of white space collapsed.
        """
        return ((sentence, name) for name in self.corpora() for sentence in self._sentences(name))

    def _sentences(self, name: str) -> Iterator[str]:
        left_out: Counter[str] = Counter()
        seen: set[bytes] = set()
        for sentences, _ in self._groups(name, left_out):
            for sentence in sentences:
                if (key := _key(sentence)) not in seen:
                    seen.add(key)
                    yield sentence

    def read_paraphrases(self, name: str) -> Iterator[pa.Table]:
        """Yield tables of the pairs of a corpus: every two paraphrases once, the earlier one first.

        Pairs of equal sentences, and pairs seen before in either order, are left out and counted in a warning.
        """
        return as_tables(self._pairs(name))

    def _pairs(self, name: str) -> Iterator[tuple[str, ...]]:
        left_out: Counter[str] = Counter()
        seen: set[bytes] = set()
        for sentences, are_paraphrases in self._groups(name, left_out):
            for source, target in combinations(sentences, 2) if are_paraphrases else ():
                if source == target:
                    left_out["pairs of equal sentences"] += 1
                elif (key := _key(*sorted((source, target)))) in seen:
                    left_out["pairs seen before"] += 1
                else:
                    seen.add(key)
                    yield source, target, name, "human"

    def _groups(self, name: str, left_out: Counter[str]) -> Iterator[tuple[list[str], bool]]:
        """Yield groups of sentences, each with whether they are paraphrases; then log what was left out."""
        for file, path in self.files(name).items():
            layout = CORPORA[name].files[file]
            check: Callable[[int, Any], _Row] = partial(_check_row, layout) if layout else _check_words
            rows, size = self._rows(path, layout), _SET if layout and layout.keys else 1
            bad = BadRows(path, self.on_bad_rows, "; correct the row")
            while numbered := list(islice(rows, size)):
                good = list(bad.checked(numbered, check))
                keys = {" ".join(row.keys) for row in good}
                if len(numbered) < size or len(keys) > 1:
                    raise ValueError(
                        f"{path}, rows {numbered[0][0]} to {numbered[-1][0]}: expected sets of {size} rows that begin "
                        f"alike, found {counted(len(numbered), 'row')} beginning with {', '.join(sorted(keys))}; "
                        f"{_FILE_AGAIN}"
                    )
                if not all(row.sentences for row in good):
                    left_out["rows without a sentence (NS)"] += 1
                yield [sentence for row in good for sentence in row.sentences], any(row.are_paraphrases for row in good)
            bad.warn()
        if left_out:
            counts = ", ".join(f"{kind} ({count})" for kind, count in left_out.items())
            logger.warning("%s: left out: %s", name, counts)

    def _rows(self, path: Path, layout: _Layout | None) -> Iterator[tuple[int, Any]]:
        """Yield the numbered rows of a file, or for Naver NER the numbered lines of each sentence."""
        if layout is not None:
            header, columns = None if layout.header else layout.columns, layout.columns
            rows = read_rows(path, encoding=self.encoding, suffix=".tsv", header=header, columns=columns)
            yield from with_repair(rows, _FILE_AGAIN)
        else:
            lines = enumerate(with_repair(read_lines(path, encoding=self.encoding), _FILE_AGAIN), 1)
            for blank, sentence in groupby(lines, lambda line: not line[1].strip()):
                numbered = list(sentence)
                if not blank:
                    yield numbered[0][0], numbered

    def find_shards(self, origin: str | None) -> list[Path]:
        """List the shards, after checking them without reading any in full.

        Args:
            origin: Origin of the requested rows; None for all rows.

        Raises:
            FileNotFoundError: The folder contains no shards.
            ValueError: A shard has other columns, or no shard holds the origin.
        """
        paths = shard_files(self._root)
        if not paths:
            raise FileNotFoundError(f"{self._root / SHARDS}: expected shards, found none.\n{_where_to_get(self.names)}")
        check_shards(paths, origin)
        return paths


def _check_row(layout: _Layout, _: int, row: dict[str, str]) -> _Row:
    if None in row.values():
        raise ValueError(f"expected {counted(len(row), 'cell')} ({', '.join(row)}), found fewer")
    sentences = [normalize_line(row[column]) for column in layout.sentences]
    if "" in sentences:
        raise ValueError(f"expected a sentence in {layout.sentences[sentences.index('')]}, found nothing")
    if layout.blank in sentences:
        return _Row([])
    are_paraphrases = bool(layout.keys)
    if layout.label is not None:
        column, answer = layout.label
        if (meaning := answer(row[column].strip())) is None:
            raise ValueError(f"expected a label as published in {column}, found {row[column]!r:.60}")
        are_paraphrases = meaning
    return _Row(sentences, are_paraphrases, tuple(row[column] for column in layout.keys))


def _check_words(_: int, lines: list[tuple[int, str]]) -> _Row:
    """Join the words of lines that hold an index, a word and a tag each."""
    words = []
    for number, line in lines:
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) != 3 or not cells[1].strip():
            raise ValueError(f"expected an index, a word and a tag between tabs in line {number}, found {line!r:.60}")
        words += cells[1].split()
    return _Row([normalize_line(" ".join(words))])


def _key(*texts: str) -> bytes:
    # Digests take a fraction of the memory of the sentences.
    return hashlib.blake2b("\t".join(texts).encode(), digest_size=16).digest()
