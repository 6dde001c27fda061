from __future__ import annotations

import json
from pathlib import Path

import pytest

from kgloss_hf.cli import main


def test_train_tokenizer_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus.txt").write_text("몸의 형태\n", "utf-8")
    options = ["--corpus", str(tmp_path / "corpus.txt"), "--model", "wordlevel", "--output_dir", str(tmp_path / "out")]
    assert main(["train-tokenizer", *options]) == 0
    statistics = json.loads((tmp_path / "out" / "statistics.json").read_text("utf-8"))
    assert statistics["vocabulary"]["words"] == 2
    assert statistics["arguments"]["dataset"] == "mcksg"
    printed = capsys.readouterr().out
    assert f"{statistics['target_in_source']['of_tokens']:.2%}" in printed
    assert main(["train-tokenizer", *options]) == 1
    assert "out is there already" in capsys.readouterr().err


def test_train_tokenizer_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-tokenizer", "--corpus", "nowhere.txt"]) == 1
    assert capsys.readouterr().err.startswith("kgloss train-tokenizer: nowhere.txt: no such file")


@pytest.mark.parametrize("command", ["baseline", "doctor", "train-tokenizer", "back-translate"])
def test_unknown_option_ends_with_the_usage(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([command, "--colour", "red"])
    assert "unrecognized arguments: --colour red" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["train-tokenizer --analyzer stanza", "back-translate --on_bad_rows mend", "baseline --split half"]
)
def test_values_are_refused_before_work_begins(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    assert "invalid choice: " in capsys.readouterr().err


@pytest.mark.parametrize("command", ["baseline", "doctor", "train-tokenizer"])
def test_help_of_each_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: kgloss {command}")
