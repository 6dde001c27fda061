from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.data.splitting import _group_rows, split_rows, unlinked

ROWS = [("집", "불"), ("물", "비"), ("집", "비"), ("산", "강")]


def test_groups_are_linked_through_others() -> None:
    first, second, third, fourth = _group_rows(ROWS)
    assert first == second == third != fourth


def test_no_rows() -> None:
    assert _group_rows([]) == []
    assert split_rows([], (0.7, 0.3)) == [[], []]


def test_the_order_is_numpys() -> None:
    rows = [(i,) for i in range(10)]
    assert split_rows(rows, (0.7, 0.1, 0.2)) == [[7, 3, 5, 9, 0, 8, 1], [2], [4, 6]]
    assert split_rows(rows, (0.7, 0.3), by="row") == [[4, 6, 2, 7, 3, 5, 9], [0, 8, 1]]


@given(st.lists(st.tuples(st.integers(0, 15), st.text("ab", max_size=3)), max_size=60), st.integers(0, 5))
def test_groups_stay_whole_and_no_row_is_lost(rows: list[tuple[int, str]], seed: int) -> None:
    parts = split_rows(rows, (0.5, 0.2, 0.3), seed=seed)
    assert sorted(i for part in parts for i in part) == list(range(len(rows)))
    for number, part in enumerate(parts):
        others = [rows[i] for other in parts[:number] + parts[number + 1 :] for i in other]
        assert unlinked([rows[i] for i in part], others) == list(range(len(part)))


@given(st.integers(0, 200), st.integers(0, 3))
def test_row_split_has_the_sizes_asked_for(count: int, seed: int) -> None:
    parts = split_rows([("같다",)] * count, (0.7, 0.3), by="row", seed=seed)
    assert [len(part) for part in parts] == [round(0.7 * count), count - round(0.7 * count)]


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="expected the split 'group' or 'row', found 'random'"):
        split_rows(ROWS, (0.7, 0.3), by="random")
    with pytest.raises(ValueError, match=r"add up to 1, found \(0.7, 0.2\)"):
        split_rows(ROWS, (0.7, 0.2))
