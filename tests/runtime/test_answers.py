from __future__ import annotations

import numpy as np

from kgloss_hf.runtime.answers import _letters, _Sign, _spelled
from kgloss_hf.runtime.fingerspelling import fingerspell
from kgloss_hf.runtime.okt import Morpheme


def test_nouns_go_behind_what_stands_before_them() -> None:
    """The order is that of putting in one noun after the other."""

    def one_by_one(signs: list[_Sign], nouns: list[Morpheme]) -> list[str]:
        spelled = [*signs]
        for noun in nouns:
            span = (noun.start, noun.end)
            if not any(s.span and s.span[0] < span[1] and span[0] < s.span[1] for s in spelled):
                before = [place for place, s in enumerate(spelled) if s.span and s.span[1] <= span[0]]
                place = before[-1] + 1 if before else 0
                spelled[place:place] = _letters(noun.surface, span)
        return [sign.gloss for sign in spelled]

    draw = np.random.default_rng(0)
    for _ in range(200):
        size = draw.integers(1, 12)
        nouns = [Morpheme(name := chr(0xAC00 + 29 * i + 588), name, "Noun", 2 * i, 2 * i + 1) for i in range(size)]
        spans = [None, *((noun.start, noun.end) for noun in nouns)]
        chosen = draw.integers(len(spans), size=draw.integers(8))
        signs = [_Sign(f"{number}", "sign_word", span=spans[place]) for number, place in enumerate(chosen)]
        found = _spelled(signs, [None] * len(signs), nouns, lambda noun: False)
        assert [sign.gloss for sign in found] == one_by_one(signs, nouns)
    assert fingerspell(nouns[0].surface)
