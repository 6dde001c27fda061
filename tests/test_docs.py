"""What the documentation names is there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from transformers import HfArgumentParser

from kgloss_hf.modeling import PRESETS, Preset
from kgloss_hf.pretext import PretextTrainingArguments
from kgloss_hf.table5 import OPTIMISERS, Table5Arguments
from kgloss_hf.training import TrainingArguments

ROOT = Path(__file__).parent.parent
RECIPE = (ROOT / "docs" / "recipe.md").read_text("utf-8")


def _example(name: str) -> list[type]:
    """The dataclasses of an example's own options."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where HfArgumentParser looks annotations up
    spec.loader.exec_module(module)
    return [module.DataArguments, module.ModelArguments]


@pytest.fixture(scope="module")
def options() -> set[str]:
    parsers = (
        HfArgumentParser((*_example("run_text2gloss"), TrainingArguments)),
        HfArgumentParser((*_example("run_pretext"), PretextTrainingArguments)),
        HfArgumentParser(Table5Arguments),
    )
    return {option for parser in parsers for action in parser._actions for option in action.option_strings}


def test_options_of_the_recipe_are_there(options: set[str]) -> None:
    named = set(re.findall(r"--[a-z_0-9]+", RECIPE))
    assert len(named) > 10
    assert named <= options


def test_the_papers_optimiser_is_what_table_5_takes() -> None:
    given = re.search("`(--optim [^`]+)`", RECIPE)
    assert given is not None
    words = given[1].split()
    stated = dict(zip(words[::2], words[1::2], strict=True))
    expected = {f"--{name}": value for name, value in OPTIMISERS["paper"].items() if f"--{name}" in stated}
    assert stated.keys() == expected.keys()
    assert all(str(value) == stated[name] or float(value) == float(stated[name]) for name, value in expected.items())


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if isinstance(preset, Preset)])
def test_shapes_of_the_recipe(name: str) -> None:
    preset = PRESETS[name]
    assert isinstance(preset, Preset)
    shape = [preset.num_hidden_layers, preset.hidden_size, preset.num_attention_heads, preset.intermediate_size]
    row = " | ".join(f"{number:,}" for number in (*shape, preset.num_beams))
    assert f"| `{name}` | {row} |" in RECIPE
