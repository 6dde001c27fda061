from __future__ import annotations

import logging

import pytest

from kgloss_hf.data.cells import SEPARATORS, GlossCells, separator_of

SPACED = [
    "우리 박물관 오다 Number/4C",
    "MOTHER+FATHER GO HOME",
    "JOHN , MARY LIKE , HE",
    "X-I WANT DESC-GOOD 2,000 loc-NORD",
    "집 2,000 Alpha/QR",
    "V (불꽃무늬) (흙/돌)만들다 (집, 불)굽다",
    "3·1절 12/25 물",
    "WIE/WAS SEHEN WETTER",
    "TIEF O+P+H+E+L+I+A KOMMEN",
]


@pytest.mark.parametrize("sign", SEPARATORS)
@pytest.mark.parametrize("form", ["{}", " {} ", "{} "])
def test_the_sign_of_most_cells_is_recognised(sign: str, form: str) -> None:
    if sign in ",;" and form == " {} ":
        return
    rows = [["우리", "박물관", "오다"], ["집"], ["고맙 습니다", "V (불꽃무늬)", "Number/4C", "집"], ["집", "불"]]
    assert separator_of(form.format(sign).join(glosses) for glosses in rows) == sign


@pytest.mark.parametrize("cell", SPACED)
def test_cells_with_spaces_stay_separated_by_spaces(cell: str) -> None:
    assert separator_of([cell]) is None
    assert separator_of([*SPACED, cell]) is None


@pytest.mark.parametrize(
    ("cells", "sign"),
    [
        (["우리|박물관", "집/불", "물/불"], "/"),
        (["우리|박물관", "집/불"], None),
        (["우리|박물관", "집 불", "집 물 불"], None),
        (["고맙 습니다|오다"], "|"),
        (["고맙 습니다/오다"], None),
        (["그릇/항아리, 집", "집, 불"], ","),
        (["집+불|물", "집+물|불|산"], "|"),
        (["[의문] 우리|박물관"], "|"),
        (["V (체크) (사진)확대/(불)물"], None),
        (["|우리|", "우리 박물관"], None),
        (
            ['["우리|박물관"]', "['우리|박물관']", "('우리|박물관',)", "[우리/집, 박물관]", None, ["우리|박물관"], ""],
            None,
        ),
        ([], None),
    ],
)
def test_what_cells_speak_for(cells: list[object], sign: str | None) -> None:
    assert separator_of(cells) == sign


def test_rows_pass_the_sample_unchanged(caplog: pytest.LogCaptureFixture) -> None:
    rows = [(number, {"수어": "우리|박물관"}) for number in range(2, 2_000)]
    cells = GlossCells("a.csv")
    assert list(cells.sampled(iter(rows), "수어")) == rows
    assert "a.csv: glosses are taken to be separated by '|', as in most cells (rows examined: 1,000)" in caplog.text
    assert cells.split("우리|고맙 습니다") == ["우리", "고맙 습니다"]


def test_rows_of_any_kind_can_be_sampled(caplog: pytest.LogCaptureFixture) -> None:
    rows: list[tuple[int, object]] = [(1, [2]), (2, {}), (3, {"수어": 5}), (4, {"수어": "우리 박물관", None: ["x"]})]
    cells = GlossCells("a.csv")
    assert list(cells.sampled(rows, "수어")) == rows
    assert cells.separator is None
    assert not caplog.text


@pytest.mark.parametrize(
    ("separator", "odd"),
    [
        (None, ["우리|박물관", "집/불/물", "집, 불"]),
        ("|", ["우리 박물관", "집/불/물"]),
    ],
)
def test_cells_with_another_sign_are_counted(
    caplog: pytest.LogCaptureFixture, separator: str | None, odd: list[str]
) -> None:
    cells = GlossCells("a.csv")
    cells.separator = separator
    for cell in [
        "집",
        "['집|불', '물']",
        "(흙/돌)만들다",
        "2,000",
        "Number/4C",
        "집|불 물" if separator else "불 물+산 집",
        *odd,
    ]:
        cells.split(cell)
    cells.warn()
    assert f"a.csv: {len(odd)} cells seem to separate the glosses by something other than" in caplog.text
    assert repr(odd[0]) in caplog.text


def test_nothing_is_recognised_or_counted_where_the_separator_is_given(caplog: pytest.LogCaptureFixture) -> None:
    for separator, glosses in ((" ", ["우리|박물관"]), ("/", ["우리|박물관"])):
        cells = GlossCells("a.csv", separator)
        [(_, row)] = cells.sampled([(1, {"수어": "우리|박물관"})], "수어")
        assert cells.split(row["수어"]) == glosses
        cells.warn()
    assert not caplog.text


def test_a_separator_that_is_none() -> None:
    with pytest.raises(ValueError, match="expected a sign that separates glosses, such as"):
        GlossCells("a.csv", "")


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="kgloss_hf")
