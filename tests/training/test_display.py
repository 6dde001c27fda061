from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn
from transformers import TrainerControl, TrainerState

from kgloss_hf.training.display import RunDisplay, tied_weights_may_be_missing
from kgloss_hf.training.trainer import PretextTrainingArguments, TrainingArguments


def _shown(args: Any, epochs: list[tuple[float | None, dict[str, float]]], **state: Any) -> None:
    """Show a training of two steps per epoch, given the training loss (if logged) and the scores of each epoch."""
    now = TrainerState(max_steps=2 * len(epochs), num_train_epochs=len(epochs), **state)
    metric = f"eval_{args.metric_for_best_model}"
    with RunDisplay() as display:
        control = TrainerControl()
        display.on_train_begin(args, now, control)
        for epoch, (loss, metrics) in enumerate(epochs, 1):
            now.epoch, now.global_step = float(epoch), 2 * epoch
            display.on_step_end(args, now, control)
            control.should_evaluate = bool(metrics)
            if loss is not None:
                display.on_log(args, now, control, logs={"loss": loss, "grad_norm": 1.0})
            if metrics:
                now.log_history.append({**metrics, "epoch": now.epoch, "step": now.global_step})
                display.on_evaluate(args, now, control, metrics=metrics)
                better = max if args.greater_is_better else min
                if now.best_metric is None or better(now.best_metric, metrics[metric]) != now.best_metric:
                    now.best_metric, now.best_global_step = metrics[metric], now.global_step
        display.on_train_end(args, now, control)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    shown = capsys.readouterr()
    assert shown.err == ""
    return [line.split() for line in shown.out.splitlines()]


def test_a_line_per_epoch_marks_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    args = TrainingArguments(output_dir="outputs/a", use_cpu=True)
    scores = (2.0, 1.5, 2.0, 7.25)
    epochs: Any = [(6.0 - n, {"eval_loss": 5.0, "eval_jaccard": score}) for n, score in enumerate(scores)]
    _shown(args, epochs)
    header, *rows, end = _lines(capsys)
    assert header == ["epoch", "training", "loss", "validation", "loss", "validation", "JC", "seconds"]
    assert [row[:4] for row in rows] == [
        ["1", "6.0000", "5.0000", "2.00"],
        ["2", "5.0000", "5.0000", "1.50"],
        ["3", "4.0000", "5.0000", "2.00"],
        ["4", "3.0000", "5.0000", "7.25"],
    ]
    assert [row[-1] == "best" for row in rows] == [True, False, False, True]
    assert " ".join(end).endswith("The best model is that of epoch 4: validation JC 7.25.")


def test_the_lowest_loss_is_the_best_of_the_pretext(capsys: pytest.CaptureFixture[str]) -> None:
    args = PretextTrainingArguments(output_dir="outputs/a", use_cpu=True)
    _shown(args, [(6.0, {"eval_loss": 5.0}), (None, {"eval_loss": 5.5})])
    header, first, second, end = _lines(capsys)
    assert "JC" not in header
    assert first[:3] == ["1", "6.0000", "5.0000"]
    assert second[:3] == ["2", "–", "5.5000"]
    assert (first[-1], second[-1] == "best") == ("best", False)
    assert " ".join(end).endswith("The best model is that of epoch 1: validation loss 5.0000.")


def test_without_evaluation_the_losses_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    options: Any = {"eval_strategy": "no", "load_best_model_at_end": False}
    _shown(TrainingArguments(output_dir="outputs/a", use_cpu=True, **options), [(6.0, {}), (5.0, {})])
    header, first, second, end = _lines(capsys)
    assert header == ["epoch", "training", "loss", "seconds"]
    assert (first[:2], second[:2]) == (["1", "6.0000"], ["2", "5.0000"])
    assert "best" not in end


def test_other_processes_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    args = TrainingArguments(output_dir="outputs/a", use_cpu=True)
    _shown(args, [(6.0, {"eval_loss": 5.0, "eval_jaccard": 2.0})], is_world_process_zero=False)
    assert capsys.readouterr().out == ""


def test_a_missing_weight_is_reported_unless_it_is_tied(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = nn.ModuleDict({"one": nn.Linear(2, 2), "other": nn.Linear(2, 2)})
    model["other"].weight = model["one"].weight
    logger, reported = logging.getLogger("transformers.trainer"), list[str]()
    monkeypatch.setattr(logger, "handle", lambda record: logger.filter(record) and reported.append(record.getMessage()))
    words = "There were missing keys in the checkpoint model loaded: %s."
    with tied_weights_may_be_missing(model):
        logger.warning(words, ["other.weight"])
        assert reported == []
        logger.warning(words, ["other.weight", "one.bias"])
        logger.warning(words, ["one.weight", "other.weight"])
        logger.warning("something else")
    assert len(reported) == 3
    logger.warning(words, ["other.weight"])
    assert len(reported) == 4


def test_one_bar_shows_what_is_tried() -> None:
    trainer = SimpleNamespace(args=SimpleNamespace(disable_tqdm=True), state=TrainerState())
    with RunDisplay() as display:
        assert list(display.counted([1, 2], 2, trainer, "choosing")) == [1, 2]
