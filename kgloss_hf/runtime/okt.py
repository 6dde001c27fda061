"""KoNLPy's Okt for batches of texts, with offsets.

`analyze` returns the same as `Okt().pos(text, norm=True, stem=True)`, plus each morpheme's surface form and its span in
the text. The unit of caching is the eojeol (space-delimited word): Okt's analysis of a sentence is that of its eojeols,
joined. Therefore only new words reach the Java virtual machine (JVM), all words of a batch in one call. A table of
frequent words comes with the package.

Importing this module starts nothing; `kgloss_hf.runtime.java` starts Java at the first unknown word. Three environment
variables are read at import: `KGLOSS_OKT_CACHE` (see `CACHE_FILE`), `KGLOSS_OKT_TABLE` (`TABLE`) and
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
"""Maximum number of words kept in memory, in two halves. When the newer half is full, the older is dropped, so the last
500,000 different words are always in memory. A word takes about 330 bytes, so all words take about 330 MB."""

CACHE_FILE: str | None = os.environ.get("KGLOSS_OKT_CACHE")
"""Path of an SQLite file that keeps analysed words between processes; any number of processes can use it at once. The
default is the environment variable KGLOSS_OKT_CACHE, else none."""

TABLE: str | None = os.environ.get("KGLOSS_OKT_TABLE", str(Path(__file__).with_name("okt_words.bin")))
"""Path of a table of frequent words with Okt's analyses (`benchmarks/okt_table.py`), which need no Java. The table is
used only if KoNLPy's Okt is the one with which it was made. The default is the environment variable KGLOSS_OKT_TABLE,
else the table in this file's folder, if it exists. An empty value disables the table, for users who add words to
Okt's dictionary in Java."""

_JAR = "open-korean-text-2.1.0.jar"

MAX_EOJEOL = 150
"""Maximum length of a word in characters. A longer word is analysed in pieces of this length, because Okt takes minutes
for a word of 10,000 characters."""

# Characters that Java's \s matches, the only ones at which Okt splits sentences; and lone surrogates, which Java cannot
# receive.
_TO_REPLACE = re.compile("[\t\n\x0b\f\r\ud800-\udfff]")

_BETWEEN_WORDS = re.compile(f"[ {_TO_REPLACE.pattern[1:]}")

# Okt analyses each run of Hangul by itself. If an eojeol is such a run between punctuation that begins no address,
# hashtag or number, its three parts can be analysed separately, and most middle parts are known already.
PARTS = re.compile(r"""([\[('"‘“]*)([ㄱ-ㅣ가-힣]+)([.,!?~…'")\]’”;]*)""")
"""Pattern of a run of Hangul between punctuation."""

_WORDS_A_CALL = 10_000  # words per call, to limit its use of the heap
_SHARED = 100_000  # shared strings and columns; they are not interned, as Python would never free them

_PATIENCE = 30.0  # seconds to wait for another process that writes to the cache file
# Errors that make an intact cache file unusable: missing rights, a full or failing disk, a lock.
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
    """One morpheme as analysed by Okt.

    Args:
        surface: Form in the sentence, after Okt's normalisation (`됬닼` becomes `됬다`).
        lemma: Dictionary form of verbs and adjectives (`펼쳐집니다` becomes `펼쳐지다`), else the surface.
        tag: Okt's part of speech: Noun, Verb, Adjective, Josa, Number, Alpha, Punctuation, Foreign, …
        start: Index of its first character in the text as given.
        end: Index after its last character. If Okt's normalisation changed the word, the span is the whole word without
            the punctuation around it.
    """

    surface: str
    lemma: str
    tag: str
    start: int
    end: int


# The morphemes of a word as columns: surfaces, lemmas, tags, starts, ends. A batch is assembled from columns, and words
# with equal columns share them.
_Word = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[int, ...], tuple[int, ...]]
_NOTHING: _Word = ((), (), (), (), ())

_newer: dict[str, _Word] = {}
_older: dict[str, _Word] = {}
_shapes: dict[tuple[Any, ...], tuple[Any, ...]] = {}
_strings: dict[str, str] = {}
_lock = threading.RLock()
_pausing = threading.Lock()  # held by the thread that has switched garbage collection off
_file_lock = threading.RLock()  # while a connection is open; a fork waits for it, as SQLite asks
_table: dict[str, str] | None = None  # codes by word, once read
_given_up: dict[str, str] = {}  # the use that failed, by cache file: "read", or "written" if only writing fails


def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
    """Analyse a batch of texts with Okt, with normalisation and stemming as in the paper (section III.2.1).

    The result is KoNLPy's for the text as given: zero-width spaces split words, and decomposed Korean is Foreign. A
    tokenizer's `morphemes` treats texts that look the same alike; for other texts, use
    `kgloss_hf.runtime.normalization.normalize`. The function is thread-safe. The more texts per call, the less time
    each takes.

    Args:
        texts: Sentences of any length; blank ones yield an empty list. A lone surrogate is read as U+FFFD.

    Returns:
        One list of morphemes per text, in order, without spaces. Tabs and line breaks also count as spaces, whereas
        KoNLPy returns a morpheme tagged Foreign for one between words.

    Raises:
        TypeError: A text is not a string.
        ImportError: KoNLPy, JPype or a Java runtime is missing.
        RuntimeError: The JVM could not be started or ran out of memory, or the cache file cannot be used.

    Examples:
        >>> [m.lemma for m in analyze(["몸의 형태에 따라"])[0]]
        ['몸', '의', '형태', '에', '따르다']
    """
    if isinstance(texts, str):
        raise TypeError("texts: expected a list of strings, found one string; write analyze([text])")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {index}: expected a string, found {type(text).__name__}")
    if not texts:
        return []
    # Make one list of words for the whole batch, with an empty word between adjacent spaces. From there on, each step
    # is one call into C.
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
    """Pause Python's garbage collection, which would take a third of the time.

    It would traverse a batch's morphemes repeatedly, although they contain no cycles. Only one thread at a time pauses
    it, so it runs between batches however many threads there are; the other threads leave it unchanged. It stays off if
    the program has switched it off.

    Examples:
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
    """Return the index at which each part begins when the parts are joined by one space."""
    lengths = np.fromiter(map(len, parts), np.int64, len(parts)) + 1
    return np.cumsum(lengths) - lengths


def _look_up(words: Iterable[str]) -> dict[str, _Word]:
    """Return the morphemes of words that were not in the newer half of the cache."""
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
    """Return a word's columns, sharing equal strings and columns with other words to save memory."""
    for table in (_shapes, _strings):
        if len(table) > _SHARED:
            table.clear()
    share: Any = _strings.setdefault
    forms, stems, names = (tuple(map(share, column, column)) for column in map(tuple, (surfaces, lemmas, tags)))
    shape = (_shapes.setdefault(column, column) for column in (names, tuple(starts), tuple(ends)))
    return (forms, forms if stems == forms else stems, *shape)  # type: ignore[return-value]


def _analyse(words: list[str]) -> dict[str, _Word]:
    """Return the morphemes of words that are not in memory: from the cache file, the table or, failing these, Java."""
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
    """Return the code of each word in a table of frequent words; none if it is missing or was made with another Okt.

    Args:
        path: Path of the table. A table that cannot be read counts as missing, with a warning. One that was made with
            another Okt than KoNLPy's yields an empty dict, without a warning.

    Examples:
        >>> read_table(Path("none"))
        {}
    """
    try:
        header, *lines = zlib.decompress(path.read_bytes()).decode().splitlines()
        if header != okt_digest():
            return {}
    except FileNotFoundError:  # no table, as it does not travel with models, or no KoNLPy
        return {}
    except (OSError, ValueError, zlib.error) as error:
        logger.warning("the table of frequent words %s cannot be read (%s); it is not used", path, error)
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

    Examples:
        >>> len(okt_digest())
        64
    """
    konlpy = None if sys.modules.get("konlpy", True) is None else find_spec("konlpy")
    if konlpy is None or konlpy.origin is None:
        raise FileNotFoundError("expected KoNLPy, found no package of that name")
    return hashlib.sha256(Path(konlpy.origin).with_name("java").joinpath(_JAR).read_bytes()).hexdigest()


def decoded(word: str, code: str) -> _Word:
    """Return the columns of a word, surfaces to ends, from its code in the table of frequent words.

    Args:
        word: A word that Okt's normalisation does not change.
        code: For each morpheme, the length of its surface and its tag; if its lemma differs, also the number of
            characters that surface and lemma share at the start, and the rest of the lemma. Many words share one code.

    Examples:
        >>> decoded("펼쳐집니다", "5:Verb:2:지다")
        (('펼쳐집니다',), ('펼쳐지다',), ('Verb',), (0,), (5,))
    """
    columns: tuple[list[Any], ...] = ([], [], [], [], [])
    end = 0
    for morpheme in code.split(","):
        length, tag, *lemma = morpheme.split(":")
        start, end = end, end + int(length)
        surface = word[start:end]
        form = surface[: int(lemma[0])] + lemma[1] if lemma else surface
        for column, value in zip(columns, (surface, form, tag, start, end), strict=True):
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
    """Work on the cache file in a transaction, or, after one warning, do nothing if it cannot be used in this way.

    SQLite coordinates several writers. No part of a connection, cursors included, may be alive while a process forks.
    """
    path = Path(str(CACHE_FILE))
    if _given_up.get(str(path)) in (use, "read"):
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _file_lock, closing(sqlite3.connect(path, timeout=_PATIENCE)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, morphemes TEXT NOT NULL)")
            return work(connection)
    except (OSError, sqlite3.Error, ValueError) as error:  # ValueError: an invalid path
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
        if path.is_dir() or not (code in _OF_THE_DISK or getattr(error, "errno", 0) in _OF_THE_SYSTEM):
            raise _no_cache(str(error)) from error
        _given_up[str(path)] = use
        logger.warning(
            "the cache file %s cannot be %s (%s); this process continues without that, and takes longer",
            path,
            use,
            error,
        )
        return None


def _no_cache(reason: str) -> RuntimeError:
    return RuntimeError(
        f"the cache file {CACHE_FILE} cannot be used ({reason}); expected a file that this package wrote, on a disk of "
        "this machine; delete it, name another file in KGLOSS_OKT_CACHE, or unset that variable"
    )


def _checked(word: str, stored: str) -> _Word:
    """Return the columns of a row of the cache file, after checking that they can be Okt's analysis of the word."""
    try:
        columns: Any = json.loads(stored)
        sound = _can_be(word, *columns)
    except (TypeError, ValueError, RecursionError):  # a wrong number or type of columns
        sound = False
    if not sound:
        raise _no_cache(f"its row for {word!r:.60} cannot be Okt's analysis: {stored!r:.200}")
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
    if surfaces != lemmas:  # only verbs and adjectives have other lemmas
        for surface, lemma, tag in zip(surfaces, lemmas, tags, strict=True):
            if surface != lemma and tag not in ("Verb", "Adjective"):
                return False
    if {*starts} == {0} and {*ends} == {len(word)}:
        return True  # Okt normalised the word, so each span is the whole word
    parts = [word[start:end] for start, end in zip(starts, ends, strict=True)]
    return parts == surfaces and starts == [0, *ends[:-1]] and ends[-1] == len(word)


def _after_fork() -> None:
    """Replace locks that may be held by threads that do not exist here, and switch garbage collection on for them."""
    global _lock, _file_lock, _pausing
    _lock, _file_lock = threading.RLock(), threading.RLock()
    if _pausing.locked():
        gc.enable()
    _pausing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _file_lock.acquire(),  # looked up at the fork, as _after_fork replaces the lock
        after_in_parent=lambda: _file_lock.release(),
        after_in_child=_after_fork,
    )
