"""Virtual environments of either generation, for tests of what is installed elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"

GENERATIONS = ("current", "script era")
SCRIPT_ERA = {"transformers": "4.57.6", "datasets": "3.6.0", "huggingface-hub": "0.36.2", "tokenizers": "0.22.2"}

# What is pinned for the current generation and too new for the script era.
TOO_NEW = {"dill", "fsspec", "gradio", "gradio-client", "hf-gradio", "multiprocess", "sentence-transformers"}

# pip's warning before its last attempt; the names are urllib3's for an address where nothing answers.
_NOT_REACHED = re.compile(r"Retry\(total=0,.*broken by '(NewConnection|NameResolution|ConnectTimeout|Proxy)Error")


def constraints(generation: str) -> str:
    """`constraints.txt` for "current" or "script era"."""
    if generation not in GENERATIONS:
        raise ValueError(f"generation must be one of {GENERATIONS}, got {generation!r}")
    text = CONSTRAINTS.read_text("utf-8")
    if generation == "current":
        return text
    lines = text.splitlines()
    pins = {_normalised(line.partition("==")[0]): line for line in lines if "==" in line and line[0] != "#"}
    kept = [line for name, line in pins.items() if name not in {*TOO_NEW, *SCRIPT_ERA}]
    return "\n".join([*kept, *(f"{name}=={version}" for name, version in SCRIPT_ERA.items())]) + "\n"


def environment(folder: Path, generation: str, *requirements: str) -> Path:
    """Make a virtual environment and install requirements under a generation's constraints.

    Args:
        folder: Where to make it; must not exist. Remove it after use: torch alone takes half a gigabyte.
        generation: "current" or "script era".
        requirements: As for `pip install`, for example "torch" or the path of a wheel with its extras.

    Returns:
        The environment's Python. Where the registry of packages cannot be reached, the test is skipped.
    """
    pinned = constraints(generation)
    if folder.exists():
        raise ValueError(f"{folder} is there already")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder.absolute() / "bin" / "python"
    file = folder / "constraints.txt"
    file.write_text(pinned, "utf-8")
    if requirements:
        with_registry([str(python), "-I", "-m", "pip", "install", "--quiet", "-c", str(file), *requirements])
    return python


def with_registry(command: list[str]) -> str:
    """Run a command that needs the registry of packages and return what it printed.

    A failure skips the test where the registry cannot be reached, and fails it otherwise.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if not _registry_reachable():
            pytest.skip("the registry of packages cannot be reached")
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def _registry_reachable() -> bool:
    # The status does not tell: pip may find itself in a folder of wheels that it is configured to look into too.
    probe = [sys.executable, "-I", "-m", "pip", "index", "versions", "pip", "--retries", "2", "--timeout", "15"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return not _NOT_REACHED.search(done.stderr)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
