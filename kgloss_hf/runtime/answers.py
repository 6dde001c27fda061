"""Build answers from the tokens that a model emitted: glosses, their types, their places, and spelled names."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, repeat
from math import exp
from typing import Any

from .fingerspelling import fingerspell
from .glosses import NAME, PLACEHOLDERS, UNKNOWN_TYPE, type_of_notation
from .lexicon import is_link
from .numerals import Source
from .okt import Morpheme
from .placeholders import assign_sources
from .words import DROPPED_TAGS

BATCH_SIZE = 128
"""Default batch size, in sentences."""

WINDOW = 16
"""Number of batches that are sorted by length together, and read ahead if the input is not a list."""

# Colours of the lines under glosses, visible in a notebook's light and dark themes. The types are also named there.
_COLOURS = {
    "sign_word": "#3b82f6",
    "similar_word": "#0d9488",
    "iconic": "#d97706",
    "fingerspelling": "#8b5cf6",
    "fingerspelled_number": "#db2777",
    "non_manual": "#65a30d",
    UNKNOWN_TYPE: "#808080",
}
_CHIP = "display:inline-block;margin:2px 4px;padding:0 4px;text-align:center;vertical-align:top;"

Row = tuple[list[Morpheme], list[tuple[int, int]]]
"""A text's morphemes, and the spans of its tokens."""


class GlossSequence(dict[str, Any]):
    """Glosses of a sentence: a dict that can be written to JSON directly, and prints as its glosses.

    Each key is also a typed attribute. The class is a dict, like the answers of transformers' pipelines, so that
    `json`, `datasets`, `pandas` and `|` accept it. `len` and iteration therefore concern its keys: use
    `len(answer.glosses)` and `for gloss in answer.glosses`. An answer without glosses is truthy, its `glosses` are
    not. In print, `?` marks a placeholder without a source, `*` a fingerspelled gloss, and `!` a gloss that nothing in
    a lexicon plays. A notebook also shows the types of the glosses, if `return_types` was set.

    Attributes:
        generated_text: The glosses joined by a space.
        glosses: The glosses in signing order; a gloss may contain a space.
        unresolved: Indices in `glosses` of placeholders for which the sentence has no content.
        log_prob: Natural logarithm of the sequence's probability among glosses, including its end, as weighed by the
            search, with `encoder_repetition_penalty` and `repetition_penalty` applied. 0.0 for a text without words,
            whose answer needs no model; None if `generate` was made to emit what the model cannot.
        unknown_words: Words of the sentence that are not in the vocabulary, as written in the text, each once.
            Particles, numbers and Latin words are not included, nor is a name that the model copied.
        score: Score by which sequences are ranked: `log_prob` divided by the number of glosses, the end counted as
            one, to the power of `length_penalty`; `log_prob` itself if glosses are sampled without beams. With
            `num_return_sequences`.
        types: Type of each gloss, one of `kgloss_hf.runtime.glosses.GLOSS_TYPES`, or `unknown`; with `return_types`.
        alignment: For each gloss, start and end, in characters of the text, of the morpheme that the model attends to
            most, or None; with `return_alignment`.
        agreement: Mean Jaccard score, from 0 to 1, between the glosses and all candidates, weighted by their
            probability; with `consensus`, instead of `log_prob` and `score`.
        fallback: Indices in `glosses` of signs that were fingerspelled because they have no gloss; with `fingerspell`.
        signs: How to play each gloss; with `lexicon`. Each is a dict with the `gloss` and one of: `entry`, an entry of
            the lexicon (`way` is `group` or `headword` if it is that of another word); `letters`, a list of entries;
            `reason`, why nothing plays it, one of `kgloss_hf.runtime.lexicon.REASONS`.
        confidence: For each gloss, its probability given the glosses before it, from 0 to 1, among the glosses that
            could be emitted; None for letters, which the model did not emit; with `return_confidence`.

    Raises:
        AttributeError: The answer has no key of this name.

    Examples:
        >>> print(GlossSequence(generated_text="흙 그릇", glosses=["흙", "그릇"], unresolved=[]))
        흙 | 그릇
        >>> print(GlossSequence(generated_text="흙", glosses=["흙"], unresolved=[], unknown_words=["안녕"]))
        흙 [unknown: 안녕]
        >>> answer = GlossSequence(generated_text="흙 그릇", glosses=["흙", "그릇"], unresolved=[])
        >>> list(answer), answer.glosses
        (['generated_text', 'glosses', 'unresolved'], ['흙', '그릇'])
        >>> answer.types
        Traceback (most recent call last):
        AttributeError: types: expected an answer with this key, found none; call the pipeline with return_types=True
    """

    @property
    def generated_text(self) -> str:
        """Glosses joined by a space."""
        return self._value("generated_text")

    @property
    def glosses(self) -> list[str]:
        """Glosses in signing order."""
        return self._value("glosses")

    @property
    def unresolved(self) -> list[int]:
        """Indices in `glosses` of placeholders for which the sentence has no content."""
        return self._value("unresolved")

    @property
    def log_prob(self) -> float | None:
        """Natural logarithm of the sequence's probability; None if the model cannot emit the sequence."""
        return self._value("log_prob", "consensus=False")

    @property
    def unknown_words(self) -> list[str]:
        """Words of the sentence that are not in the vocabulary."""
        return self._value("unknown_words")

    @property
    def score(self) -> float:
        """Score by which sequences are ranked, the highest first."""
        return self._value("score", "num_return_sequences=N")

    @property
    def types(self) -> list[str]:
        """Type of each gloss."""
        return self._value("types", "return_types=True")

    @property
    def alignment(self) -> list[list[int] | None]:
        """Start and end of each gloss's source in the text, or None."""
        return self._value("alignment", "return_alignment=True")

    @property
    def agreement(self) -> float:
        """Mean Jaccard score with all candidates, weighted by their probability, from 0 to 1."""
        return self._value("agreement", "consensus=True")

    @property
    def fallback(self) -> list[int]:
        """Indices in `glosses` of signs that were fingerspelled because they have no gloss."""
        return self._value("fallback", "fingerspell=True")

    @property
    def signs(self) -> list[dict[str, Any]]:
        """Entry or letters that play each gloss, or the reason why nothing does."""
        return self._value("signs", "lexicon=LEXICON")

    @property
    def confidence(self) -> list[float | None]:
        """Probability of each gloss given those before it, from 0 to 1; None for letters."""
        return self._value("confidence", "return_confidence=True")

    def _value(self, key: str, option: str = "") -> Any:
        if key not in self:
            asked = f"; call the pipeline with {option}" if option else ""
            raise AttributeError(f"{key}: expected an answer with this key, found none{asked}")
        return self[key]

    def __str__(self) -> str:
        marked = dict.fromkeys(self["unresolved"], "?") | dict.fromkeys(self.get("fallback", ()), "*")
        for place in self._missed().keys() - {*self["unresolved"]}:
            marked[place] = marked.get(place, "") + "!"
        glosses = " | ".join(gloss + marked.get(place, "") for place, gloss in enumerate(self.glosses))
        unknown = self.get("unknown_words")
        return f"{glosses} [unknown: {', '.join(unknown)}]".lstrip() if unknown else glosses

    def _missed(self) -> dict[int, str]:
        """Return the indices of glosses that nothing plays, with the reasons."""
        return {place: sign["reason"] for place, sign in enumerate(self.get("signs", ())) if "reason" in sign}

    def _repr_html_(self) -> str:
        """Return the glosses as HTML for notebooks; with `return_types`, each in its type's colour, above the type.

        With `lexicon`, a gloss links to its video if the video's address is http or https.
        """
        types = dict(enumerate(self.get("types", ())))
        notes = self._missed() | dict.fromkeys(self.get("unresolved", ()), "no source")
        for place in self.get("fallback", ()):
            notes[place] = ", ".join(filter(None, ("fallback", notes.get(place))))
        entries = {place: sign["entry"] for place, sign in enumerate(self.get("signs", ())) if "entry" in sign}
        chips = []
        for place, gloss in enumerate(self.glosses):
            kind = types.get(place, "")
            entry = entries.get(place, {})
            stands_in = f"as {entry['gloss']}" if entry.get("gloss", gloss) != gloss else ""
            named = ", ".join(filter(None, (kind.replace("_", " "), notes.get(place), stands_in)))
            line = f"3px {'dashed' if place in notes else 'solid'} {_COLOURS.get(kind, _COLOURS[UNKNOWN_TYPE])}"
            small = f"<br><small>{escape(named)}</small>" if named else ""
            shown = f"<b>{escape(gloss)}</b>"
            if is_link(video := entry.get("video", "")):
                shown = f'<a href="{escape(video)}" rel="noopener noreferrer" target="_blank">{shown}</a>'
            chips.append(f'<span style="{_CHIP}border-bottom:{line}">{shown}{small}</span>')
        unknown = ", ".join(self.get("unknown_words", ()))
        words = f"<div><small>unknown words: {escape(unknown)}</small></div>" if unknown else ""
        return f'<div lang="ko">{" ".join(chips) or "<i>no glosses</i>"}</div>{words}'


def answer_of(
    tokens: list[str],
    row: Row,
    attention: Sequence[Sequence[float]] | None,
    *,
    types: Mapping[str, str],
    knows: Callable[[Morpheme], bool],
    options: Mapping[str, Any],
    stop_words: Collection[str] = (),
    log_probs: Sequence[float] | None = None,
) -> GlossSequence:
    """Return the answer for the tokens that a model emitted.

    Args:
        tokens: Emitted tokens, without special tokens.
        row: Morphemes of the text that the model read, and the span of each of its tokens.
        attention: For each emitted token, the weight of each token that the model read; None if no option needs it.
        types: Types of glosses stored in the checkpoint.
        knows: Returns whether a word is an entry of the vocabulary.
        options: `return_types`, `return_alignment`, `return_confidence`, `fingerspell` and `lexicon`, as for the
            pipeline.
        stop_words: Words that the model does not read (default: none).
        log_probs: Natural logarithm of each emitted token's probability given those before it (default: not known).

    Examples:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> row = analyze(["4세기의 그릇"])[0], []
        >>> print(answer_of(["Number", "그릇"], row, None, types={}, knows=bool, options={}))
        4C | 그릇
    """
    morphemes, offsets = row
    sources = assign_sources(tokens, morphemes)
    signs = [
        _Sign(token, types.get(token) or type_of_notation(token), unresolved=token in PLACEHOLDERS) for token in tokens
    ]
    for sign, source, log_prob in zip(signs, sources, log_probs or repeat(None, len(signs)), strict=True):
        sign.confidence = None if log_prob is None else exp(log_prob)
        if source:
            sign.gloss, sign.unresolved, sign.copied = source.content, False, True
    if attention is not None:
        for sign, source, weights in zip(signs, sources, attention, strict=False):
            sign.span = (source.start, source.end) if source else _most_attended(offsets, weights)
    if options.get("fingerspell"):
        lexicon = options["lexicon"] if options.get("playable") == "only" else None
        signs = _spelled(signs, sources, morphemes, knows, lexicon)
    glosses = [sign.gloss for sign in signs]
    answer = GlossSequence(
        generated_text=" ".join(glosses),
        glosses=glosses,
        unresolved=[place for place, sign in enumerate(signs) if sign.unresolved],
        unknown_words=_unknown_words(morphemes, knows, {source.start for source in sources if source}, stop_words),
    )
    if options.get("return_types"):
        answer["types"] = [sign.type for sign in signs]
    if options.get("return_alignment"):
        answer["alignment"] = [list(sign.span) if sign.span else None for sign in signs]
    if options.get("fingerspell"):
        answer["fallback"] = [place for place, sign in enumerate(signs) if sign.fallback]
    if options.get("return_confidence"):
        answer["confidence"] = [sign.confidence for sign in signs]
    if (lexicon := options.get("lexicon")) is not None:
        answer["signs"] = [lexicon.sign(sign.gloss, sign.type, spelled=sign.copied) for sign in signs]
    return answer


def _unknown_words(
    morphemes: Sequence[Morpheme], knows: Callable[[Morpheme], bool], copied: set[int], stop_words: Collection[str]
) -> list[str]:
    """Return the words that the model reads but does not know, each once; `copied` holds the starts of sources."""
    words: dict[str, None] = {}
    for morpheme in morphemes:
        if morpheme.tag == NAME:
            known = morpheme.start in copied
        elif morpheme.tag in PLACEHOLDERS or morpheme.tag in DROPPED_TAGS:
            known = True
        else:
            known = knows(morpheme) or morpheme.lemma in stop_words or morpheme.surface in stop_words
        if not known:
            words[morpheme.surface] = None
    return list(words)


def _spelled(
    signs: list[_Sign],
    sources: Sequence[Source | None],
    morphemes: Sequence[Morpheme],
    knows: Callable[[Morpheme], bool],
    lexicon: Any = None,
) -> list[_Sign]:
    """Return signs with restored contents spelled, and with nouns that are not in the vocabulary inserted.

    With a lexicon, only nouns whose letters it plays are inserted.
    """
    spelled: list[_Sign] = []
    for sign, source in zip(signs, sources, strict=True):
        spelled += [sign] if source is None else _letters(source.content, sign.span)
    ends = [sign.span[1] if sign.span else -1 for sign in spelled]
    covered = bytearray(max([0, *ends, *(morpheme.end for morpheme in morphemes)]))
    for start, end in {sign.span for sign in spelled if sign.span}:
        covered[start:end] = b"\1" * (end - start)
    # A noun goes after the last sign whose source ends before it, and after nouns already inserted there.
    last = sorted((end, place) for place, end in enumerate(ends) if end >= 0)
    latest = list(accumulate((place for _, place in last), max))
    behind: dict[int, list[_Sign]] = {}
    for morpheme in morphemes:
        start, end = morpheme.start, morpheme.end
        if morpheme.tag == "Noun" and not any(covered[start:end]) and not knows(morpheme):
            letters = _letters(morpheme.surface, (start, end))
            if lexicon and any("reason" in lexicon.sign(letter.gloss, letter.type, spelled=True) for letter in letters):
                continue
            before = bisect_right(last, (start, len(spelled)))
            behind.setdefault(latest[before - 1] if before else -1, []).extend(letters)
            covered[start:end] = b"\1" * (end - start)
    places = range(-1, len(spelled))
    return [sign for at in places for sign in [*spelled[max(at, 0) : at + 1], *behind.get(at, ())]]


def what_is_read(morphemes: list[Morpheme], offsets: list[tuple[int, int]], encoding: Any) -> Row:
    """Return the part of a text that the model has read: all of it or, if it was cut, up to its last token.

    Args:
        morphemes: Morphemes of the text.
        offsets: Span of each token that the model reads.
        encoding: The backend's encoding, which records what was cut.
    """
    if encoding.overflowing:
        end = max((end for _, end in offsets), default=0)
        morphemes = [morpheme for morpheme in morphemes if morpheme.start < end]
    return morphemes, offsets


@dataclass
class _Sign:
    """One gloss of an answer under construction."""

    gloss: str
    type: str
    unresolved: bool = False
    fallback: bool = False
    span: tuple[int, int] | None = None
    copied: bool = False
    confidence: float | None = None


def _letters(content: str, span: tuple[int, int] | None) -> list[_Sign]:
    def kind(gloss: str) -> str:
        return "fingerspelled_number" if gloss[0].isdigit() or gloss == "." else "fingerspelling"

    return [_Sign(gloss, kind(gloss), fallback=True, span=span) for gloss in fingerspell(content)]


def _most_attended(offsets: Sequence[tuple[int, int]], weights: Sequence[float]) -> tuple[int, int] | None:
    """Return the span of the morpheme whose word pieces together have the greatest weight."""
    sums: dict[tuple[int, int], float] = {}
    for (start, end), weight in zip(offsets, weights, strict=False):  # weights of padding are left over
        if end > start:
            sums[start, end] = sums.get((start, end), 0.0) + weight
    return max(sums, key=sums.__getitem__) if sums else None
