"""Statistics of data sets, against hand-computed values."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kgloss_hf.cli import main
from kgloss_hf.data.arguments import PartArguments
from kgloss_hf.data.pairs import Pair, Row, load_pairs
from kgloss_hf.data.parts import leaks_between
from kgloss_hf.hub.dataset_stats import (
    _distribution,
    _pair_statistics,
    _sentence_statistics,
    _statistics_card,
    _unknown,
    statistics_tables,
    write_statistics,
)
from kgloss_hf.training.tokenizer_run import TokenizerTrainingArguments, train_and_save

pytestmark = pytest.mark.usefixtures("cache")

PAIRS = [
    Pair("집에 불이 났어요.", ("집", "불")),
    Pair("집에 불이 났어요.", ("집", "불")),
    Pair("집에 불이 났어요.", ("불", "나다", "Number/2")),
    Pair("4세기 토기", ("Number/4C", "ㄱ", "디지털(컴퓨터)", "의문형(무엇)")),
]


def rows_of(pairs: list[Pair], types: list[str] | None = None, parts: list[str] | None = None) -> list[Row]:
    """Return rows as they are read; only the first has types."""
    kinds = [types, *[None] * len(pairs)]
    return [
        Row(f"a.csv, row {number}", number, parts and parts[number - 2], pair, kinds[number - 2], {})
        for number, pair in enumerate(pairs, 2)
    ]


def counted(pairs: list[Pair], **cells: list[str]) -> dict[str, Any]:
    return _pair_statistics(rows_of(pairs, **cells), "a.csv")


def test_counts_by_hand() -> None:
    counts = counted(PAIRS)
    assert (counts["rows"], counts["different_sentences"], counts["different_gloss_strings"]) == (4, 2, 3)
    assert counts["repeated_rows"] == 1
    # 집 2, 불 3, 나다 1, Number 2, ㄱ 1, 디지털(컴퓨터) 1, 의문형(무엇) 1
    assert (counts["gloss_tokens"], counts["different_glosses"], counts["hapax_glosses"]) == (11, 7, 4)
    assert counts["types"] == {
        "sign_word": {"different": 0, "tokens": 0},
        "similar_word": {"different": 1, "tokens": 1},
        "iconic": {"different": 0, "tokens": 0},
        "fingerspelling": {"different": 1, "tokens": 1},
        "fingerspelled_number": {"different": 1, "tokens": 2},
        "non_manual": {"different": 1, "tokens": 1},
        "unknown": {"different": 3, "tokens": 6},
    }
    assert counts["eojeols"] == {"mean": 2.75, "median": 3.0, "most": 3, "histogram": {"2": 1, "3": 3}}
    assert counts["glosses"] == {"mean": 2.75, "median": 2.5, "most": 4, "histogram": {"2": 2, "3": 1, "4": 1}}
    # 집 불, 집 불, 불 나다 and the placeholder of 4세기 are in their sentences, 7 of 11
    assert counts["target_in_source"] == pytest.approx(
        {"of_tokens": 7 / 11, "mean_of_pairs": (1 + 1 + 2 / 3 + 1 / 4) / 4}
    )


def test_agreement_of_human_versions() -> None:
    counts = counted(PAIRS)
    # 집 불 twice, and 불 나다 2: 1/4 between them
    assert counts["ceiling"]["different_versions"]["mean_by_row"] == 25
    assert counts["ceiling"]["all_rows"]["mean_by_row"] == pytest.approx(100 * (5 / 8 + 5 / 8 + 1 / 4) / 3)
    table = statistics_tables(counts)[-1]
    assert (table.title, table.header) == ("Agreement of human versions", ("", "different versions", "all rows"))
    assert table.rows[:3] == [
        ("sentences with several versions", "1", "1"),
        ("their versions", "2", "3"),
        ("mean Jaccard score with the other versions, by row", "25.00", "50.00"),
    ]
    without = counted([PAIRS[0], PAIRS[1], PAIRS[3]])
    assert "ceiling" not in without
    assert "Agreement of human versions" not in [table.title for table in statistics_tables(without)]


def test_given_types_count_before_the_notation() -> None:
    counts = counted(PAIRS, types=["sign_word", "iconic"])["types"]
    assert counts["sign_word"] == {"different": 1, "tokens": 1}
    assert counts["iconic"] == {"different": 1, "tokens": 1}
    assert counts["unknown"] == {"different": 3, "tokens": 4}


def test_wrong_types(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a.csv, row 2: expected gloss types .sign_word, .*, found .*verb"):
        counted(PAIRS, types=["sign_word", "verb"])
    file = tmp_path / "a.csv"
    file.write_text("text,glosses,gloss_types\n집,집,iconic\n\n불,불,iconic iconic\n", "utf-8")
    with pytest.raises(ValueError, match=r"a.csv, row 4: expected one type per gloss \(1 gloss\), found"):
        write_statistics(PartArguments(dataset=str(file)), str(tmp_path / "out"))


def test_leaks_and_unknown_glosses() -> None:
    train = [Pair("가", ("집",)), Pair("나", ("불", "Number/1"))]
    test = [Pair("가", ("집",)), Pair("가", ("불", "Number/1")), Pair("가", ("산",)), Pair("다", ("집",))]
    test += [Pair("라", ("산", "강", "Number/2"))]
    assert leaks_between(test, train) == {"sentence": 3, "gloss_string": 3, "pair": 1, "any": 4}
    # 산 twice and 강 of eight tokens; 산 and 강 of 집, 불, Number, 산, 강
    assert _unknown(test, train) == {"tokens": 3, "of_tokens": 3 / 8, "different": 2, "of_different": 2 / 5}


def test_random_split_leaks_and_the_other_does_not() -> None:
    pairs = [Pair(f"문장 {i}", (f"글로스{i}", f"표{version}")) for i in range(30) for version in range(2)]
    splits = counted(pairs)["splits"]
    assert splits["group"]["rows"] == {"train": 42, "validation": 6, "test": 12}
    assert splits["row"]["rows"] == {"train": 42, "test": 18}
    assert splits["group"]["test_rows_in_train"] == {"sentence": 0, "gloss_string": 0, "pair": 0, "any": 0}
    leaks = splits["row"]["test_rows_in_train"]
    assert leaks["any"] == leaks["sentence"] > 0
    assert leaks["pair"] == 0
    assert splits["group"]["repeated_rows"] == {"train": 0, "validation": 0, "test": 0}


def test_too_few_pairs_have_no_splits(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="kgloss_hf"):
        counts = counted(PAIRS)
    assert "group" not in counts["splits"]
    assert "leaving out the statistics of the split by group: " in caplog.text
    with pytest.raises(ValueError, match="expected pairs, found none"):
        counted([])


@pytest.mark.parametrize(
    ("values", "median"), [([1], 1), ([1, 2], 1.5), ([1, 1, 9], 1), ([1, 1, 3, 9], 2), ([5, 5, 5, 5], 5)]
)
def test_median(values: list[int], median: float) -> None:
    assert _distribution(Counter(values))["median"] == median


def test_sentences_by_hand() -> None:
    rows = [
        {"source": "가 나 다", "target": "가 나 라", "origin": "kornli", "engine": "probe"},
        {"source": "가  나", "target": "가 나", "origin": "kornli", "engine": "other"},
        {"source": "가", "target": "나 다", "origin": "korsts", "engine": "probe"},
    ]
    counts = _sentence_statistics(("", row) for row in rows)
    assert (counts["rows"], counts["identical"]) == (3, 1)
    assert counts["origins"] == {"kornli": 2, "korsts": 1}
    assert counts["engines"] == {"probe": 2, "other": 1}
    assert counts["source_eojeols"] == {
        "mean": 2.0,
        "median": 2.0,
        "most": 3,
        "histogram": {"1": 1, "2": 1, "3": 1},
    }
    assert counts["target_eojeols"]["mean"] == pytest.approx(7 / 3)
    # 2 of 4, 2 of 2, 0 of 3
    assert counts["overlap"] == {
        "mean": 50.0,
        "median": 50.0,
        "most": 100,
        "histogram": {"0": 1, "50": 1, "100": 1},
    }


@pytest.mark.parametrize("row", [{"source": "가", "target": " "}, {"source": "가", "target": None}, ["가", "나"]])
def test_bad_sentences(row: object) -> None:
    with pytest.raises(ValueError, match=r"^a.csv, row 2: expected sentences in source and target"):
        _sentence_statistics([("a.csv, row 2", row)])
    with pytest.raises(ValueError, match="found none"):
        _sentence_statistics([])


def test_sample(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "statistics"
    counts = write_statistics(PartArguments(), str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["lengths.png", "statistics.json", "statistics.md"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["statistics"]
    assert json.loads((folder / "statistics.json").read_text("utf-8")) == counts
    assert (folder / "lengths.png").read_bytes().startswith(b"\x89PNG")
    # the numbers in the card, which were counted independently
    types = {name: (count["different"], count["tokens"]) for name, count in counts["types"].items()}
    assert types == {
        "sign_word": (302, 1801),
        "similar_word": (36, 211),
        "iconic": (71, 184),
        "fingerspelling": (24, 477),
        "fingerspelled_number": (9, 182),
        "non_manual": (20, 160),
        "unknown": (0, 0),
    }
    assert sum(count["different"] for count in counts["types"].values()) == counts["different_glosses"] == 462
    arguments = TokenizerTrainingArguments(output_dir=str(tmp_path / "tokenizer"), model="wordlevel")
    assert counts["target_in_source"] == train_and_save(arguments)["target_in_source"]
    with pytest.raises(ValueError, match="already exists"):
        write_statistics(PartArguments(), str(folder))


def test_files_with_types_count_as_the_data_set_does(tmp_path: Path) -> None:
    lines = [
        json.dumps({"text": pair.text, "glosses": pair.glosses, "gloss_types": ["iconic"] * len(pair.glosses)})
        for pair in load_pairs("mcksg")
    ]
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    paths[0].write_text("\n".join(lines[:100]), "utf-8")
    paths[1].write_text("\n".join(lines[100:]), "utf-8")
    counts = write_statistics(PartArguments(dataset=",".join(map(str, paths))), str(tmp_path / "out"))
    assert counts["types"]["iconic"] == {"different": 462, "tokens": 3015}
    assert counts["splits"] == counted(load_pairs("mcksg"))["splits"]
    assert str(tmp_path) not in (tmp_path / "out" / "statistics.md").read_text("utf-8")


def test_interrupted_statistics_leave_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kgloss_hf.hub.dataset_stats.plot_histograms", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_statistics(PartArguments(), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_shards_of_back_translations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shards").mkdir()
    row = {"source": "가 나", "target": "가 다", "origin": "kornli", "engine": "probe"}
    (tmp_path / "shards" / "0.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    named = PartArguments(dataset="ko_backtranslation", data_dir=str(tmp_path), config="all")
    by_name = write_statistics(named, str(tmp_path / "a"))
    by_file = write_statistics(PartArguments(dataset=str(tmp_path / "shards" / "0.jsonl")), str(tmp_path / "b"))
    assert by_name["overlap"] == by_file["overlap"]
    assert by_name["engines"] == by_file["engines"] == {"probe": 1}
    text = (tmp_path / "a" / "statistics.md").read_text("utf-8")
    command = "kgloss dataset-stats ko_backtranslation --config all --data_dir FOLDER --output_dir DIR"
    assert f"`{command}`" in text
    assert "| origin | `kornli` | 1 |" in text


def test_section_of_a_card() -> None:
    statistics = counted(PAIRS) | {"arguments": {"dataset": "gksl", "data_dir": "x"}}
    text = _statistics_card(statistics)
    assert text.startswith(
        "## Statistics\n\nComputed by `kgloss dataset-stats gksl --data_dir FOLDER --output_dir DIR`."
    )
    assert "| glosses that occur once | 4 (57.1%) |" in text
    assert "| `similar_word` | 1 | 1 |" in text
    assert "iconic" not in text
    assert [table.title for table in statistics_tables(statistics)][:2] == ["Counts", "Types of glosses"]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("text,glosses\n집에 불이 났어요.,집 불\n", "utf-8")
    assert main(["dataset-stats", str(file), "--output_dir", str(tmp_path / "out")]) == 0
    assert "different sentences" in capsys.readouterr().out
    file.write_text("문장,글로스\n집,집\n", "utf-8")
    assert main(["dataset-stats", str(file), "--output_dir", str(tmp_path / "korean")]) == 0
    file.write_text("korea,글로스\n집,집\n", "utf-8")
    assert main(["dataset-stats", str(file), "--output_dir", str(tmp_path / "new")]) == 1
    assert "expected a column of text, named text, " in capsys.readouterr().err
    named = ["--text_column", "korea", "--output_dir", str(tmp_path / "named")]
    assert main(["dataset-stats", str(file), *named]) == 0
    file.write_text("text,glosses\n", "utf-8")
    assert main(["dataset-stats", str(file), "--output_dir", str(tmp_path / "new")]) == 1
    assert "expected rows, found none" in capsys.readouterr().err


def test_parts_as_given_are_counted_beside_drawn_ones(tmp_path: Path) -> None:
    lines = [f"문장 {i},집 글로스{i},{'test' if i % 3 else 'train'}" for i in range(30)]
    (tmp_path / "a.csv").write_text("\n".join(["text,glosses,split", *lines, "문장 0,불,dev"]), "utf-8")
    splits = write_statistics(PartArguments(dataset=str(tmp_path / "a.csv")), str(tmp_path / "out"))["splits"]
    assert splits["given"]["rows"] == {"train": 10, "validation": 1, "test": 20}
    assert splits["given"]["test_rows_in_train"]["any"] == 0
    assert splits["given"]["test_glosses_not_in_train"]["different"] == 20
    text = (tmp_path / "out" / "statistics.md").read_text("utf-8")
    assert "| | as given | by group | by row |" in text


def test_another_language_wants_another_analyser(tmp_path: Path) -> None:
    rows = [f"das wetter am tag {i},WETTER TAG{i}" for i in range(9)]
    (tmp_path / "a.csv").write_text("\n".join(["text,glosses", *rows]), "utf-8")
    with pytest.raises(ValueError, match=r"a.csv: expected Korean, .* add --analyzer whitespace"):
        write_statistics(PartArguments(dataset=str(tmp_path / "a.csv")), str(tmp_path / "out"))
    named = ["--analyzer", "whitespace", "--output_dir", str(tmp_path / "out")]
    assert main(["dataset-stats", str(tmp_path / "a.csv"), *named]) == 0
    statistics = json.loads((tmp_path / "out" / "statistics.json").read_text("utf-8"))
    assert statistics["target_in_source"]["of_tokens"] == 0.5
    assert "--analyzer whitespace --output_dir DIR`" in (tmp_path / "out" / "statistics.md").read_text("utf-8")
