"""Turn texts into the words that WordPiece splits (steps 1 and 2 of the tokenizer)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from tokenizers import AddedToken

from .glosses import PLACEHOLDERS
from .normalization import is_normalized, normalize, normalize_line, normalize_with_offsets
from .okt import Morpheme

Words = list[list[str]]
"""The words of each text."""

Spans = list[list[tuple[int, int]]]
"""The span of each word of each text."""

DROPPED_TAGS = ("Josa", "Punctuation")
"""Parts of speech that do not count as words: particles and, if words are normalised, punctuation."""

_ADDED_TAG = "AddedToken"
"""Tag of tokens from `add_tokens`, which are not morphemes and are left unchanged."""

# Okt loses a word that touches white space outside ASCII, such as the no-break space of web text.
_OTHER_SPACE = re.compile(r"[^\S \t\n\x0b\f\r]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def analyze_texts(
    texts: list[str], analyze: Callable[[list[str]], list[list[Morpheme]]], added_tokens: Iterable[AddedToken]
) -> list[list[Morpheme]]:
    """Normalise each text, and analyse the text between added tokens, which stay whole (step 1).

    Args:
        texts: Sentences.
        analyze: The morphological analyser.
        added_tokens: Tokens that are looked for in the texts before the analysis.

    Returns:
        The morphemes of each text, with offsets into the text as given.

    Raises:
        TypeError: A text is not a string.

    Examples:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> [tuple(morpheme) for morpheme in analyze_texts(["토\u200b기<b>"], analyze, [AddedToken("<b>")])[0]]
        [('토기', '토기', 'Noun', 0, 3), ('<b>', '<b>', 'AddedToken', 3, 6)]
    """
    texts, places = normalized_texts(texts)
    pattern, added = _pattern_of(added_tokens)
    if pattern and any(map(pattern.search, texts)):
        analysed = _analyze_between(pattern, added, texts, analyze)
    else:
        analysed = analyze(texts)
    for index, spans in places.items():
        analysed[index] = [_in_given_text(morpheme, texts[index], spans) for morpheme in analysed[index]]
    return analysed


def kept_words(
    analysed: list[list[Morpheme]],
    lemmatize: bool,
    normalize: bool,
    stop_words: Iterable[str],
    with_spans: bool = False,
) -> tuple[Words, Spans]:
    """Return the words of each text without particles, punctuation and stop words (step 2).

    Args:
        analysed: The morphemes of each text.
        lemmatize: Use dictionary forms.
        normalize: Lower-case words and drop punctuation.
        stop_words: Words to drop, compared after the steps above.
        with_spans: Also return the span of each word in its text (default False: empty lists).

    Examples:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> kept_words(analyze(["토기를 찾다."]), lemmatize=True, normalize=True, stop_words=["찾다"], with_spans=True)
        ([['토기']], [[(0, 2)]])
    """
    stopped = frozenset(map(normalize_line, stop_words))
    dropped = frozenset(DROPPED_TAGS if normalize else DROPPED_TAGS[:1])

    words = []
    spans = []
    for morphemes in analysed:
        kept = []
        places = []
        for surface, lemma, tag, start, end in morphemes:
            if tag in dropped:
                continue
            word = word_of(surface, lemma, tag, lemmatize, normalize)
            if word in stopped and tag not in PLACEHOLDERS:
                continue
            kept.append(word)
            if with_spans:
                places.append((start, end))
        words.append(kept)
        spans.append(places)
    return words, spans


def word_of(surface: str, lemma: str, tag: str, lemmatize: bool, normalize: bool) -> str:
    """Return the form in which the vocabulary holds a morpheme: its lemma or surface, or a placeholder.

    The arguments are not a Morpheme, which would take time in the loop over all morphemes.

    Args:
        surface: The morpheme as in the text.
        lemma: Its dictionary form.
        tag: Its part of speech.
        lemmatize: Use the dictionary form.
        normalize: Lower-case the word.

    Examples:
        >>> word_of("구분된", "구분되다", "Verb", True, True), word_of("QR", "QR", "Alpha", True, True)
        ('구분되다', 'Alpha')
    """
    if tag in PLACEHOLDERS:
        return tag
    word = lemma if lemmatize else surface
    return word.lower() if normalize and tag != _ADDED_TAG else word


def normalized_texts(texts: list[str]) -> tuple[list[str], dict[int, list[tuple[int, int]]]]:
    """Return texts after the part of step 1 before the analysis, and the spans of the characters of changed texts.

    Case and punctuation show the analyser where words end, so they are removed after it.

    Args:
        texts: Sentences.

    Raises:
        TypeError: A text is not a string.

    Examples:
        >>> normalized_texts(["토기", "흙\u200b"])
        (['토기', '흙'], {1: [(0, 1)]})
    """
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {index}: expected a string, found {type(text).__name__}")
    joined = " ".join(texts)
    if joined.isprintable() and is_normalized(joined):  # one check per batch; almost all batches pass
        return texts, {}
    texts = [text if text.isprintable() else _SURROGATE.sub("\ufffd", _OTHER_SPACE.sub(" ", text)) for text in texts]
    places = {}
    for index, text in enumerate(texts):
        if not is_normalized(text):
            texts[index], places[index] = normalize_with_offsets(text)
    return texts, places


def _in_given_text(morpheme: Morpheme, normal: str, spans: list[tuple[int, int]]) -> Morpheme:
    """Return the morpheme with its span in the given text, where parts of a word adjoin despite hidden characters."""
    end = morpheme.end
    joined = end < len(normal) and not normal[end].isspace()
    return morpheme._replace(start=spans[morpheme.start][0], end=spans[end][0] if joined else spans[end - 1][1])


def _analyze_between(
    pattern: re.Pattern[str],
    added: dict[str, str],
    texts: list[str],
    analyze: Callable[[list[str]], list[list[Morpheme]]],
) -> list[list[Morpheme]]:
    split = [pattern.split(text) for text in texts]  # added tokens at odd indices
    analysed = iter(analyze([piece for pieces in split for piece in pieces[::2]]))
    rows = []
    for pieces in split:
        row: list[Morpheme] = []
        at = 0
        for place, piece in enumerate(pieces):
            if place % 2:
                row.append(Morpheme(added[piece], added[piece], _ADDED_TAG, at, at + len(piece)))
            else:
                row += (m._replace(start=at + m.start, end=at + m.end) for m in next(analysed))
            at += len(piece)
        rows.append(row)
    return rows


def _pattern_of(added_tokens: Iterable[AddedToken]) -> tuple[re.Pattern[str] | None, dict[str, str]]:
    """Return a pattern for added tokens as they occur in texts, the longest first, and the tokens by that form."""
    tokens = sorted(added_tokens, key=lambda token: -len(token.content))
    contents = {content: t for t in tokens if (content := normalize(t.content))}
    either = (rf"(?<!\w){re.escape(c)}(?!\w)" if t.single_word else re.escape(c) for c, t in contents.items())
    pattern = re.compile(f"({'|'.join(either)})") if contents else None
    return pattern, {content: t.content for content, t in contents.items()}
