"""Commands that are killed or interrupted, or that lack disk space, permission or exclusive access.

Each command is killed at one random moment; with KGLOSS_FAULT_RUNS=N and N > 1, it is killed, terminated and
interrupted at N moments each.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.files import sole_writer
from tests.command_server import Forks

from .conftest import SmallDisk, contents, litter, moments

OUTPUT = "made"

COMMANDS: dict[str, list[str]] = {
    "evaluate": ["evaluate", "predictions.txt", "--references", "references.txt", "--trials", "20"],
    "export-dataset": ["export-dataset", "mcksg", "--config", "sample"],
    "dataset-stats": ["dataset-stats", "mcksg"],
    "train-tokenizer": ["train-tokenizer", "--corpus", "texts.txt", "--dataset", "mcksg", "--vocab_size", "400"],
}
Place = Callable[[str], Path]


@pytest.fixture
def place(tmp_path: Path, checkpoint: str) -> Place:
    """Return a function that makes a folder in which every command finds its input."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "texts.txt").write_text("\n".join(SENTENCES * 50), "utf-8")
        (folder / "predictions.txt").write_text("집 불\n" * 2000, "utf-8")
        (folder / "references.txt").write_text("집 불 나다\n" * 2000, "utf-8")
        shutil.copytree(checkpoint, folder / "checkpoint")
        return folder

    return make


def _words(command: str) -> list[str]:
    return ["kgloss", *COMMANDS[command], "--output_dir", OUTPUT]


def _finish(forks: Forks, command: str, folder: Path) -> float:
    """Run a command to its end and return the seconds that it takes."""
    begun = time.monotonic()
    status, printed = forks.run(_words(command), folder)
    assert status == 0, printed
    return time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_ended_at_a_random_moment(command: str, place: Place, forks: Forks) -> None:
    """Check that the result is complete or absent, and that repeating the command gives that of an undisturbed run."""
    whole, again = place("whole"), place("again")
    _finish(forks, command, whole)  # also fills the cache of words
    seconds = _finish(forks, command, again)
    expected = contents(whole / OUTPUT)
    assert expected
    assert contents(again / OUTPUT) == expected, "two undisturbed runs differ"
    for seed, how, moment in moments(command, seconds):
        folder = place(seed)
        while forks.run(_words(command), folder, moment, how)[0] == 0:  # the command finished before the signal
            shutil.rmtree(folder)
            place(seed)
            moment *= 0.9
        left = contents(folder / OUTPUT)
        assert all(expected[name] == data for name, data in left.items()), f"{seed}: half a file has its final name"
        if command != "evaluate":  # evaluate replaces its two files
            assert left in ({}, expected), seed
            if left:
                continue
        _finish(forks, command, folder)
        assert contents(folder / OUTPUT) == expected, seed
        assert litter(folder) == [], seed


@pytest.mark.parametrize("command", COMMANDS)
def test_second_process_is_refused(
    command: str, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place("shared")
    monkeypatch.chdir(folder)
    with sole_writer(folder / OUTPUT):
        assert main([*COMMANDS[command], "--output_dir", OUTPUT]) == 1
    assert "another process is writing it; wait until that is done" in capsys.readouterr().err
    assert contents(folder / OUTPUT) == {}
    assert main([*COMMANDS[command], "--output_dir", OUTPUT]) == 0
    assert contents(folder / OUTPUT)
    assert litter(folder) == []


def test_second_table5_is_refused(place: Place, forks: Forks) -> None:
    folder = place("shared")
    script = Path(__file__).parents[2] / "examples" / "reproduce_table5.py"
    with sole_writer(folder / OUTPUT):
        status, printed = forks.run([str(script), "--pretext=checkpoint", f"--output_dir={OUTPUT}"], folder)
    assert (status, printed) == (1, f"{OUTPUT}: another process is writing it; wait until that is done, or end it\n")
    assert not (folder / OUTPUT).exists()


@pytest.mark.parametrize(
    ("options", "message"), [("size=16k", "No space left on device"), ("ro", "Read-only file system")]
)
@pytest.mark.parametrize("command", ["evaluate", "export-dataset", "train-tokenizer"])
def test_no_room_and_no_permission(
    command: str, options: str, message: str, place: Place, forks: Forks, small_disk: SmallDisk
) -> None:
    folder = place("full")
    disk = small_disk(folder, options)
    status, printed = forks.run(["kgloss", *COMMANDS[command], "--output_dir", f"disk/{OUTPUT}"], folder)
    assert status == 1
    assert "Traceback" not in printed
    last = printed.splitlines()[-1]
    assert last.startswith(f"kgloss {command}: ")
    assert message in last
    assert "disk/" in last  # names the folder
    _, listed = forks.shell(f"ls -A {disk}")
    assert not set(listed.split()) - {OUTPUT}  # at most an empty folder, without litter
