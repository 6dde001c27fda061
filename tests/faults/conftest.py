"""Commands that can be stopped at any moment, and what they leave."""

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
    """Mounts a file system with options at `disk` in a folder, which only the commands of `forks` see."""
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
    """Random moments in so many seconds, each with a seed, which draws it again, and a signal.

    One SIGKILL; with KGLOSS_FAULT_RUNS=N, N > 1, N each of SIGKILL, SIGTERM and SIGINT.
    """
    for number in range(RUNS):
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT) if RUNS > 1 else (signal.SIGKILL,):
            seed = f"{what} {how.name} {number}"
            yield seed, how, random.Random(seed).uniform(0, seconds)  # noqa: S311 - moments, no secrets


def contents(folder: Path) -> dict[str, bytes]:
    """What lies in a folder under a final name."""
    names = {file.relative_to(folder): file for file in folder.rglob("*") if file.is_file()}
    return {str(name): file.read_bytes() for name, file in names.items() if not name.name.startswith(".")}


def litter(folder: Path) -> list[str]:
    """What only a command at work has beside its results."""
    return [str(file.relative_to(folder)) for file in folder.rglob(".*") if file.name.endswith((".partial", ".lock"))]
