from __future__ import annotations

from pathlib import Path

import pytest
from transformers import HfArgumentParser

from kgloss_hf.options import parse_arguments
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
