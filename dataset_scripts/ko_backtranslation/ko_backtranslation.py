"""Loading script of `ko_backtranslation`: pairs of Korean sentences that mean the same, for the pretext task.

The pairs come from the back-translation builder's shards, or are human paraphrases out of public corpora. It reads a
user's own copies; no data are shipped with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets.exceptions import DatasetGenerationError

logger = logging.getLogger(__name__)

COLUMNS = ("source", "target", "origin", "engine")
"""The columns of a shard, all strings: a sentence, its pair, the corpus it is from, what wrote the target."""

SHARDS = "shards"
"""Sub-folder of data_dir with the shards: `*.parquet` with these columns, `*.jsonl` with an object of them a line."""

HUMAN = "human"
"""Value of `engine` for a paraphrase that the corpus itself holds."""

PAIRS = ("backtranslation", "paraphrase")
ON_BAD_ROWS = ("raise", "skip")

_SCHEMA = pa.schema([(column, pa.string()) for column in COLUMNS])
_BATCH = 10_000
_VERSION = datasets.Version("1.0.0")


class CorpusError(DatasetGenerationError, ValueError):
    """A file is not as published. `datasets` lets its own kind of error through and hides every other."""


@dataclass(frozen=True)
class Table:
    """How one kind of tab-separated file is read.

    Args:
        columns: Names in the header, or of a file without one. A header may hold more, in any order.
        sentences: The columns with sentences.
        label: The column that says whether the sentences of a row are paraphrases, and what answers that for a label
            (None where the label is unknown).
        header: Whether the first row is a header.
        rows: Rows that make up one set of paraphrases.
        blank: What stands for a missing sentence. Rows that hold it are left out.
    """

    columns: tuple[str, ...]
    sentences: tuple[str, ...] = ("sentence1", "sentence2")
    label: tuple[str, Callable[[str], bool | None]] | None = None
    header: bool = True
    rows: int = 1
    blank: str | None = None


@dataclass(frozen=True)
class Corpus:
    """Where a corpus comes from and which of its files are read.

    Args:
        clone: Folder of the files in a clone of the repository, within data_dir.
        flat: The other folder that is looked into. A `/` in a file's name is `__` there.
        files: How each file is read; None is the layout of Naver NER.
        repository: Where to get it.
        licence: Its licence.
        paraphrases: Which rows are paraphrases, in words; empty: it has none.
    """

    clone: str
    flat: str
    files: dict[str, Table | None]
    repository: str
    licence: str
    paraphrases: str = ""


def _score(label: str) -> bool | None:
    try:
        score = float(label)
    except ValueError:
        return None
    return score >= 4 if 0 <= score <= 5 else None


_ZERO_IS_SAME = {"0": True, "1": False}.get
_ONE_IS_SAME = {"1": True, "0": False}.get
_ENTAILMENT = {"entailment": True, "neutral": False, "contradiction": False}.get

_NLI = Table(("sentence1", "sentence2", "gold_label"), label=("gold_label", _ENTAILMENT))
_STS = Table(("score", "sentence1", "sentence2"), label=("score", _score))
_QUESTIONS = Table(
    ("question1", "question2", "is_duplicate"), ("question1", "question2"), label=("is_duplicate", _ZERO_IS_SAME)
)
_PARAKQC = Table(("topic", "act", "sentence"), ("sentence",), header=False, rows=10)
_STYLE_SETS = Table(("act", "sentence"), ("sentence",), rows=10)
_STYLE_PAIRS = Table(("similarity", "sentence1", "sentence2"), label=("similarity", _ONE_IS_SAME))
_PAWSX = Table(("sentence1", "sentence2", "label"), label=("label", _ONE_IS_SAME), blank="NS")

CORPORA = {
    "kornli": Corpus(
        "kor-nlu-datasets/KorNLI",
        "kornlu",
        dict.fromkeys(("snli_1.0_train.ko.tsv", "multinli.train.ko.tsv", "xnli.dev.ko.tsv", "xnli.test.ko.tsv"), _NLI),
        "https://github.com/kakaobrain/kor-nlu-datasets",
        "CC BY-SA 4.0",
        "gold_label entailment",
    ),
    "korsts": Corpus(
        "kor-nlu-datasets/KorSTS",
        "kornlu",
        dict.fromkeys(("sts-train.tsv", "sts-dev.tsv", "sts-test.tsv"), _STS),
        "https://github.com/kakaobrain/kor-nlu-datasets",
        "CC BY-SA 4.0",
        "score 4 or more",
    ),
    "naver_ner": Corpus(
        "nlp-challenge/missions/ner/data/train",
        "naver_ner",
        {"train_data": None},
        "https://github.com/naver/nlp-challenge",
        "no licence to pass it on",
    ),
    "question_pair": Corpus(
        "Question_pair",
        "question_pair",
        dict.fromkeys(("train.txt", "validation.txt", "test.txt"), _QUESTIONS),
        "https://github.com/songys/Question_pair",
        "MIT",
        "is_duplicate 0, which means the same question",
    ),
    "mcksg": Corpus(
        "mcksg",
        "mcksg",
        {"mcksg.tsv": Table(("text",), ("text",))},
        "its owner, for it was never published: a header and a column text",
        "the owner's",
    ),
    "parakqc": Corpus(
        "paraKQC/data",
        "parakqc",
        {"paraKQC_v1.txt": _PARAKQC},
        "https://github.com/warnikchow/paraKQC",
        "CC BY-SA 4.0",
        "sets of ten",
    ),
    "stylekqc": Corpus(
        "stylekqc",
        "stylekqc",
        {
            **dict.fromkeys(("act/train.tsv", "act/dev.tsv", "act/test.tsv"), _STYLE_SETS),
            **dict.fromkeys(("sts/train.tsv", "sts/dev.tsv", "sts/test.tsv"), _STYLE_PAIRS),
        },
        "https://github.com/cynthia/stylekqc",
        "CC BY-SA 4.0",
        "sets of ten, and similarity 1",
    ),
    "pawsx": Corpus(
        "KoELECTRA/finetune/data/paws",
        "pawsx_ko",
        dict.fromkeys(("translated_train.tsv", "dev_2k.tsv", "test_2k.tsv"), _PAWSX),
        "https://github.com/monologg/KoELECTRA",
        "free for any purpose",
        "label 1, without rows that hold NS",
    ),
}
"""The corpora by the name of their configuration, which is also the `origin` of their rows."""


class _Report:
    """Raises at a bad row, or counts it; counts what else is left out; says the counts."""

    def __init__(self, name: str, on_bad_rows: str) -> None:
        self.name = name
        self.skip = on_bad_rows == "skip"
        self.bad = self.blank = self.equal = self.repeated = 0
        self.first = ""

    def bad_row(self, where: str, expected: str, found: str) -> None:
        problem = f"{where}: expected {expected}, found {found}."
        if not self.skip:
            raise CorpusError(f"{problem} Correct the row, or leave such rows out with on_bad_rows='skip'.")
        self.bad += 1
        self.first = self.first or problem

    def say(self) -> None:
        if self.bad:
            logger.warning("%s: %d bad rows were skipped. The first: %s", self.name, self.bad, self.first)
        counts = {
            "rows without a sentence (NS)": self.blank,
            "pairs of equal sentences": self.equal,
            "pairs seen before": self.repeated,
        }
        if any(counts.values()):
            left_out = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            logger.warning("%s: left out %s.", self.name, left_out)


# files


def _inside(data_dir: str, path: str) -> str:
    """The path, which must not lead out of data_dir."""
    root, real = os.path.realpath(data_dir), os.path.realpath(path)
    if os.path.commonpath([root, real]) != root:
        raise ValueError(
            f"{path}: expected a file inside {data_dir}, found a path that leads out of it, to {real}. "
            "Copy the file or folder into data_dir, or name the folder that really holds it as data_dir."
        )
    return path


def _corpus_files(name: str, data_dir: str) -> dict[str, str]:
    """Where each file of a corpus is, for those that are there."""
    corpus, found = CORPORA[name], {}
    for file in corpus.files:
        for place in (f"{corpus.clone}/{file}", f"{corpus.flat}/{file.replace('/', '__')}"):
            path = os.path.join(data_dir, place)
            if file not in found and os.path.isfile(path):
                found[file] = _inside(data_dir, path)
    return found


def _shard_files(data_dir: str) -> list[str]:
    folder = os.path.join(data_dir, SHARDS)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    chosen = [name for name in names if name.endswith((".parquet", ".jsonl")) and not name.startswith(".")]
    return [_inside(data_dir, os.path.join(folder, name)) for name in chosen]


def _layout(name: str) -> str:
    corpus = CORPORA[name]
    places = [f"DATA_DIR/{corpus.clone}/"]
    if corpus.flat != corpus.clone:
        places.append(f"DATA_DIR/{corpus.flat}/")
    flat = " or with __ for /" if any("/" in file for file in corpus.files) else ""
    return (
        f"{name}: {', '.join(corpus.files)}{flat} in {' or '.join(places)}, from {corpus.repository} "
        f"(licence: {corpus.licence})"
    )


def _sources(name: str) -> str:
    """What to put into data_dir for a configuration, and where it comes from."""
    names = list(CORPORA) if name == "all" else [name]
    return "\n".join(
        [
            "Back-translated pairs (pairs='backtranslation') are read from the shards of the back-translation builder, "
            f"DATA_DIR/{SHARDS}/*.parquet or *.jsonl, with the columns {', '.join(COLUMNS)}.",
            "Human paraphrases (pairs='paraphrase') and plain sentences are read from your copies of the corpora:",
            *(f"- {_layout(name)}" for name in names),
        ]
    )


def _check_folder(name: str, data_dir: str | None) -> str:
    if data_dir is None:
        raise ValueError(
            f"ko_backtranslation/{name} expects data_dir, your folder of data, got none.\n{_sources(name)}"
        )
    if not os.path.isdir(data_dir):
        raise FileNotFoundError(f"ko_backtranslation/{name} expects data_dir, a folder; {data_dir} is none.")
    return data_dir


def _check_options(**options: tuple[str, tuple[str, ...]]) -> None:
    for option, (value, known) in options.items():
        if value not in known:
            raise ValueError(f"Expected {option} to be one of {', '.join(known)}, got {value!r}.")


def _check_encoding(encoding: str) -> None:
    try:
        ascii_is_ascii = "\t\n".encode(encoding).endswith(b"\t\n")
    except LookupError:
        ascii_is_ascii = False
    if not ascii_is_ascii:
        raise ValueError(
            f"Expected encoding to be one that holds tab and line end as single bytes, such as 'utf-8' or 'cp949', "
            f"got {encoding!r}. Save files in another encoding as UTF-8."
        )


# corpora

_CP949 = "Korean files are often in CP949: pass encoding='cp949', or save the file as UTF-8."


def _lines(path: str, encoding: str, repair: str = _CP949) -> Iterator[tuple[int, str]]:
    """The lines of a file, numbered from 1."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                raise CorpusError(
                    f"{path}, line {number}: expected {encoding}, found the byte 0x{line[error.start]:02x}. {repair}"
                ) from error
            text = text.removeprefix("\ufeff") if number == 1 else text
            yield number, text.rstrip("\r\n")


def _header(path: str, table: Table, encoding: str) -> list[str]:
    """The names of a file's columns."""
    if not table.header:
        return list(table.columns)
    line = next((text for _, text in _lines(path, encoding)), None)
    if line is None:
        raise CorpusError(f"{path}: expected a header and rows, found an empty file. Take the file again.")
    names = line.split("\t")
    if missing := [name for name in table.columns if name not in names]:
        raise CorpusError(
            f"{path}: expected a header with the tab-separated names {', '.join(table.columns)}; looked for "
            f"{', '.join(missing)}, found {', '.join(map(repr, names)):.300}. Take the file again, unchanged."
        )
    return names


def _rows(path: str, table: Table, encoding: str, report: _Report) -> Iterator[tuple[int, dict[str, str] | None]]:
    """The rows of a file, numbered from 1, the header aside; None for one that is left out."""
    names = _header(path, table, encoding)
    for line_number, line in _lines(path, encoding):
        number = line_number - table.header
        if number == 0:
            continue
        cells = line.split("\t")
        where = f"{path}, row {number}"
        row = dict(zip(names, cells, strict=False))
        if len(cells) != len(names):
            report.bad_row(where, f"{len(names)} tab-separated columns ({', '.join(names)})", str(len(cells)))
            yield number, None
        elif empty := [column for column in table.sentences if not row[column].strip()]:
            report.bad_row(f"{where}, column {empty[0]}", "a sentence", "nothing")
            yield number, None
        elif table.blank in [row[column].strip() for column in table.sentences]:
            report.blank += 1
            yield number, None
        else:
            yield number, row


def _read_table(path: str, table: Table, encoding: str, report: _Report) -> Iterator[tuple[list[str], bool]]:
    """The sentences of each row, and whether they are paraphrases."""
    for number, row in _rows(path, table, encoding, report):
        if row is None:
            continue
        paraphrase: bool | None = False
        if table.label is not None:
            column, is_paraphrase = table.label
            paraphrase = is_paraphrase(row[column].strip())
            if paraphrase is None:
                report.bad_row(f"{path}, row {number}, column {column}", "a label as published", f"{row[column]!r:.60}")
                continue
        yield [" ".join(row[column].split()) for column in table.sentences], bool(paraphrase)


def _read_sets(path: str, table: Table, encoding: str, report: _Report) -> Iterator[tuple[list[str], bool]]:
    """The sentences of each set of rows, all paraphrases of each other."""
    names = [column for column in table.columns if column not in table.sentences]
    sentences: list[str] = []
    labels: list[str] = []
    number = 0
    for number, row in _rows(path, table, encoding, report):
        if row is not None:
            own = [row[name] for name in names]
            if sentences and own != labels:
                raise CorpusError(
                    f"{path}, row {number}: expected the {' and '.join(names)} of its set of {table.rows} rows, "
                    f"{' and '.join(labels)}, found {' and '.join(own)}. Rows are missing or moved: take it again."
                )
            labels = own
            sentences += [" ".join(row[column].split()) for column in table.sentences]
        if number % table.rows == 0:
            yield sentences, True
            sentences = []
    if number % table.rows:
        raise CorpusError(
            f"{path}: expected sets of {table.rows} rows, found {number} rows. Rows are missing: take the file again."
        )


def _read_words(path: str, encoding: str, report: _Report) -> Iterator[tuple[list[str], bool]]:
    """The sentences of a file with an index, a word and a tag a line, and a blank line after each sentence."""
    words: list[str] = []
    good = True
    for number, line in chain(_lines(path, encoding), [(0, "")]):
        cells = line.split("\t")
        if not line.strip():
            if words and good:
                yield [" ".join(" ".join(words).split())], False
            words, good = [], True
        elif len(cells) != 3 or not cells[1].strip():
            found = f"{len(cells)} columns" if len(cells) != 3 else "no word"
            report.bad_row(f"{path}, line {number}", "an index, a word and a tag, tab-separated", found)
            good = False
        else:
            words.append(cells[1])


def _read_corpus(name: str, data_dir: str, encoding: str, report: _Report) -> Iterator[tuple[list[str], bool]]:
    """Groups of sentences, and whether those of a group are paraphrases of each other."""
    for file, path in _corpus_files(name, data_dir).items():
        table = CORPORA[name].files[file]
        if table is None:
            yield from _read_words(path, encoding, report)
        else:
            yield from (_read_table if table.rows == 1 else _read_sets)(path, table, encoding, report)


def _find_corpus(name: str, data_dir: str, encoding: str) -> bool:
    """Whether a corpus is there. Says which of its files are not, and refuses a wrong header."""
    found = _corpus_files(name, data_dir)
    for file, path in found.items():
        if (table := CORPORA[name].files[file]) is not None:
            _header(path, table, encoding)
    missing = [file for file in CORPORA[name].files if file not in found]
    if found and missing:
        logger.warning("%s: %s not found in %s, left out.", name, ", ".join(missing), data_dir)
    return bool(found)


def _key(*texts: str) -> bytes:
    # A digest takes a fraction of the memory of the sentences.
    return hashlib.blake2b("\t".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def corpora_in(data_dir: str | None) -> list[str]:
    """The corpora of which data_dir holds a file, in the order of `CORPORA`.

    Args:
        data_dir: The user's folder with the corpora.

    Raises:
        ValueError: No folder is named.
        FileNotFoundError: It is not there, or holds no file of a corpus.

    Example:
        >>> corpora_in("data")  # doctest: +SKIP
        ['kornli', 'question_pair']
    """
    folder = _check_folder("all", data_dir)
    if found := [name for name in CORPORA if _corpus_files(name, folder)]:
        return found
    raise FileNotFoundError(f"No file of a corpus found in {folder}.\n{_sources('all')}")


def read_sentences(
    name: str, data_dir: str | None, *, encoding: str = "utf-8", on_bad_rows: str = "raise"
) -> Iterator[str]:
    """The sentences of one corpus, each different one once, in the order of the files. White space is folded.

    Args:
        name: A key of `CORPORA`.
        data_dir: The user's folder with the corpora.
        encoding: Encoding of the files, such as `cp949`.
        on_bad_rows: `raise`, or `skip`, which leaves bad rows out and logs their number.

    Raises:
        ValueError: An unknown name or option; while reading, a file that is not as published.
        FileNotFoundError: data_dir holds no file of the corpus.

    Example:
        >>> next(read_sentences("question_pair", "data"))  # doctest: +SKIP
        '여자친구가 데이트 시간을 너무 안 지켜.'
    """
    _check_options(name=(name, tuple(CORPORA)), on_bad_rows=(on_bad_rows, ON_BAD_ROWS))
    _check_encoding(encoding)
    folder = _check_folder(name, data_dir)
    if not _find_corpus(name, folder, encoding):
        raise FileNotFoundError(f"No file of {name} found in {folder}. Expected {_layout(name)}.")
    return _different_sentences(name, folder, encoding, on_bad_rows)


def _different_sentences(name: str, data_dir: str, encoding: str, on_bad_rows: str) -> Iterator[str]:
    report, seen = _Report(name, on_bad_rows), set()
    for sentences, _ in _read_corpus(name, data_dir, encoding, report):
        for sentence in sentences:
            key = _key(sentence)
            if key not in seen:
                seen.add(key)
                yield sentence
    report.say()


def _paraphrases(name: str, data_dir: str, encoding: str, on_bad_rows: str) -> Iterator[pa.Table]:
    """The paraphrases of a corpus in tables of at most `_BATCH` rows: every two of a set once, in the file's order."""
    report, seen = _Report(name, on_bad_rows), set()
    batch: list[tuple[str, str]] = []
    for sentences, paraphrase in _read_corpus(name, data_dir, encoding, report):
        for source, target in combinations(sentences, 2) if paraphrase else ():
            key = _key(*sorted((source, target)))
            if source == target:
                report.equal += 1
            elif key in seen:
                report.repeated += 1
            else:
                seen.add(key)
                batch.append((source, target))
        while len(batch) >= _BATCH:
            yield _table([(*pair, name, HUMAN) for pair in batch[:_BATCH]])
            del batch[:_BATCH]
    if batch:
        yield _table([(*pair, name, HUMAN) for pair in batch])
    report.say()


# shards

_AGAIN = "Delete the shard and let the builder write it again."


def _table(rows: list[tuple[str, ...]]) -> pa.Table:
    return pa.Table.from_arrays([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], schema=_SCHEMA)


def _open_parquet(path: str) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken(path, 0, error) from error
    for column in COLUMNS:
        index = file.schema_arrow.get_field_index(column)
        kind = file.schema_arrow.field(index).type if index >= 0 else None
        kind = kind.value_type if kind is not None and pa.types.is_dictionary(kind) else kind
        if str(kind) not in ("string", "large_string", "string_view"):
            found = f"{column} of type {kind}" if kind is not None else f"the columns {names!s:.300}"
            raise CorpusError(f"{path}: expected the string columns {', '.join(COLUMNS)}, found {found}. {_AGAIN}")
    return file


def _broken(path: str, row: int, error: Exception) -> CorpusError:
    reason = " ".join(str(error).split())
    return CorpusError(
        f"{path}, after row {row}: expected a whole Parquet file, found one that is cut off or damaged ({reason}). "
        f"Copy it again, or else: {_AGAIN}"
    )


def _read_parquet(path: str, report: _Report) -> Iterator[pa.Table]:
    start = 0
    try:
        with _open_parquet(path) as file:
            for batch in file.iter_batches(_BATCH, columns=list(COLUMNS)):
                table = pa.Table.from_batches([batch]).select(list(COLUMNS)).cast(_SCHEMA)
                yield _without_bad_rows(table, path, start, report)
                start += len(table)
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, start, error) from error


def _without_bad_rows(table: pa.Table, path: str, start: int, report: _Report) -> pa.Table:
    bad = pa.scalar(False)
    for column in COLUMNS:
        bad = pc.or_(bad, pc.equal(pc.utf8_trim_whitespace(table[column].fill_null("")), ""))
    if not pc.any(bad).as_py():
        return table
    for index in pc.indices_nonzero(bad).to_pylist():
        row = table.slice(index, 1).to_pylist()[0]
        report.bad_row(f"{path}, row {start + index + 1}", _ROW, _wrong(row))
    return table.filter(pc.invert(bad))


_ROW = f"text in {', '.join(COLUMNS)}"


def _wrong(row: Any) -> str:
    """What a row holds instead of text in every column; empty if it is well."""
    if not isinstance(row, dict):
        return f"no object but {row!r:.60}"
    for column in COLUMNS:
        value = row.get(column)
        if not isinstance(value, str):
            return f"{value!r:.60} in {column}"
        if not value.strip():
            return f"nothing in {column}"
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"half a character in {column}"
    return ""


def _json_rows(path: str, report: _Report) -> Iterator[tuple[str, ...]]:
    for number, line in _lines(path, "utf-8", _AGAIN):
        where = f"{path}, row {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            report.bad_row(where, "a JSON object", f"none ({error})")
            continue
        if wrong := _wrong(row):
            report.bad_row(where, _ROW, wrong)
        else:
            yield tuple(row[column] for column in COLUMNS)


def _read_jsonl(path: str, report: _Report) -> Iterator[pa.Table]:
    batch = []
    for row in _json_rows(path, report):
        batch.append(row)
        if len(batch) == _BATCH:
            yield _table(batch)
            batch = []
    if batch:
        yield _table(batch)


def _read_shard(path: str, report: _Report) -> Iterator[pa.Table]:
    return _read_parquet(path, report) if path.endswith(".parquet") else _read_jsonl(path, report)


def _check_shard(path: str) -> None:
    """Refuse a shard whose columns are wrong, before any is read through."""
    if path.endswith(".parquet"):
        _open_parquet(path).close()
        return
    line = next((text for _, text in _lines(path, "utf-8", _AGAIN)), None)
    if line is None:
        raise CorpusError(f"{path}: expected rows, found an empty file. {_AGAIN}")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return  # a bad row, which is counted or refused with the others
    if isinstance(row, dict) and not set(COLUMNS) <= set(row):
        raise CorpusError(f"{path}: expected the keys {', '.join(COLUMNS)}, found {list(row)!s:.300}. {_AGAIN}")


def _origins(path: str) -> Iterator[set[str]]:
    """The origins in a shard, a part of it at a time, so that a search can stop early."""
    if path.endswith(".parquet"):
        try:
            with _open_parquet(path) as file:
                for batch in file.iter_batches(_BATCH, columns=["origin"]):
                    yield set(pc.unique(batch.column(0)).to_pylist())
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _broken(path, 0, error) from error
    else:
        yield from ({row[2]} for row in _json_rows(path, _Report("", "skip")))


@dataclass
class KoBacktranslationConfig(datasets.BuilderConfig):
    """Options of `load_dataset("ko_backtranslation", …)`.

    Args:
        pairs: `backtranslation`, rows of the shards, or `paraphrase`, human paraphrases out of the corpora.
        encoding: Encoding of the corpora's files, such as `cp949`. Shards are always UTF-8.
        on_bad_rows: `raise`, or `skip`, which leaves bad rows out and logs their number.
    """

    pairs: str = PAIRS[0]
    encoding: str = "utf-8"
    on_bad_rows: str = ON_BAD_ROWS[0]

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Any = None) -> str:
        """The name in the cache: it changes with the files that are read, which count by size and time of change."""
        files: list[str] = []
        if self.data_dir and self.pairs == "paraphrase":
            names = CORPORA if self.name == "all" else [self.name]
            files = [path for name in names for path in _corpus_files(name, self.data_dir).values()]
        elif self.data_dir:
            files = _shard_files(self.data_dir)
        states = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in files]
        return super().create_config_id({**config_kwargs, "files": str(states)}, custom_features)


class KoBacktranslation(datasets.ArrowBasedBuilder):
    """Builder of the pretext corpus: a configuration a corpus and `all` (default), one split, `train`.

    Features of a row: `source` and `target` (Korean sentences that mean the same), `origin` (the corpus) and `engine`
    (what wrote the target: a translation engine, or `human`). Options: `KoBacktranslationConfig`.

    Rows of shards come as they are, in the order of the files' names. Of a set of paraphrases, every two sentences
    are one pair, the earlier first; white space is folded, and pairs of equal sentences, or seen before in the same
    corpus in either order, are left out, and their number is logged.

    Raises:
        ValueError: No data_dir, an unknown option, a corpus without paraphrases, a path that leads out of data_dir, or
            a file that is not as expected (`CorpusError`).
        FileNotFoundError: data_dir holds none of the files that are looked for.

    Example:
        >>> from datasets import load_dataset
        >>> load_dataset("ko_backtranslation", "parakqc", data_dir="data", pairs="paraphrase")  # doctest: +SKIP
    """

    VERSION = _VERSION
    BUILDER_CONFIG_CLASS = KoBacktranslationConfig
    BUILDER_CONFIGS = [
        KoBacktranslationConfig(name, version=_VERSION, description=f"Pairs of {name}.") for name in (*CORPORA, "all")
    ]
    DEFAULT_CONFIG_NAME = "all"

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="Pairs of Korean sentences that mean the same: back-translations or human paraphrases.",
            features=datasets.Features({column: datasets.Value("string") for column in COLUMNS}),
            license="Each source has its own; see the card.",
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        options = self.config
        _check_options(pairs=(options.pairs, PAIRS), on_bad_rows=(options.on_bad_rows, ON_BAD_ROWS))
        _check_encoding(options.encoding)
        data_dir = _check_folder(options.name, options.data_dir)
        parts = self._corpora(data_dir) if options.pairs == "paraphrase" else self._shards(data_dir)
        # A list is what `datasets` divides among processes and workers.
        return [datasets.SplitGenerator(datasets.Split.TRAIN, gen_kwargs={"parts": parts})]

    def _corpora(self, data_dir: str) -> list[str]:
        name = self.config.name
        usable = [corpus for corpus in CORPORA if CORPORA[corpus].paraphrases]
        if name not in (*usable, "all"):
            raise ValueError(
                f"{name} holds no paraphrases: expected one of {', '.join(usable)}, all for pairs='paraphrase'. "
                "For this corpus use pairs='backtranslation'."
            )
        wanted = usable if name == "all" else [name]
        found = [corpus for corpus in wanted if _find_corpus(corpus, data_dir, self.config.encoding)]
        if not found:
            layouts = "".join(f"\n- {_layout(corpus)}" for corpus in wanted)
            raise FileNotFoundError(f"No file of {', '.join(wanted)} found in {data_dir}. Expected{layouts}")
        if len(found) < len(wanted):
            missing = ", ".join(corpus for corpus in wanted if corpus not in found)
            logger.warning("all: %s not found in %s, left out.", missing, data_dir)
        return found

    def _shards(self, data_dir: str) -> list[str]:
        name = self.config.name
        files = _shard_files(data_dir)
        if not files:
            raise FileNotFoundError(
                f"No shard found in {os.path.join(data_dir, SHARDS)}: expected *.parquet or *.jsonl with the columns "
                f"{', '.join(COLUMNS)}, as `kgloss back-translate` writes them. Build them, or load human "
                f"paraphrases with pairs='paraphrase'.\n{_sources(name)}"
            )
        for path in files:
            _check_shard(path)
        if name != "all" and not any(name in origins for path in files for origins in _origins(path)):
            raise ValueError(
                f"Expected rows with the origin {name} in the {len(files)} shards of {os.path.join(data_dir, SHARDS)}, "
                "found none. Build them, or load another configuration."
            )
        return files

    def _generate_tables(self, parts: list[str]) -> Iterator[tuple[int, pa.Table]]:
        options = self.config
        key = 0
        for part in parts:
            if options.pairs == "paraphrase":
                tables = _paraphrases(part, options.data_dir, options.encoding, options.on_bad_rows)
            else:
                tables = self._shard_tables(part)
            for table in tables:
                yield key, table
                key += 1

    def _shard_tables(self, path: str) -> Iterator[pa.Table]:
        report = _Report(path, self.config.on_bad_rows)
        for table in _read_shard(path, report):
            yield table if self.config.name == "all" else table.filter(pc.equal(table["origin"], self.config.name))
        report.say()
