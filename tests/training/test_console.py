from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kgloss_hf.training.console import as_script, command_line, quoted, resumable
from tests.command_server import Forks


def _fails(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    "error", [ValueError("no\x1b[31m"), FileNotFoundError("no"), RuntimeError("no"), TypeError("no"), ImportError("no")]
)
def test_an_error_of_use_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert as_script(_fails(error)) == 1
    assert capsys.readouterr().err in ("no\n", "no\\u001b[31m\n")


def test_the_first_process_alone_says_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert as_script(_fails(ValueError("no"))) == 1
    assert as_script(_fails(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == ""


def test_errors_that_are_ours_keep_their_traceback() -> None:
    with pytest.raises(KeyError):
        as_script(_fails(KeyError("gloss")))


def test_ctrl_c_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        with resumable(lambda: "Go on: kgloss train --resume"):
            raise KeyboardInterrupt

    assert as_script(main) == 130
    assert capsys.readouterr().err == "Stopped by Ctrl-C. Go on: kgloss train --resume\n"
    assert as_script(_fails(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "Stopped before the run began.\n"


def test_sigterm_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, resumable(lambda: "Go on."):
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 143
    assert capsys.readouterr().err == "Stopped by SIGTERM. Go on.\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_command_is_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["examples/run_text2gloss.py", "--preset", "tiny"])
    assert command_line(None, "kgloss train")[1:] == ["examples/run_text2gloss.py", "--preset", "tiny"]
    command = command_line(["--dataset", "my pairs.csv"], "kgloss train")
    assert quoted(command, "--resume") == "kgloss train --dataset 'my pairs.csv' --resume"


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        ("reproduce_table5.py", ["--pretext=/nowhere"], "--pretext: /nowhere: no such folder"),
        ("run_text2gloss.py", ["--init_from=/nowhere"], "--init_from: /nowhere: no such folder"),
    ],
)
def test_scripts_end_with_one_line(script: str, options: list[str], message: str, tmp_path: Path, forks: Forks) -> None:
    done = forks.example(script, *options, f"--output_dir={tmp_path / 'out'}")
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
