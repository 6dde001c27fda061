"""Fixtures for commands that are stopped at any moment, and for the files that they leave."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command_server import Forks

SmallDisk = Callable[[Path, str], Path]
RUNS = int(os.environ.get("KGLOSS_FAULT_RUNS", "1"))


@pytest.fixture
def small_disk(forks: Forks) -> Iterator[SmallDisk]:
    """Return a function that mounts a file system at `disk` in a folder, visible only to the commands of `forks`."""
    if not forks.mounts:
        pytest.skip("mounting a file system is not permitted here")
    mounted = []

    def mount(folder: Path, options: str) -> Path:
        disk = folder / "disk"
        disk.mkdir()
        assert forks.shell(f"mount -t tmpfs -o {options} none {disk}") == (0, "")
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        forks.shell(f"umount {disk}")


def moments(what: str, seconds: float) -> Iterator[tuple[str, signal.Signals, float]]:
    """Yield random moments within a number of seconds, each with the seed that reproduces it and a signal.

    By default, yield one SIGKILL; with KGLOSS_FAULT_RUNS=N and N > 1, yield N each of SIGKILL, SIGTERM and SIGINT.
    """
    for number in range(RUNS):
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT) if RUNS > 1 else (signal.SIGKILL,):
            seed = f"{what} {how.name} {number}"
            yield seed, how, random.Random(seed).uniform(0, seconds)  # noqa: S311 - not a secret


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder that have their final names, with their contents."""
    names = {file.relative_to(folder): file for file in folder.rglob("*") if file.is_file()}
    return {str(name): file.read_bytes() for name, file in names.items() if not name.name.startswith(".")}


def litter(folder: Path) -> list[str]:
    """Return the temporary files that only a running command may have alongside its results."""
    return [str(file.relative_to(folder)) for file in folder.rglob(".*") if file.name.endswith((".partial", ".lock"))]
