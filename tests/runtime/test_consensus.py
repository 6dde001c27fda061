from __future__ import annotations

from itertools import chain, combinations, permutations
from typing import Any

import numpy as np
import pytest

from kgloss_hf.evaluation.metrics import jaccard_scores
from kgloss_hf.evaluation.sequences import GlossLists
from kgloss_hf.runtime.consensus import TEMPERATURE, agreed_answer, consensus

Candidates = list[tuple[list[str], float]]


def _drawn(seed: int, *, signs: int = 6, models: int = 3, candidates: int = 4) -> list[Candidates]:
    random = np.random.default_rng(seed)
    names = [f"gloss{number}" for number in range(signs)]
    return [
        [
            (random.choice(names, random.integers(0, 5)).tolist(), float(-random.exponential(2)))
            for _ in range(candidates)
        ]
        for _ in range(models)
    ]


def _expected(answer: list[str], models: list[Candidates], temperature: float = TEMPERATURE) -> float:
    """Return the expected score by its definition, with the package's own Jaccard score."""
    total = 0.0
    for candidates in models:
        weights = np.exp(np.array([log_prob for _, log_prob in candidates]) / temperature)
        sides = GlossLists([answer] * len(candidates)), GlossLists([signs for signs, _ in candidates])
        scores = jaccard_scores(*sides)
        total += float(weights @ scores / weights.sum())
    return total / len(models)


@pytest.mark.parametrize("seed", range(30))
def test_agreement_is_the_expected_jaccard_score_and_no_candidate_has_a_higher_one(seed: int) -> None:
    models = _drawn(seed)
    answer, agreement = consensus(models)
    assert agreement == pytest.approx(_expected(answer, models))
    assert all(_expected(signs, models) <= agreement + 1e-9 for signs, _ in chain.from_iterable(models))


def test_nearly_always_the_best_of_all_sets() -> None:
    reached = 0
    for seed in range(30):
        models = _drawn(seed)
        names = sorted({sign for signs, _ in chain.from_iterable(models) for sign in signs})
        sets = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
        best = max(_expected(list(signs), models) for signs in sets)
        reached += consensus(models)[1] == pytest.approx(best)
    assert reached >= 28


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_models_and_candidates_changes_nothing(seed: int) -> None:
    models = _drawn(seed)
    expected = consensus(models)
    for order in permutations(models):
        answer, agreement = consensus([candidates[::-1] for candidates in order])
        assert answer == expected[0]
        assert agreement == pytest.approx(expected[1])


def test_one_candidate_is_the_answer() -> None:
    assert consensus([[(["집", "불", "집"], -3.0)]]) == (["집", "불", "집"], 1.0)


def test_nothing_is_an_answer_too() -> None:
    assert consensus([[([], -1.0), ([], -2.0)]]) == ([], 1.0)
    assert consensus([[([], -0.1), (["집"], -9.0)]], temperature=1)[0] == []


def test_each_model_counts_the_same() -> None:
    confident: Candidates = [(["집"], -0.01)]
    hesitant: Candidates = [(["불"], -40.0), (["불"], -41.0)]
    assert consensus([confident, hesitant])[1] == pytest.approx(0.5)


def test_an_answer_that_no_candidate_is() -> None:
    models: list[Candidates] = [[(["집", "불", mine], -1.0)] for mine in ("나", "너", "물", "흙")]
    assert consensus(models)[0] == ["집", "불"]


def test_missing_signs_go_where_the_candidates_have_them() -> None:
    models: list[Candidates] = [
        [(["가", "나", "라"], -1.0)],
        [(["가", "다", "라"], -1.0)],
        [(["나", "다", "라"], -1.0)],
        [(["가", "나", "다"], -1.0)],
    ]
    assert consensus(models)[0] == ["가", "나", "다", "라"]


@pytest.mark.parametrize("candidates", [[], [(["집"], float("nan"))], [(["집"], float("-inf"))]])
def test_candidates_without_weight_are_refused(candidates: Candidates) -> None:
    with pytest.raises(ValueError, match="expected candidates, each with a finite log_prob"):
        consensus([[(["집"], -1.0)], candidates])


def _answer(glosses: list[str], log_prob: float, **more: Any) -> dict[str, Any]:
    answer = {"generated_text": " ".join(glosses), "glosses": glosses, "unresolved": [], "log_prob": log_prob}
    return answer | {"score": log_prob} | more


def test_what_is_known_of_glosses_comes_from_the_most_probable_candidate_that_holds_them() -> None:
    one = [_answer(["집", "Number"], -2.0, unresolved=[1], types=["unknown", "fingerspelled_number"])]
    two = [_answer(["Number", "집"], -1.0, unresolved=[0], types=["fingerspelled_number", "sign_word"])]
    answer = agreed_answer([one, two])
    assert set(answer) == {"generated_text", "glosses", "unresolved", "types", "agreement"}
    assert dict(zip(answer.glosses, answer["types"], strict=True)) == {
        "집": "sign_word",
        "Number": "fingerspelled_number",
    }
    assert [answer.glosses[place] for place in answer["unresolved"]] == ["Number"]
    assert answer["agreement"] == 1


def test_a_fingerspelled_word_stays_together() -> None:
    spelled = {"alignment": [[0, 2]] * 4 + [[3, 5]], "fallback": [0, 1, 2, 3]}
    one = [_answer(["ㅅ", "ㅓ", "ㅇ", "ㅜ", "집"], -1.0, **spelled)]
    two = [_answer(["집", "불"], -1.0, alignment=[[3, 5], None], fallback=[])]
    three = [_answer(["ㅅ", "ㅓ", "ㅇ", "ㅜ", "불"], -1.0, **spelled)]
    answer = agreed_answer([one, two, three])
    assert answer.generated_text.count("ㅅ ㅓ ㅇ ㅜ") == 1
    assert len(answer["alignment"]) == len(answer.glosses)
    assert [answer.glosses[place] for place in answer["fallback"]] == ["ㅅ", "ㅓ", "ㅇ", "ㅜ"]


def test_unknown_words_are_those_that_no_model_knows() -> None:
    one = [_answer(["집"], -1.0, unknown_words=["비파", "괘불"])]
    two = [_answer(["집"], -1.0, unknown_words=["괘불"])]
    assert agreed_answer([one, two])["unknown_words"] == ["괘불"]
