"""The placeholders `Number` and `Alpha`: what they stand for in a sentence, and putting it back."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import combinations, permutations
from math import exp

from .glosses import CENTURY, PLACEHOLDERS
from .numerals import Source, number_words
from .okt import Morpheme

_REACH = 2.0
"""Glosses and morphemes over which nearness falls to a third. This and the next were chosen on the bundled sample."""

_COST_OF_A_SWAP = 0.05
"""What two placeholders in another order than their sources must gain in nearness."""

_MOST_PERMUTED = 6
"""Up to so many placeholders or sources of a kind all assignments are compared; above, the sentence's order counts."""


def placeholder_sources(morphemes: Sequence[Morpheme]) -> list[Source]:
    """What the sentence's placeholders stand for, in the sentence's order: digits, Latin words, and nouns to copy.

    A number before 세기 (century) is written with a C, as in the paper's data (Table 2). What else belongs to a number
    is what Okt joins to it: units as in `10시`, `5,000원`, `70만` and `1900년`, ranges as in `10~20`, decimals.

    Args:
        morphemes: The sentence's, from `kgloss_hf.runtime.okt.analyze` or a tokenizer's `morphemes`.

    Example:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> placeholder_sources(analyze(["전남은 4 세기"])[0])
        [Source(tag='Number', content='4C', start=4, end=8, index=2)]
    """
    sources = []
    for index, morpheme in enumerate(morphemes):
        if morpheme.tag in PLACEHOLDERS:
            following = morphemes[index + 1] if index + 1 < len(morphemes) else None
            content, end = morpheme.surface, morpheme.end
            if morpheme.tag == "Number" and following and following.surface == CENTURY:
                content, end = content + "C", following.end
            sources.append(Source(morpheme.tag, content, morpheme.start, end, index))
    return sources


def placeholder_contents(morphemes: Sequence[Morpheme]) -> dict[str, list[str]]:
    """What `Number` and `Alpha` can stand for in a sentence, in the sentence's order.

    A number before 세기 (century) is written with a C, as in the paper's data (Table 2).

    Args:
        morphemes: As for `placeholder_sources`, whose contents these are.

    Example:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> placeholder_contents(analyze(["4세기의 QR 코드 12개"])[0])
        {'Number': ['4C', '12'], 'Alpha': ['QR']}
    """
    contents: dict[str, list[str]] = {"Number": [], "Alpha": []}
    for source in placeholder_sources(morphemes):
        contents.setdefault(source.tag, []).append(source.content)
    return contents


def mark_placeholders(glosses: Iterable[str], morphemes: Sequence[Morpheme]) -> list[str]:
    """Write a gloss that is one of the sentence's numbers or Latin words as a placeholder with its content.

    Corpora differ in notation: MCKSG writes `Number/10분` where GKSL writes `10분`. A gloss that merely holds a digit
    (`바꾸다2`) or whose number is not in the sentence stays as it is.

    Example:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> mark_placeholders(["도착", "10분"], analyze(["10분 뒤에 도착합니다."])[0])
        ['도착', 'Number/10분']
    """
    contents = placeholder_contents(morphemes)
    tag_of = {content: tag for tag, group in contents.items() for content in group}
    return [f"{tag_of[gloss]}/{gloss}" if gloss in tag_of else gloss for gloss in glosses]


def assign_sources(glosses: Iterable[str], morphemes: Sequence[Morpheme]) -> list[Source | None]:
    """For each gloss what it stands for in the sentence, where it is a placeholder and there is something left.

    A `Number` beyond the sentence's digits stands for a number that it writes in Korean. Where there is a choice,
    placeholders take what stands near the words that their neighbours among the glosses name: `폭 Number` is the number
    beside 폭 in the sentence, also where signs come in another order than words. Without such neighbours, placeholders
    take sources in the sentence's order.

    Args:
        glosses: What a model put out.
        morphemes: The source sentence's, from `kgloss_hf.runtime.okt.analyze` or a tokenizer's `morphemes`.

    Example:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> morphemes = analyze(["높이 12m, 폭 6m의 벽"])[0]
        >>> sources = assign_sources(["벽", "폭", "Number", "높이", "Number", "Number"], morphemes)
        >>> [source and source.content for source in sources]
        [None, None, '6', None, '12', None]
    """
    glosses = list(glosses)
    sources = placeholder_sources(morphemes)
    missing = glosses.count("Number") - sum(source.tag == "Number" for source in sources)
    if missing > 0:
        sources = sorted([*sources, *number_words(morphemes)[:missing]], key=lambda source: source.index)
    assigned: list[Source | None] = [None] * len(glosses)
    for tag in PLACEHOLDERS:
        places = [place for place, gloss in enumerate(glosses) if gloss == tag]
        candidates = [source for source in sources if source.tag == tag]
        if len({source.content for source in candidates}) > 1:
            chosen = _by_neighbours(glosses, places, morphemes, candidates)
        else:
            chosen = list(zip(places, candidates, strict=False))
        for place, source in chosen:
            assigned[place] = source
    return assigned


def _by_neighbours(
    glosses: Sequence[str], places: Sequence[int], morphemes: Sequence[Morpheme], candidates: Sequence[Source]
) -> list[tuple[int, Source]]:
    """The assignment whose pairs have the greatest sum of nearness, less something for each change of order."""
    if not places or max(len(places), len(candidates)) > _MOST_PERMUTED:
        return list(zip(places, candidates, strict=False))
    nearness = _nearness(glosses, places, morphemes, candidates)
    size = max(len(places), len(candidates))
    best = float("-inf")
    chosen: list[tuple[int, int]] = []
    # Orders come with the sentence's first, which wins where all are equal.
    for order in permutations(range(size)):
        pairs = [(p, c) for p, c in enumerate(order[: len(places)]) if c < len(candidates)]
        swaps = sum(one > other for (_, one), (_, other) in combinations(pairs, 2))
        sum_of_pairs = sum(nearness[p][c] for p, c in pairs) - _COST_OF_A_SWAP * swaps
        if sum_of_pairs > best + 1e-9:
            best, chosen = sum_of_pairs, pairs
    return [(places[p], candidates[c]) for p, c in chosen]


def _nearness(
    glosses: Sequence[str], places: Sequence[int], morphemes: Sequence[Morpheme], candidates: Sequence[Source]
) -> list[list[float]]:
    """For each place and candidate the sum, over glosses that the sentence holds too, of how near each is to both."""
    words: dict[str, list[int]] = {}
    for index, morpheme in enumerate(morphemes):
        for word in {morpheme.surface, morpheme.lemma.lower()}:
            words.setdefault(word, []).append(index)
    anchors = [(at, words[gloss]) for at, gloss in enumerate(glosses) if gloss in words and gloss not in PLACEHOLDERS]
    return [
        [
            sum(exp(-(abs(at - place) + _distance(source.index, indices)) / _REACH) for at, indices in anchors)
            for source in candidates
        ]
        for place in places
    ]


def _distance(index: int, indices: Sequence[int]) -> int:
    """Return how far the nearest of some indices is, which are in order."""
    place = bisect_left(indices, index)
    return min(abs(index - near) for near in indices[max(0, place - 1) : place + 1])


def restore_placeholders(glosses: Iterable[str], morphemes: Sequence[Morpheme]) -> list[str]:
    """Put the sentence's numbers and Latin words back where a model emitted placeholders (`assign_sources`).

    A placeholder beyond what the sentence holds stays a bare `Number` or `Alpha`: nothing is invented.

    Args:
        glosses: As for `assign_sources`.
        morphemes: As for `assign_sources`.

    Example:
        >>> from kgloss_hf.runtime.okt import analyze
        >>> restore_placeholders(["전남", "Number", "전", "Number"], analyze(["전남은 4세기 전반부터"])[0])
        ['전남', '4C', '전', 'Number']
        >>> restore_placeholders(["아기", "Number"], analyze(["아이가 다섯 살이 되었다"])[0])
        ['아기', '5']
    """
    glosses = list(glosses)
    sources = assign_sources(glosses, morphemes)
    return [gloss if source is None else source.content for gloss, source in zip(glosses, sources, strict=True)]
