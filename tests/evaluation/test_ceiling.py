from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.data.pairs import Pair
from kgloss_hf.evaluation.ceiling import agreement, ceiling

VERSIONS = [
    Pair("가", ("집",)),
    Pair("가", ("집", "불")),
    Pair("가", ("불",)),
    Pair("나", ("물", "Number/2")),
    Pair("나", ("물", "2", "산", "강")),
    Pair("다", ("새",)),
]
REPEATED = [*VERSIONS, Pair("나", ("물", "2")), Pair("다", ("새",))]


def test_agreement_by_hand() -> None:
    # 가: 1/2, 0 and 1/2 between its versions; 나: 1/2
    assert ceiling(VERSIONS) == pytest.approx(
        {
            "sentences": 2,
            "versions": 5,
            "mean_by_row": 100 * (1 / 4 + 1 / 2 + 1 / 4 + 1 / 2 + 1 / 2) / 5,
            "mean_by_sentence": 100 * (1 / 3 + 1 / 2) / 2,
            "best_by_row": 50,
            "best_by_sentence": 50,
            "answer_by_row": 100 * (1 / 2 + 1 + 1 / 2 + 1 + 1 / 2) / 5,
            "answer_by_sentence": 100 * (2 / 3 + 3 / 4) / 2,
        }
    )


def test_a_repeated_row_is_one_version_unless_it_is_asked_for() -> None:
    assert ceiling(REPEATED) == ceiling(VERSIONS)
    # 가 as above; 나: 3/4, 3/4 and 1/2 as means, 1, 1 and 1/2 as best, 1, 1 and 1/2 of its answer; 다: 1
    assert ceiling(REPEATED, repeats=True) == pytest.approx(
        {
            "sentences": 3,
            "versions": 8,
            "mean_by_row": 100 * (1 + 2 + 2) / 8,
            "mean_by_sentence": 100 * (1 / 3 + 2 / 3 + 1) / 3,
            "best_by_row": 100 * (3 / 2 + 5 / 2 + 2) / 8,
            "best_by_sentence": 100 * (1 / 2 + 5 / 6 + 1) / 3,
            "answer_by_row": 100 * (2 + 5 / 2 + 2) / 8,
            "answer_by_sentence": 100 * (2 / 3 + 5 / 6 + 1) / 3,
        }
    )


def test_nothing_where_no_sentence_has_two_versions() -> None:
    assert ceiling([]) == ceiling([Pair("가", ("집",)), Pair("나", ("집",))]) == {}
    assert ceiling([Pair("가", ("집",))] * 2) == {}
    assert ceiling([Pair("가", ("집",))] * 2, repeats=True)["mean_by_row"] == 100
    assert len(agreement([]).mean) == 0


glosses = st.lists(st.sampled_from("집불물산"), min_size=1, max_size=4)


@given(
    st.lists(st.tuples(st.sampled_from("가나"), glosses), min_size=3, max_size=9),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_order_of_rows_changes_nothing_and_the_best_is_no_lower(
    rows: list[tuple[str, list[str]]], repeats: bool, chance: Random
) -> None:
    scores = ceiling(rows, repeats=repeats)
    assert ceiling(chance.sample(rows, len(rows)), repeats=repeats).keys() == scores.keys()
    for by in ("row", "sentence") if scores else ():
        assert 0 <= scores[f"mean_by_{by}"] <= scores[f"best_by_{by}"] + 1e-9 <= 100 + 2e-9
        assert scores[f"mean_by_{by}"] <= scores[f"answer_by_{by}"] + 1e-9
        again = ceiling(chance.sample(rows, len(rows)), repeats=repeats)
        assert again[f"mean_by_{by}"] == pytest.approx(scores[f"mean_by_{by}"])
        assert again[f"best_by_{by}"] == pytest.approx(scores[f"best_by_{by}"])
