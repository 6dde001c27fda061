"""Run commands in forks of one process that has imported everything, so that imports cost no time and signals hit work.

`Forks` starts that process, which listens on a socket. A request is a line of JSON with the command's words, folder and
environment, and carries its files. The answers are the command's process id and then its exit status, one per line. A
function of `STAND_INS` runs the words. Commands that cannot run in a test are checked in part; each function says how.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.metadata
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    question = [os.path.basename(sys.argv[0]), *sys.argv[1:]], os.getcwd(), dict(os.environ)
    socket.send_fds(server, [json.dumps(question).encode() + b"\\n"], [0, 1, 2])
    sys.exit(int((*server.makefile(), 1)[1]))
"""

# Options added to the documentation's commands to save time: the smallest model, one epoch, and one run of Table 5.
SHORTER = {
    "run_text2gloss.py": "--preset tiny --num_train_epochs 1 --disable_tqdm True",
    "run_pretext.py": "--preset tiny --num_train_epochs 1 --disable_tqdm True",
    "reproduce_table5.py": "--preset tiny --systems transfer --runs 1 --epochs 1 --workers 1",
}


class Forks:
    """A process whose forks run commands while the context is open.

    Args:
        environment: The whole environment of the process and its commands.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory()  # a socket's path is short
        self.environment = environment
        inside = ["unshare", "-m"]
        tried = [*inside, "mount", "-t", "tmpfs", "-o", "size=4k", "none", "/mnt"]
        self.mounts = bool(shutil.which("unshare")) and not subprocess.run(tried, capture_output=True).returncode
        """True if the process has mounts of its own, which not every machine permits."""
        self.programs = Path(self._folder.name, "bin")
        """Folder with one program per stand-in, which passes its words to the process."""
        self._process = subprocess.Popen(
            [*inside * self.mounts, sys.executable, __file__, self._folder.name],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def run(
        self,
        command: Sequence[str],
        folder: Path,
        seconds: float = 300,
        how: signal.Signals = signal.SIGKILL,
        until: Callable[[], bool] = bool,
    ) -> tuple[int, str]:
        """Run a stand-in or a script in a folder to its end, for up to `seconds`, or until a condition is true.

        Returns:
            The exit status, negative for a signal that ended the command, and the output.
        """
        log = folder.parent / f"{folder.name}.log"
        with log.open("wb") as output:
            status = self._ask(command, folder, output, output, seconds, how, until)
        printed = log.read_text("utf-8", "replace")
        assert status is not None, f"expected the command to end within a minute of {how.name}: {printed}"
        return status, printed

    def example(self, script: str, *options: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run a script of the folder examples, without progress bars, in the environment of the tests."""
        command = [str(ROOT / "examples" / script), *options, "--disable_tqdm=True"]
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            status = self._ask(command, cwd, output, errors)
            printed = []
            for file in (output, errors):
                file.seek(0)
                printed.append(file.read().decode("utf-8", "replace"))
        assert status is not None, f"expected the command to end: {printed}"
        return subprocess.CompletedProcess(command, status, *printed)

    def _ask(
        self,
        command: Sequence[str],
        folder: Path,
        output: IO[bytes],
        errors: IO[bytes],
        seconds: float = 300,
        how: signal.Signals = signal.SIGKILL,
        until: Callable[[], bool] = bool,
    ) -> int | None:
        """Return the exit status, or None if the command still runs a minute after it was told to end."""
        with socket.socket(socket.AF_UNIX) as server, open(os.devnull) as nothing:
            server.connect(str(self.programs.with_name("socket")))
            question = json.dumps([command, str(folder), self.environment]).encode() + b"\n"
            socket.send_fds(server, [question], [nothing.fileno(), output.fileno(), errors.fileno()])
            answers = server.makefile("rb", buffering=0)  # select does not see buffered lines
            process = int(answers.readline())
            start = time.monotonic()
            while time.monotonic() < start + seconds and not until():
                if select.select([server], [], [], min(0.02, max(0, start + seconds - time.monotonic())))[0]:
                    return int(answers.readline())
            with suppress(ProcessLookupError):
                os.killpg(process, how)
            if select.select([server], [], [], 60)[0]:
                return int(answers.readline())
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        return None

    def analyse(self, texts: Sequence[str], folder: Path) -> None:
        """Fill the file of analysed words with those of texts and of the bundled sample."""
        (folder / "texts.txt").write_text("\n".join(texts), "utf-8")
        command = ["kgloss", "train-tokenizer", "--corpus", "texts.txt", "--dataset", "mcksg"]
        status, printed = self.run([*command, "--output_dir", "tokenizer"], folder)
        assert status == 0, printed

    def shell(self, command: str) -> tuple[int, str]:
        """Return the exit status and output of a shell command that sees the mounts of the process."""
        inside = ["nsenter", "--mount", f"--target={self._process.pid}", "sh", "-c", command]
        done = subprocess.run(inside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout


def script(path: str, *words: str) -> int:
    """Run a script; the demo is imported, but serves no page."""
    sys.argv = [path, *words]
    sys.path.insert(0, str(Path(path).parent))
    runpy.run_path(path, run_name="demo" if Path(path).name == "app.py" else "__main__")
    return 0


def python(*words: str) -> int:
    """Run a script with its `SHORTER` options, or a module."""
    if words[0] != "-m":
        return script(*words, *SHORTER.get(Path(words[0]).name, "").split())
    sys.argv = list(words[1:])
    runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    return 0


def kgloss(*words: str) -> int:
    from kgloss_hf.cli import main

    return main(words)


def accelerate(*words: str) -> int:
    """Let accelerate itself parse options and configuration, then run the script in one process on the CPU."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    assert words[0] == "launch", words
    chosen = launch_command_parser().parse_args(words[1:])
    if chosen.config_file:
        load_config_from_file(chosen.config_file)
    return python(*["-m"] * bool(chosen.module), chosen.training_script, *chosen.training_script_args)


def torchrun(*words: str) -> int:
    """Let torch itself parse the options, then run the script in one process."""
    from torch.distributed.run import get_args_parser

    chosen = get_args_parser().parse_args(words)
    return python(*["-m"] * bool(chosen.module), chosen.training_script, *chosen.training_script_args)


def pip(*words: str) -> int:
    """Check that each requirement is installed here in a version that satisfies it, with everything its extras name."""
    assert words[0] == "install", words
    for word in words[1:]:
        if not word.startswith("-"):
            _installed(Requirement(word.replace(".", "kgloss-hf", 1) if word.startswith(".") else word))
    return 0


# Not in the tests' environment: this package does not import it; transformers does on request.
NOT_INSTALLED = {"codecarbon"}


def _installed(wanted: Requirement) -> None:
    if wanted.name in NOT_INSTALLED:
        return
    installed = importlib.metadata.distribution(wanted.name)
    assert wanted.specifier.contains(installed.version, prereleases=True), f"{wanted}: found {installed.version}"
    extras = {extra.replace("_", "-") for extra in installed.metadata.get_all("Provides-Extra") or ()}
    assert wanted.extras <= extras, f"{wanted}: expected extras among {sorted(extras)}"
    for requirement in map(Requirement, installed.requires or () if wanted.extras else ()):
        marker = requirement.marker
        if marker and any(marker.evaluate({"extra": extra}) for extra in wanted.extras):
            _installed(requirement)


def make(*words: str) -> int:
    """Check that the target exists and make knows how to build it."""
    program = shutil.which("make", path="/usr/bin:/bin")
    assert program, "expected make in /usr/bin or /bin, found none"
    return subprocess.run([program, "--dry-run", "-C", str(ROOT), *words], check=False, stdout=2).returncode


def hf(*words: str) -> int:
    """Check that the command exists by printing its help."""
    return subprocess.run([Path(sys.executable).with_name("hf"), *words, "--help"], check=False, stdout=2).returncode


STAND_INS: dict[str, Callable[..., int]] = {
    function.__name__: function for function in (accelerate, hf, kgloss, make, pip, python, torchrun)
}


OTHERS = (
    *("detect_secrets.core.scan", "detect_secrets.settings", "jiwer", "matplotlib.figure", "rich.console"),
    *("rouge_score.rouge_scorer", "sacrebleu.metrics", "scipy.stats", "sklearn.feature_extraction.text"),
    *("transformers.models.encoder_decoder.modeling_encoder_decoder", "transformers.models.bert.modeling_bert"),
)


def _prepare() -> None:
    import kgloss_hf

    for name in (*(module.name for module in pkgutil.walk_packages(kgloss_hf.__path__, "kgloss_hf.")), *OTHERS):
        importlib.import_module(name)


def _answer(connection: socket.socket) -> None:
    question, files = b"", []
    while not question.endswith(b"\n"):
        part, received, *_ = socket.recv_fds(connection, 65536, 3)
        question, files = question + part, files + received
    (name, *words), folder, environment = json.loads(question)
    child = os.fork()
    os.setpgid(child, child)  # in parent and child, so that neither is too late
    if child:
        connection.sendall(b"%d\n" % child)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if "KGLOSS_TEST_GOOGLE" in environment:  # an address on this machine, which needs no credentials
        from kgloss_hf.back_translation.engines.google import GoogleEngine

        defaults: Any = GoogleEngine.__init__.__kwdefaults__
        defaults["endpoint"] = environment["KGLOSS_TEST_GOOGLE"]
    sys.stdout.reconfigure(line_buffering=True)  # both streams go to one log, in order
    status: Any = 1
    try:
        status = STAND_INS[name](*words) if name in STAND_INS else script(name, *words)
    except SystemExit as error:
        status = error.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    # Tearing down a child of so large a process takes a second, so leave by os._exit after the exit handlers.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def main() -> None:
    folder = Path(sys.argv[1])
    # A shell that starts the tests in the background makes them and their children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _prepare()
    gc.freeze()  # so that children do not collect what exists now
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        (folder / "bin").mkdir()
        for name in STAND_INS:
            program = folder / "bin" / name
            program.write_text(CLIENT.format(python=sys.executable, address=str(folder / "socket")), "utf-8")
            program.chmod(0o700)
        listener.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that children leave no zombies
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _answer(connection)
            connection.close()


if __name__ == "__main__":
    main()
