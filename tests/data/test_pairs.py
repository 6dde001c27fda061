from __future__ import annotations

import json
import unicodedata
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgloss_hf.data.builders import split_pairs_by
from kgloss_hf.data.pairs import Pair, gloss_types, load_extra_pairs, load_pairs, read_pairs, split_pairs
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.encoding import encode_pairs

from ..fuzz.test_tables import WRITERS

ROWS = [{"text": "집에 불이 났어요.", "glosses": "집  불"}, {"text": "네, 도와  주세요.", "glosses": "돕다 부탁"}]
PAIRS = [Pair("집에 불이 났어요.", ("집", "불")), Pair("네, 도와 주세요.", ("돕다", "부탁"))]


@pytest.mark.parametrize(
    ("name", "rows", "mark"),
    [
        ("a.csv", ROWS, BOM_UTF8),
        ("A.CSV", ROWS, b""),
        ("a.tsv", ROWS, b""),
        ("a.jsonl", [{**row, "glosses": row["glosses"].split()} for row in ROWS], BOM_UTF8),
        ("a.parquet", ROWS, b""),
    ],
)
def test_files(tmp_path: Path, name: str, rows: list[dict[str, Any]], mark: bytes) -> None:
    (tmp_path / name).write_bytes(mark + WRITERS[Path(name).suffix.lower()](rows))
    assert load_pairs(str(tmp_path / name)) == PAIRS


def test_glosses_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,glosses\n집,집 V (불꽃무늬) (불에)굽다\n", "utf-8")
    assert load_pairs(str(tmp_path / "a.csv")) == [Pair("집", ("집", "V (불꽃무늬)", "(불에)굽다"))]


def test_several_files_and_other_columns(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("ko,gloss\n집,집 불\n", "utf-8")
    found = load_pairs(f"{tmp_path}/a.csv,{tmp_path}/b.csv", text_column="ko", gloss_column="gloss")
    assert found == [Pair("집", ("집", "불"))] * 2


BAD = {
    "missing column": (
        "a.csv",
        "korea,glosses\n집,불\n",
        "expected a column of text, named text, .*; found the columns .'korea', 'glosses'",
    ),
    "empty file": ("a.csv", "", "expected a sentence and its glosses in each row, found no rows"),
    "only a header": ("a.csv", "text,glosses\n", "no rows"),
    "row without glosses": (
        "a.csv",
        "text,glosses\n집,불\n집,\n",
        "row 3: expected glosses in column 'glosses', found ''; add them",
    ),
    "empty list": (
        "a.jsonl",
        '{"text": "집", "glosses": []}',
        "row 1: expected glosses in column 'glosses', found ..; add them",
    ),
    "row too short": ("a.csv", "text,glosses\n집\n", "row 2: expected glosses in column 'glosses', found None"),
    "blank text": ("a.csv", "text,glosses\n  ,불\n", "row 2: expected a sentence in column 'text', found"),
    "tab between glosses": ("a.csv", "text,glosses\n집,집\t불\n", "row 2: column 'glosses': expected .*spaces.* found"),
    "invisible text": (
        "a.csv",
        "text,glosses\n\u200b\u3164,불\n",
        "row 2: expected a sentence in column 'text', found",
    ),
    "invisible gloss": (
        "a.jsonl",
        '{"text": "집", "glosses": ["불", "\\u200b"]}',
        "row 1: expected glosses in column 'glosses'.*200b.*blank",
    ),
    "invisible cell": (
        "a.csv",
        "text,glosses\n집,\u200b\n",
        "row 2: expected glosses in column 'glosses', found '.u200b'; add",
    ),
    "number for text": (
        "a.jsonl",
        '{"text": 3, "glosses": "불"}',
        "row 1: expected a sentence in column 'text', found 3",
    ),
    "number for a gloss": (
        "a.jsonl",
        '{"text": "집", "glosses": ["불", 3]}',
        "row 1: expected glosses in column 'glosses', strings.*, found 3",
    ),
    "half a character": (
        "a.jsonl",
        '{"text": "집", "glosses": ["\\ud800"]}',
        "row 1: expected glosses in column 'glosses'.*ud800",
    ),
    "half a character for text": (
        "a.jsonl",
        '{"text": "\\udc00", "glosses": "불"}',
        "row 1: expected text in column 'text', found half a character.*udc00",
    ),
    "nested too deeply": ("a.jsonl", "[" * 99_999, "row 1: expected one JSON object per line"),
    "too long a number": ("a.jsonl", '{"text": ' + "9" * 5_000, "row 1: expected one JSON object per line"),
    "not an object": ("a.jsonl", "[1, 2]", "row 1: expected an object"),
    "not JSON": ("a.jsonl", '{"text": "집", "glosses": "불"}\n{', "row 2: expected one JSON object per line"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD.keys())
def test_bad_file_names_file_row_and_column(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=f"{path}.*{message}"):
        load_pairs(str(path))


def test_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,glosses\n집,불\n".encode("cp949"))
    with pytest.raises(ValueError, match="expected UTF-8"):
        load_pairs(str(path))


def test_extra_pairs_are_a_configuration_or_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,glosses\n집,불\n", "utf-8")
    file = str(tmp_path / "a.csv")
    assert load_extra_pairs("mcksg", file) == [Pair("집", ("불",))]
    assert load_extra_pairs("mcksg", "sample") == load_pairs("mcksg", config="sample")
    with pytest.raises(ValueError, match="expected no configurations for files, found 'sample'"):
        load_extra_pairs(file, "sample")


def test_data_dir_is_not_of_files(tmp_path: Path) -> None:
    file = tmp_path / "extra.csv"
    file.write_text("text,glosses,gloss_types\n집,불,iconic\n", "utf-8")
    with pytest.raises(ValueError, match=r"extra\.csv: expected no data_dir for files, found 'GKSL'; leave it out"):
        load_pairs(str(file), data_dir="GKSL")
    assert load_extra_pairs("gksl", str(file), data_dir="GKSL") == [Pair("집", ("불",))]


def test_file_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere.csv: no such file"):
        load_pairs("nowhere.csv")


GROUPS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), min_size=30, max_size=80, unique=True)


@given(GROUPS, st.integers(0, 3))
def test_group_split_leaks_nothing(numbers: list[tuple[int, int]], seed: int) -> None:
    pairs = [Pair(f"문장{a}", (f"글로스{b}",)) for a, b in numbers]
    try:
        split = split_pairs(pairs, pairs, seed=seed)
    except ValueError as error:
        assert "too few or too similar ones" in str(error)
        return
    train, held = split.train, [*split.validation, *split.test]
    assert not {pair.text for pair in train} & {pair.text for pair in held}
    assert not {pair.glosses for pair in train} & {pair.glosses for pair in held}
    assert not {pair.text for pair in split.validation} & {pair.text for pair in split.test}
    assert split.dropped == len(held)
    assert sorted([*train[: len(pairs) - len(held)], *held]) == sorted(pairs)


def test_sizes_and_seed() -> None:
    pairs = [Pair(f"문장 {i}", (f"글로스{i}",)) for i in range(100)]
    split = split_pairs(pairs, seed=1)
    assert [len(part) for part in split[:3]] == [70, 10, 20]
    assert split == split_pairs(pairs, seed=1) != split_pairs(pairs, seed=2)


def test_row_split_is_the_papers() -> None:
    pairs = [Pair("같은 문장", (f"글로스{i}",)) for i in range(100)]
    split = split_pairs(pairs, by="row")
    assert len(split.train) == 70
    assert split.validation == split.test
    assert len(split.test) == 30


def test_bad_split() -> None:
    with pytest.raises(ValueError, match="expected the split 'group' or 'row', found 'random'"):
        split_pairs(PAIRS, by="random")
    with pytest.raises(ValueError, match="found too few or too similar ones .1 pair."):
        split_pairs(PAIRS[:1])


def test_encoded_pairs_mark_numbers(tokenizer: KGlossTokenizerFast) -> None:
    encoded = encode_pairs(tokenizer, [Pair("12m 높이", ("높이", "12"))])
    assert tokenizer.convert_ids_to_tokens(encoded[0]["labels"]) == ["높이", "Number", "[EOS]"]


def test_what_is_cut_is_counted(tokenizer: KGlossTokenizerFast, caplog: pytest.LogCaptureFixture) -> None:
    encoded = encode_pairs(tokenizer, [Pair("전시 " * 200, ("몸",) * 200), Pair("전시", ("몸",))])
    assert "truncation dropped tokens: 74 (texts cut: 1) and 73 (targets cut: 1)" in caplog.text
    for column in ("input_ids", "labels"):
        assert len(encoded[0][column]) == 128
        assert encoded[0][column][-1] == tokenizer.eos_token_id


def test_types_of_glosses_by_majority(tmp_path: Path) -> None:
    rows = [
        ("집 Number/2", "sign_word fingerspelled_number"),
        ("집 불", "iconic unknown"),
        ("집", "iconic"),
        ("물", None),
    ]
    path = tmp_path / "pairs.jsonl"
    lines = [json.dumps({"text": "집", "glosses": glosses, "gloss_types": types}) for glosses, types in rows]
    path.write_text("\n".join(lines), "utf-8")
    assert gloss_types(read_pairs(str(path))) == {"집": "iconic", "Number": "fingerspelled_number"}
    for line in (
        lines[0].replace("sign_word ", ""),
        *(json.dumps({"text": "집", "glosses": "집", "gloss_types": t}) for t in (5, [5])),
    ):
        path.write_text(line, "utf-8")
        with pytest.raises(
            ValueError, match=r"pairs.jsonl, row 1: expected one type per gloss \(\d gloss(es)?\), found"
        ):
            gloss_types(read_pairs(str(path)))


@pytest.mark.parametrize(
    ("name", "content", "row"),
    [
        ("b.csv", "text,glosses,gloss_types\n집,집,iconic\n\n집,불,iconic iconic\n", 4),
        ("b.jsonl", '{"text": "집", "glosses": "집"}\n\n{"text": "집", "glosses": "불", "gloss_types": "a b"}', 3),
    ],
)
def test_wrong_types_are_found_where_a_person_sees_them(tmp_path: Path, name: str, content: str, row: int) -> None:
    (tmp_path / "a.csv").write_text("text,glosses,gloss_types\n집,집,iconic\n", "utf-8")
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(ValueError, match=rf"{name}, row {row}: expected one type per gloss \(1 gloss\), found"):
        load_pairs(f"{tmp_path / 'a.csv'},{tmp_path / name}")


def in_two_forms(texts: list[str]) -> list[str]:
    """Return each text composed and, as in files of macOS and PDF, decomposed with invisible characters."""
    return [form for text in texts for form in (text, "\ufeff" + unicodedata.normalize("NFD", text) + "\u200b")]


def test_copies_that_look_the_same_are_the_same_pair(tmp_path: Path) -> None:
    texts, glosses = in_two_forms(["집에 불이 났어요.", "２층입니다"]), in_two_forms(["집", "V\xa0（불꽃무늬）"])
    rows = [{"text": text, "glosses": [gloss, "ㄱ"]} for text, gloss in zip(texts, glosses, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    one, other = Pair("집에 불이 났어요.", ("집", "ㄱ")), Pair("2층입니다", ("V (불꽃무늬)", "ㄱ"))
    assert load_pairs(str(tmp_path / "a.jsonl")) == [one, one, other, other]


@pytest.mark.parametrize("decomposed", ["text", "glosses"])
def test_no_copy_stands_on_the_other_side(decomposed: str) -> None:
    forms = [in_two_forms([f"문장 {i}", f"글로스{i}"]) for i in range(30)]
    rows = [
        {"text": texts[copy * (decomposed == "text")], "glosses": [texts[2 + copy * (decomposed == "glosses")]]}
        for texts in forms
        for copy in (0, 1)
    ]
    pairs = [Pair(row["text"], tuple(row["glosses"])) for row in rows]
    split = split_pairs(pairs, pairs)
    parts = [*split[:3], split_pairs(pairs[::2], pairs[1::2])[0]]
    assert split.dropped == len(split.validation) + len(split.test)
    plain = [[{pair.text, *pair.glosses} for pair in part] for part in parts]
    numbers = [{"".join(filter(str.isdigit, "".join(keys))) for keys in part} for part in plain]
    assert not numbers[0] & (numbers[1] | numbers[2])
    assert not numbers[1] & numbers[2]
    assert len(numbers[3]) == len(parts[3]) / 2  # if only the training set holds a pair, its copy stays too
    train, test = split_pairs_by(rows, {"train": 0.7, "test": 0.3}, by="group", seed=0).values()
    sides = [{"".join(filter(str.isdigit, row["text"])) for row in part} for part in (train, test)]
    assert not sides[0] & sides[1]


def test_gloss_types_do_not_depend_on_the_form(tmp_path: Path) -> None:
    rows = [{"text": "집", "glosses": [gloss], "gloss_types": ["iconic"]} for gloss in in_two_forms(["각(모양)"])]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    assert gloss_types(read_pairs(str(tmp_path / "a.jsonl"))) == {"각(모양)": "iconic"}


def test_headers_in_any_form_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(unicodedata.normalize("NFD", "문장,글로스\n집에 불이 났어요.,집 불\n"), "utf-8")
    pairs = load_pairs(str(file), text_column="문장", gloss_column="글로스")
    assert pairs == [Pair("집에 불이 났어요.", ("집", "불"))]
