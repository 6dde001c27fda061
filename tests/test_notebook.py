"""Tests of the example notebook: its cells run in one process, one after another, in an empty folder.

A stand-in for Jupyter runs them, so that the tests need no kernel: `!kgloss` calls the command in the same process, and
everything that Jupyter would show is collected. This saves the imports of each command and some twenty packages.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

FILE = Path(__file__).parent.parent / "examples" / "quickstart.ipynb"
SHORTER = "--num_train_epochs 1 --disable_tqdm True"

JUPYTER = """
import ast, json, shlex, sys
from kgloss_hf.cli import main

shown = []

def show(value):
    if value is not None:
        shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))

def shell(line):
    assert main(shlex.split(line)) == 0, line

sys.displayhook = show
names = {"shell": shell}
for cell in json.load(sys.stdin):
    for statement in ast.parse(cell).body:
        exec(compile(ast.Interactive([statement]), "cell", "single"), names)
print(json.dumps(shown))
"""


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    return json.loads(FILE.read_text("utf-8"))["cells"]


def _source(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"]).replace("\\\n", "")
    source = re.sub(r"^(!kgloss train .*)$", rf"\1 {SHORTER}", source, flags=re.MULTILINE)
    return re.sub(r"^!kgloss (.*)$", lambda line: f"shell({line[1]!r})", source, flags=re.MULTILINE)


@pytest.mark.slow
def test_it_runs(cells: list[dict[str, Any]], tmp_path: Path) -> None:
    code = [_source(cell) for cell in cells if cell["cell_type"] == "code"]
    assert code.pop(0).startswith("%pip install")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("HF_DATASETS_CACHE", None)
    done = subprocess.run(
        [sys.executable, "-c", JUPYTER],
        input=json.dumps(code),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    row, answer = json.loads(done.stdout.splitlines()[-1])
    assert "'glosses': [" in row
    assert answer.startswith('<div lang="ko">')
    assert "not reviewed by KSL signers" in done.stderr


def test_what_it_installs_is_there(cells: list[dict[str, Any]]) -> None:
    line = next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    wanted = Requirement(line.split('"')[1])
    assert wanted.name == "kgloss-hf"
    assert wanted.extras <= {*metadata("kgloss-hf").get_all("Provides-Extra")}


def test_it_is_kept_without_outputs_and_machines(cells: list[dict[str, Any]]) -> None:
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    text = FILE.read_text("utf-8")
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|C:\\\\", text)
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_its_links_lead_somewhere(cells: list[dict[str, Any]]) -> None:
    links = re.findall(r"\]\(([^)]+)\)", "".join("".join(cell["source"]) for cell in cells))
    badges = [link for link in links if link.startswith("https://colab.research.google.com/github/")]
    assert [link.split("/main/")[-1] for link in badges] == ["examples/quickstart.ipynb"]
    local = [link for link in links if not link.startswith("https://")]
    assert [link for link in local if not (FILE.parent / link).is_file()] == []
