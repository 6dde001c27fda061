"""KoNLPy's Okt, a batch at a time, with offsets.

`analyze` gives what `Okt().pos(text, norm=True, stem=True)` gives, plus each morpheme's surface form and its span in
the text. The unit of caching is the eojeol (white-space-separated word): Okt of a sentence equals Okt of its eojeols,
joined, so only words not seen before reach the Java virtual machine (JVM), all of a batch in one call. A table of
frequent words comes with the package.

Importing this module starts nothing; `kgloss_hf.runtime.java` starts Java at the first word that is not known. Three
environment variables are read at import: `KGLOSS_OKT_CACHE` (see `CACHE_FILE`), `KGLOSS_OKT_TABLE` (`TABLE`) and
`KGLOSS_MAX_HEAP_MB` (`java.MAX_HEAP_MB`).
"""

from __future__ import annotations

import errno
import gc
import hashlib
import json
import logging
import os
import re
import sqlite3
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from itertools import chain, islice, repeat, starmap
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .java import analyze_words

logger = logging.getLogger(__name__)

CACHE_WORDS = 1_000_000
"""Words kept in memory at most, in two halves: when the newer half is full, the older is dropped, so that the last
500,000 different words are always there. A word takes about 330 bytes, so all take some 330 MB."""

CACHE_FILE: str | None = os.environ.get("KGLOSS_OKT_CACHE")
"""Path of a file (SQLite) that keeps analysed words from one process to the next, for any number of processes at once.
Default: the environment variable KGLOSS_OKT_CACHE, else none."""

TABLE: str | None = os.environ.get("KGLOSS_OKT_TABLE", str(Path(__file__).with_name("okt_words.bin")))
"""Path of a table of frequent words and what Okt says of them (`benchmarks/okt_table.py`), which need no Java. Used
where KoNLPy's Okt is the one that the table was made with. Default: the environment variable KGLOSS_OKT_TABLE, else the
one beside this file, if there is one; empty: none, for whoever adds words to Okt's dictionary in Java."""

_JAR = "open-korean-text-2.1.0.jar"

MAX_EOJEOL = 150
"""Characters. Okt takes minutes over a word of 10,000 without a space, so a longer one is analysed in such pieces."""

# What Java's \s matches, where Okt splits a sentence and nowhere else; and lone surrogates, which cannot cross to Java.
_TO_REPLACE = re.compile("[\t\n\x0b\f\r\ud800-\udfff]")

_BETWEEN_WORDS = re.compile(f"[ {_TO_REPLACE.pattern[1:]}")

# Okt analyses each run of Hangul by itself. Where an eojeol is one such run between punctuation that begins no
# address, hashtag or number, its three parts can be analysed apart, and most of the middle ones are known already.
PARTS = re.compile(r"""([\[('"‘“]*)([ㄱ-ㅣ가-힣]+)([.,!?~…'")\]’”;]*)""")
"""A run of Hangul in punctuation."""

_WORDS_A_CALL = 10_000  # words a call, which bounds what a call holds in the heap
_SHARED = 100_000  # strings and columns that are looked up to be shared; not interned, as Python would never free them

_PATIENCE = 30.0  # seconds to wait for another process that writes to the cache file
# What keeps a cache file from being used without anything being wrong with it: rights, a full or failing disk, a lock.
_OF_THE_DISK = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY),
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN),
}
_OF_THE_SYSTEM = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO}

# Okt's tags, org.openkoreantext.processor.util.KoreanPos.
_TAGS = {
    *("Noun", "Verb", "Adjective", "Adverb", "Determiner", "Exclamation", "Josa", "Eomi", "PreEomi", "Conjunction"),
    *("Modifier", "VerbPrefix", "Suffix", "Unknown", "Korean", "Foreign", "Number", "KoreanParticle", "Alpha"),
    *("Punctuation", "Hashtag", "ScreenName", "Email", "URL", "CashTag", "Space", "Others", "ProperNoun"),
}


class Morpheme(NamedTuple):
    """One morpheme as Okt sees it.

    Args:
        surface: The form in the sentence, after Okt's normalisation (`됬닼` becomes `됬다`).
        lemma: The dictionary form for verbs and adjectives (`펼쳐집니다` becomes `펼쳐지다`), else the surface.
        tag: Okt's part of speech: Noun, Verb, Adjective, Josa, Number, Alpha, Punctuation, Foreign, …
        start: Index of its first character in the text as given.
        end: Index after its last character. Where Okt's normalisation changed the word, the span is the whole word
            without the punctuation around it.
    """

    surface: str
    lemma: str
    tag: str
    start: int
    end: int


# The morphemes of a word as columns: surfaces, lemmas, tags, starts, ends. Columns are what a batch is put together
# from, and words with equal columns share them.
_Word = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[int, ...], tuple[int, ...]]
_NOTHING: _Word = ((), (), (), (), ())

_newer: dict[str, _Word] = {}
_older: dict[str, _Word] = {}
_shapes: dict[tuple[Any, ...], tuple[Any, ...]] = {}
_strings: dict[str, str] = {}
_lock = threading.RLock()
_pausing = threading.Lock()  # held by whoever has switched the garbage collection off
_file_lock = threading.RLock()  # while a connection is open; a fork waits for it, as SQLite asks
_table: dict[str, str] | None = None  # codes by word, once read
_given_up: dict[str, str] = {}  # cache files that can be read alone, or not at all, and why


def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
    """Analyse a batch of texts with Okt, normalising and stemming as the paper does (section III.2.1).

    The answer is KoNLPy's, for the text as it is: a zero-width space splits a word, and decomposed Korean is Foreign. A
    tokenizer's `morphemes` reads what looks the same as the same; `kgloss_hf.runtime.normalization.normalize` does so
    for any text. Any thread may call. The more texts a call has, the less time each takes.

    Args:
        texts: Sentences of any length; blank ones give an empty list. A lone surrogate is read as U+FFFD.

    Returns:
        One list of morphemes a text, in order, without spaces. Tabs and line breaks are spaces too, where KoNLPy has a
        morpheme of the tag Foreign for one between words.

    Raises:
        TypeError: A text is not a string.
        ImportError: KoNLPy, JPype or a Java runtime is missing.
        RuntimeError: The JVM cannot be started or ran out of memory, or the cache file cannot be used.

    Example:
        >>> [m.lemma for m in analyze(["몸의 형태에 따라"])[0]]
        ['몸', '의', '형태', '에', '따르다']
    """
    if isinstance(texts, str):
        raise TypeError("analyze expects a list of strings, found one string; write analyze([text])")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {index}: expected a string, found {type(text).__name__}")
    if not texts:
        return []
    # One list of words for the whole batch, with an empty word between adjacent spaces; from there on each step is
    # one call into C.
    words = _TO_REPLACE.sub(lambda m: "\ufffd" if m.group() >= "\ud800" else " ", " ".join(texts)).split(" ")
    known: list[Any] = list(map(_newer.get, words))
    if not all(known):
        looked_up = _look_up(dict.fromkeys(word for word, value in zip(words, known, strict=True) if not value))
        known = [value or looked_up[word] for word, value in zip(words, known, strict=True)]
    surfaces, lemmas, tags, starts, ends = (chain.from_iterable(map(itemgetter(i), known)) for i in range(5))
    sizes = np.fromiter(map(len, map(itemgetter(0), known)), np.int64, len(known))
    word_starts, text_starts = _starts(words), _starts(texts)
    first_words = np.searchsorted(word_starts, text_starts)
    offsets = word_starts - np.repeat(text_starts, np.diff(first_words, append=len(words)))
    shifts = np.repeat(offsets, sizes)
    columns = (
        surfaces,
        lemmas,
        tags,
        (np.fromiter(starts, np.int64, len(shifts)) + shifts).tolist(),
        (np.fromiter(ends, np.int64, len(shifts)) + shifts).tolist(),
    )
    morphemes = map(tuple.__new__, repeat(Morpheme), zip(*columns, strict=True))
    with collection_paused():
        return [list(islice(morphemes, count)) for count in np.add.reduceat(sizes, first_words).tolist()]


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause Python's garbage collection: it would go over a batch's morphemes, which hold no cycle, again and again,
    and take a third of the time.

    One thread at a time pauses it, so that it runs between batches however many threads there are; the others go on
    with it as it is. It stays off where the program has switched it off.

    Example:
        >>> with collection_paused():
        ...     gc.isenabled()
        False
        >>> gc.isenabled()
        True
    """
    lock = _pausing
    if not gc.isenabled() or not lock.acquire(blocking=False):
        yield
        return
    try:
        gc.disable()
        yield
    finally:
        gc.enable()
        lock.release()


def _starts(parts: Sequence[str]) -> Any:
    """Where each part begins in the parts joined by one space."""
    lengths = np.fromiter(map(len, parts), np.int64, len(parts)) + 1
    return np.cumsum(lengths) - lengths


def _look_up(words: Iterable[str]) -> dict[str, _Word]:
    """The morphemes of words that were not in the newer half of the cache."""
    with _lock:
        columns: dict[str, _Word] = {}
        parts_of: dict[str, list[str]] = {}
        for word in words:
            if known := _cached(word):
                columns[word] = known
            else:
                parts_of[word] = _parts(word)
        parts = {part: _cached(part) for part in chain.from_iterable(parts_of.values())}
        analysed = _analyse([part for part, known in parts.items() if not known])
        analysed.update((part, known) for part, known in parts.items() if known)
        for word, pieces in parts_of.items():
            columns[word] = analysed[word] if pieces == [word] else _join(pieces, analysed)
        _remember(analysed)
        _remember(columns)
    return columns


def _cached(word: str) -> _Word | None:
    return _newer.get(word) or _older.get(word)


def _remember(words: dict[str, _Word]) -> None:
    global _newer, _older
    _newer.update(words)
    if (beyond := len(_newer) - CACHE_WORDS // 2) > 0:
        _newer, _older = {}, dict(islice(_newer.items(), beyond, None))


def _parts(word: str) -> list[str]:
    if len(word) > MAX_EOJEOL:
        return [word[i : i + MAX_EOJEOL] for i in range(0, len(word), MAX_EOJEOL)]
    apart = PARTS.fullmatch(word)
    return [part for part in (apart.groups() if apart else (word,)) if part]


def _join(parts: Iterable[str], analysed: dict[str, _Word]) -> _Word:
    columns: list[tuple[Any, ...]] = list(_NOTHING)
    shift = 0
    for part in parts:
        surfaces, lemmas, tags, starts, ends = analysed[part]
        shifted = (tuple(offset + shift for offset in offsets) for offsets in (starts, ends))
        columns = [a + b for a, b in zip(columns, (surfaces, lemmas, tags, *shifted), strict=True)]
        shift += len(part)
    return _word(*columns)


def _word(
    surfaces: Iterable[str], lemmas: Iterable[str], tags: Iterable[str], starts: Iterable[int], ends: Iterable[int]
) -> _Word:
    """A word's columns in little memory: a string that two words hold is one string, and so is a column."""
    for table in (_shapes, _strings):
        if len(table) > _SHARED:
            table.clear()
    share: Any = _strings.setdefault
    forms, stems, names = (tuple(map(share, column, column)) for column in map(tuple, (surfaces, lemmas, tags)))
    shape = (_shapes.setdefault(column, column) for column in (names, tuple(starts), tuple(ends)))
    return (forms, forms if stems == forms else stems, *shape)  # type: ignore[return-value]


def _analyse(words: list[str]) -> dict[str, _Word]:
    """The morphemes of words that are not in memory: from the cache file, the table, else from Java."""
    columns = _from_file(words) if CACHE_FILE and words else {}
    columns |= _from_table([word for word in words if word not in columns])
    new = [word for word in words if word not in columns]
    for start in range(0, len(new), _WORDS_A_CALL):
        batch = new[start : start + _WORDS_A_CALL]
        analysed = dict(zip(batch, starmap(_word, analyze_words(batch)), strict=True))
        if CACHE_FILE:
            _to_file(analysed)
        columns.update(analysed)
    return columns


def _from_table(words: list[str]) -> dict[str, _Word]:
    global _table
    if not TABLE or not words:
        return {}
    if _table is None:
        _table = read_table(Path(TABLE))
    return {word: decoded(word, _table[word]) for word in words if word in _table}


def read_table(path: Path) -> dict[str, str]:
    """Return codes by word, or nothing where there is no table, or it tells of another Okt than that of KoNLPy here.

    Args:
        path: Of the table. One that cannot be read is the same as none, with a warning.

    Example:
        >>> read_table(Path("none"))
        {}
    """
    try:
        header, *lines = zlib.decompress(path.read_bytes()).decode().splitlines()
        if header != okt_digest():
            return {}
    except FileNotFoundError:  # of the table, which travels with no model, or of KoNLPy
        return {}
    except (OSError, ValueError, zlib.error) as error:
        logger.warning("the table of frequent words %s cannot be read (%s): go on without it", path, error)
        return {}
    table: dict[str, str] = {}
    for line in lines:
        code, *group = line.split(" ")
        table.update(dict.fromkeys(group, code))
    return table


def okt_digest() -> str:
    """Return the SHA-256 of the installed Okt with its dictionaries, without importing KoNLPy.

    Raises:
        FileNotFoundError: KoNLPy, or its Okt, is not installed.

    Example:
        >>> len(okt_digest())
        64
    """
    konlpy = None if sys.modules.get("konlpy", True) is None else find_spec("konlpy")
    if konlpy is None or konlpy.origin is None:
        raise FileNotFoundError("expected KoNLPy, found no package of that name")
    return hashlib.sha256(Path(konlpy.origin).with_name("java").joinpath(_JAR).read_bytes()).hexdigest()


def decoded(word: str, code: str) -> _Word:
    """Return the columns of a word, surfaces to ends, by its code in the table of frequent words.

    Args:
        word: One that Okt's normalisation leaves as it is.
        code: Per morpheme the length of its surface and its tag, and where it has another lemma, how many characters
            both begin with, and the rest of the lemma. Many words have one code.

    Example:
        >>> decoded("펼쳐집니다", "5:Verb:2:지다")
        (('펼쳐집니다',), ('펼쳐지다',), ('Verb',), (0,), (5,))
    """
    columns: tuple[list[Any], ...] = ([], [], [], [], [])
    end = 0
    for morpheme in code.split(","):
        length, tag, *lemma = morpheme.split(":")
        start, end = end, end + int(length)
        surface = word[start:end]
        other = surface[: int(lemma[0])] + lemma[1] if lemma else surface
        for column, value in zip(columns, (surface, other, tag, start, end), strict=True):
            column.append(value)
    return _word(*columns)


def _from_file(words: list[str]) -> dict[str, _Word]:
    select = "SELECT word, morphemes FROM words WHERE word IN (SELECT value FROM json_each(?))"
    stored = _in_file("read", lambda rows: rows.execute(select, [json.dumps(words)]).fetchall())
    return {word: _checked(word, columns) for word, columns in stored or ()}


def _to_file(words: dict[str, _Word]) -> None:
    values = [(word, json.dumps(columns, ensure_ascii=False)) for word, columns in words.items()]
    insert = "INSERT OR IGNORE INTO words VALUES (?, ?)"
    _in_file("written", lambda rows: rows.executemany(insert, values).fetchall())


def _in_file(use: str, work: Callable[[sqlite3.Connection], list[Any]]) -> list[Any] | None:
    """Work in a transaction on the cache file, or do nothing where it cannot be used so, of which one warning tells.

    SQLite keeps several writers apart; nothing of a connection, a cursor included, may be alive while a process forks.
    """
    path = Path(str(CACHE_FILE))
    if _given_up.get(str(path)) in (use, "read"):
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _file_lock, closing(sqlite3.connect(path, timeout=_PATIENCE)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, morphemes TEXT NOT NULL)")
            return work(connection)
    except (OSError, sqlite3.Error, ValueError) as error:  # the last: a path that is none
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # of an error that is further divided
        if path.is_dir() or not (code in _OF_THE_DISK or getattr(error, "errno", 0) in _OF_THE_SYSTEM):
            raise _no_cache(str(error)) from error
        _given_up[str(path)] = use
        logger.warning(
            "the cache file %s cannot be %s (%s): this process goes on without that, and takes longer", path, use, error
        )
        return None


def _no_cache(reason: str) -> RuntimeError:
    return RuntimeError(
        f"the cache file {CACHE_FILE} cannot be used ({reason}); expected a file that this package wrote, on a disk of "
        "this machine: delete it, name another in KGLOSS_OKT_CACHE, or unset that"
    )


def _checked(word: str, stored: str) -> _Word:
    """Return the columns of a row of the cache file, which must be what Okt can have said of the word."""
    try:
        columns: Any = json.loads(stored)
        sound = _can_be(word, *columns)
    except (TypeError, ValueError, RecursionError):  # other numbers and types of columns
        sound = False
    if not sound:
        raise _no_cache(f"its row of {word!r:.60} is not Okt's: {stored!r:.200}")
    return _word(*columns)


def _can_be(
    word: str, surfaces: list[str], lemmas: list[str], tags: list[str], starts: list[int], ends: list[int]
) -> bool:
    columns: tuple[list[Any], ...] = (surfaces, lemmas, tags, starts, ends)
    if {*map(type, columns)} != {list} or len({*map(len, columns)}) != 1:
        return False
    if not surfaces:
        return any(map(str.isspace, word))  # Okt loses words with white space outside ASCII
    if {*map(type, surfaces + lemmas)} != {str} or {*map(type, starts + ends)} != {int} or not _TAGS.issuperset(tags):
        return False
    if not all(surfaces + lemmas) or _BETWEEN_WORDS.search("".join(surfaces + lemmas)):
        return False
    if surfaces != lemmas:  # as only verbs and adjectives have them
        for surface, lemma, tag in zip(surfaces, lemmas, tags, strict=True):
            if surface != lemma and tag not in ("Verb", "Adjective"):
                return False
    if {*starts} == {0} and {*ends} == {len(word)}:
        return True  # normalised: the spans are the whole word
    parts = [word[start:end] for start, end in zip(starts, ends, strict=True)]
    return parts == surfaces and starts == [0, *ends[:-1]] and ends[-1] == len(word)


def _after_fork() -> None:
    """Renew locks that may be held by threads that do not exist here, and undo what these would have undone."""
    global _lock, _file_lock, _pausing
    _lock, _file_lock = threading.RLock(), threading.RLock()
    if _pausing.locked():
        gc.enable()
    _pausing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _file_lock.acquire(),  # the lock of the moment
        after_in_parent=lambda: _file_lock.release(),
        after_in_child=_after_fork,
    )
