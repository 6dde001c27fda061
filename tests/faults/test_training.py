"""Training that is killed, terminated or interrupted, or lacks disk space or permission, and then resumes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import GLOSSES, SENTENCES
from tests.command_server import Forks

from .conftest import SmallDisk, contents, litter, moments

SCRIPT = Path(__file__).parents[2] / "examples" / "run_text2gloss.py"
OPTIONS = ["--dataset=pairs.jsonl", "--preset=tiny", "--vocab_size=300", "--num_beams=1", "--num_train_epochs=3"]
COMMAND = [str(SCRIPT), *OPTIONS, "--warmup_steps=5", "--disable_tqdm=True", "--resume"]
Place = Callable[[str], Path]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a function that makes a folder with 40 pairs of unequal length."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        pairs = [{"text": SENTENCES[i % 4][: 12 + i], "glosses": GLOSSES[i % 4][: 1 + i % 9]} for i in range(40)]
        lines = [json.dumps(pair, ensure_ascii=False) for pair in pairs]
        (folder / "pairs.jsonl").write_text("\n".join(lines), "utf-8")
        return folder

    return make


def _train(forks: Forks, folder: Path, output: str = "run") -> float:
    """Train to the end and return the seconds that it takes."""
    begun = time.monotonic()
    status, printed = forks.run([*COMMAND, f"--output_dir={output}"], folder)
    assert status == 0, printed
    return time.monotonic() - begun


def _result(run: Path) -> dict[str, Any]:
    """Return what a run has written, without its timings."""
    assert sorted(path.name for path in run.iterdir()) == ["checkpoints", "model", "run.json", "tokenizer"]
    files: dict[str, Any] = contents(run / "model")
    assert files.pop("training.png")
    assert files.pop("README.md")  # made from metrics.json, including its timings
    metrics = json.loads(files.pop("metrics.json"))
    del metrics["train_seconds"]
    timed = ("runtime", "per_second")
    rows = [{n: v for n, v in row.items() if not any(word in n for word in timed)} for row in metrics.pop("history")]
    return {**files, "metrics": metrics, "history": rows, "tokenizer": contents(run / "tokenizer")}


@pytest.mark.slow
def test_ended_at_a_random_moment(place: Place, forks: Forks) -> None:
    """Check that a resumed run ends with the weights, predictions and scores of an undisturbed run."""
    whole, again = place("whole"), place("again")
    _train(forks, whole)  # also fills the cache of words
    seconds = _train(forks, again)
    expected = _result(whole / "run")
    assert _result(again / "run") == expected, "two undisturbed runs differ"
    for seed, how, moment in moments("training", seconds):
        folder = place(seed)
        while (
            forks.run([*COMMAND, "--output_dir=run"], folder, moment, how)[0] == 0
        ):  # the run finished before the signal
            shutil.rmtree(folder)
            place(seed)
            moment *= 0.9
        if not (folder / "run" / "model").exists():
            _train(forks, folder)
        assert _result(folder / "run") == expected, seed
        assert litter(folder) == [], seed


@pytest.mark.parametrize("room", ["64k", "6m", "20m"])  # too little for the tokenizer, a checkpoint or the result
def test_full_disk(room: str, place: Place, forks: Forks, small_disk: SmallDisk) -> None:
    folder = place("full")
    disk = small_disk(folder, f"size={room}")
    status, printed = forks.run([*COMMAND, "--output_dir=disk/run"], folder)
    assert status == 1
    assert "Traceback" not in printed
    last = printed.splitlines()[-1]
    assert "disk/run" in last
    assert "No space left on device" in last or "free space" in last  # torch does not name the reason
    assert forks.shell(f"test -e {disk}/run/model")[0] == 1
    assert forks.shell(f"mount -o remount,size=100m {disk}") == (0, "")
    _train(forks, folder, "disk/run")
    assert forks.shell(f"ls -A {disk}/run") == (0, "checkpoints\nmodel\nrun.json\ntokenizer\n")


def test_read_only_folder(place: Place, forks: Forks, small_disk: SmallDisk) -> None:
    folder = place("shut")
    small_disk(folder, "ro")
    status, printed = forks.run([*COMMAND, "--output_dir=disk/run"], folder)
    assert status == 1
    assert "Traceback" not in printed
    assert "Read-only file system" in (last := printed.splitlines()[-1])
    assert "disk/" in last
