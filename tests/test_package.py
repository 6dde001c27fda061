from __future__ import annotations

import pytest

import kgloss_hf
from kgloss_hf.cli import main


def test_public_names() -> None:
    for name in kgloss_hf.__all__:
        assert getattr(kgloss_hf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kgloss_hf.nothing


def test_baseline_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline"]) == 0
    printed = capsys.readouterr().out
    assert "copy" in printed
    assert "nearest neighbour" in printed


def test_baseline_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "--dataset", "nowhere.csv"]) == 1
    assert capsys.readouterr().err.startswith("kgloss baseline: nowhere.csv: no such file")
