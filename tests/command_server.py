"""Runs the commands of documentation in forked children of one process that has imported everything: 40 imports less.

    python tests/command_server.py SOCKET FOLDER

makes FOLDER with a program for each name of `STAND_INS`. Each hands its words, folder, environment and files to the
server, where a function of that name runs them. What cannot be had in a test is checked as far as it can be; the
functions say how far.
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
import shutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    question = [os.path.basename(sys.argv[0]), *sys.argv[1:]], os.getcwd(), dict(os.environ)
    socket.send_fds(server, [json.dumps(question).encode() + b"\\n"], [0, 1, 2])
    sys.exit(int(server.makefile().readline() or 1))
"""

# Appended to what the documentation says, so that nobody waits: the smallest model, an epoch, and of Table 5 one run.
SHORTER = {
    "run_text2gloss.py": "--preset tiny --num_train_epochs 1 --disable_tqdm True",
    "run_pretext.py": "--preset tiny --num_train_epochs 1 --disable_tqdm True",
    "reproduce_table5.py": "--preset tiny --systems transfer --runs 1 --epochs 1 --workers 1",
}


def python(*words: str) -> int:
    """A script with its `SHORTER` options, or a module. The demo is imported, but serves no page."""
    if words[0] == "-m":
        sys.argv = list(words[1:])
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        script = Path(words[0])
        sys.argv = [*words, *SHORTER.get(script.name, "").split()]
        sys.path.insert(0, str(script.parent))
        runpy.run_path(words[0], run_name="demo" if script.name == "app.py" else "__main__")
    return 0


def kgloss(*words: str) -> int:
    from kgloss_hf.cli import main

    return main(words)


def accelerate(*words: str) -> int:
    """Options and configuration are read by accelerate itself; then the script runs, in one process and on the CPU."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    assert words[0] == "launch", words
    found = launch_command_parser().parse_args(words[1:])
    if found.config_file:
        load_config_from_file(found.config_file)
    return python(found.training_script, *found.training_script_args)


def torchrun(*words: str) -> int:
    """Options are read by torch itself; then the script runs, in one process."""
    from torch.distributed.run import get_args_parser

    found = get_args_parser().parse_args(words)
    return python(found.training_script, *found.training_script_args)


def pip(*words: str) -> int:
    """What is to be installed is installed here, in a version that is asked for, with all that its extras name."""
    assert words[0] == "install", words
    for word in words[1:]:
        if not word.startswith("-"):
            _installed(Requirement(word.replace(".", "kgloss-hf", 1) if word.startswith(".") else word))
    return 0


# Not in the environment of the tests: nothing of ours imports it, transformers does when told to.
NOT_INSTALLED = {"codecarbon"}


def _installed(wanted: Requirement) -> None:
    if wanted.name in NOT_INSTALLED:
        return
    found = importlib.metadata.distribution(wanted.name)
    assert wanted.specifier.contains(found.version, prereleases=True), f"{wanted}: found {found.version}"
    extras = {extra.replace("_", "-") for extra in found.metadata.get_all("Provides-Extra") or ()}
    assert wanted.extras <= extras, f"{wanted}: expected extras among {sorted(extras)}"
    for requirement in map(Requirement, found.requires or () if wanted.extras else ()):
        marker = requirement.marker
        if marker and any(marker.evaluate({"extra": extra}) for extra in wanted.extras):
            _installed(requirement)


def make(*words: str) -> int:
    """The target is there, and make knows how to come to it."""
    program = shutil.which("make", path="/usr/bin:/bin")
    assert program, "expected make in /usr/bin or /bin"
    return subprocess.run([program, "--dry-run", "-C", str(ROOT), *words], check=False, stdout=2).returncode


def hf(*words: str) -> int:
    """The command is there: it prints its help."""
    return subprocess.run([Path(sys.executable).with_name("hf"), *words, "--help"], check=False, stdout=2).returncode


STAND_INS: dict[str, Callable[..., int]] = {
    function.__name__: function for function in (accelerate, hf, kgloss, make, pip, python, torchrun)
}


def _prepare() -> None:
    import kgloss_hf

    for found in pkgutil.walk_packages(kgloss_hf.__path__, "kgloss_hf."):
        # Not the loading scripts, metric and demo, which others import by their paths; nor what starts threads.
        if found.name.count(".") < 3 and not found.name.endswith(("stranger", "examples", "_scripts", "space")):
            importlib.import_module(found.name)
    from kgloss_hf.back_translation.engines.google import GoogleEngine

    if "KGLOSS_TEST_GOOGLE" in os.environ:  # an address on this machine, which is asked without credentials
        defaults: Any = GoogleEngine.__init__.__kwdefaults__
        defaults["endpoint"] = os.environ["KGLOSS_TEST_GOOGLE"]


def _answer(connection: socket.socket) -> None:
    question, files = b"", []
    while not question.endswith(b"\n"):
        part, received, *_ = socket.recv_fds(connection, 65536, 3)
        question, files = question + part, files + received
    (name, *words), folder, environment = json.loads(question)
    child = os.fork()
    if child:
        connection.sendall(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    status: Any = 1
    try:
        status = STAND_INS[name](*words)
    except SystemExit as error:
        status = error.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    # A child of so large a process takes a second to be torn down.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def main() -> None:
    address, folder = sys.argv[1], Path(sys.argv[2])
    _prepare()
    gc.freeze()  # what is there is no child's to collect
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        folder.mkdir()
        for name in STAND_INS:
            program = folder / name
            program.write_text(CLIENT.format(python=sys.executable, address=address), "utf-8")
            program.chmod(0o700)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that children need not be waited for
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _answer(connection)
            connection.close()


if __name__ == "__main__":
    main()
