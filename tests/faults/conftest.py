"""Commands that can be stopped at any moment, and what they leave."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command_server import Forks
from tests.local_hub import LocalHub

SmallDisk = Callable[[Path, str], Path]
RUNS = int(os.environ.get("KGLOSS_FAULT_RUNS", "1"))


@pytest.fixture(scope="session")
def hub() -> Iterator[LocalHub]:
    with LocalHub() as served:
        yield served


@pytest.fixture(scope="session")
def small_disks() -> list[str]:
    """The command that gives another one mounts of its own; none where that is not permitted."""
    inside = ["unshare", "-m"]
    tried = [*inside, "mount", "-t", "tmpfs", "-o", "size=4k", "none", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(tried, capture_output=True, check=False).returncode:
        return []
    return inside


@pytest.fixture(scope="session")
def forks(hub: LocalHub, small_disks: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Commands that know no Hub but that on this machine, and analyse each word once."""
    home = tmp_path_factory.mktemp("home")
    environment = {
        **hub.environment(home, hub.token),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "KGLOSS_OKT_CACHE": str(home / "okt.sqlite"),
    }
    with Forks(environment, small_disks) as made:
        yield made


@pytest.fixture
def small_disk(forks: Forks, small_disks: list[str]) -> Iterator[SmallDisk]:
    """Mounts a file system with options at `disk` in a folder, which only the commands of `forks` see."""
    if not small_disks:
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
