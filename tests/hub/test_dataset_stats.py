"""Statistics of data sets, against hand-computed values."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path

import pytest

from kgloss_hf.cli import main
from kgloss_hf.data.pairs import Pair, load_pairs
from kgloss_hf.hub.dataset_stats import (
    _distribution,
    _leaks,
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


def test_counts_by_hand() -> None:
    counts = _pair_statistics(PAIRS)
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


def test_given_types_count_before_the_notation() -> None:
    types = [["sign_word", "iconic"], None, None, None]
    counts = _pair_statistics(PAIRS, types)["types"]
    assert counts["sign_word"] == {"different": 1, "tokens": 1}
    assert counts["iconic"] == {"different": 1, "tokens": 1}
    assert counts["unknown"] == {"different": 3, "tokens": 4}


@pytest.mark.parametrize("types", [["sign_word"], ["sign_word", "verb"], [0, 1]])
def test_wrong_types(types: list[str]) -> None:
    with pytest.raises(ValueError, match=r"row 1: expected a type .* for each of 2 glosses"):
        _pair_statistics(PAIRS, [types, None, None, None])


def test_leaks_and_unknown_glosses() -> None:
    train = [Pair("가", ("집",)), Pair("나", ("불", "Number/1"))]
    test = [Pair("가", ("집",)), Pair("가", ("불", "Number/1")), Pair("가", ("산",)), Pair("다", ("집",))]
    test += [Pair("라", ("산", "강", "Number/2"))]
    assert _leaks(test, train) == {"sentence": 3, "gloss_string": 3, "pair": 1, "any": 4}
    # 산 twice and 강 of eight tokens; 산 and 강 of 집, 불, Number, 산, 강
    assert _unknown(test, train) == {"tokens": 3, "of_tokens": 3 / 8, "different": 2, "of_different": 2 / 5}


def test_random_split_leaks_and_the_other_does_not() -> None:
    pairs = [Pair(f"문장 {i}", (f"글로스{i}", f"표{version}")) for i in range(30) for version in range(2)]
    splits = _pair_statistics(pairs)["splits"]
    assert splits["group"]["rows"] == {"train": 42, "validation": 6, "test": 12}
    assert splits["row"]["rows"] == {"train": 42, "test": 18}
    assert splits["group"]["test_rows_in_train"] == {"sentence": 0, "gloss_string": 0, "pair": 0, "any": 0}
    leaks = splits["row"]["test_rows_in_train"]
    assert leaks["any"] == leaks["sentence"] > 0
    assert leaks["pair"] == 0
    assert splits["group"]["repeated_rows"] == {"train": 0, "validation": 0, "test": 0}


def test_too_few_pairs_have_no_splits(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="kgloss_hf"):
        counts = _pair_statistics(PAIRS)
    assert "group" not in counts["splits"]
    assert "no statistics of the split by group" in caplog.text
    with pytest.raises(ValueError, match="expected pairs, found none"):
        _pair_statistics([])


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
    counts = _sentence_statistics(iter(rows))
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
    with pytest.raises(ValueError, match="row 1: expected sentences in source and target"):
        _sentence_statistics([row])
    with pytest.raises(ValueError, match="found none"):
        _sentence_statistics([])


def test_sample(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "statistics"
    counts = write_statistics("mcksg", str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["lengths.png", "statistics.json", "statistics.md"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["statistics"]
    assert json.loads((folder / "statistics.json").read_text("utf-8")) == counts
    assert (folder / "lengths.png").read_bytes().startswith(b"\x89PNG")
    # the card's, which were counted apart from this
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
    arguments = TokenizerTrainingArguments(str(tmp_path / "tokenizer"), model="wordlevel")
    assert counts["target_in_source"] == train_and_save(arguments)["target_in_source"]
    with pytest.raises(ValueError, match="is there already"):
        write_statistics("mcksg", str(folder))


def test_files_with_types_count_as_the_data_set_does(tmp_path: Path) -> None:
    lines = [
        json.dumps({"text": pair.text, "glosses": pair.glosses, "gloss_types": ["iconic"] * len(pair.glosses)})
        for pair in load_pairs("mcksg")
    ]
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    paths[0].write_text("\n".join(lines[:100]), "utf-8")
    paths[1].write_text("\n".join(lines[100:]), "utf-8")
    counts = write_statistics(",".join(map(str, paths)), str(tmp_path / "out"))
    assert counts["types"]["iconic"] == {"different": 462, "tokens": 3015}
    assert counts["splits"] == _pair_statistics(load_pairs("mcksg"))["splits"]
    assert str(tmp_path) not in (tmp_path / "out" / "statistics.md").read_text("utf-8")


def test_interrupted_statistics_leave_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kgloss_hf.hub.dataset_stats.plot_histograms", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_statistics("mcksg", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_shards_of_back_translations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shards").mkdir()
    row = {"source": "가 나", "target": "가 다", "origin": "kornli", "engine": "probe"}
    (tmp_path / "shards" / "0.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    by_name = write_statistics("ko_backtranslation", str(tmp_path / "a"), data_dir=str(tmp_path), config="all")
    by_file = write_statistics(str(tmp_path / "shards" / "0.jsonl"), str(tmp_path / "b"))
    assert by_name["overlap"] == by_file["overlap"]
    assert by_name["engines"] == by_file["engines"] == {"probe": 1}
    text = (tmp_path / "a" / "statistics.md").read_text("utf-8")
    command = "kgloss dataset-stats ko_backtranslation --config all --data_dir FOLDER --output_dir DIR"
    assert f"`{command}`" in text
    assert "| origin | `kornli` | 1 |" in text


def test_section_of_a_card() -> None:
    statistics = _pair_statistics(PAIRS) | {"arguments": {"dataset": "gksl", "data_dir": "x", "config": None}}
    text = _statistics_card(statistics)
    assert text.startswith(
        "## Statistics\n\nComputed by `kgloss dataset-stats gksl --data_dir FOLDER --output_dir DIR`."
    )
    assert "| of these, occurring once | 4 (57.1%) |" in text
    assert "| `similar_word` | 1 | 1 |" in text
    assert "iconic" not in text
    assert [table.title for table in statistics_tables(statistics)][:2] == ["Counts", "Types of glosses"]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("text,glosses\n집에 불이 났어요.,집 불\n", "utf-8")
    assert main(["dataset-stats", str(file), "--output_dir", str(tmp_path / "out")]) == 0
    assert "different sentences" in capsys.readouterr().out
    file.write_text("문장,글로스\n집,집\n", "utf-8")
    assert main(["dataset-stats", str(file), "--output_dir", str(tmp_path / "new")]) == 1
    assert "no column 'text'" in capsys.readouterr().err
    file.write_text("text,glosses\n", "utf-8")
    assert main(["dataset-stats", str(file), "--output_dir", str(tmp_path / "new")]) == 1
    assert "expected rows, found none" in capsys.readouterr().err
