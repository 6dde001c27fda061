"""Read the sentences of a corpus before translation, and write each distinct one once, in files of equal size."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from tqdm import tqdm

from ..data.corpora import CORPORA, CorpusFolder
from ..data.lines import is_text
from ..runtime.normalization import normalize_line

SCHEMA = pa.schema([("source", pa.string()), ("origin", pa.string()), ("engine", pa.int16())])
"""Columns of a file of sentences: the sentence, its origin, and the number of the engine that translates it."""

_HANGUL = re.compile("[가-힣]")


def read_sources(
    sources: Sequence[str],
    *,
    data_dir: str | None = None,
    text_column: str | None = None,
    encoding: str = "utf-8",
    on_bad_rows: str = "raise",
) -> Iterator[tuple[str, str]]:
    """Iterate over the sentences of several sources and their origins, one source after another.

    Args:
        sources: Names of corpora that `load_dataset("ko_backtranslation")` knows, with copies in data_dir, or `all` for
            all of them; and any source that `kgloss_hf.data.texts.read_texts` takes: files, and data sets as `NAME` or
            `NAME:CONFIGURATION`.
        data_dir: Folder with the user's copies of the corpora.
        text_column: Column with the sentence, in sources other than corpora (default: recognised by name).
        encoding: Encoding of text files (default `utf-8`).
        on_bad_rows: What to do with bad rows of the corpora: `raise`, or `skip`, which reports their number in a
            warning.

    Returns:
        An iterator over sentences and origins. An origin is the name of a corpus or data set, or the name of a file
        without its extensions.

    Raises:
        FileNotFoundError: A file does not exist, or no file of a corpus does.
        ValueError: No source is named, or something in one is not as expected.

    Examples:
        >>> next(read_sources(["mcksg:sample"]))
        ('우리 박물관에 오신 여러분을 환영합니다.', 'mcksg')
    """
    from ..data.texts import read_texts

    if not sources:
        raise ValueError(f"expected sources: {', '.join(CORPORA)}, all, files or data sets; found none")
    streams: list[Iterable[tuple[str, str]]] = []
    for source in sources:
        if source in CORPORA or source == "all":
            names = [source] if source in CORPORA else list(CORPORA)
            folder = CorpusFolder(data_dir, names, encoding=encoding, on_bad_rows=on_bad_rows)
            streams.append(folder.read_sentences())
        else:
            origin = re.split("[.:]", Path(source).name)[0]
            streams.append(zip(read_texts([source], column=text_column, encoding=encoding), repeat(origin)))
    return chain.from_iterable(streams)


def digests_of_files(sources: Sequence[str], *, data_dir: str | None = None) -> dict[str, str]:
    """Return the hash of each existing file that the sources name, by its file name without folders.

    Args:
        sources: As for `read_sources`. Data sets given by name have no files here.
        data_dir: As for `read_sources`.

    Examples:
        >>> digests_of_files(["mcksg:sample", "nowhere.txt"])
        {}
    """
    paths: dict[str, Path] = {}
    for source in sources:
        corpora = list(CORPORA) if source == "all" else [source] if source in CORPORA else []
        if corpora and data_dir and Path(data_dir).is_dir():
            folder = CorpusFolder(data_dir, corpora)
            paths |= {f"{name}/{file}": path for name in corpora for file, path in folder.files(name).items()}
        elif not corpora and Path(source).is_file():
            paths[Path(source).name] = Path(source)
    digests = {}
    for name, path in paths.items():
        with path.open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def write_sentences(
    folder: Path, sentences: Iterable[tuple[str, str]], *, weights: Sequence[float], chunk_size: int, seed: int
) -> dict[str, Any]:
    """Write distinct Korean sentences to `00000.parquet`, `00001.parquet`, …, each assigned to an engine.

    Sentences are normalised (`kgloss_hf.runtime.normalization`), and runs of white space become one space. Engines
    are drawn at random, by weight. Sentences already seen are recorded on disk, so that memory does not grow with the
    corpus.

    Args:
        folder: An empty folder.
        sentences: Sentences and their origins.
        weights: Each engine's share of the sentences.
        chunk_size: Sentences per file.
        seed: Seed for drawing the engines.

    Returns:
        The number of sentences `read`; of those left out because they are `blank`, `without_hangul`, `not_text` (they
        hold a lone surrogate) or `repeated`; of those that `remain`, in total and by origin (`origins`); and for each
        engine its number of `sentences` and of their `characters` (`engines`).

    Examples:
        >>> import tempfile
        >>> pairs = [("불이 났어요.", "mine"), ("불이  났어요.", "mine"), ("119", "mine")]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_sentences(Path(folder), pairs, weights=[1], chunk_size=1000, seed=0)["remain"]
        1
    """
    counts: Counter[str] = Counter()
    origins: Counter[str] = Counter()
    engines = [{"sentences": 0, "characters": 0} for _ in weights]
    shares = np.array(weights) / sum(weights)
    chunks = 0
    with _Seen(folder / "seen.sqlite") as seen, tqdm(desc="reading", unit=" sentences", disable=None) as progress:

        def different() -> Iterator[tuple[str, str]]:
            for text, origin in sentences:
                progress.update()
                counts["read"] += 1
                text = normalize_line(text)
                if wrong := _fault(text) or ("" if seen.add(text) else "repeated"):
                    counts[wrong] += 1
                else:
                    counts["remain"] += 1
                    origins[origin] += 1
                    yield text, origin

        remaining = different()
        while rows := list(islice(remaining, chunk_size)):
            drawn = np.random.default_rng([seed, chunks]).choice(len(shares), len(rows), p=shares)
            for (text, _), number in zip(rows, drawn, strict=True):
                engines[number]["sentences"] += 1
                engines[number]["characters"] += len(text)
            texts, names = zip(*rows, strict=True)
            parquet.write_table(pa.table([texts, names, drawn], schema=SCHEMA), folder / f"{chunks:05d}.parquet")
            chunks += 1
    return {
        **{name: counts[name] for name in ("read", "blank", "without_hangul", "not_text", "repeated", "remain")},
        "origins": dict(origins),
        "engines": engines,
    }


def _fault(text: str) -> str:
    """Return the reason for leaving out a sentence, or "" for a sentence to translate."""
    if not text:
        return "blank"
    if not is_text(text):
        return "not_text"
    return "" if _HANGUL.search(text) else "without_hangul"


class _Seen:
    """A set of texts on disk, deleted when its `with` block ends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Seen:
        self._path.unlink(missing_ok=True)
        self._database = sqlite3.connect(self._path, isolation_level=None)
        # The database serves this process only, so it need not survive a crash.
        self._database.execute("PRAGMA journal_mode = off")
        self._database.execute("PRAGMA synchronous = off")
        self._database.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._path.unlink()

    def add(self, text: str) -> bool:
        """Add a text, and return whether it is new."""
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        return bool(self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount)
