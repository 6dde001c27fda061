from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.evaluation.alignment import _matches, alignment_scores

glosses = st.lists(st.sampled_from("집불물"), max_size=6)


@pytest.mark.parametrize(
    ("prediction", "alignment", "reference", "spans", "expected"),
    [
        pytest.param(["집"], [(0, 2)], ["집"], [(0, 2)], (1, 1, 1, 1, 1), id="the same"),
        pytest.param(["집"], [(2, 4)], ["집"], [(0, 2)], (1, 1, 1, 0, 0), id="side by side"),
        pytest.param(["집"], [(1, 4)], ["집"], [(0, 2)], (1, 1, 1, 1, 1 / 4), id="in part"),
        pytest.param(["집"], [None], ["집"], [(0, 2)], (1, 1, 0, 0, 0), id="no predicted span"),
        pytest.param(
            ["집", "불"], [(0, 1), (2, 3)], ["집", "불"], [None, (2, 4)], (2, 1, 1, 1, 1 / 2), id="no gold span"
        ),
        pytest.param(
            ["물", "집"], [(5, 6), (0, 1)], ["집", "산"], [(0, 1), (1, 2)], (1, 1, 1, 1, 1), id="others between"
        ),
        pytest.param(["4C"], [(0, 3)], ["Number/4C"], [(0, 4)], (1, 1, 1, 1, 3 / 4), id="as it is signed"),
        pytest.param(["집"], [(1, 1)], ["집"], [(1, 1)], (1, 1, 1, 0, 0), id="empty spans"),
    ],
)
def test_by_hand(prediction, alignment, reference, spans, expected) -> None:
    scores = alignment_scores([prediction], [alignment], [reference], [spans])
    names = ("matched", "compared", "coverage", "overlap", "iou")
    assert scores == pytest.approx(dict(zip(names, expected, strict=True)))


def test_means_are_over_glosses_and_rows_can_be_left_out() -> None:
    scores = alignment_scores(
        [["집", "불"], ["물"], ["물"]],
        [[(0, 1), (1, 2)], [(0, 4)], None],
        [["집", "불"], ["물"], ["물"]],
        [[(0, 1), (1, 2)], [(0, 1)], [(0, 1)]],
    )
    assert scores == pytest.approx(
        {"matched": 3, "compared": 3, "coverage": 1, "overlap": 1, "iou": (1 + 1 + 1 / 4) / 3}
    )
    assert alignment_scores([["집"]], [[None]], [["불"]], [[(0, 1)]]) == {"matched": 0, "compared": 0}


@given(glosses, glosses)
def test_matches_are_a_longest_common_subsequence(first: list[str], second: list[str]) -> None:
    def longest(i: int, j: int) -> int:
        if i == len(first) or j == len(second):
            return 0
        if first[i] == second[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    places = _matches(first, second)
    assert len(places) == longest(0, 0)
    assert all(first[i] == second[j] for i, j in places)
    assert all(i < k and j < m for (i, j), (k, m) in pairwise(places))
