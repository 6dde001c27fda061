"""Find the answer that agrees best with the candidates of one or several models."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from .answers import GlossSequence

CANDIDATES = 10
"""Default number of candidates per model and sentence."""

TEMPERATURE = 1.0
"""Default temperature; above 1 flattens a model's probabilities. Chosen on GKSL's validation set
(`benchmarks/consensus.py`)."""

_Sign = TypeVar("_Sign", bound=Hashable)
_Candidates = Sequence[tuple[Sequence[_Sign], float]]
_Floats = npt.NDArray[np.float64]
_SAME = 1e-9  # sums computed in different orders can differ by this much


class _Unit(NamedTuple):
    """One sign of an answer, or the letters of one fingerspelled word, which count as a unit."""

    glosses: tuple[str, ...]
    places: range


def consensus(models: Sequence[_Candidates[_Sign]], *, temperature: float = TEMPERATURE) -> tuple[list[_Sign], float]:
    """Return the sequence with the highest expected Jaccard score, and that score (minimum Bayes risk decoding).

    The sequence need not be one of the candidates. Its set of signs is found first: starting from the best candidate
    and from the most probable signs, single signs are added, removed and exchanged as long as that raises the expected
    score. The signs are ordered as in the candidate most similar to the set; signs that it lacks are placed where most
    candidates have them.

    Args:
        models: Candidates of each model: signs, and the natural logarithm of their probability. All models have equal
            weight.
        temperature: Divides the logarithms before they become weights within each model; values above 1 make the
            weights more similar (default 1).

    Returns:
        The signs, and the mean Jaccard score, from 0 to 1, between them and the weighted candidates. Neither depends on
        the order of the models.

    Raises:
        ValueError: A model has no candidates, or a logarithm is not a finite number.

    Source:
        Kumar and Byrne, "Minimum Bayes-Risk Decoding for Statistical Machine Translation", 2004.

    Examples:
        >>> one = [(["집", "불"], -0.1), (["집"], -2.0)]
        >>> two = [(["집", "불", "위험"], -0.1), (["불", "위험"], -1.0)]
        >>> signs, agreement = consensus([one, two])
        >>> signs, round(agreement, 2)
        (['집', '불', '위험'], 0.76)
    """
    weights: defaultdict[tuple[_Sign, ...], float] = defaultdict(float)
    for candidates in models:
        logarithms = np.array([log_prob for _, log_prob in candidates], dtype=float)
        if not logarithms.size or not np.isfinite(logarithms).all():
            raise ValueError(f"expected candidates, each with a finite log_prob, found {logarithms.tolist()}")
        shares = np.exp((logarithms - logarithms.max()) / temperature)
        for (signs, _), share in zip(candidates, shares / (shares.sum() * len(models)), strict=True):
            weights[tuple(signs)] += float(share)
    # From here on, nothing depends on which model proposed a candidate, or in which order.
    sequences = sorted(weights, key=lambda signs: (-round(weights[signs], 9), list(map(repr, signs))))
    wanted, agreement = _best_set(sequences, np.array([weights[sequence] for sequence in sequences]))
    return _in_order(wanted, sequences, weights), agreement


def _best_set(sequences: Sequence[tuple[_Sign, ...]], weights: _Floats) -> tuple[set[_Sign], float]:
    """Return a set of signs that no single change improves, and its expected score."""
    signs = list(dict.fromkeys(chain.from_iterable(sequences)))
    column = {sign: place for place, sign in enumerate(signs)}
    held = np.zeros((len(sequences), len(signs)))
    for row, sequence in zip(held, sequences, strict=True):
        row[[column[sign] for sign in sequence]] = 1
    sizes = held.sum(axis=1)

    def expected(sets: _Floats) -> _Floats:
        shared = sets @ held.T
        union = sets.sum(axis=1)[:, None] + sizes - shared
        scores: _Floats = np.where(union, shared / np.maximum(union, 1), 1.0) @ weights
        return scores

    most_probable = np.argsort(-(weights @ held).round(9), kind="stable")
    first = np.zeros((len(signs), len(signs)))
    for size, row in enumerate(first, 1):
        row[most_probable[:size]] = 1
    changes = np.concatenate([held, first])
    chosen, score = np.zeros(len(signs)), -1.0
    while True:
        scores = expected(changes)
        best = int(np.argmax(scores > scores.max() - _SAME))  # the first among equals
        if scores[best] <= score + _SAME:
            # Rounded, as the last digits of sums depend on the order of the models.
            return {sign for sign, taken in zip(signs, chosen, strict=True) if taken}, min(round(score, 9), 1.0)
        chosen, score = changes[best], float(scores[best])
        single = np.abs(chosen - np.eye(len(signs)))
        inside, outside = np.flatnonzero(chosen), np.flatnonzero(chosen == 0)
        swapped = np.repeat(chosen[None], len(inside) * len(outside), axis=0)
        numbers = np.arange(len(swapped))
        swapped[numbers, np.repeat(inside, len(outside))] = 0
        swapped[numbers, np.tile(outside, len(inside))] = 1
        changes = np.concatenate([chosen[None], single, swapped])


def _in_order(
    wanted: set[_Sign], sequences: Sequence[tuple[_Sign, ...]], weights: Mapping[tuple[_Sign, ...], float]
) -> list[_Sign]:
    """Return a set's signs in the order of the candidates, each as often as in the one most similar to the set."""

    def likeness(sequence: Iterable[_Sign]) -> float:
        signs = set(sequence)
        return len(signs & wanted) / (len(signs | wanted) or 1)

    alike = max(sequences, key=likeness)  # the heaviest among equals
    answer = [sign for sign in alike if sign in wanted]
    missing = wanted - set(answer)
    if not missing:
        return answer
    places = {sequence: {sign: place for place, sign in enumerate(sequence)} for sequence in sequences}
    for sign in sorted(
        missing, key=lambda sign: (-sum(weights[s] for s in sequences if sign in places[s]), repr(sign))
    ):
        # The gain of each place is the weight of the candidates that have the neighbouring signs on the same sides.
        before = [
            sum(
                weights[sequence] * (1 if at[other] < at[sign] else -1)
                for sequence, at in places.items()
                if sign in at and other in at and other != sign
            )
            for other in answer
        ]
        gains = [sum(before[:place]) - sum(before[place:]) for place in range(len(answer) + 1)]
        answer.insert(max(range(len(gains)), key=lambda place: round(gains[place], 9)), sign)
    return answer


def agreed_answer(models: Sequence[Sequence[Mapping[str, Any]]]) -> GlossSequence:
    """Return one answer made from the candidates of one or several models, with its `agreement`.

    The type, place in the sentence and sign of each gloss come from the most probable candidate that contains it. A
    fingerspelled word counts as one sign.

    Args:
        models: Candidates of each model for one sentence, as returned by the pipeline with `num_return_sequences`. All
            must have the same keys; those with `fallback` must also have `alignment`.

    Returns:
        An answer with the candidates' keys except `log_prob` and `score`, and with `agreement`; `unknown_words` are
        those that no model knows.

    Raises:
        ValueError: As for `consensus`.

    Examples:
        >>> one = {"generated_text": "흙 그릇", "glosses": ["흙", "그릇"], "unresolved": [], "log_prob": -0.5}
        >>> agreed_answer([[one]])
        {'generated_text': '흙 그릇', 'glosses': ['흙', '그릇'], 'unresolved': [], 'agreement': 1.0}
    """
    units = [[(_units_of(candidate), candidate) for candidate in candidates] for candidates in models]
    signs, agreement = consensus(
        [
            [([unit.glosses for unit in of_one], candidate["log_prob"]) for of_one, candidate in of_model]
            for of_model in units
        ]
    )
    by_probability = sorted(chain.from_iterable(units), key=lambda pair: -pair[1]["log_prob"])
    taken: Counter[tuple[str, ...]] = Counter()
    glosses: list[str] = []
    parts: dict[str, list[Any]] = {key: [] for key in ("unresolved", "types", "alignment", "fallback", "signs")}
    for sign in signs:
        candidate, places = _occurrence(sign, taken[sign], by_probability)
        taken[sign] += 1
        for key in ("types", "alignment", "signs"):
            parts[key] += (candidate[key][place] for place in places if key in candidate)
        for key in ("unresolved", "fallback"):
            parts[key] += (len(glosses) + at for at, place in enumerate(places) if place in candidate.get(key, ()))
        glosses += sign
    answer = GlossSequence(generated_text=" ".join(glosses), glosses=glosses)
    answer |= {key: values for key, values in parts.items() if key in by_probability[0][1]}
    if unknown := [candidates[0]["unknown_words"] for candidates in models if "unknown_words" in candidates[0]]:
        answer["unknown_words"] = [word for word in unknown[0] if all(word in words for words in unknown)]
    answer["agreement"] = agreement
    return answer


def _units_of(candidate: Mapping[str, Any]) -> list[_Unit]:
    glosses, spelled = candidate["glosses"], set(candidate.get("fallback", ()))
    units: list[_Unit] = []
    start = 0
    for place in range(len(glosses)):
        end = place + 1
        goes_on = place in spelled and end in spelled and candidate["alignment"][place] == candidate["alignment"][end]
        if not goes_on:
            units.append(_Unit(tuple(glosses[start:end]), range(start, end)))
            start = end
    return units


def _occurrence(
    sign: tuple[str, ...], earlier: int, candidates: Iterable[tuple[list[_Unit], Mapping[str, Any]]]
) -> tuple[Mapping[str, Any], range]:
    """Return the first candidate that contains a sign more than `earlier` times, and the places of that occurrence."""
    for units, candidate in candidates:
        places = [unit.places for unit in units if unit.glosses == sign]
        if len(places) > earlier:
            return candidate, places[earlier]
    raise AssertionError(sign)  # an answer never contains a sign more often than every candidate
