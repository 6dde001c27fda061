"""Tests of reading pairs in the split that they come with."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from datasets import Dataset, DatasetDict

from kgloss_hf.data.arguments import CorpusArguments, PartArguments
from kgloss_hf.data.pairs import Pair, load_pairs, read_pairs
from kgloss_hf.data.parts import load_corpus, training_pairs
from kgloss_hf.data.rows import is_files
from kgloss_hf.data.splitting import part_of

pytestmark = pytest.mark.usefixtures("cache")

ROWS = [(f"문장 {i}", f"글로스{i}") for i in range(40)]


def write(path: Path, rows: list[tuple[str, ...]], header: str = "text,glosses") -> str:
    path.write_text("\n".join([header, *map(",".join, rows)]), "utf-8")
    return str(path)


def numbers(pairs: list[Pair]) -> list[int]:
    return [int(pair.text.split()[1]) for pair in pairs]


def test_files_of_parts_are_taken_as_they_are(tmp_path: Path) -> None:
    names = {"train": ROWS[:20], "validation": ROWS[20:30], "test": [*ROWS[30:], ROWS[0]]}
    files = {name: write(tmp_path / f"{name}.csv", rows) for name, rows in names.items()}
    corpus = load_corpus(CorpusArguments(**files))
    assert [numbers(part) for part in corpus.split[:3]] == [[*range(20)], [*range(20, 30)], [*range(30, 40), 0]]
    assert corpus.by == "given"
    assert corpus.note == (
        "20 training, 10 validation and 11 test pairs, as split by the data set; test pairs with the sentence (1) or "
        "the gloss string (1) of a training pair: 1"
    )


@pytest.mark.parametrize("names", [("train", "dev", "test"), ("학습", "검증", "평가"), ("Training", "VAL", "1_test")])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_column_of_parts(tmp_path: Path, names: tuple[str, ...], suffix: str) -> None:
    rows = [(*row, names[min(2, i // 16)]) for i, row in enumerate(ROWS)]
    path = tmp_path / f"a{suffix}"
    if suffix == ".csv":
        write(path, rows, "문장,글로스,split")
    else:
        keys = ("문장", "글로스", "split")
        path.write_text("\n".join(json.dumps(dict(zip(keys, row, strict=True))) for row in rows), "utf-8")
    corpus = load_corpus(CorpusArguments(dataset=str(path)))
    assert [numbers(part) for part in corpus.split[:3]] == [[*range(16)], [*range(16, 32)], [*range(32, 40)]]
    drawn = load_corpus(CorpusArguments(dataset=str(path), split="group"))
    assert (drawn.by, [len(part) for part in drawn.split[:3]]) == ("group", [28, 4, 8])
    assert numbers(load_pairs(str(path))) == [*range(40)]
    assert numbers(training_pairs(PartArguments(dataset=str(path)))) == [*range(16)]


def test_splits_of_a_data_set(tmp_path: Path) -> None:
    columns = [{"text": text, "glosses": gloss} for text, gloss in ROWS]
    parts = {"train": columns[:20], "validation": columns[20:30], "test": columns[30:]}
    for name, rows in parts.items():
        (tmp_path / "data").mkdir(exist_ok=True)
        DatasetDict({name: Dataset.from_list(rows)})[name].to_parquet(tmp_path / "data" / f"{name}.parquet")
    corpus = load_corpus(CorpusArguments(dataset=str(tmp_path / "data")))
    assert [numbers(part) for part in corpus.split[:3]] == [[*range(20)], [*range(20, 30)], [*range(30, 40)]]


def test_missing_parts_are_held_out_and_said(tmp_path: Path) -> None:
    train, test = write(tmp_path / "a.csv", ROWS[:30]), write(tmp_path / "b.csv", ROWS[30:])
    corpus = load_corpus(CorpusArguments(train=train, test=test))
    assert [len(part) for part in corpus.split[:3]] == [27, 3, 10]
    assert corpus.note.endswith("the checkpoint is chosen on a tenth of the training set")
    assert corpus == load_corpus(CorpusArguments(dataset=train, test=test))
    scored = load_corpus(CorpusArguments(train=train, validation=test))
    assert scored.split == corpus.split
    assert "the validation set is scored, because there is no test set" in scored.note


def test_a_file_replaces_a_part_of_the_data_set(tmp_path: Path) -> None:
    rows = [(*row, "test" if i >= 30 else "train") for i, row in enumerate(ROWS)]
    whole = write(tmp_path / "a.csv", rows, "text,glosses,split")
    test = write(tmp_path / "b.csv", [("문장 99", "집")])
    assert numbers(load_corpus(CorpusArguments(dataset=whole, test=test)).split.test) == [99]


def test_extra_pairs_stay_away_from_given_parts(tmp_path: Path) -> None:
    train, test = write(tmp_path / "a.csv", ROWS[:30]), write(tmp_path / "b.csv", ROWS[30:])
    extra = write(tmp_path / "c.csv", [ROWS[35], ("문장 99", "집")])
    corpus = load_corpus(CorpusArguments(train=train, test=test, extra_train=extra))
    assert corpus.split.dropped == 1
    assert numbers(corpus.split.train)[-1] == 99
    assert "dropped for sharing the sentence or the gloss string of a held-out pair: 1" in corpus.note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": "a.csv", "split": "row"}, "expected --split row or a file per set, found both .--train"),
        ({"train": "a.csv", "dataset": "b.csv"}, "expected --train or --dataset, found both, '.*b.csv'; leave one out"),
        ({"test": "gksl"}, "--test: expected files, found 'gksl'"),
        (
            {"dataset": "fold.csv"},
            "expected train, validation or test as the split of each row, found 'fold 1', 'test2'",
        ),
        ({"dataset": "test.csv"}, "expected training rows, found none"),
        ({"dataset": "hole.csv"}, "expected train, validation or test as the split of each row, found ''"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.csv", ROWS[:30])
    for name, parts in (("fold", ("fold 1", "test2")), ("test", ("test", "dev")), ("hole", ("train", ""))):
        rows = [(*row, parts[i % 2]) for i, row in enumerate(ROWS)]
        write(tmp_path / f"{name}.csv", rows, "text,glosses,split")
    given = {name: str(tmp_path / value) if value.endswith(".csv") else value for name, value in options.items()}
    with pytest.raises(ValueError, match=message):
        load_corpus(CorpusArguments(**given))


def test_parallel_text_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("morgen regen\nes schneit\n", "utf-8")
    (tmp_path / "b.txt").write_text("MORGEN REGEN \nSCHNEE\n", "utf-8")
    name = f"{tmp_path}/a.txt+{tmp_path}/b.txt"
    assert load_pairs(name) == [Pair("morgen regen", ("MORGEN", "REGEN")), Pair("es schneit", ("SCHNEE",))]
    (tmp_path / "b.txt").write_text("MORGEN REGEN\n", "utf-8")
    with pytest.raises(
        ValueError, match=r"expected the same number of lines in both files, found only 1 in .*b.txt; add the missing"
    ):
        load_pairs(name)
    (tmp_path / "b.txt").write_text("MORGEN REGEN\n\n", "utf-8")
    with pytest.raises(ValueError, match=r"b.txt, row 2: expected glosses in column 'glosses', found ''"):
        load_pairs(name)
    assert len(load_pairs(name, on_bad_rows="skip")) == 1


def test_phoenix_as_it_comes(tmp_path: Path) -> None:
    header = "name|video|start|end|speaker|orth|translation"
    rows = [f"morning-{i}|morning-{i}/1/*.png|-1|-1|Signer08|REGEN TAG{i}|regen am tag {i} , kühl" for i in range(9)]
    for name, part in (("train", rows[:5]), ("dev", rows[5:7]), ("test", rows[7:])):
        (tmp_path / f"{name}.csv").write_text("\n".join([header, *part]), "utf-8")
    files = {"train": "train.csv", "validation": "dev.csv", "test": "test.csv"}
    split = load_corpus(CorpusArguments(**{part: str(tmp_path / name) for part, name in files.items()})).split
    assert [len(part) for part in split[:3]] == [5, 2, 2]
    assert split.test[0] == Pair("regen am tag 7 , kühl", ("REGEN", "TAG7"))


@pytest.mark.parametrize(
    ("name", "part"),
    [("train", "train"), ("TRAIN ", "train"), ("2.Validation", "validation"), ("dev", "validation"), ("평가", "test")],
)
def test_names_of_parts(name: str, part: str) -> None:
    assert part_of(name) == part
    assert part_of(f"{name}s of all") is None


@pytest.mark.parametrize(
    ("header", "rows", "options"),
    [
        ("문장;수어", "집에 불이 났어요.;집|불", {}),
        ("한국어|글로스", "집에 불이 났어요.|집 불", {}),
        ("korea,signs", "집에 불이 났어요.,집+불", {"text_column": "korea", "gloss_column": "signs"}),
        ("text,glosses", "집에 불이 났어요.,집~불", {"gloss_separator": "~"}),
        ("번호,문장,글로스,비고", "1,집에 불이 났어요.,\"['집', '불']\",", {}),
    ],
)
def test_tables_as_they_come(tmp_path: Path, header: str, rows: str, options: dict[str, str]) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n{rows}\n", "utf-8")
    assert load_pairs(str(tmp_path / "a.csv"), **options) == [Pair("집에 불이 났어요.", ("집", "불"))]


def test_bad_rows_are_counted_in_every_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.csv", [("집", "집"), ("불", ""), ("", "물"), ("산", "산")])
    with pytest.raises(ValueError, match=r"row 3: expected glosses .*on_bad_rows='skip'"):
        load_pairs(path)
    assert [pair.text for pair in load_pairs(path, on_bad_rows="skip")] == ["집", "산"]
    assert "2 bad rows skipped; the first: " in caplog.text
    assert "look" not in caplog.text


def test_options_that_a_data_set_cannot_honour(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", [("집", "집")])
    with pytest.raises(
        ValueError, match=r"a.csv: expected a sign corpus for --sense drop, found a table; leave the option out"
    ):
        load_pairs(table, sense="drop")
    with pytest.raises(ValueError, match="mcksg/sample is bundled and takes no .*, found gloss_separator"):
        load_pairs("mcksg", gloss_separator="|")
    with pytest.raises(ValueError, match="mcksg/sample is bundled .*, found encoding"):
        load_pairs("mcksg", encoding="cp949")


def test_types_may_have_a_separator_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [("집에 불이 났어요.", "집 불", "sign_word|iconic")], "text,glosses,gloss_types")
    assert next(read_pairs(path)).types == ["sign_word", "iconic"]


def test_files_that_hold_no_corpus(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("pairs.csv", "text,glosses\n집,집\n")
    with pytest.raises(ValueError, match=r"a.zip: expected sentences of a sign language corpus .* 1 \.csv file"):
        load_pairs(str(tmp_path / "a.zip"))
    with pytest.raises(FileNotFoundError, match=r"nowhere.eaf"):
        load_pairs("nowhere.eaf")
    assert not is_files("someone/" + "pairs" * 1_000)
