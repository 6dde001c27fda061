"""Data set `mcksg`: the bundled sample, and a user's own copy."""

from __future__ import annotations

import csv
import importlib
import json
import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import datasets
import pytest
from datasets import get_dataset_config_names, load_dataset

from kgloss_hf.artefacts import artefact
from kgloss_hf.data.pairs import load_pairs
from kgloss_hf.runtime.glosses import GLOSS_TYPES, PLACEHOLDERS, placeholder_of, type_of_notation

from ..fuzz.test_tables import WRITERS, as_json_lines

MCKSG = artefact("dataset_scripts/mcksg")
PAIRS = [("집에 불이 났어요.", ["집", "불"]), ("무늬를 보세요.", ["V (불꽃무늬)", "보다(관람)"])]
PAIRS += [(f"{i}층입니다.", [f"Number/{i}", "층"]) for i in range(3, 11)]

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    return load_dataset("mcksg", split="train", split_by="none", cache_dir=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a user's folder with a table and a lexicon."""
    path = tmp_path / "corpus"
    path.mkdir()
    (path / "lexicon.csv").write_text("글로스,유형\n집,sign_word\nNumber, 지숫자\n", "utf-8")
    write_csv(path / "pairs.csv")
    return path


def write_csv(path: Path, header: str = "문장,글로스", encoding: str = "utf-8") -> None:
    path.write_text("\n".join([header, *(f"{text},{' '.join(glosses)}" for text, glosses in PAIRS)]), encoding)


def load(folder: Path, **options: object) -> datasets.Dataset:
    return load_dataset("mcksg", "full", data_dir=str(folder), split="train", **{"split_by": "none", **options})


def pairs_of(rows: datasets.Dataset) -> list[tuple[str, list[str]]]:
    return [(row["text"], row["glosses"]) for row in rows]


# the sample


def test_sample_has_the_promised_features_and_rows(sample: datasets.Dataset) -> None:
    assert sample.num_rows == 357
    assert list(sample.features) == ["id", "text", "glosses", "gloss_types", "source"]
    for name in ("id", "text", "source"):
        assert sample.features[name] == datasets.Value("string")
    assert sample.features["glosses"].feature == datasets.Value("string")
    assert sample.features["gloss_types"].feature.names == [*GLOSS_TYPES, "unknown"]
    assert sample[0] == {
        "id": "mcksg-sample-0001",
        "text": "우리 박물관에 오신 여러분을 환영합니다.",
        "glosses": ["우리", "박물관", "여러분", "오다", "환영"],
        "gloss_types": [0, 0, 0, 0, 0],
        "source": "sample",
    }
    assert sample.info.license == "apache-2.0"


def test_sample_ids_and_pairs_are_unique(sample: datasets.Dataset) -> None:
    assert len(set(sample["id"])) == sample.num_rows
    assert len({(row["text"], *row["glosses"]) for row in sample}) == sample.num_rows
    assert set(sample["source"]) == {"sample"}
    assert all(row["text"].strip() and row["glosses"] and all(row["glosses"]) for row in sample)


def test_sample_lexicon_covers_every_gloss_once(sample: datasets.Dataset) -> None:
    with open(MCKSG / "lexicon.csv", encoding="utf-8", newline="") as file:
        entries = [row["gloss"] for row in csv.DictReader(file)]
    assert entries == sorted(set(entries))
    assert set(entries) == {placeholder_of(gloss) for row in sample for gloss in row["glosses"]}
    types = Counter(sample.features["gloss_types"].feature.int2str(t) for row in sample for t in row["gloss_types"])
    assert set(types) == set(GLOSS_TYPES)
    assert all(len(row["glosses"]) == len(row["gloss_types"]) for row in sample)


def test_sample_placeholder_contents_stand_in_the_text(sample: datasets.Dataset) -> None:
    for row in sample:
        for gloss in row["glosses"]:
            head, _, content = gloss.partition("/")
            if head in PLACEHOLDERS:
                assert content
                assert re.sub(r"^(\d+)C$", r"\1세기", content) in row["text"], row["id"]


def test_sample_card_counts_what_is_in_the_files(sample: datasets.Dataset) -> None:
    card = (MCKSG / "README.md").read_text(encoding="utf-8")
    names = sample.features["gloss_types"].feature.int2str
    tokens = [(g, names(t)) for row in sample for g, t in zip(row["glosses"], row["gloss_types"], strict=True)]
    table = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d,]+) \|", card, flags=re.MULTILINE)
    assert {name: (int(different), int(count.replace(",", ""))) for name, different, count in table} == {
        name: (
            len({placeholder_of(gloss) for gloss, kind in tokens if kind == name}),
            sum(kind == name for _, kind in tokens),
        )
        for name in GLOSS_TYPES
    }
    different = len({placeholder_of(gloss) for gloss, _ in tokens})
    sentences = len(set(sample["text"]))
    assert f"{sample.num_rows} pairs of a Korean sentence" in card
    assert f"{sentences} different sentences, {len(tokens):,} gloss tokens, {different} different glosses" in card


def test_sample_is_split_without_leaks(sample: datasets.Dataset) -> None:
    parts = load_dataset("mcksg")
    assert parts.num_rows == {"train": 249, "test": 108}
    assert sorted(row["id"] for part in parts.values() for row in part) == sample["id"]
    assert not set(parts["train"]["text"]) & set(parts["test"]["text"])
    assert not {tuple(row) for row in parts["train"]["glosses"]} & {tuple(row) for row in parts["test"]["glosses"]}
    assert load_dataset("mcksg", split_seed=1)["test"]["id"] != parts["test"]["id"]


def test_row_split_is_the_papers() -> None:
    assert load_dataset("mcksg", split_by="row").num_rows == {"train": 250, "test": 107}


def test_training_takes_the_sample_in_the_order_of_the_file(sample: datasets.Dataset) -> None:
    assert [(pair.text, list(pair.glosses)) for pair in load_pairs("mcksg")] == pairs_of(sample)


def test_notation_never_contradicts_the_lexicon() -> None:
    with open(MCKSG / "lexicon.csv", encoding="utf-8", newline="") as file:
        types = {row["gloss"]: row["type"] for row in csv.DictReader(file)}
    notated = {gloss: type_of_notation(gloss) for gloss in types}
    assert {gloss: kind for gloss, kind in notated.items() if kind not in ("unknown", types[gloss])} == {}
    assert Counter(notated.values())["similar_word"] == 36


@pytest.mark.parametrize("options", [{"data_dir": "x"}, {"lexicon": "lexicon.csv"}, {"encoding": "cp949"}])
def test_sample_takes_no_files(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="mcksg/sample is bundled and takes no data_dir.*load 'full'"):
        load_dataset("mcksg", "sample", **options)


# a user's own copy


def test_full_is_the_default_where_data_dir_is_given(folder: Path) -> None:
    assert get_dataset_config_names("mcksg", data_dir=str(folder)) == ["sample", "full"]
    parts = load_dataset("mcksg", data_dir=str(folder))
    assert parts.num_rows == {"train": 7, "test": 3}
    assert list(load_dataset("mcksg", "full", data_dir=str(folder))["test"]) == list(parts["test"])
    assert list(load_dataset("mcksg", data_dir=str(folder), split="test", streaming=True)) == list(parts["test"])
    assert load_dataset("mcksg", data_dir=str(folder), num_proc=2).num_rows == parts.num_rows


def test_full_rows_types_and_sources(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        rows = load(folder)
    names = [*GLOSS_TYPES, "unknown"]
    assert rows.features["gloss_types"].feature.names == names
    assert pairs_of(rows) == PAIRS
    types = [[names[i] for i in row] for row in rows["gloss_types"]]
    assert types[:3] == [
        ["sign_word", "unknown"],
        ["iconic", "similar_word"],
        ["fingerspelled_number", "unknown"],
    ]
    assert rows["id"][:2] == ["pairs.csv:2", "pairs.csv:3"]
    assert set(rows["source"]) == {"pairs.csv"}
    assert "mcksg/full: 9 of 20 gloss types are unknown" in caplog.text


def test_training_reads_the_full_corpus(folder: Path) -> None:
    assert [(pair.text, list(pair.glosses)) for pair in load_pairs("mcksg", data_dir=str(folder))] == PAIRS
    assert [
        (pair.text, list(pair.glosses))
        for pair in load_pairs(f"{folder}/pairs.csv", text_column="문장", gloss_column="글로스")
    ] == PAIRS


FORMATS: dict[str, tuple[str, str, Callable[[list[str]], Any]]] = {
    ".tsv": ("Text ", "GLOSS", " ".join),
    ".json": ("원문", "수어문", list),
    ".csv": ("한국어", "수지", json.dumps),
    ".parquet": ("sentence", "gloss", list),
    ".xlsx": ("텍스트", "수어", " ".join),
}
"""Headers and notations of glosses in a cell, by the suffix of the table."""


def write_table(path: Path) -> None:
    text, gloss, cell = FORMATS[path.suffix.lower()]
    rows = [{text: sentence, gloss: cell(glosses)} for sentence, glosses in PAIRS]
    path.write_bytes(WRITERS.get(path.suffix.lower(), as_json_lines)(rows))


@pytest.mark.parametrize("name", ["b.tsv", "b.json", "b.csv", "b.parquet", "b.XLSX"])
def test_formats_and_headers(folder: Path, name: str) -> None:
    (folder / "pairs.csv").unlink()
    write_table(folder / name)
    assert pairs_of(load(folder)) == PAIRS


def test_ids_types_and_sources_of_the_table(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    row = {
        "번호": 7,
        "문장": "집",
        "글로스": ["집", "불"],
        "유형": ["Iconic", "비수지 신호"],
        "출처": "안내",
        "비수지": "-",
    }
    (folder / "pairs.csv").unlink()
    (folder / "pairs.jsonl").write_text(
        json.dumps(row) + "\n" + json.dumps({**row, "번호": "8", "유형": None}), "utf-8"
    )
    with caplog.at_level(logging.WARNING):
        rows = load(folder)
    assert rows["id"] == ["7", "8"]
    assert rows["source"] == ["안내", "안내"]
    assert rows["gloss_types"] == [[2, 5], [0, 6]]
    assert "pairs.jsonl: columns not used: '비수지'" in caplog.text


def test_several_tables_are_read_in_the_order_of_their_names(folder: Path) -> None:
    (folder / "a.jsonl").write_text('{"text": "산", "glosses": ["산"]}', "utf-8")
    (folder / "~$pairs.xlsx").write_bytes(b"a lock")
    (folder / "README.md").write_text("not a table")
    (folder / "below").mkdir()
    write_csv(folder / "below" / "more.csv")
    rows = load(folder)
    assert rows["text"] == ["산", *(text for text, _ in PAIRS)]
    assert rows["source"][:2] == ["a.jsonl", "pairs.csv"]


def test_another_lexicon(folder: Path) -> None:
    (folder / "types.tsv").write_text("gloss\ttype\n불\ticonic\n", "utf-8")
    rows = load(folder, lexicon="types.tsv")
    assert rows[0]["gloss_types"] == [6, 2]
    assert rows.num_rows == len(PAIRS)


def test_cp949_is_read_on_request(folder: Path) -> None:
    for file in folder.iterdir():
        file.write_bytes(file.read_text("utf-8").encode("cp949"))
    with pytest.raises(ValueError, match=r"lexicon.csv, line 1: expected UTF-8, found .*encoding='cp949'"):
        load(folder)
    assert pairs_of(load(folder, encoding="cp949")) == PAIRS


def test_a_changed_file_is_read_again(folder: Path) -> None:
    assert load(folder).num_rows == 10
    with (folder / "pairs.csv").open("a", encoding="utf-8") as file:
        file.write("\n산,산\n")
    assert load(folder).num_rows == 11
    (folder / "lexicon.csv").write_text("gloss,type\n불,iconic\n", "utf-8")
    assert load(folder)[0]["gloss_types"] == [6, 2]


def test_the_key_of_the_cache_follows_every_kind_of_table(folder: Path) -> None:
    script = importlib.import_module("kgloss_hf.dataset_scripts.mcksg.mcksg")
    keys = [script.Mcksg(data_dir=str(folder)).config_id for _ in range(2)]
    for name in ("b.tsv", "c.parquet", "d.json", "e.xlsx"):
        write_table(folder / name)
        keys.append(script.Mcksg(data_dir=str(folder)).config_id)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 5


def test_card_lists_every_header_and_type_name() -> None:
    script = importlib.import_module("kgloss_hf.dataset_scripts.mcksg.mcksg")
    card = (MCKSG / "README.md").read_text(encoding="utf-8")
    for field, names in script.COLUMNS.items():
        assert re.search(rf"\| `{field}`(, optional)? \| {', '.join(names)} \|", card), field
    assert all(name in card for name in (*script.TYPE_NAMES, *script.LEXICON_COLUMNS["gloss"]))


BAD_ROWS = {
    "no sentence": (" ,집", "expected a sentence in column '문장', found ' '; add it or remove the row"),
    "no glosses": ("산,", "expected glosses in column '글로스', found ''; add them or remove the row"),
    "tab": ("산,산\t강", r"column '글로스': expected glosses with spaces between them, found '.t' in"),
    "tab in a list": (
        '산,"[""산\\t강""]"',
        "expected glosses in column .*, strings without tabs and line breaks, found",
    ),
    "other list": ("산,\"['산', 강]\"", "column .*: expected a JSON list of glosses"),
    "comma": (
        "산, 강,산 강",
        "expected 2 cells, as in the header, found 3; put a cell that contains the separator in quotation",
    ),
    "short": ("산", "expected glosses in column '글로스', found None"),
}


@pytest.mark.parametrize(("line", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_row_is_named_or_skipped(folder: Path, line: str, message: str, caplog: pytest.LogCaptureFixture) -> None:
    with (folder / "pairs.csv").open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(ValueError, match=rf"pairs.csv, row 12: {message}.*on_bad_rows='skip'"):
        load(folder)
    with caplog.at_level(logging.WARNING):
        assert pairs_of(load(folder, on_bad_rows="skip")) == PAIRS
    assert re.search(f"pairs.csv: 1 bad row skipped; the first: .*row 12: {message}", caplog.text)


BAD_CELLS = {
    "type": ({"type": ["sign", "iconic"]}, r"expected a type \(sign_word, .*unknown, .*\), found 'sign'; correct it"),
    "number of types": ({"type": "iconic"}, r"expected one type per gloss \(2 glosses\), found 'iconic'"),
    "no id": ({"id": " "}, "expected an id, found none"),
    "id twice": ({"id": "1"}, "expected a unique id, found '1', as in pairs.jsonl:1; change one"),
    "number": ({"text": 3}, "expected a sentence in column 'text', found 3"),
    "half a character": ({"text": "집\ud800"}, "expected text in column 'text', found half a character in"),
    "half a character for a gloss": (
        {"gloss": ["집", "\udc00"]},
        "expected glosses in column 'gloss', found half a character",
    ),
    "number for a gloss": (
        {"gloss": ["집", 3]},
        "expected glosses in column 'gloss', strings without tabs and line breaks, found 3",
    ),
}


@pytest.mark.parametrize(("cells", "message"), BAD_CELLS.values(), ids=BAD_CELLS)
def test_bad_cell_is_named_or_skipped(folder: Path, cells: dict[str, object], message: str) -> None:
    rows = [{"id": str(i), "text": "집", "gloss": ["집", "불"], "type": ["iconic", "Iconic "]} for i in (1, 2)]
    (folder / "pairs.csv").unlink()
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, [rows[0], {**rows[1], **cells}])))
    with pytest.raises(ValueError, match=f"pairs.jsonl, row 2: {message}"):
        load(folder)
    assert load(folder, on_bad_rows="skip")["id"] == ["1"]


ENTRY = '{"gloss": "집", "type": "iconic"}\n'


@pytest.mark.parametrize(
    ("lexicon", "message"),
    [
        ("gloss,type\n집,word\n", r"lexicon.csv, row 2: expected a type \(.*found 'word'"),
        ("gloss,type\n집,iconic\n집,sign_word\n", "row 3: expected one type of '집', found iconic and sign_word"),
        ("gloss,type\n,iconic\n", "row 2: expected a gloss, found ''"),
        ("gloss,kind\n집,iconic\n", "lexicon.csv: expected a column of type, named gloss_types, types, type, 유형"),
        ("gloss,type\n", "lexicon.csv: expected rows with gloss and type, found none"),
        (f"{ENTRY}{{}}", "lexicon.jsonl, row 2: expected a gloss, found None"),
        (f'{ENTRY}{{"gloss": "불"}}', "lexicon.jsonl, row 2: expected a type"),
        (f"{ENTRY}[]", "lexicon.jsonl, row 2: expected a JSON object, found"),
        ("null", "lexicon.jsonl: expected rows that are JSON objects, found None"),
    ],
    ids=["type", "two types", "no gloss", "header", "empty", "no glosses", "no type", "no object", "null"],
)
def test_bad_lexicon(folder: Path, lexicon: str, message: str) -> None:
    (folder / "lexicon.csv").unlink()
    (folder / f"lexicon.{'jsonl' if lexicon.startswith((ENTRY, 'null')) else 'csv'}").write_text(lexicon, "utf-8")
    with pytest.raises(ValueError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("문장열,글로스", "pairs.csv: expected a column of text, named text, sentence, .*found the columns .*'문장열'"),
        ("문장,글", "pairs.csv: expected a column of glosses, named .*글로스.*; rename the column of glosses"),
        ("문장,원문", "expected one column of text, found .*'문장', '원문'.*; rename all but one"),
    ],
)
def test_wrong_header_says_which_names_are_looked_for(folder: Path, header: str, message: str) -> None:
    write_csv(folder / "pairs.csv", header)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_full_without_data_says_where_the_corpus_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"never published: ask the authors.*column text.*data_dir='FOLDER'"):
        load_dataset("mcksg", "full")
    with pytest.raises(FileNotFoundError, match="expected a folder with a copy of the corpus.*ask the authors"):
        load(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no table")
    with pytest.raises(FileNotFoundError, match=r"expected a .csv, .tsv.* file, found none.*ask the authors"):
        load(tmp_path)


def test_one_table_twice_is_not_guessed_at(folder: Path) -> None:
    write_table(folder / "pairs.tsv")
    with pytest.raises(ValueError, match="found pairs.csv and pairs.tsv, which may be the same table; keep one"):
        load(folder)


def test_no_path_leads_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "outside.csv")
    for lexicon in ("../outside.csv", str(tmp_path / "outside.csv")):
        with pytest.raises(ValueError, match="outside.csv: expected a file inside .*; copy it into the folder"):
            load(folder, lexicon=lexicon)
    with pytest.raises(FileNotFoundError, match="nowhere.csv: expected a .csv.* file, found none"):
        load(folder, lexicon="nowhere.csv")
    os.symlink(tmp_path / "outside.csv", folder / "link.csv")
    with pytest.raises(ValueError, match="link.csv: expected a file inside .*, found .*outside.csv"):
        load(folder)


def test_truncated_parquet(folder: Path) -> None:
    write_table(folder / "b.parquet")
    content = (folder / "b.parquet").read_bytes()
    (folder / "b.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="b.parquet: damaged or not a Parquet file"):
        load(folder, on_bad_rows="skip")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split_by": "random"}, "split_by: expected 'group', 'row', 'given' or 'none', found 'random'"),
        ({"on_bad_rows": "ignore"}, "on_bad_rows: expected 'raise' or 'skip', found 'ignore'"),
        ({"split_by": "group"}, "found too few or too similar ones .1 row..*split_by='none'"),
    ],
)
def test_options_that_cannot_be(folder: Path, options: dict[str, str], message: str) -> None:
    (folder / "pairs.csv").write_text("문장,글로스\n집,집\n", "utf-8")
    with pytest.raises(ValueError, match=message):
        load(folder, **options)


def test_tables_that_look_the_same_are_the_same(tmp_path: Path) -> None:
    rows = [
        {"문장": f"토기 {i}점", "글로스": ["토기", f"글로스{i}"], "유형": ["sign_word", "비수지"]} for i in range(10)
    ]
    table = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    lexicon = "글로스,유형\n토기,유사어\n"
    forms = {
        "composed": str,
        "decomposed": partial(unicodedata.normalize, "NFD"),
        "hidden": lambda t: t.replace("토", "토\u200b"),
    }
    splits = {}
    for name, form in forms.items():
        for file, content in (
            ("pairs.jsonl", table),
            ("untyped.jsonl", '{"text": "집", "glosses": "토기 집"}'),
            ("lexicon.csv", lexicon),
        ):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file).write_text(form(content), "utf-8")
        parts = load_dataset("mcksg", data_dir=str(tmp_path / name))
        splits[name] = {
            part: [(row["id"], row["glosses"], row["gloss_types"]) for row in rows] for part, rows in parts.items()
        }
    assert splits["composed"] == splits["decomposed"] == splits["hidden"]


# sign corpora, and tables that name their sets


def niasl(number: int, part: str) -> tuple[str, str]:
    """Return the name and content of an invented file in the format of NIASL2021."""
    gestures = [
        {"gloss_id": "날짜:8월19일", "start": 1.0, "end": 2.0, "sentence_loc": {"start": 0, "end": 6}},
        {"gloss_id": f"글로스{number}호", "start": 4.0, "end": 5.0, "sentence_loc": {"start": "", "end": ""}},
    ]
    video = {
        "metadata": {"id": f"video{number}", "signer_id": 7, "category": "전시"},
        "text": {"raw": {"korean": f"8월 19일 전시 {number}호"}},
        "sign_script": {
            "sign_gestures_both": gestures,
            "sign_gestures_weak": [{"gloss_id": "낮1", "start": 3.0, "end": 3.5}],
        },
        "nms_script": {"Hno": [{"start": 1.5, "end": 1.75}]},
    }
    return f"{part}/{number:02}.json", json.dumps(video, ensure_ascii=False)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for number in range(12):
        name, content = niasl(number, "1.Training" if number < 8 else "2.Validation")
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).write_text(content, "utf-8-sig")
    return tmp_path / "corpus"


def test_a_sign_corpus_is_read_as_it_comes(corpus: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = load_dataset("mcksg", data_dir=str(corpus))
    assert parts.num_rows == {"train": 8, "validation": 4}
    row = parts["train"][0]
    assert row.pop("gloss_types")[:2] == [4, 4]
    assert row == {
        "id": "video0",
        "text": "8월 19일 전시 0호",
        "glosses": ["Number/8월", "Number/19일", "낮1", "글로스0호"],
        "source": "NIASL2021 / AI-Hub 636",
        "starts": [1.0, 1.0, 3.0, 4.0],
        "ends": [2.0, 2.0, 3.5, 5.0],
        "hands": ["both", "both", "weak", "both"],
        "senses": ["", "", "1", ""],
        "spans": [[0, 2], [3, 6], None, None],
        "non_manual": {"signal": ["Hno"], "start": [1.5], "end": [1.75]},
        "signer": "7",
        "category": "전시",
    }
    assert caplog.text.count("read as NIASL2021 / AI-Hub 636 (12 rows), 48 glosses") == 1


def test_a_sign_corpus_by_every_way_in(corpus: Path, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "corpus.zip", "w") as archive:
        for number in range(12):
            archive.writestr(*niasl(number, "자료"))
    by_name = load_pairs("mcksg", data_dir=str(corpus))
    assert by_name == load_pairs(str(corpus)) == load_pairs(str(tmp_path / "corpus.zip"))
    assert by_name[0].glosses == ("Number/8월", "Number/19일", "낮1", "글로스0호")
    dropped = load_dataset("mcksg", data_dir=str(corpus), sense="drop", split_by="none")["train"]
    assert [row[2] for row in dropped["glosses"]] == ["낮"] * 12
    assert load_pairs(str(corpus), sense="drop")[0].glosses[2] == "낮"


def test_a_sign_corpus_is_split_and_streamed(corpus: Path) -> None:
    drawn = load_dataset("mcksg", data_dir=str(corpus), split_by="group")
    assert drawn.num_rows == {"train": 8, "test": 4}
    assert {*drawn["train"]["id"], *drawn["test"]["id"]} == {f"video{number}" for number in range(12)}
    streamed = load_dataset("mcksg", data_dir=str(corpus), split="validation", streaming=True)
    assert list(streamed) == list(load_dataset("mcksg", data_dir=str(corpus), split="validation"))
    assert load_dataset("mcksg", data_dir=str(corpus), num_proc=2).num_rows == {"train": 8, "validation": 4}
    name, content = niasl(12, "2.Validation")
    (corpus / name).write_text(content, "utf-8")
    assert load_dataset("mcksg", data_dir=str(corpus)).num_rows == {"train": 8, "validation": 5}


def test_parts_of_a_table_are_the_splits(folder: Path) -> None:
    rows = [f"문장 {i},글로스{i},{('학습', '검증', '평가')[min(2, i // 6)]}" for i in range(20)]
    (folder / "pairs.csv").write_text("\n".join(["문장,글로스,split", *rows]), "utf-8")
    assert load_dataset("mcksg", data_dir=str(folder)).num_rows == {"train": 6, "validation": 6, "test": 8}
    assert load_dataset("mcksg", data_dir=str(folder), split_by="group").num_rows == {"train": 14, "test": 6}
    assert load(folder).num_rows == 20
    assert load_dataset("mcksg", data_dir=str(folder), gloss_separator="스")["train"][0]["glosses"] == ["글로", "0"]
