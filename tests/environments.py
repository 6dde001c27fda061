"""Run commands, and make virtual environments of both generations for tests of installed packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent

# Each generation with the file of the exact versions that it is tested with.
GENERATIONS = {"current": "constraints.txt", "script era": "constraints-legacy.txt"}

# For `python -W`: Python 3.12 and later warn of every fork of a process with threads, and a JVM has many.
FORKS = "ignore:This process:DeprecationWarning"

# pip's warning before its last attempt; the names are urllib3's errors for an address that does not answer.
_NOT_REACHED = re.compile(r"Retry\(total=0,.*broken by '(NewConnection|NameResolution|ConnectTimeout|Proxy)Error")


def run(*command: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command on one thread without a GPU, and return its status and output."""
    variables = {**(env or os.environ), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=600, check=False)


def linked_environment(folder: Path, *packages: str) -> Path:
    """Make a virtual environment with links to some packages of this one and their dependencies; return its Python."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    needed = [Requirement(name) for name in packages]
    for requirement in needed:  # the list grows in the loop
        package = distribution(requirement.name)
        for name in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(str(package.locate_file(name)))
        for one in map(Requirement, package.requires or ()):
            wanted = any(one.marker is None or one.marker.evaluate({"extra": e}) for e in ("", *requirement.extras))
            if wanted and str(one) not in map(str, needed):
                needed.append(one)
    return folder / "bin" / "python"


def environment(folder: Path, generation: str, *requirements: str) -> Path:
    """Make a virtual environment and install requirements under a generation's constraints.

    Args:
        folder: Folder of the environment, which must not exist. Remove it after use: torch alone takes half a gigabyte.
        generation: "current" or "script era".
        requirements: As for `pip install`, for example "torch" or the path of a wheel with its extras.

    Returns:
        The environment's Python. If the package registry cannot be reached, the test is skipped.
    """
    file = ROOT / GENERATIONS[generation]
    if folder.exists():
        raise ValueError(f"{folder}: expected no such folder, found one; remove it")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder.absolute() / "bin" / "python"
    if requirements:
        # Compiling all modules takes half a minute, and a test needs only a few of them.
        install = ["install", "--quiet", "--no-compile", "-c", str(file)]
        with_registry([str(python), "-I", "-m", "pip", *install, *requirements])
    return python


def with_registry(command: list[str]) -> str:
    """Run a command that needs the package registry, and return its output.

    A failure skips the test if the registry cannot be reached, and fails it otherwise.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if not _registry_reachable():
            pytest.skip("the package registry cannot be reached")
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def _registry_reachable() -> bool:
    # The exit status is not enough: pip may find itself in a folder of wheels that it is configured to search too.
    probe = [sys.executable, "-I", "-m", "pip", "index", "versions", "pip", "--retries", "2", "--timeout", "15"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return not _NOT_REACHED.search(done.stderr)
