"""Runs commands in forks of a process that has imported everything, so that a random moment falls into their work.

Run as a script, it answers each line of standard input with one of standard output, both of JSON:

- `{"command": [NAME, ARGUMENT, …], "folder": …, "log": …, "seconds": …, "signal": …}`: `kgloss` or a script runs in the
  folder, and its process group gets the signal after these seconds. The answer is its exit status, negative for a
  signal that ended it, or null if the signal does not end it within a minute.
- `{"shell": COMMAND}`: the answer is the exit status and what was printed.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

OURS = (
    *("baselines", "checking", "cli", "dataset_export", "dataset_stats", "evaluation"),
    *("pipeline_kgloss", "publishing", "reporting", "table5", "tokenizer_training", "training"),
)
OTHERS = (
    *("detect_secrets.core.scan", "detect_secrets.settings", "jiwer", "matplotlib.figure", "rich.console"),
    *("rouge_score.rouge_scorer", "sacrebleu.metrics", "scipy.stats", "sklearn.feature_extraction.text"),
    *("transformers.models.encoder_decoder.modeling_encoder_decoder", "transformers.models.bert.modeling_bert"),
)


class Forks:
    """The process whose forks run commands, while the context is open.

    Args:
        environment: Of the commands, all of it.
        inside: Command that starts it, such as one that makes a mount namespace.
    """

    def __init__(self, environment: dict[str, str], inside: Sequence[str] = ()) -> None:
        command = [*inside, sys.executable, __file__]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def run(
        self, command: Sequence[str], folder: Path, seconds: float = 300, how: signal.Signals = signal.SIGKILL
    ) -> tuple[int, str]:
        """Run `kgloss` or a script in a folder, to its end or for so many seconds.

        Returns:
            Its exit status, negative for a signal that ended it, and what it printed.
        """
        log = folder.parent / f"{folder.name}.log"
        wanted = {"command": command, "folder": str(folder), "log": str(log), "seconds": seconds, "signal": how}
        status = self._ask(wanted)
        said = log.read_text("utf-8", "replace")
        assert status is not None, f"no end a minute after {how.name}: {said}"
        return status, said

    def shell(self, command: str) -> tuple[int, str]:
        """Exit status and output of a shell command."""
        status, said = self._ask({"shell": command})
        return status, said

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _serve() -> dict[str, Any] | None:
    """Answer requests until there are none; in a fork, return at once with what it is to do."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any
        if "shell" in request:
            done = subprocess.run(["sh", "-c", request["shell"]], capture_output=True, text=True, check=False)
            answer = [done.returncode, done.stdout + done.stderr]
        else:
            process = os.fork()
            os.setpgid(process, process)  # in both, so that neither is too late
            if process == 0:
                return request
            answer = _wait(process, request["seconds"])
            if answer is None:
                os.killpg(process, request["signal"])
                answer = _wait(process, 60)
                if answer is None:
                    os.killpg(process, signal.SIGKILL)
                    os.waitpid(process, 0)
        print(json.dumps(answer), file=answers, flush=True)
    return None


def _wait(process: int, seconds: float) -> int | None:
    until = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.002)


def _become(request: dict[str, Any]) -> None:
    """End as the command does."""
    with open(os.devnull) as nothing, open(request["log"], "wb") as log:
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source.fileno(), target)
    os.chdir(request["folder"])
    name, *_ = sys.argv = request["command"]
    if name == "kgloss":
        from kgloss_hf.cli import main

        sys.exit(main())
    sys.path[0] = str(Path(name).parent)
    runpy.run_path(name, run_name="__main__")


if __name__ == "__main__":
    # A shell that starts the tests in the background makes them, and what they start, deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for module in (*(f"kgloss_hf.{module}" for module in OURS), *OTHERS):
        importlib.import_module(module)
    if (request := _serve()) is not None:
        _become(request)
