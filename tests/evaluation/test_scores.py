from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from pathlib import Path
from random import Random
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from kgloss_hf import __version__
from kgloss_hf.cli import main
from kgloss_hf.commands.translate import _header, _rows, _Style
from kgloss_hf.evaluation.metrics import jaccard
from kgloss_hf.evaluation.prediction_files import read_lexicon

sacrebleu = pytest.importorskip("sacrebleu")
jiwer = pytest.importorskip("jiwer")
pytest.importorskip("rouge_score")

from kgloss_hf.evaluation.scores import _SPACE, corpus_scores, evaluate_files, evaluate_systems  # noqa: E402

SYSTEM = ["MORGEN REGEN NORD", "", "HEUTE WIND WIND STARK", "SONNE", "NACHT KALT SUED KOMMEN"]
BASELINE = ["MORGEN WOLKE NORD", "SCHNEE", "WIND HEUTE", "REGEN", "NACHT WARM SUED KOMMEN"]
REFERENCES = ["MORGEN REGEN SUED", "SCHNEE", "HEUTE WIND STARK", "SONNE", "NACHT KALT SUED KOMMEN"]


def score_of(prediction: list[str], reference: list[str]) -> dict[str, float]:
    scores = evaluate_systems({"ours": [prediction]}, [reference]).scores
    return {name: score["ours"]["score"] for name, score in scores.items()}


@pytest.mark.parametrize(
    ("prediction", "reference", "rouge_l", "error_rate", "exact"),
    [
        pytest.param(["집"], ["집"], 100, 0, 100, id="one token"),
        pytest.param([], ["집", "불"], 0, 100, 0, id="empty prediction"),
        pytest.param(["집", "불"], ["불", "집"], 50, 100, 0, id="other order"),
        pytest.param(["집", "불", "나다"], ["집", "나다"], 80, 50, 0, id="one too many"),
        pytest.param(["집", "집"], ["집"], 200 / 3, 100, 0, id="repeated"),
        pytest.param(["집", "불"], ["물", "산"], 0, 100, 0, id="all different"),
        pytest.param(["집", "불", "물"], ["산"], 0, 300, 0, id="more than all wrong"),
        pytest.param(["V (불꽃무늬)"], ["V (불꽃무늬)"], 100, 0, 100, id="a space inside"),
        pytest.param(["V (불꽃무늬)"], ["V", "(불꽃무늬)"], 0, 100, 0, id="a space inside is no border"),
        pytest.param(["V\u3000(a)", ""], ["집"], 0, 200, 0, id="other white space, empty gloss"),
    ],
)
def test_hand_computed(
    prediction: list[str], reference: list[str], rouge_l: float, error_rate: float, exact: float
) -> None:
    scores = score_of(prediction, reference)
    assert scores["rouge_l"] == pytest.approx(rouge_l)
    assert scores["gloss_error_rate"] == pytest.approx(error_rate)
    assert scores["exact_match"] == exact
    assert scores["jaccard"] == jaccard([prediction], [reference])


def test_a_gloss_with_a_space_is_one_token_for_bleu() -> None:
    assert score_of(["V (불꽃무늬)"], ["V", "(불꽃무늬)"])["bleu_1"] == 0
    assert score_of(["집", "V (불꽃무늬)"], ["집", "V (불꽃무늬)"])["bleu_2"] == pytest.approx(100)


def test_error_rate_is_over_all_reference_glosses() -> None:
    scores = evaluate_systems({"ours": SYSTEM}, REFERENCES).scores
    assert scores["gloss_error_rate"]["ours"]["score"] == pytest.approx(100 * 3 / 12)
    assert scores["gloss_error_rate"]["ours"]["score"] == pytest.approx(100 * jiwer.wer(REFERENCES, SYSTEM))
    assert scores["exact_match"]["ours"]["score"] == 40


def test_sacrebleus_own_numbers_and_signatures() -> None:
    scores = evaluate_systems({"ours": SYSTEM}, REFERENCES).scores
    for order in (1, 2, 3, 4):
        metric = sacrebleu.BLEU(tokenize="none", max_ngram_order=order)
        assert scores[f"bleu_{order}"]["ours"]["score"] == metric.corpus_score(SYSTEM, [REFERENCES]).score
        assert scores[f"bleu_{order}"]["signature"] == str(metric.get_signature())
    direct = sacrebleu.corpus_bleu(SYSTEM, [REFERENCES], tokenize="none", force=True)
    assert scores["bleu_4"]["ours"]["score"] == direct.score > 0
    assert "tok:none" in scores["bleu_4"]["signature"]
    assert scores["chrf"]["ours"]["score"] == sacrebleu.corpus_chrf(SYSTEM, [REFERENCES]).score


@given(
    st.lists(
        st.tuples(*[st.lists(st.sampled_from(["REGEN", "NORD", "WIND", "V (a)"]), max_size=5)] * 2),
        min_size=1,
        max_size=6,
    ).filter(lambda pairs: any(reference for _, reference in pairs))
)
def test_exact_match_and_error_rate_against_plain_code(pairs: list[tuple[list[str], list[str]]]) -> None:
    def distance(a: list[str], b: list[str]) -> int:
        row = list(range(len(b) + 1))
        for i, x in enumerate(a, 1):
            row, above = [i], row
            for j, y in enumerate(b):
                row.append(min(row[j] + 1, above[j + 1] + 1, above[j] + (x != y)))
        return row[-1]

    predictions, references = zip(*pairs, strict=True)
    scores = evaluate_systems({"ours": predictions}, references).scores
    edits = sum(distance(*pair) for pair in pairs)
    assert scores["gloss_error_rate"]["ours"]["score"] == pytest.approx(100 * edits / sum(map(len, references)))
    assert scores["exact_match"]["ours"]["score"] == pytest.approx(100 * sum(p == r for p, r in pairs) / len(pairs))


def test_two_systems() -> None:
    scores = evaluate_systems({"ours": SYSTEM, "other": BASELINE}, REFERENCES, trials=200).scores
    again = evaluate_systems({"ours": SYSTEM, "other": BASELINE}, REFERENCES, trials=200).scores
    assert scores == again
    for name in ("jaccard", "jaccard_multiset", "bleu_4", "chrf", "rouge_l", "gloss_error_rate", "exact_match"):
        assert 0 < scores[name]["p_value"] <= 1
        assert "ar:200|seed:" in scores[name]["test"]
    same = evaluate_systems({"ours": SYSTEM, "other": SYSTEM}, REFERENCES, trials=20).scores
    assert {score["p_value"] for score in same.values()} == {1.0}


def test_bleus_p_value_is_sacrebleus() -> None:
    from sacrebleu.significance import PairedTest

    scores = evaluate_systems({"ours": SYSTEM, "other": BASELINE}, REFERENCES, trials=200).scores
    metric = sacrebleu.BLEU(tokenize="none", force=True)
    signatures, results = PairedTest([("other", BASELINE), ("ours", SYSTEM)], {"b": metric}, [REFERENCES], "ar", 200)()
    assert scores["bleu_4"]["p_value"] == results["BLEU"][1].p_value
    assert scores["bleu_4"]["test"] == str(signatures["BLEU"])


def test_a_clear_difference_is_significant() -> None:
    references = [f"A{i} B{i} C{i} D{i} E{i}" for i in range(30)]
    scores = evaluate_systems({"ours": references, "other": ["NICHTS"] * 30}, references, trials=500).scores
    for name in ("jaccard", "bleu_1", "chrf", "rouge_l", "gloss_error_rate", "exact_match"):
        assert scores[name]["p_value"] == pytest.approx(1 / 501)


def test_types() -> None:
    types = {"집": "sign_word", "불": "sign_word", "고개": "non_manual"}
    scores = evaluate_systems({"ours": ["집 고개", "불 새"]}, ["집", "불"], types=types).scores
    assert scores["jaccard_manual"]["ours"]["score"] == 75
    assert scores["jaccard_of_sign_word"]["ours"] == {"score": 100, "pairs": 2}
    assert scores["jaccard_of_non_manual"]["ours"] == {"score": 0, "pairs": 1}
    assert scores["jaccard_of_unknown"]["ours"] == {"score": 0, "pairs": 1}


@pytest.mark.parametrize(
    ("systems", "references", "message"),
    [
        ({}, ["집"], "systems: expected one, or two to compare, found 0"),
        ({"a": ["집"], "b": ["집"], "c": ["집"]}, ["집"], "found 3; compare two at a time"),
        ({"a": []}, [], "expected at least one pair, found none"),
        ({"a": ["집"]}, ["집", "불"], "1 prediction and 2 references"),
        ({"a": ["집"]}, [""], "references: expected glosses, found only empty"),
    ],
)
def test_errors(systems: dict[str, list[str]], references: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_systems(systems, references)


def test_rows_of_one_sentence_by_hand() -> None:
    predictions = ["집 불", "집 불", "새"]
    references: list[Any] = ["집", "집 불", "물"]
    scores = evaluate_systems({"ours": predictions}, references, sentences=["가", "가", "나"]).scores
    assert scores["jaccard"]["ours"]["score"] == pytest.approx(50)
    assert scores["jaccard_mean_by_sentence"]["ours"]["score"] == pytest.approx(100 * 3 / 8)
    assert scores["jaccard_best_by_row"]["ours"]["score"] == pytest.approx(100 * 2 / 3)
    assert scores["jaccard_best_by_sentence"]["ours"] == {"score": 50, "low": 0, "high": 100}
    bleu = sacrebleu.BLEU(tokenize="none", force=True)
    streams = [["집", "물"], ["집 불", None]]
    assert scores["bleu_4_of_references"]["ours"]["score"] == bleu.corpus_score(["집 불", "새"], streams).score
    assert scores["bleu_4_of_references"]["signature"] == str(bleu.get_signature())
    assert "nrefs:var" in scores["bleu_4_of_references"]["signature"]
    chrf = sacrebleu.corpus_chrf(["집 불", "새"], streams).score
    assert scores["chrf_of_references"]["ours"]["score"] == chrf
    marks = {
        name: score["signature"] for name, score in scores.items() if name.startswith("jaccard_") and "_by_" in name
    }
    assert marks == {
        f"jaccard_{kind}_by_{by}": f"jaccard|set|nonmanual:kept|refs:{kind}|by:{by}|bs:10000|seed:0|v:{__version__}"
        for kind, by in (("mean", "sentence"), ("best", "row"), ("best", "sentence"))
    }


def test_a_list_of_references_is_as_many_rows() -> None:
    rows = evaluate_systems({"ours": ["집 불", "집 불", "새"]}, ["집", "집 불", "물"], sentences=["가", "가", None])
    once = evaluate_systems({"ours": ["집 불", "새"]}, [[["집"], ["집", "불"]], ["물"]])
    assert once == rows
    with pytest.raises(ValueError, match="sentences: expected one per row, found 1 for 2 rows"):
        evaluate_systems({"ours": ["집", "새"]}, ["집", "물"], sentences=["가"])


def test_different_predictions_for_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    evaluation = evaluate_systems({"ours": ["집", "불", "새"]}, ["집", "집 불", "새"], sentences=["가", "가", "나"])
    scores = {name: score["ours"]["score"] for name, score in evaluation.scores.items()}
    assert scores["jaccard_best_by_row"] == pytest.approx(100 * (1 + 1 / 2 + 1) / 3)
    assert scores["jaccard_best_by_sentence"] == pytest.approx(100 * (3 / 4 + 1) / 2)
    assert scores["jaccard_mean_by_sentence"] == pytest.approx(100 * (3 / 4 + 1) / 2)
    assert [row["jaccard_best"] for row in evaluation.sentences] == [100, 50, 100]
    expected = sacrebleu.corpus_chrf(["집", "새"], [["집", "새"], ["집 불", None]]).score
    assert scores["chrf_of_references"] == expected
    assert "ours: 1 sentence has different predictions across rows" in caplog.text


def test_no_new_lines_where_each_sentence_has_one_reference() -> None:
    plain = evaluate_systems({"ours": SYSTEM}, REFERENCES)
    assert evaluate_systems({"ours": SYSTEM}, REFERENCES, sentences=list("abcde")) == plain
    assert evaluate_systems({"ours": SYSTEM}, REFERENCES, sentences=["", "", None, None, "e"]) == plain
    assert not any("_by_" in name or "references" in name for name in plain.scores)


def test_two_systems_on_several_references() -> None:
    sentences = ["가", "가", "나", "다", "라"]
    scores = evaluate_systems({"ours": SYSTEM, "other": BASELINE}, REFERENCES, sentences=sentences, trials=200).scores
    for name in ("jaccard_mean_by_sentence", "jaccard_best_by_row", "jaccard_best_by_sentence", "chrf_of_references"):
        assert 0 < scores[name]["p_value"] <= 1
        assert "ar:200|seed:" in scores[name]["test"]
    same = evaluate_systems({"ours": SYSTEM, "other": SYSTEM}, REFERENCES, sentences=sentences, trials=20).scores
    assert {score["p_value"] for score in same.values()} == {1.0}


glosses = st.lists(st.sampled_from(["집", "불", "V (a)"]), max_size=4)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(glosses, glosses.filter(bool), st.sampled_from("가나다")), min_size=2, max_size=6),
    st.randoms(use_true_random=False),
)
def test_the_best_is_no_lower_than_the_mean_and_order_does_not_count(
    rows: list[tuple[list[str], list[str], str]], chance: Random
) -> None:
    rows = [({text: other for other, _, text in rows}[text], *rest, text) for _, *rest, text in rows]
    first, second = (
        evaluate_systems(
            {"ours": [row[0] for row in some]}, [row[1] for row in some], sentences=[row[2] for row in some]
        )
        for some in (rows, chance.sample(rows, len(rows)))
    )
    for name, score in first.scores.items():
        assert score["ours"]["score"] == pytest.approx(second.scores[name]["ours"]["score"])
    scores = {name: score["ours"]["score"] for name, score in first.scores.items()}
    if "jaccard_best_by_row" in scores:
        assert scores["jaccard_best_by_row"] >= scores["jaccard"] - 1e-9
        assert scores["jaccard_best_by_sentence"] >= scores["jaccard_mean_by_sentence"] - 1e-9


def test_synonyms_add_a_score() -> None:
    systems = {"ours": ["가옥", "불"], "other": ["새", "불"]}
    scores = evaluate_systems(systems, ["집", "불"], synonyms={"집": ["가옥"]}, trials=20).scores
    assert scores["jaccard"]["ours"]["score"] == 50
    assert scores["jaccard_synonyms"]["ours"]["score"] == 100
    assert scores["jaccard_synonyms"]["other"]["score"] == 50
    assert "|synonyms:" in scores["jaccard_synonyms"]["signature"]
    assert 0 < scores["jaccard_synonyms"]["p_value"] <= 1


def test_scores_of_a_corpus_are_those_of_the_evaluation() -> None:
    quick, full = corpus_scores(SYSTEM, REFERENCES), evaluate_systems({"ours": SYSTEM}, REFERENCES).scores
    assert set(quick) == {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "chrf", "rouge_l", "gloss_error_rate"}
    for name, score in quick.items():
        assert score["score"] == full[name]["ours"]["score"]
        assert name == "rouge_l" or score["signature"] == full[name]["signature"]
    with pytest.raises(ValueError, match="references: expected glosses, found only empty"):
        corpus_scores(["집"], [""])


def write_rows(path: Path, predictions: list[object], references: list[object]) -> str:
    rows = [{"prediction": p, "reference": r} for p, r in zip(predictions, references, strict=True)]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return str(path)


def test_files_of_both_kinds_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "ours.txt").write_text("\n".join(SYSTEM) + "\n", "utf-8")
    (tmp_path / "gold.txt").write_bytes(("\ufeff" + "\r\n".join(REFERENCES)).encode())
    rows = write_rows(tmp_path / "predictions.jsonl", [line.split() for line in SYSTEM], [*REFERENCES])
    text = evaluate_files(str(tmp_path / "ours.txt"), references=str(tmp_path / "gold.txt"))
    result = evaluate_files(rows)
    assert result["scores"] == text["scores"] == evaluate_systems({"system": SYSTEM}, REFERENCES).scores
    assert result["pairs"] == 5
    assert set(result["versions"]) == {"kgloss-hf", "sacrebleu", "rouge-score", "jiwer", "numpy"}


@pytest.mark.parametrize(
    ("name", "lexicon"),
    [
        ("types.csv", "gloss,type\nNumber,fingerspelled_number\n"),
        ("types.TSV", "\ufeffgloss\ttype\nNumber\tfingerspelled_number\n"),
        ("types.jsonl", '{"gloss": "Number", "type": "fingerspelled_number"}'),
    ],
)
def test_numbers_count_as_they_are_signed(name: str, lexicon: str, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", [["4C", "\u2028집"]], [["Number/4C", "\u2028집"]])
    (tmp_path / name).write_text(lexicon, "utf-8")
    scores = evaluate_files(file, types=str(tmp_path / name))["scores"]
    assert scores["exact_match"]["system"]["score"] == 100
    assert scores["jaccard_of_fingerspelled_number"]["system"] == {"score": 100, "pairs": 1}


SENTENCES = ["토기는 4세기\u200e 것입니다.", "", "불꽃무늬를 보세요."]
GOLD = [["흙", "그릇", "Number/4C"], ["집"], ["V (불꽃무늬)", "보다"]]
ANSWERS = [["4C", "그릇", "흙"], [], ["V (불꽃무늬)"]]


@pytest.fixture
def gold(tmp_path: Path) -> str:
    """Return the file of a data set with one blank sentence."""
    rows = [{"text": text, "glosses": glosses} for text, glosses in zip(SENTENCES, GOLD, strict=True)]
    (tmp_path / "gold.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return str(tmp_path / "gold.jsonl")


@pytest.mark.parametrize("name", ["answers.tsv", "answers.txt"])
@pytest.mark.parametrize("format", ["text", "jsonl", "tsv"])
@pytest.mark.parametrize(("n_best", "types"), [(None, False), (None, True), (2, False)])
def test_what_translate_writes_is_read(
    name: str, format: str, n_best: int | None, types: bool, gold: str, tmp_path: Path
) -> None:
    if types and format == "text":
        pytest.skip("text holds no types")
    name = "answers.jsonl" if format == "jsonl" else name
    with (tmp_path / name).open("w", encoding="utf-8") as file:
        if format == "tsv":
            print("\t".join(_header(n_best, types)), file=file)
        for text, glosses in zip(SENTENCES, ANSWERS, strict=True):
            answer: dict[str, object] = {"generated_text": " ".join(glosses), "glosses": glosses}
            answer |= {"unknown_words": ["토기"], "log_prob": -0.5}
            answer |= {"types": ["unknown"] * len(glosses)} if types else {}
            other = {
                "generated_text": "물 산",
                "glosses": ["물", "산"],
                "score": -1.0,
                "log_prob": -2.0,
                "unknown_words": [],
            }
            answers = answer if n_best is None else [answer | {"score": -0.25}, other]
            for row in _rows(text, answers, _Style(format, n_best, types, None)):
                print(row, file=file)
    scores = evaluate_files(str(tmp_path / name), references=gold)["scores"]
    assert scores["jaccard"]["system"]["score"] == pytest.approx(100 * (1 + 0 + 1 / 2) / 3)
    assert scores["jaccard"]["system"]["score"] == jaccard(ANSWERS, GOLD)


def test_references_of_other_sentences_are_refused(gold: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("text\tglosses\n\t\n토기는 4세기 것입니다.\t4C\n보세요.\t보다\n", "utf-8")
    with pytest.raises(ValueError, match="gold.jsonl: expected the sentences of .*a.tsv, found .* sentence 1; score"):
        evaluate_files(str(tmp_path / "a.tsv"), references=gold)


def test_tables_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('prediction,reference\n집 V (불꽃무늬),"[""집"", ""V (불꽃무늬)""]"\n', "utf-8")
    assert evaluate_files(str(tmp_path / "a.csv"))["scores"]["exact_match"]["system"]["score"] == 100
    (tmp_path / "a.txt").write_text("집 V (불꽃무늬)\n", "utf-8")
    parquet.write_table(pyarrow.table({"glosses": [["집", "V (불꽃무늬)"]]}), tmp_path / "gold.parquet")
    result = evaluate_files(str(tmp_path / "a.txt"), references=str(tmp_path / "gold.parquet"))
    assert result["scores"]["exact_match"]["system"]["score"] == 100


def test_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = write_rows(tmp_path / "ours.jsonl", [["V (a)", "집"], ["불"]], [["V (a)"], ["불"]])
    other = write_rows(tmp_path / "other.jsonl", [["집"], ["불"]], [["V (a)"], ["불"]])
    out = tmp_path / "new" / "out"
    for _ in range(2):
        assert main(["evaluate", ours, "--baseline", other, "--trials", "50", "--output_dir", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "75.00" in printed
    assert "baseline" in printed
    result = json.loads((out / "scores.json").read_text("utf-8"))
    assert result["scores"]["jaccard"]["system"]["score"] == 75
    assert result["scores"]["jaccard"]["signature"].startswith("jaccard|set|nonmanual:kept|bs:10000|seed:0|v:")
    assert result["files"]["baseline"] == other
    with (out / "sentences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["system"] for row in rows] == ["system", "system", "baseline", "baseline"]
    assert rows[0]["prediction"] == f"V{_SPACE}(a) 집"
    assert (rows[0]["jaccard"], rows[0]["edits"], rows[0]["reference_glosses"]) == ("50.0", "1", "1")
    assert sorted(path.name for path in out.iterdir()) == ["scores.json", "sentences.csv"]


def test_an_interrupted_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_rows(tmp_path / "a.jsonl", ["집"], ["집"])
    evaluate_files(file, output_dir=str(tmp_path))
    before = (tmp_path / "scores.json").read_text("utf-8")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("kgloss_hf.files.os.replace", fail)
    write_rows(tmp_path / "a.jsonl", ["불"], ["집"])
    with pytest.raises(OSError, match="disk full"):
        evaluate_files(file, output_dir=str(tmp_path))
    assert (tmp_path / "scores.json").read_text("utf-8") == before


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.tsv", "text\tglosses\n집.\t집\n", [], "a.tsv: expected references too, found only glosses; .*--references"),
        ("a.tsv", "불이야\t집\n", ["--references", "b.jsonl"], "a.tsv: expected a header with glosses, prediction"),
        (
            "a.txt",
            "집\t불\n",
            ["--references", "b.jsonl"],
            "a.txt, line 1: expected glosses .* found a tab",
        ),
        (
            "a.jsonl",
            '{"prediction": ["집 불"], "reference": "집"}',
            [],
            "row 1, prediction: .* several glosses",
        ),
        ("a.txt", "집\n", [], "a.txt: expected references too, found a text file; .* --references"),
        ("a.jsonl", '{"prediction": "집"}\n', [], "a.jsonl: expected rows with 'reference', found prediction"),
        ("a.jsonl", '{"prediction": "집"}\n[1]\n', [], "a.jsonl, row 2: expected a JSON object, found list"),
        ("a.jsonl", "{\n", [], "a.jsonl, row 1: expected one JSON object per line"),
        ("a.jsonl", "[" * 99_999, [], "a.jsonl, row 1: expected one JSON object per line"),
        ("a.jsonl", "9" * 5_000, [], "a.jsonl, row 1: expected one JSON object per line"),
        (
            "a.jsonl",
            '{"prediction": "\\ud800", "reference": "집"}',
            [],
            "a.jsonl, row 1, prediction: expected text, found half a character",
        ),
        ("a.jsonl", "", [], "a.jsonl: expected rows with 'reference', found no rows"),
        (
            "a.jsonl",
            '{"prediction": "집"}\n{"reference": "집"}',
            [],
            "expected 'prediction' in all 2 rows, found it in 1",
        ),
        ("a.jsonl", '{"prediction": null, "reference": "집"}', [], "a.jsonl, row 1, prediction: .* found NoneType"),
        ("a.jsonl", '{"prediction": "집", "reference": "집"}', ["--references", "no.txt"], "no.txt: no such file"),
        ("a.jsonl", '{"prediction": "집", "reference": "집"}', ["--types", "a.jsonl"], "columns gloss and type, found"),
        ("a.jsonl", '{"prediction": "집", "reference": "집"}', ["--baseline", "b.jsonl"], "b.jsonl: .* found others"),
        (
            "a.jsonl",
            '{"prediction": "집", "reference": "집"}',
            ["--types", "t.csv"],
            "t.csv, row 3: expected one type of '집', found",
        ),
        (
            "a.jsonl",
            '{"prediction": "집", "reference": "집"}',
            ["--types", "empty.csv"],
            "empty.csv: expected rows with columns gloss and type, found none",
        ),
    ],
)
def test_command_says_what_is_wrong(
    name: str,
    content: str,
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(content, "utf-8")
    Path("b.jsonl").write_text('{"prediction": "집", "reference": "불"}', "utf-8")
    Path("empty.csv").write_text("gloss,type\n", "utf-8")
    Path("t.csv").write_text("gloss,type\n집,sign_word\n집,iconic\n", "utf-8")
    assert main(["evaluate", name, *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith("kgloss evaluate: ")
    assert re.search(message, error)


def test_a_lexicon_that_is_no_csv(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prediction": "집", "reference": "집"}', "utf-8")
    (tmp_path / "types.csv").write_text(f"gloss,type\n{'집' * 200_000},iconic\n", "utf-8")
    with pytest.raises(ValueError, match=r"types\.csv: field larger"):
        evaluate_files(str(tmp_path / "a.jsonl"), types=str(tmp_path / "types.csv"))


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes("집".encode("cp949"))
    with pytest.raises(ValueError, match=r"a\.jsonl, line 1: expected UTF-8, found .*; convert the file to UTF-8"):
        evaluate_files(str(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("library", ["sacrebleu.metrics", "rouge_score.rouge_scorer", "jiwer"])
def test_a_missing_library_is_named_with_its_pip_line(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "kgloss_hf.evaluation.scores")
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / "a.jsonl").touch()
    assert main(["evaluate", str(tmp_path / "a.jsonl")]) == 1
    error = capsys.readouterr().err
    assert library in error
    assert 'pip install "kgloss-hf[evaluate]"' in error


def rows_file(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(path)


def test_rows_of_one_sentence_are_grouped_by_text(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": "집에 불.", "reference": ["집"], "prediction": ["집", "불"]},
        {"text": "집에  불. ", "reference": ["집", "불"], "prediction": ["집", "불"]},
        {"text": "", "reference": ["물"], "prediction": ["새"]},
        {"text": "", "reference": ["산"], "prediction": ["새"]},
    ]
    result = evaluate_files(rows_file(tmp_path / "a.jsonl", rows))
    sentences = ["가", "가", None, None]
    systems, gold = [row["prediction"] for row in rows], [row["reference"] for row in rows]
    assert result["scores"] == evaluate_systems({"system": systems}, gold, sentences=sentences).scores
    assert result["scores"]["jaccard_best_by_row"]["system"]["score"] == 50
    assert "jaccard_best_by_row" not in evaluate_files(rows_file(tmp_path / "b.jsonl", rows[1:]))["scores"]


def test_sentences_of_any_file_group_the_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "ours.txt").write_text("집 불\n집 불\n새\n", "utf-8")
    (tmp_path / "other.txt").write_text("집\n집\n물\n", "utf-8")
    gold = rows_file(
        tmp_path / "gold.jsonl",
        [{"text": text, "glosses": glosses} for text, glosses in (("가", "집"), ("가", "집 불"), ("나", "물"))],
    )
    ours, other = str(tmp_path / "ours.txt"), str(tmp_path / "other.txt")
    assert main(["evaluate", ours, "--references", gold, "--baseline", other, "--trials", "20"]) == 0
    printed = capsys.readouterr().out
    assert "jaccard best by row" in printed
    assert "bleu 4 of references" in printed


def test_several_references_in_one_row(tmp_path: Path) -> None:
    rows = [
        {"prediction": ["집", "불"], "reference": [["집"], ["집", "불"]]},
        {"prediction": ["새"], "reference": ["물"]},
    ]
    file = rows_file(tmp_path / "a.jsonl", rows)
    result = evaluate_files(file, baseline=file, trials=20)
    expected = evaluate_systems({"system": ["집 불", "새"]}, [[["집"], ["집", "불"]], "물"]).scores
    assert result["pairs"] == 2
    assert result["scores"]["jaccard_best_by_row"]["system"] == expected["jaccard_best_by_row"]["system"]
    other = rows_file(tmp_path / "b.jsonl", [rows[0] | {"reference": [["집"], ["물"]]}, rows[1]])
    with pytest.raises(ValueError, match=r"b\.jsonl: expected the references of .*, found others"):
        evaluate_files(file, baseline=other)
    with pytest.raises(TypeError, match=r"row 1, reference: expected a list .* for each reference, found str"):
        evaluate_files(rows_file(tmp_path / "c.jsonl", [{"prediction": "집", "reference": [["집"], "불"]}]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "문장,예측,정답\n가,집 불,집\n나,새,새\n"),
        ("a.csv", "문장;예측;정답\n가;집 불;집\n나;새;새\n"),
        ("a.txt", "문장|예측|정답\n가|집 불|집\n나|새|새\n"),
        ("a.csv", "text,prediction,reference\n가,집|불,집\n나,새,새\n"),
        ("a.tsv", "Text\tPrediction\tReference\n가\t집/불\t집\n나\t새\t새\n"),
        ("a.csv", "text,prediction,reference\n가,\"['집' '불']\",['집']\n나,새,새\n"),
        ("a.csv.gz", "한국어,예측,정답\n가,집 불,집\n나,새,새\n"),
        ("a.jsonl.gz", '{"prediction": "집 불", "reference": "집"}\n{"prediction": "새", "reference": "새"}\n'),
    ],
)
def test_tables_as_people_write_them(name: str, content: str, tmp_path: Path) -> None:
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    scores = evaluate_files(str(tmp_path / name))["scores"]
    assert scores["jaccard"]["system"]["score"] == 75
    assert scores["bleu_1"]["system"]["score"] == pytest.approx(200 / 3)


def test_a_separator_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("prediction,reference\n어머니+아버지 집,어머니+아버지 집\n새,물\n", "utf-8")
    for options, glosses in (([], "어머니+아버지 집"), (["--gloss_separator", "+"], f"어머니 아버지{_SPACE}집")):
        assert main(["evaluate", str(tmp_path / "a.csv"), "--output_dir", str(tmp_path), *options]) == 0
        assert f",{glosses}," in (tmp_path / "sentences.csv").read_text("utf-8")
    capsys.readouterr()


def test_two_columns_that_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prediction,정답,참조\n집,집,불\n", "utf-8")
    with pytest.raises(ValueError, match=r"a\.csv: expected one column of reference, found .*; rename all but one$"):
        evaluate_files(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("lexicon", "types", "synonyms"),
    [
        ("gloss,type,synonyms\n집,sign_word,가옥 주택\n불,,화재\n새,iconic,\n", 2, 2),
        ('글로스,동의어\n집,"가옥, 주택"\n불,"화재, 큰불"\n새,\n', 0, 2),
        ('gloss,synonyms\n집,"[""가옥"", ""큰 집""]"\n가옥,저택\n', 0, 2),
        ("글로스,유형\n집,sign_word\n", 1, 0),
        ("gloss,video,group,type\n집,1.mp4,a,sign_word\n가옥,,a,\n불,2.mp4,,\n", 1, 1),
        ("글로스,같은 수어\n집,1\n가옥,1\n새,\n", 0, 1),
    ],
)
def test_lexicons(lexicon: str, types: int, synonyms: int, tmp_path: Path) -> None:
    (tmp_path / "lexicon.csv").write_text(lexicon, "utf-8")
    read = read_lexicon(str(tmp_path / "lexicon.csv"))
    assert (len(read.types), len(read.synonyms)) == (types, synonyms)
    file = write_rows(tmp_path / "a.jsonl", ["가옥", "새"], ["집", "불"])
    scores = evaluate_files(file, types=str(tmp_path / "lexicon.csv"))["scores"]
    assert ("jaccard_synonyms" in scores, "jaccard_of_sign_word" in scores) == (bool(synonyms), bool(types))
    assert scores["jaccard"]["system"]["score"] == 0
    if synonyms:
        assert scores["jaccard_synonyms"]["system"]["score"] == 50


@pytest.mark.parametrize(
    ("lexicon", "message"),
    [
        ("gloss\n집\n", "row 2: expected columns gloss and type, found .*synonyms and group may accompany type"),
        ("gloss,type,synonyms\n집,,\n", "row 2: expected a gloss and its type"),
        ("gloss,synonyms\n,집\n", "row 2: expected a gloss and its type"),
        ('gloss,synonyms\n집,"[""가옥"", 3]"\n', "row 2, synonyms: expected glosses as strings"),
    ],
)
def test_lexicons_that_lack_something(lexicon: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "lexicon.csv").write_text(lexicon, "utf-8")
    with pytest.raises((ValueError, TypeError), match=message):
        read_lexicon(str(tmp_path / "lexicon.csv"))


ALIGNED = [
    {"text": "집에 불", "glosses": ["집", "불"], "alignment": [[0, 1], None]},
    {"text": "물", "glosses": ["물"], "alignment": [[0, 1]]},
]


def test_places_of_glosses(tmp_path: Path) -> None:
    gold = [{"text": "집에 불", "glosses": ["집", "불"], "spans": [[0, 2], [3, 4]]}]
    gold.append({"text": "물", "glosses": ["물"], "spans": [None]})
    references = rows_file(tmp_path / "gold.jsonl", gold)
    scores = evaluate_files(rows_file(tmp_path / "a.jsonl", ALIGNED), references=references)["scores"]
    assert scores["alignment_overlap"]["system"] == {"score": 50, "glosses": 2}
    assert scores["alignment_iou"]["system"] == {"score": 25, "glosses": 2}
    assert scores["alignment_coverage"]["system"] == {"score": 50, "glosses": 2}
    best = {"text": "집에 불", "candidates": [{"glosses": ["집"], "alignment": [[0, 2]]}]}
    answers = rows_file(tmp_path / "b.jsonl", [best, ALIGNED[1]])
    scores = evaluate_files(answers, references=references, baseline=str(tmp_path / "a.jsonl"), trials=20)["scores"]
    assert scores["alignment_iou"]["system"] == {"score": 100, "glosses": 1}
    assert scores["alignment_iou"]["baseline"] == {"score": 25, "glosses": 2}


def test_places_in_a_sentence_that_is_written_differently(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gold = [{"text": " 집에 불", "glosses": ["집", "불"], "spans": [[1, 3], [4, 5]]}]
    gold.append({"text": "물", "glosses": ["물"], "spans": [[0, 1]]})
    references = rows_file(tmp_path / "gold.jsonl", gold)
    scores = evaluate_files(rows_file(tmp_path / "a.jsonl", ALIGNED), references=references)["scores"]
    assert scores["alignment_iou"]["system"] == {"score": 100, "glosses": 1}
    assert "1 sentence is written differently in the references, so places of glosses are not compared" in caplog.text


@pytest.mark.parametrize(
    ("alignment", "message"),
    [
        ([[0, 1]], "sentence 1, alignment: expected 2 spans, one per gloss, found 1"),
        ([[0, 1], [2, 1]], r"sentence 1, alignment: expected a start and an end, or null, found \[2, 1\]"),
        ([[0, 1], "2"], "expected a start and an end, or null, found '2'"),
        ([[0, 1], [0.5, 2]], "expected a start and an end, or null"),
    ],
)
def test_places_that_are_none(alignment: list[Any], message: str, tmp_path: Path) -> None:
    references = rows_file(tmp_path / "gold.jsonl", [ALIGNED[0] | {"spans": [[0, 2], None]}])
    with pytest.raises(ValueError, match=message):
        evaluate_files(rows_file(tmp_path / "a.jsonl", [ALIGNED[0] | {"alignment": alignment}]), references=references)


def test_references_of_a_sign_corpus(tmp_path: Path) -> None:
    places = [{"start": 0, "end": 2}, {"start": "", "end": ""}]
    gestures = [
        {"gloss_id": gloss, "start": second, "end": second + 1, "sentence_loc": place}
        for second, (gloss, place) in enumerate(zip(("집", "불"), places, strict=True))
    ]
    video = {"text": {"raw": {"korean": "집에 불"}}, "sign_script": {"sign_gestures_both": gestures}}
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "1.json").write_text(json.dumps(video), "utf-8")
    file = rows_file(tmp_path / "a.jsonl", ALIGNED[:1])
    for references in (tmp_path / "corpus", tmp_path / "corpus" / "1.json"):
        scores = evaluate_files(file, references=str(references))["scores"]
        assert scores["exact_match"]["system"]["score"] == 100
        assert scores["alignment_overlap"]["system"] == {"score": 100, "glosses": 1}
        assert scores["alignment_iou"]["system"] == {"score": 50, "glosses": 1}


def test_files_in_cp949(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("예측,정답\n집 불,집|불\n".encode("cp949"))
    with pytest.raises(ValueError, match="expected UTF-8, found .*--encoding cp949"):
        evaluate_files(str(tmp_path / "a.csv"))
    scores = evaluate_files(str(tmp_path / "a.csv"), encoding="cp949")["scores"]
    assert scores["jaccard"]["system"]["score"] == 100
    (tmp_path / "b.csv").write_bytes("글로스,유형\n집,iconic\n".encode("cp949"))
    typed = evaluate_files(str(tmp_path / "a.csv"), types=str(tmp_path / "b.csv"), encoding="cp949")
    assert typed["scores"]["jaccard_of_iconic"]["system"]["pairs"] == 1
