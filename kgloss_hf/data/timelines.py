"""Spread the time of cues over the glosses of their sentences.

- A gloss belongs to the cue that contains its source, according to the alignment. The order of the glosses is kept: a
  gloss whose source would break it, or that has no source, goes to a cue between those of its neighbours.
- The time of a cue is divided among its sentences in proportion to their characters, and the share of a sentence in
  proportion to the weights of its glosses: learnt durations, or 1 for a sign and `LETTER` for each letter or numeral of
  a fingerspelled one, so that the longest gets the most time.
- Times are whole milliseconds. In a cue with less than one millisecond per gloss, glosses have no length.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import Any, NamedTuple

from ..runtime.fingerspelling import fingerspell
from ..runtime.glosses import UNKNOWN_TYPE
from .pairs import read_pairs
from .signs import seconds
from .speech import Part, Sentence
from .subtitles import Cue

VERSION = 1
"""Version of the timeline's format."""

LETTER = 0.5
"""Weight of a letter or numeral, relative to 1 for a sign, if durations are not learnt."""

_SPELLED = ("fingerspelling", "fingerspelled_number")

Weigh = Callable[[str, str], float]
"""Function from a gloss and its type to its weight."""


class Timed(NamedTuple):
    """Start and end of a gloss in milliseconds, and the index of its cue."""

    start: int
    end: int
    cue: int


class Span(NamedTuple):
    """Start and end of a sentence in milliseconds, with its glosses."""

    start: int
    end: int
    glosses: list[Timed]


def by_rule(gloss: str, kind: str) -> float:
    """Return the weight of a gloss if no durations are learnt.

    Args:
        gloss: The gloss.
        kind: Type of the gloss.

    Examples:
        >>> by_rule("불", "sign_word"), by_rule("2026", "fingerspelled_number")
        (1.0, 2.5)
    """
    return LETTER * max(1, len(fingerspell(gloss))) if kind in _SPELLED else 1.0


def learnt_durations(dataset: str) -> Weigh:
    """Return a function that weighs glosses by their durations in a corpus.

    Args:
        dataset: A sign corpus or table for `kgloss_hf.data.pairs.read_pairs`, whose rows have `starts` and `ends` in
            seconds for each gloss, as lists or as numbers with spaces between them.

    Returns:
        A function of gloss and type, which returns the median duration of the gloss, or else of its type, or else of
        all glosses.

    Raises:
        FileNotFoundError: The data set does not exist.
        ValueError: The data set cannot be read, or none of its glosses has times.

    Examples:
        >>> corpus = getfixture("tmp_path") / "corpus.jsonl"
        >>> _ = corpus.write_text('{"text": "집", "glosses": ["집"], "starts": [1.0], "ends": [1.5]}', "utf-8")
        >>> learnt_durations(str(corpus))("집", "sign_word")
        0.5
    """
    measured: dict[str, list[float]] = defaultdict(list)
    by_type: dict[str, list[float]] = defaultdict(list)
    for row in read_pairs(dataset):
        starts, ends = (_numbers(row.cells.get(name)) for name in ("starts", "ends"))
        if len(starts) == len(ends) == len(row.pair.glosses):
            kinds = row.types or [""] * len(starts)
            for gloss, kind, start, end in zip(row.pair.glosses, kinds, starts, ends, strict=True):
                if start is not None and end is not None and end > start:
                    measured[gloss].append(end - start)
                    by_type[kind].append(end - start)
    if not measured:
        raise ValueError(
            f"{dataset}: expected starts and ends of glosses, in seconds, found none; name a sign corpus, or a table "
            "with these columns"
        )
    typical = {kind: median(times) for kind, times in by_type.items() if kind}
    usual = median(time for of_gloss in measured.values() for time in of_gloss)
    known = {gloss: median(times) for gloss, times in measured.items()}
    return lambda gloss, kind: known.get(gloss) or typical.get(kind) or usual


def _numbers(cell: Any) -> list[float | None]:
    """Return the times of a list, or of a text such as `0.5 1.0` or `[0.5, 1.0]`; None for what is none."""
    if isinstance(cell, str):
        cell = re.sub(r"[\[\],;]", " ", cell).split()
    return list(map(_time, cell)) if isinstance(cell, list | tuple) else []


def _time(value: Any) -> float | None:
    try:
        return seconds(value)
    except ValueError:
        return None


def spread(
    cues: Sequence[Cue], sentences: Sequence[Sentence], answers: Sequence[Mapping[str, Any]], weigh: Weigh = by_rule
) -> list[Span]:
    """Return the times of each sentence and each of its glosses.

    Args:
        cues: Cues sorted by start.
        sentences: Sentences from `sentences_of(cues)`.
        answers: For each sentence its `glosses`, with `types` and `alignment` if known.
        weigh: Function from a gloss and its type to its weight (default: `by_rule`).

    Examples:
        >>> cues = [Cue(1, 0, 1000, "집에"), Cue(2, 1000, 2000, "불이 났어요.")]
        >>> sentence = Sentence("집에 불이 났어요.", (Part(0, 0, 2), Part(1, 3, 10)))
        >>> answer = {"glosses": ["집", "불", "나다"], "alignment": [[0, 1], [3, 4], None]}
        >>> spread(cues, [sentence], [answer])[0].glosses
        [Timed(start=0, end=1000, cue=0), Timed(start=1000, end=1500, cue=1), Timed(start=1500, end=2000, cue=1)]
    """
    slots = _slots(cues, sentences)
    spans = []
    for number, (sentence, answer) in enumerate(zip(sentences, answers, strict=True)):
        own = [slots[number, place] for place in range(len(sentence.parts))]
        glosses = answer["glosses"]
        types = answer.get("types") or [UNKNOWN_TYPE] * len(glosses)
        weights = [weigh(gloss, kind) for gloss, kind in zip(glosses, types, strict=True)]
        places = _places(sentence.parts, answer.get("alignment") or [None] * len(glosses))
        timed = []
        for place, (start, end) in enumerate(own):
            of_part = [weight for weight, at in zip(weights, places, strict=True) if at == place]
            timed += [Timed(*times, sentence.parts[place].cue) for times in _shares(start, end, of_part)]
        spans.append(Span(own[0][0], own[-1][1], timed))
    return spans


def _slots(cues: Sequence[Cue], sentences: Sequence[Sentence]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the time of each part of each sentence; the parts in a cue share its time in proportion to characters.

    If a cue begins before the preceding cue of the same sentence ends, its time begins at that end.
    """
    by_cue: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, sentence in enumerate(sentences):
        for place, part in enumerate(sentence.parts):
            by_cue[part.cue].append((number, place))
    slots: dict[tuple[int, int], tuple[int, int]] = {}
    for at, inside in by_cue.items():
        number, place = inside[0]
        before = [cues[sentences[number].parts[place - 1].cue].end] if place else []
        start = max([cues[at].start, *before])
        lengths = [sentences[number].parts[place] for number, place in inside]
        shares = _shares(start, cues[at].end, [part.end - part.start or 1 for part in lengths])
        slots.update(zip(inside, shares, strict=True))
    return slots


def _shares(start: int, end: int, weights: Sequence[float]) -> list[tuple[int, int]]:
    """Divide a time without gaps in proportion to weights, each greater than 0."""
    if not weights:
        return []
    sums = [0.0, *accumulate(weights)]
    bounds = [start + round((end - start) * partial / sums[-1]) for partial in sums]
    return list(pairwise(bounds))


def _places(parts: Sequence[Part], alignment: Sequence[Sequence[int] | None]) -> list[int]:
    """Return the part of the sentence for each gloss, never before the part of the preceding gloss."""
    starts = [part.start for part in parts]
    wanted = [None if span is None else max(0, bisect_right(starts, span[0]) - 1) for span in alignment]
    kept = _longest_order(wanted)
    place, places = (wanted[kept[0]] or 0) if kept else 0, []
    for at, part in enumerate(wanted):
        if part is not None:
            last = wanted[kept[0]] if kept else None
            place = max(place, part if last is None else min(part, last))
            if kept and kept[0] == at:
                kept.pop(0)
        places.append(place)
    return places


def _longest_order(wanted: Sequence[int | None]) -> list[int]:
    """Return the indices of a longest non-decreasing subsequence, ignoring None."""
    ends: list[int] = []  # for each length, the smallest last value of a subsequence
    last: list[int] = []  # and its index
    before: dict[int, int | None] = {}
    for at, part in enumerate(wanted):
        if part is not None:
            length = bisect_right(ends, part)
            before[at] = last[length - 1] if length else None
            ends[length:], last[length:] = [part, *ends[length + 1 :]], [at, *last[length + 1 :]]
    chosen: list[int] = []
    at_end = last[-1] if last else None
    while at_end is not None:
        chosen.append(at_end)
        at_end = before[at_end]
    return chosen[::-1]


def timeline(
    cues: Sequence[Cue], sentences: Sequence[Sentence], answers: Sequence[Mapping[str, Any]], spans: Sequence[Span]
) -> dict[str, Any]:
    """Return the timeline of a film as an object for JSON.

    Args:
        cues: Cues sorted by start.
        sentences: Sentences from `sentences_of(cues)`.
        answers: Answer of the pipeline for each sentence.
        spans: Times from `spread`.

    Returns:
        `version`, and `sentences` sorted by the starts of their cues, each with `start` and `end` in milliseconds,
        `text`, the numbers of its `cues` in the file, `unknown_words`, and `glosses`: objects with `start`, `end`,
        `gloss`, `type`, `confidence` if the answer has it, `unresolved` for a placeholder without a source, and the
        information of a lexicon about the sign (`entry`, `letters` or `reason`).

    Examples:
        >>> cues, sentences = [Cue(1, 0, 900, "불!")], [Sentence("불!", (Part(0, 0, 2),))]
        >>> answers = [{"glosses": ["불"], "types": ["sign_word"], "unknown_words": []}]
        >>> timeline(cues, sentences, answers, spread(cues, sentences, answers))["sentences"][0]["glosses"]
        [{'start': 0, 'end': 900, 'gloss': '불', 'type': 'sign_word'}]
    """
    return {
        "version": VERSION,
        "sentences": [
            {
                "start": span.start,
                "end": span.end,
                "text": sentence.text,
                "cues": [cues[part.cue].number for part in sentence.parts],
                **({"agreement": answer["agreement"]} if "agreement" in answer else {}),
                "unknown_words": answer.get("unknown_words", []),
                "glosses": items(answer, span),
            }
            for sentence, answer, span in zip(sentences, answers, spans, strict=True)
        ],
    }


def items(answer: Mapping[str, Any], span: Span) -> list[dict[str, Any]]:
    """Return a timeline's objects for the glosses of a sentence: their times, and the information in the answer.

    Args:
        answer: Answer of the pipeline.
        span: Times from `spread`.

    Examples:
        >>> items({"glosses": ["불"], "signs": [{"gloss": "불", "reason": "no entry"}]}, Span(0, 9, [Timed(0, 9, 0)]))
        [{'start': 0, 'end': 9, 'gloss': '불', 'type': 'unknown', 'reason': 'no entry'}]
    """
    unresolved = set(answer.get("unresolved", ()))
    glosses = answer["glosses"]
    types: Iterable[str] = answer.get("types") or [UNKNOWN_TYPE] * len(glosses)
    confidence = answer.get("confidence")
    signs = answer.get("signs") or [{}] * len(glosses)
    return [
        {
            "start": timed.start,
            "end": timed.end,
            "gloss": gloss,
            "type": kind,
            **({"confidence": confidence[place]} if confidence else {}),
            **({"unresolved": True} if place in unresolved else {}),
            **{key: value for key, value in sign.items() if key != "gloss"},
        }
        for place, (timed, gloss, kind, sign) in enumerate(zip(span.glosses, glosses, types, signs, strict=True))
    ]
