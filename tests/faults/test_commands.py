"""Commands that are killed, interrupted, out of room, shut out, or not alone.

Each command is killed at one random moment; with KGLOSS_FAULT_RUNS=N, N > 1, it is killed, terminated and interrupted
at N moments each.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.files import sole_writer

RUNS = int(os.environ.get("KGLOSS_FAULT_RUNS", "1"))
KGLOSS = [sys.executable, "-c", "import sys; from kgloss_hf.cli import main; sys.exit(main())"]
OUTPUT = "made"

COMMANDS: dict[str, list[str]] = {
    "evaluate": ["evaluate", "predictions.txt", "--references", "references.txt", "--trials", "20"],
    "export": ["export", "checkpoint"],
    "export-dataset": ["export-dataset", "mcksg", "--config", "sample"],
    "dataset-stats": ["dataset-stats", "mcksg"],
    "train-tokenizer": ["train-tokenizer", "--corpus", "texts.txt", "--dataset", "mcksg", "--vocab_size", "400"],
}
Place = Callable[[str], Path]


@pytest.fixture
def place(tmp_path: Path, checkpoint: str) -> Place:
    """Makes a folder in which every command finds its input."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "texts.txt").write_text("\n".join(SENTENCES * 50), "utf-8")
        (folder / "predictions.txt").write_text("집 불\n" * 2000, "utf-8")
        (folder / "references.txt").write_text("집 불 나다\n" * 2000, "utf-8")
        shutil.copytree(checkpoint, folder / "checkpoint")
        return folder

    return make


def _start(command: str, folder: Path) -> subprocess.Popen[str]:
    kept = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HOME": str(folder.parent / "hf"), "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [*KGLOSS, *COMMANDS[command], "--output_dir", OUTPUT],
        cwd=folder,
        env={**kept, "KGLOSS_OKT_CACHE": str(folder.parent / "okt.sqlite")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts the tests in the background makes them, and what they start, deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _finish(command: str, folder: Path) -> None:
    process = _start(command, folder)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def _ended(command: str, folder: Path, how: signal.Signals, moment: float) -> bool:
    """Whether a signal after so many seconds ended the command before it was done."""
    process = _start(command, folder)
    try:
        process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, how)
        process.communicate(timeout=60)
    return process.returncode != 0


def _made(folder: Path) -> dict[str, bytes]:
    """What lies in the folder under a final name."""
    found = (file for file in (folder / OUTPUT).rglob("*") if file.is_file())
    names = {file.relative_to(folder / OUTPUT): file for file in found}
    return {str(name): file.read_bytes() for name, file in names.items() if not name.name.startswith(".")}


def _litter(folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in folder.rglob(".*") if file.name.endswith((".partial", ".lock"))]


@pytest.mark.parametrize("command", COMMANDS)
def test_ended_at_a_random_moment(command: str, place: Place) -> None:
    """The result is whole or not there, and the same command makes the one that an undisturbed run makes."""
    whole, again = place("whole"), place("again")
    _finish(command, whole)  # and fill the cache of words
    begun = time.monotonic()
    _finish(command, again)
    seconds = time.monotonic() - begun
    expected = _made(whole)
    assert expected
    assert _made(again) == expected, "two undisturbed runs differ"
    for number in range(RUNS):
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT) if RUNS > 1 else (signal.SIGKILL,):
            draw = random.Random(f"{command} {how.name} {number}")  # noqa: S311 - moments, no secrets
            moment = draw.uniform(0.3, 1) * seconds
            folder = place(f"{how.name}-{number}")
            while not _ended(command, folder, how, moment):  # it was done before
                shutil.rmtree(folder)
                place(folder.name)
                moment *= 0.9
            found = _made(folder)
            assert all(expected[name] == data for name, data in found.items()), "a half-written file has its final name"
            if command != "evaluate":  # which replaces its two files
                assert found in ({}, expected)
                if found:
                    continue
            _finish(command, folder)
            assert _made(folder) == expected
            assert _litter(folder) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_second_process_is_refused(
    command: str, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place("shared")
    monkeypatch.chdir(folder)
    with sole_writer(folder / OUTPUT):
        assert main([*COMMANDS[command], "--output_dir", OUTPUT]) == 1
    assert "another process is writing it; wait until that is done" in capsys.readouterr().err
    assert _made(folder) == {}
    assert main([*COMMANDS[command], "--output_dir", OUTPUT]) == 0
    assert _made(folder)
    assert _litter(folder) == []


def _in_a_small_disk(command: str, folder: Path, options: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose output folder lies on a file system of its own, in a private mount namespace."""
    (folder / "disk").mkdir()
    script = f'mount -t tmpfs -o {options} none disk || exit 77; "$@"; status=$?; ls -A disk >&2; exit $status'
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", script, "bash", *KGLOSS, *COMMANDS[command], "--output_dir", f"disk/{OUTPUT}"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "KGLOSS_OKT_CACHE": str(folder.parent / "okt.sqlite")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("mounting a file system is not permitted here")
    return done


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare on this system")
@pytest.mark.parametrize(
    ("options", "message"), [("size=16k", "No space left on device"), ("ro", "Read-only file system")]
)
@pytest.mark.parametrize("command", ["evaluate", "export-dataset"])
def test_no_room_and_no_permission(command: str, options: str, message: str, place: Place) -> None:
    done = _in_a_small_disk(command, place("full"), options)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    left = done.stderr.rstrip().splitlines()[-1]
    assert message in left or not set(left.split()) - {OUTPUT}  # at most an empty folder, without litter
