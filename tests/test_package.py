from __future__ import annotations

import re
from pathlib import Path
from typing import assert_type

import pytest

import kgloss_hf
from kgloss_hf.cli import main


def test_public_names() -> None:
    for name in kgloss_hf.__all__:
        assert getattr(kgloss_hf, name) is not None
    assert set(kgloss_hf.__all__) <= set(dir(kgloss_hf))
    # mypy checks this file: the names have types, and an unused "type: ignore" is an error.
    assert assert_type(kgloss_hf.jaccard([["집"]], [["집"]]), float) == 100
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kgloss_hf.nothing  # type: ignore[attr-defined]


def test_load_is_typed(checkpoint: str) -> None:
    text_to_gloss = kgloss_hf.load(checkpoint)
    sentence, pair = "집", ("집", "산")
    assert_type(text_to_gloss(sentence).glosses, list[str])
    assert_type(text_to_gloss([sentence])[0].log_prob, float | None)
    assert_type(text_to_gloss(pair), list[kgloss_hf.GlossSequence])
    assert_type(next(text_to_gloss(iter(pair))), kgloss_hf.GlossSequence)
    assert_type(text_to_gloss(sentence, num_return_sequences=2), list[kgloss_hf.GlossSequence])
    assert_type(text_to_gloss([sentence], 1, num_return_sequences=2, return_types=True)[0][0].types, list[str])
    assert_type(next(text_to_gloss(iter(pair), num_return_sequences=2))[0].score, float)


def test_baseline_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline"]) == 0
    printed = capsys.readouterr().out
    assert "copy" in printed
    assert "nearest neighbour" in printed


def test_baseline_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "--dataset", "nowhere.csv"]) == 1
    assert capsys.readouterr().err.startswith("kgloss baseline: nowhere.csv: no such file")


def test_documented_lines_that_run_code_of_the_hub_pin_what_they_run() -> None:
    root = Path(__file__).parent.parent
    pages = [path for path in root.rglob("*.md") if not {".venv", "outputs"} & {*path.relative_to(root).parts}]
    calls = [
        call
        for page in pages
        for call in re.findall(r"[\w.]+\([^()]*trust_remote_code=True[^()]*\)", page.read_text("utf-8"))
        if "dataset_scripts/" not in call  # a folder of the checkout
    ]
    assert len(calls) >= 4
    assert [call for call in calls if "revision=" not in call] == []
