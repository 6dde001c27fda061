from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from conftest import SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.commands.review import review
from kgloss_hf.data.pairs import load_pairs
from kgloss_hf.data.tables import read_rows
from kgloss_hf.models.loading import load
from tests.data.test_review_sheets import approve


@pytest.fixture
def sentences(tmp_path: Path) -> str:
    file = tmp_path / "sentences.txt"
    file.write_text("\n".join([*SENTENCES, "", f" {SENTENCES[0]} "]), "utf-8")
    return str(file)


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(file)]


def test_least_certain_sentences_come_first(checkpoint: str, sentences: str, tmp_path: Path) -> None:
    counts = review(checkpoint, sentences, output=str(file := tmp_path / "sheet.csv"))
    assert counts == {"written": len(SENTENCES), "blank": 1, "repeated": 1}
    rows = rows_of(file)
    certainties = [float(row["확신 certainty"]) for row in rows]
    assert certainties == sorted(certainties)
    assert 0 < certainties[0] < certainties[-1] < 1
    answers = dict(zip(SENTENCES, load(checkpoint)(SENTENCES, num_return_sequences=3), strict=True))
    for row in rows:
        best, *others = answers[row["문장 text"]]
        assert row["번호 id"] == str(SENTENCES.index(row["문장 text"]) + 1)
        assert row["글로스 glosses"].replace(" | ", " ").strip("| ") == best.generated_text
        shown = [row[f"다른 답 {number} alternative {number}"] for number in (1, 2)]
        assert [cell for cell in shown if cell] == [" | ".join(one.glosses) for one in others if one.glosses]


def test_limit_keeps_the_least_certain(checkpoint: str, sentences: str, tmp_path: Path) -> None:
    review(checkpoint, sentences, output=str(whole := tmp_path / "all.csv"), n_best=1)
    counts = review(checkpoint, sentences, output=str(few := tmp_path / "few.csv"), n_best=1, limit=2)
    assert rows_of(few) == rows_of(whole)[:2]
    assert counts["certain"] == len(SENTENCES) - 2
    assert "다른 답 1 alternative 1" not in rows_of(few)[0]


def test_several_models_are_certain_where_they_agree(
    checkpoint: str, another_checkpoint: str, sentences: str, tmp_path: Path
) -> None:
    review(checkpoint, sentences, output=str(file := tmp_path / "sheet.csv"), others=[another_checkpoint])
    answers = load(checkpoint, others=[another_checkpoint])(SENTENCES)
    agreements = sorted(answer.agreement for answer in answers)
    assert [float(row["확신 certainty"]) for row in rows_of(file)] == pytest.approx(agreements, abs=1e-4)


def test_a_data_set_keeps_its_ids(checkpoint: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("번호,문장,글로스\nA-7,집이다.,집\n", "utf-8")
    assert main(["review", checkpoint, str(tmp_path / "pairs.csv"), "--output", str(tmp_path / "sheet.csv")]) == 0
    (row,) = rows_of(tmp_path / "sheet.csv")
    assert (row["번호 id"], row["문장 text"]) == ("A-7", "집이다.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "sheet.xls"], "expected a file that ends in one of .xlsx, .eaf, .csv, found"),
        (["--output", "sheet.csv", "--format", "xlsx"], "expected a file that ends in .xlsx, found"),
        (["--output", "there.csv"], "already exists, and may hold corrections; choose another --output"),
        (["--output", "nowhere/sheet.csv"], "no such folder; create it, or choose another --output"),
        (["--output", "sheet.csv", "--limit", "0"], "limit: expected 1 or more, found 0"),
        (["--output", "sheet.csv", "--n_best", "0"], "n_best: expected 1 or more, found 0"),
    ],
)
def test_what_cannot_be_written_is_said_at_once(
    checkpoint: str,
    sentences: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_text("", "utf-8")
    before = sorted(tmp_path.iterdir())
    assert main(["review", checkpoint, sentences, *words]) == 1
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_options_that_the_source_cannot_use_are_refused(
    checkpoint: str, sentences: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(tmp_path / "sheet.csv")]
    for source, option, problem in (
        (sentences, ["--text_column", "없음"], "expected no column of sentences for a text file, found '없음'"),
        ("mcksg", ["--encoding", "cp949"], "mcksg: expected no encoding for this source, found 'cp949'"),
    ):
        assert main(["review", checkpoint, source, *output, *option]) == 1
        assert problem in capsys.readouterr().err


def test_sentences_that_are_not_there(checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = tmp_path / "blank.txt"
    blank.write_text("\n \n", "utf-8")
    for name, message in ((str(blank), "expected sentences, found none"), ("nowhere.txt", "no such file")):
        assert main(["review", checkpoint, name, "--output", str(tmp_path / "sheet.csv")]) == 1
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [blank]


@pytest.mark.parametrize("kind", ["xlsx", "eaf", "csv"])
def test_from_sentences_to_pairs_and_scores(
    checkpoint: str, sentences: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    file = tmp_path / f"sheet.{kind}"
    assert main(["review", checkpoint, sentences, "--output", str(file)]) == 0
    assert f"{file}: 4 sentences, the least certain first; left out: 1 blank, 1 repeated" in capsys.readouterr().out
    approve(file)
    pairs = load_pairs(str(file), on_bad_rows="skip")  # an untrained model emits placeholders
    assert 0 < len(pairs) <= len(SENTENCES)
    assert {pair.text for pair in pairs} <= set(SENTENCES)


def test_corrections_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "문장 text,글로스 glosses,수정 correction,검토자 reviewer\n"
    files = [tmp_path / "kim.csv", tmp_path / "lee.csv"]
    files[0].write_text(header + "집이다.,집 | 크다,집,김\n불이다.,불,,김\n물이다.,물,,\n", "utf-8")
    files[1].write_text(header + "집이다.,집 | 크다,,이\n불이다.,불,-,이\n", "utf-8")
    output = tmp_path / "scores"
    words = ["evaluate", ",".join(map(str, files)), "--trials", "1", "--output_dir", str(output)]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "left out: 1 not reviewed, 1 rejected" in " ".join(shown.split())
    result = json.loads((output / "scores.json").read_text("utf-8"))
    assert result["review"] == {
        "rows": 3,
        "unchanged": pytest.approx(200 / 3),
        "gloss_error_rate": 25.0,
        "corrected": 1,
        "approved": 2,
        "rejected": 1,
        "not_reviewed": 1,
        "reviewers": {
            "김": {"rows": 2, "unchanged": 50.0, "gloss_error_rate": 50.0},
            "이": {"rows": 1, "unchanged": 100.0, "gloss_error_rate": 0.0},
        },
    }
    assert result["scores"]["gloss_error_rate"]["system"]["score"] == 25.0
    rows = list(csv.DictReader((output / "sentences.csv").read_text("utf-8").splitlines()))
    assert [row["reference"] for row in rows] == ["집", "불", "집 크다"]


def test_a_sheet_that_cannot_be_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, other = tmp_path / "sheet.csv", tmp_path / "other.csv"
    other.write_text("prediction,reference\n집,집\n", "utf-8")
    header = "문장 text,글로스 glosses,수정 correction,검토자 reviewer\n"
    for content, message in (
        (header + "집이다.,집,,\n", "expected a review sheet with corrections"),
        (header + "집이다.,집,-,\n", "expected rows that were corrected or approved, found only rejected ones"),
        ("글로스,수정\n집,불\n", "expected the columns text and glosses besides '수정', found no sentence"),
    ):
        file.write_text(content, "utf-8")
        assert main(["evaluate", str(file)]) == 1
        assert message in capsys.readouterr().err
    file.write_text(header + "집이다.,집,불,\n", "utf-8")
    assert main(["evaluate", f"{file},{other}"]) == 1
    assert "expected one file, or several review sheets" in capsys.readouterr().err
