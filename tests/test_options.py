from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from transformers import HfArgumentParser

from kgloss_hf.data.arguments import CorpusArguments
from kgloss_hf.options import check_arguments, parse_arguments
from kgloss_hf.training.arguments import TrainingDefaults
from kgloss_hf.training.table5 import Table5Arguments
from kgloss_hf.training.trainer import TrainingArguments


def test_options_from_yaml_and_command_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("learning_rate: 0.25\nseed: 7\n", "utf-8")
    (args,) = parse_arguments(HfArgumentParser(TrainingArguments), [str(path), "--seed", "9"])
    assert (args.learning_rate, args.seed, args.label_smoothing_factor) == (0.25, 9, 0.1)
    path.write_text("pretext: outputs/pretext/model\n", "utf-8")
    (table,) = parse_arguments(HfArgumentParser(Table5Arguments), [str(path), "--runs", "3"])
    assert (table.pretext, table.runs, table.epochs) == ("outputs/pretext/model", 3, [10, 100])
    path.write_text("learning_rat: 0.25\n", "utf-8")
    with pytest.raises(ValueError, match="no such option: learning_rat"):
        parse_arguments(HfArgumentParser(TrainingArguments), [str(path)])
    path.write_text("learning_rate: [0.25\n", "utf-8")
    with pytest.raises(ValueError, match=f"{path.name}: expected YAML, found an error"):
        parse_arguments(HfArgumentParser(TrainingArguments), [str(path)])
    with pytest.raises(FileNotFoundError, match="nowhere.yaml"):
        parse_arguments(HfArgumentParser(TrainingArguments), ["nowhere.yaml"])


def test_yaml_value_that_is_no_choice(tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    for options, message in (
        ("split: rows", "split: expected one of group, row, found 'rows'"),
        ("systems: [rnm]", "systems: "),
    ):
        file.write_text(f"pretext: model\n{options}\n", "utf-8")
        with pytest.raises(ValueError, match=message):
            parse_arguments(HfArgumentParser(Table5Arguments), [str(file)])
    file.write_text("pretext: model\nsplit: row\nsystems: [rnn]\n", "utf-8")
    (chosen,) = parse_arguments(HfArgumentParser(Table5Arguments), [str(file)])
    assert (chosen.split, chosen.systems) == ("row", ["rnn"])


def test_both_spellings_a_file_anywhere_and_a_data_set_without_its_option(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("pretext: model\nruns: 3\n", "utf-8")
    words = ["--split-seed", "4", "pairs.csv", str(path), "--systems", "rnn"]
    (chosen,) = parse_arguments(HfArgumentParser(Table5Arguments), words)
    assert (chosen.split_seed, chosen.dataset, chosen.runs, chosen.systems) == (4, "pairs.csv", 3, ["rnn"])


@pytest.mark.parametrize("words", ["--train a.csv a.csv", "a.csv --train a.csv", "--train a.csv --split_seed 1 a.csv"])
def test_a_word_that_is_an_option_s_value_too_is_taken_once(words: str) -> None:
    (chosen,) = parse_arguments(HfArgumentParser(CorpusArguments), words.split())
    assert (chosen.dataset, chosen.train) == ("a.csv", "a.csv")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pretext=m", "--sytems", "rnn"], "unrecognized arguments: --sytems rnn; did you mean --systems?"),
        (["--pretext=m", "--systems", "rnm"], "did you mean rnn?"),
        (["--pretext=m", "a.csv", "--dataset", "b.csv"], "expected a.csv or --dataset, found both"),
        (["--pretext=m", "a.csv", "b.csv"], "unrecognized arguments: a.csv b.csv"),
    ],
)
def test_errors_suggest_what_was_meant(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(HfArgumentParser(Table5Arguments, prog="kgloss table5"), words)
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: kgloss table5 [OPTIONS.yaml]")
    assert said in error


def test_yaml_key_that_is_nearly_an_option(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("learning_rat: 0.25\n", "utf-8")
    with pytest.raises(ValueError, match="no such option: learning_rat; did you mean learning_rate"):
        parse_arguments(HfArgumentParser(TrainingArguments), [str(path)])
    path.with_suffix(".yml").mkdir()
    with pytest.raises(FileNotFoundError, match="a folder; expected a YAML file"):
        parse_arguments(HfArgumentParser(TrainingArguments), [str(path.with_suffix(".yml"))])


def test_help_of_one_screen_and_of_everything(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for word in ("--help", "--help-all"):
        with pytest.raises(SystemExit, match="0"):
            parse_arguments(HfArgumentParser(TrainingArguments, prog="kgloss train"), [word])
        printed.append(capsys.readouterr().out)
    short, everything = printed
    assert "--learning_rate" in short
    assert "--adam_beta1" not in short
    assert all(f"--{option.name}" in everything for option in fields(TrainingArguments) if option.init)
    left_out = sum(option.init for option in fields(TrainingArguments)) - len(TrainingDefaults.USUAL)
    assert f"--help-all prints full explanations and {left_out} more options." in short


def test_what_is_not_of_this_project_is_let_pass() -> None:
    known = [Table5Arguments]
    assert check_arguments("kgloss table5", known, ["--pretext=me/m", "--max_steps", "3"])[0].pretext == "me/m"
    with pytest.raises(FileNotFoundError, match="--pretext: a/b/c: no such folder"):
        check_arguments("kgloss table5", known, ["--pretext", "a/b/c", "--max_steps", "3"])
