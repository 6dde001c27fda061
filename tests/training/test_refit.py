from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import TrainerControl

from kgloss_hf.training.refit import Chosen, StopAfter, check_refit, chosen_before
from kgloss_hf.training.trainer import TrainingArguments
from tests.command_server import Forks
from tests.environments import ROOT


def test_a_training_ends_after_the_chosen_epochs() -> None:
    stop = StopAfter(1.5)
    ended = []
    for epoch in (0.5, 1.0, 1.5):
        control = TrainerControl(should_save=True)
        stop.on_step_end(None, SimpleNamespace(epoch=epoch), control)
        ended.append((control.should_training_stop, control.should_save))
    assert ended == [(False, True), (False, True), (True, False)]


def test_refit_without_a_choice_is_refused(tmp_path: Path) -> None:
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, load_best_model_at_end=False)
    with pytest.raises(ValueError, match="--refit: expected --load_best_model_at_end"):
        check_refit(args)


@pytest.mark.slow
def test_the_second_training_learns_from_both_parts_and_goes_on_after_an_interruption(
    tmp_path: Path, forks: Forks
) -> None:
    options = [str(ROOT / "examples" / "demo.yaml"), f"--output_dir={tmp_path}", "--refit", "--num_train_epochs=3"]
    options += ["--warmup_steps=5", "--metric_for_best_model=loss", "--num_beams=1"]
    result = forks.example("run_text2gloss.py", *options)
    assert result.returncode == 0, result.stderr[-3000:]
    first = json.loads((tmp_path / "model" / "metrics.json").read_text("utf-8"))
    chosen = chosen_before(tmp_path)
    assert isinstance(chosen, Chosen)
    assert first["refit"] == {"epochs": chosen.epochs, "of_epochs": 3.0, "validation_pairs": 36}
    assert first["epochs"] == pytest.approx(chosen.epochs)
    assert first["best_validation"] == chosen.best_validation
    assert first["pairs"] == {"train": 285, "validation": 36, "test": 72}
    assert "trained again on both sets" in (tmp_path / "model" / "README.md").read_text("utf-8").replace("\n", " ")
    shutil.rmtree(tmp_path / "model")  # as if it had ended before writing the result
    result = forks.example("run_text2gloss.py", *options)
    assert result.returncode == 0, result.stderr[-3000:]
    second = json.loads((tmp_path / "model" / "metrics.json").read_text("utf-8"))
    assert second["scores"]["tiny"] == first["scores"]["tiny"]
