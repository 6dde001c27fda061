"""KoNLPy's Okt, a batch at a time, with offsets.

`analyze` gives what `Okt().pos(text, norm=True, stem=True)` gives, plus each morpheme's surface form and its span in
the text. The unit of caching is the eojeol (white-space-separated word): Okt of a sentence equals Okt of its eojeols,
joined, so only words not seen before reach the Java virtual machine (JVM), all of a batch in one call.

Importing this module starts nothing; `kgloss_hf.runtime.java` starts Java at the first word that is not cached. Two
environment variables are read at import: `KGLOSS_OKT_CACHE` (see `CACHE_FILE`) and `KGLOSS_MAX_HEAP_MB`
(`java.MAX_HEAP_MB`).
"""

from __future__ import annotations

import gc
import json
import os
import re
import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain, islice, repeat, starmap
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .java import analyze_words

CACHE_WORDS = 1_000_000
"""Words kept in memory at most, in two halves: when the newer half is full, the older is dropped, so that the last
500,000 different words are always there. A word takes about 330 bytes, so all take some 330 MB."""

CACHE_FILE: str | None = os.environ.get("KGLOSS_OKT_CACHE")
"""Path of a file (SQLite) that keeps analysed words from one process to the next, for any number of processes at once.
Default: the environment variable KGLOSS_OKT_CACHE, else none."""

MAX_EOJEOL = 150
"""Characters. Okt takes minutes over a word of 10,000 without a space, so a longer one is analysed in such pieces."""

# What Java's \s matches, where Okt splits a sentence and nowhere else; and lone surrogates, which cannot cross to Java.
_TO_REPLACE = re.compile("[\t\n\x0b\f\r\ud800-\udfff]")

# Okt analyses each run of Hangul by itself. Where an eojeol is one such run between punctuation that begins no
# address, hashtag or number, its three parts can be analysed apart, and most of the middle ones are known already.
_PARTS = re.compile(r"""([\[('"‘“]*)([ㄱ-ㅣ가-힣]+)([.,!?~…'")\]’”;]*)""")

_WORDS_A_CALL = 10_000  # words a call, which bounds what a call holds in the heap


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
_lock = threading.RLock()


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
    """Python's garbage collection off for a while: it would go over a batch's morphemes, which hold no cycle, again and
    again, and take a third of the time.

    Example:
        >>> with collection_paused():
        ...     gc.isenabled()
        False
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


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
    apart = _PARTS.fullmatch(word)
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
    if len(_shapes) > 100_000:
        _shapes.clear()
    forms, stems, names = (tuple(map(sys.intern, column)) for column in (surfaces, lemmas, tags))
    shape = (_shapes.setdefault(column, column) for column in (names, tuple(starts), tuple(ends)))
    return (forms, forms if stems == forms else stems, *shape)  # type: ignore[return-value]


def _analyse(words: list[str]) -> dict[str, _Word]:
    """The morphemes of words that are not in memory: from the cache file, else from Java."""
    columns = _from_file(words) if CACHE_FILE and words else {}
    new = [word for word in words if word not in columns]
    for start in range(0, len(new), _WORDS_A_CALL):
        batch = new[start : start + _WORDS_A_CALL]
        analysed = dict(zip(batch, starmap(_word, analyze_words(batch)), strict=True))
        if CACHE_FILE:
            _to_file(analysed)
        columns.update(analysed)
    return columns


def _from_file(words: list[str]) -> dict[str, _Word]:
    with _cache_file() as rows:
        stored = rows.execute(
            "SELECT word, morphemes FROM words WHERE word IN (SELECT value FROM json_each(?))", [json.dumps(words)]
        )
        return {word: _word(*json.loads(columns)) for word, columns in stored}


def _to_file(words: dict[str, _Word]) -> None:
    with _cache_file() as rows:
        values = [(word, json.dumps(columns, ensure_ascii=False)) for word, columns in words.items()]
        rows.executemany("INSERT OR IGNORE INTO words VALUES (?, ?)", values)


@contextmanager
def _cache_file() -> Iterator[sqlite3.Connection]:
    """A transaction on the cache file. SQLite keeps several writers apart; a connection must not outlive a fork."""
    path = Path(str(CACHE_FILE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY, morphemes TEXT NOT NULL)")
            yield connection
    except (OSError, sqlite3.Error, TypeError, ValueError) as error:  # the last two: rows that are none of ours
        raise RuntimeError(
            f"the cache file {path} cannot be used ({error}); expected a file that this package wrote, on a disk of "
            "this machine: delete it, name another in KGLOSS_OKT_CACHE, or unset that"
        ) from error


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # the parent's may have been held by a thread that does not exist here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
