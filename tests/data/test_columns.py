from __future__ import annotations

import unicodedata

import pytest

from kgloss_hf.data.columns import COLUMNS, find_columns


@pytest.mark.parametrize("field", COLUMNS)
def test_every_synonym_is_found_in_any_form(field: str) -> None:
    for name in COLUMNS[field]:
        header = f" {unicodedata.normalize('NFD', name).upper()}\u200b"
        assert find_columns(["메모", header, None], "a.csv", needed=[]) == {field: header}


def test_columns_of_phoenix() -> None:
    names = ["name", "video", "start", "end", "speaker", "orth", "translation"]
    assert find_columns(names, "train.csv") == {"text": "translation", "glosses": "orth"}


def test_no_two_fields_share_a_name() -> None:
    names = [name for names in COLUMNS.values() for name in names]
    assert len(names) == len(set(names))


def test_the_canonical_name_wins_over_synonyms() -> None:
    assert find_columns(["문장", "text", "원문", "Glosses", "수어"], "a.csv") == {"text": "text", "glosses": "Glosses"}


def test_a_chosen_column_wins_and_is_no_other_field() -> None:
    names = ["text", "원문", "gloss", "Type"]
    columns = find_columns(names, "a.csv", given={"text": "원문", "glosses": "TYPE", "id": None})
    assert columns == {"text": "원문", "glosses": "Type"}


def test_the_exact_name_is_chosen_among_similar_ones() -> None:
    assert find_columns(["Korean", "korean", "수어"], "a.csv", given={"text": "korean"})["text"] == "korean"


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (
            ["문장", "원문", "수어"],
            {},
            r"a.csv: expected one column of text, found \['문장', '원문'\]; .* --text_column",
        ),
        (["문장", "수어", "글로스"], {}, "expected one column of glosses, .* or choose it with --gloss_column"),
        (
            ["text", "수어", "글", "id", "ID"],
            {},
            r"expected one column of id, found \['id', 'ID'\]; rename all but one$",
        ),
        (
            ["문장", "메모"],
            {},
            r"expected a column of glosses, named glosses, .*; found the columns \['문장', '메모'\]",
        ),
        (
            ["문장", "수어"],
            {"text": "korean"},
            "expected one column 'korean', found none .'문장', '수어'.; name .* with --text_column",
        ),
        (
            ["Korean", "KOREAN", "수어"],
            {"text": "korean"},
            "expected one column 'korean', found several .'Korean', 'KOREAN'.; name",
        ),
        ([], {}, "expected a column of text"),
    ],
)
def test_columns_that_are_not_clear(names: list[str], given: dict[str, str | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_columns(names, "a.csv", given=given)
