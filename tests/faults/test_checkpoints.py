"""Checkpoints and models that are damaged, mixed up, or in use."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import pipeline

from conftest import GLOSSES, SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.files import sole_writer
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.training import run as training
from kgloss_hf.training.run import _checkpoint_to_resume
from tests.command_server import Forks

Damage = Callable[[Path], object]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Make the folder of a run with two complete checkpoints; the first is the best."""
    for step in (5, 9):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        save_file({"weight": torch.ones(100)}, folder / "model.safetensors")
        torch.save({"state": torch.ones(100)}, folder / "optimizer.pt")
        state = {"global_step": step, "best_model_checkpoint": "moved/since/checkpoints/checkpoint-5"}
        (folder / "trainer_state.json").write_text(json.dumps(state), "utf-8")
    return tmp_path


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(torch.ones(3).numpy().tobytes())] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(lambda last: os.truncate(last / "model.safetensors", 200), "model.safetensors", id="weights"),
        pytest.param(lambda last: os.truncate(last / "optimizer.pt", 300), "optimizer.pt", id="optimiser"),
        pytest.param(lambda last: _flip(last / "optimizer.pt"), "damaged", id="flipped bit"),
        pytest.param(lambda last: (last / "trainer_state.json").unlink(), "ended while writing", id="no state"),
        pytest.param(lambda last: os.truncate(last / "trainer_state.json", 9), "ended while writing", id="half state"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(
    run: Path, damage: Damage, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert str(_checkpoint_to_resume(str(run), resume=True)).endswith("checkpoint-9")
    damage(run / "checkpoints" / "checkpoint-9")
    with caplog.at_level(logging.WARNING):
        assert str(_checkpoint_to_resume(str(run), resume=True)).endswith("checkpoint-5")
    assert "checkpoint-9 cannot be used" in caplog.text
    assert reason in caplog.text


@pytest.mark.parametrize("missing", [True, False])
def test_without_its_best_checkpoint_a_run_is_refused(run: Path, missing: bool) -> None:
    best = run / "checkpoints" / "checkpoint-5"
    if missing:
        shutil.rmtree(best)
    else:
        os.truncate(best / "model.safetensors", 200)
    shutil.copytree(best.with_name("checkpoint-9"), best.with_name("checkpoint-12"))
    (best.with_name("checkpoint-12") / "trainer_state.json").unlink()
    before = sorted(run.rglob("*"))
    with pytest.raises(
        ValueError, match=r"best checkpoint, .*checkpoint-5, .* cannot be used: .* Restore it, or start again"
    ):
        _checkpoint_to_resume(str(run), resume=True)
    assert sorted(run.rglob("*")) == before


def test_the_main_process_alone_looks_checkpoints_through(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(main_process_first=nullcontext, is_main_process=False)
    monkeypatch.setattr(training, "PartialState", lambda: other)
    monkeypatch.setattr(training, "_broken", lambda checkpoint: pytest.fail("looked through"))
    args: Any = SimpleNamespace(output_dir=str(run), push_to_hub=False)
    assert str(training.begin_run(args, resume=True).checkpoint).endswith("checkpoint-9")
    assert not list(run.parent.glob(".*.lock"))


def test_the_clock_went_back(run: Path) -> None:
    os.utime(run / "checkpoints" / "checkpoint-5", (2e9, 2e9))
    assert str(_checkpoint_to_resume(str(run), resume=True)).endswith("checkpoint-9")


def test_a_second_run_in_one_folder_is_refused(forks: Forks, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom types import SimpleNamespace\nfrom kgloss_hf.training.run import begin_run\n"
        "args = SimpleNamespace(output_dir='run', push_to_hub=False)\n"
        "begin_run(args, resume=False)\nprint(os.getpid(), flush=True)\nsys.stdin.read()\n"
    )
    (tmp_path / "begin.py").write_text(code, "utf-8")
    command: list[Any] = [forks.programs / "python", "begin.py"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": tmp_path}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout is not None
        process = int(first.stdout.readline())
        second = subprocess.run(command, input="", capture_output=True, text=True, cwd=tmp_path, check=False)
        assert second.returncode == 1
        assert "another process is writing it" in second.stderr
        os.kill(process, signal.SIGKILL)
    third = subprocess.run(command, input="", capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (third.returncode, third.stderr) == (0, "")
    assert not (tmp_path / ".run.lock").exists()


def test_lock_file_removed_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that a third writer stays out if the first removes the lock file after the second has opened it."""
    fcntl = pytest.importorskip("fcntl")
    lock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        (tmp_path / ".made.lock").unlink()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    held, got_in = ExitStack(), False
    with suppress(RuntimeError):  # filelock 4 considers it locked
        held.enter_context(sole_writer(tmp_path / "made"))
        got_in = True
    monkeypatch.setattr(fcntl, "flock", lock)
    writers = 0
    with suppress(RuntimeError), held, sole_writer(tmp_path / "made"):
        writers = 1 + got_in
    assert writers < 2


@pytest.fixture
def model(checkpoint: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "model"))


def test_truncated_weights_are_reported(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.truncate(model / "model.safetensors", 100_000)
    assert main(["translate", str(model), SENTENCES[0]]) == 1
    assert "the weights are cut short or damaged" in capsys.readouterr().err


def _other_entries(model: Path) -> None:
    train_tokenizer(SENTENCES[:2], GLOSSES[:2], vocab_size=300).save_pretrained(model)


def _same_entries_in_another_order(model: Path) -> None:
    file = model / "tokenizer.json"
    settings = json.loads(file.read_text("utf-8"))
    entries = settings["model"]["vocab"]
    names = list(entries)[20:]
    entries.update(zip(names, [entries[name] for name in names][::-1], strict=True))
    file.write_text(json.dumps(settings), "utf-8")


@pytest.mark.parametrize("damage", [_other_entries, _same_entries_in_another_order])
def test_tokenizer_of_another_model_is_refused(model: Path, damage: Damage) -> None:
    damage(model)
    with pytest.raises(ValueError, match="expected the tokenizer that the model was trained with"):
        pipeline("text2text-generation", model=str(model))
