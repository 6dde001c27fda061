"""Tests of the contents of a release, and of its use where nothing else is installed."""

from __future__ import annotations

import ast
import configparser
import email
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import files, packages_distributions
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kgloss_hf
from kgloss_hf.artefacts import artefact
from tests.environments import GENERATIONS, environment, with_registry

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
NAME = f"kgloss_hf-{kgloss_hf.__version__}"
ARTEFACTS = ("dataset_scripts", "examples/space", "metric_scripts", "model_cards")
SENTENCES = ["이 토기는 4세기에 만들어졌습니다.", "2층 전시실에서 청자를 볼 수 있습니다."]

LOAD = """
import json, os, shutil
import kgloss_hf
from datasets import load_dataset
from kgloss_hf.artefacts import artefact
rows = load_dataset("mcksg")
print(json.dumps({
    "file": kgloss_hf.__file__,
    "java": shutil.which("java") or os.environ.get("JAVA_HOME"),
    "rows": {name: split.num_rows for name, split in rows.items()},
    "artefacts": {name: str(artefact(name)) for name in ARTEFACTS},
}))
"""

TRANSLATE = """
import json
import kgloss_hf
from transformers import pipeline
tasks = ("text2text-generation", "text-to-gloss")
print(json.dumps([pipeline(task, model=MODEL)(SENTENCES) for task in tasks]))
"""


def sources() -> list[str]:
    """Return the repository's files: those git does not ignore or, in an unpacked sdist, `.gitignore` does not name."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode("utf-8").split("\0")
        return sorted(name for name in listed if (ROOT / name).is_file())
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text("utf-8").splitlines()]
    files = (file.relative_to(ROOT) for file in ROOT.rglob("*") if file.is_file())
    names = [file for file in files if not any(Path(part).match(rule) for part in file.parts for rule in ignored)]
    return sorted(file.as_posix() for file in names if file.name != "PKG-INFO")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist and the wheel: KGLOSS_DIST, or one built here from a copy of the repository."""
    if "KGLOSS_DIST" in os.environ:
        return Path(os.environ["KGLOSS_DIST"]).resolve()
    folder = tmp_path_factory.mktemp("dist")
    copy = tmp_path_factory.mktemp("sources")
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    # Builds the wheel from the sdist.
    with_registry([sys.executable, "-m", "build", "--outdir", str(folder), str(copy)])
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return dist / f"{NAME}-py3-none-any.whl"


@pytest.fixture(scope="module")
def sdist(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the unpacked sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(dist / f"{NAME}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / NAME


@pytest.fixture(params=GENERATIONS, ids=lambda generation: generation.replace(" ", "-"))
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> Iterator[Path]:
    """Yield the Python of an environment that holds only the wheel and its extra `train`."""
    folder = tmp_path / "environment"
    try:
        yield environment(folder, request.param, f"{wheel}[train]")
    finally:
        # pytest keeps tmp_path for a while, and the environment exceeds a gigabyte.
        shutil.rmtree(folder)


@pytest.mark.parametrize("folder", ARTEFACTS)
def test_artefacts_are_found_in_a_checkout(folder: str) -> None:
    assert any(artefact(folder).iterdir())


def test_dist_is_one_sdist_and_one_wheel(dist: Path) -> None:
    assert sorted(file.name for file in dist.iterdir()) == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]


def test_sdist_is_the_repository(sdist: Path) -> None:
    names = {file.relative_to(sdist).as_posix() for file in sdist.rglob("*") if file.is_file()}
    made = {name for name in names if name == "PKG-INFO" or name.startswith("kgloss_hf.egg-info/")}
    assert names - made == set(sources())


def test_wheel_is_the_package_and_its_artefacts(wheel: Path) -> None:
    names = sources()
    expected = {name for name in names if name.startswith("kgloss_hf/")}
    expected |= {f"kgloss_hf/{name}" for name in names if name.startswith(tuple(f"{a}/" for a in ARTEFACTS))}
    assert {"kgloss_hf/py.typed", "kgloss_hf/examples/space/app.py"} < expected
    with ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    described = {name for name in packed if name.startswith(f"{NAME}.dist-info/")}
    assert packed - described == expected
    assert f"{NAME}.dist-info/licenses/LICENSE" in described


def test_metadata(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(f"{NAME}.dist-info/METADATA"))
    assert metadata["Name"] == "kgloss-hf"
    assert metadata["Version"] == kgloss_hf.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload(decode=True).decode("utf-8").strip() == (ROOT / "README.md").read_text("utf-8").strip()
    assert {"train", "evaluate", "demo", "publish"} < set(metadata.get_all("Provides-Extra", []))


@pytest.mark.slow
def test_three_calls(installed: Path, sdist: Path, tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    # Nothing of the tests' own environment: no caches, no Java, no path to the checkout.
    variables = {"PATH": str(installed.parent), "HOME": str(home), "HF_HOME": str(home / "hf"), "OMP_NUM_THREADS": "1"}

    def run(*command: str) -> str:
        words = [str(installed.parent / command[0]), *command[1:]]
        done = subprocess.run(words, env=variables, cwd=away, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    loaded = json.loads(run("python", "-c", f"ARTEFACTS = {ARTEFACTS!r}{LOAD}").splitlines()[-1])
    package = Path(loaded["file"]).parent
    assert package.is_relative_to(installed.parent.parent)
    assert loaded["java"] is None
    assert loaded["rows"] == {"train": 249, "test": 108}
    assert loaded["artefacts"] == {name: str(package / name) for name in ARTEFACTS}

    script = str(sdist / "examples" / "run_text2gloss.py")
    options = ["--dataset", "mcksg", "--preset", "tiny", "--num_train_epochs", "1", "--output_dir", "outputs/mine"]
    run("accelerate", "launch", script, *options)

    code = f"MODEL, SENTENCES = 'outputs/mine/model', {SENTENCES!r}{TRANSLATE}"
    for answers in json.loads(run("python", "-c", code).splitlines()[-1]):
        assert [" ".join(answer["glosses"]) for answer in answers] == [answer["generated_text"] for answer in answers]
        assert len(answers) == len(SENTENCES)

    assert run("kgloss", "--help").startswith("usage: kgloss")
    assert [file.name for file in away.iterdir()] == ["outputs"]


def pins(generation: str) -> dict[str, str]:
    lines = (ROOT / GENERATIONS[generation]).read_text("utf-8").splitlines()
    pinned = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pinned}


def stated(*, without: str = "") -> dict[str, Requirement]:
    """Return the requirements in setup.cfg, including those of all extras except one that may be left out."""
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg", "utf-8")
    extras = options["options.extras_require"]
    lines = [options["options"]["install_requires"], *(extras[name] for name in extras if name != without)]
    needed = [Requirement(line) for text in lines for line in text.splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(one.name): one for one in needed if one.name != "kgloss-hf"}


def imports() -> Iterator[str]:
    """Yield the absolute names of all modules that the package and its artefacts import."""
    for folder in ("kgloss_hf", "examples", "dataset_scripts", "metric_scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module


def test_setup_cfg_states_what_is_imported() -> None:
    asked = stated(without="test")
    of_packages = packages_distributions()
    ours = {*sys.stdlib_module_names, "kgloss_hf"}
    modules = {module for module in imports() if module.partition(".")[0] not in ours}
    assert {"torch", "google.auth", "tenacity"} <= modules
    for module in modules:
        names = set(of_packages.get(module.partition(".")[0], ()))
        if len(names) > 1:  # a namespace, such as google: keep the distribution with the module's files
            start = module.replace(".", "/")
            names = {name for name in names if any(str(file).startswith(start) for file in files(name) or ())}
        assert {canonicalize_name(name) for name in names} & asked.keys(), f"{module}: state {names} in setup.cfg"


@pytest.mark.parametrize("generation", GENERATIONS)
def test_constraints_pin_what_is_stated(generation: str) -> None:
    pinned = pins(generation)
    assert {name for name, one in stated().items() if not one.specifier.contains(pinned[name])} == set()


def test_legacy_constraints_pin_the_lowest_versions() -> None:
    lowest = {
        name: bound.version
        for name, one in stated().items()
        for bound in one.specifier
        if bound.operator in (">=", "==")
    }
    assert len(lowest) > 40
    pinned = pins("script era")
    newer = {name for name, version in lowest.items() if (pinned[name] + ".0").removeprefix(version)[:1] != "."}
    # The oldest CPU releases of torch are not on the package index, so its lower bound is not tested here.
    assert newer == {"torch"}


def test_only_a_registry_out_of_reach_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('a conflict')"]
    with pytest.raises(pytest.fail.Exception, match="a conflict"):
        with_registry(failing)
    monkeypatch.setenv("PIP_INDEX_URL", "https://127.0.0.1:9/simple")
    with pytest.raises(pytest.skip.Exception, match="cannot be reached"):
        with_registry(failing)


def jobs() -> Any:
    return yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]


def steps() -> list[dict[str, Any]]:
    return [step for job in jobs().values() for step in job["steps"]]


def test_release_starts_at_a_tag_alone() -> None:
    # YAML 1.1 reads the key `on` as true.
    assert yaml.safe_load(WORKFLOW.read_text("utf-8"))[True] == {"push": {"tags": ["v*"]}}


def test_release_runs_in_order() -> None:
    assert {name: job.get("needs") for name, job in jobs().items()} == {
        "build": None,
        "test": "build",
        "publish": "test",
        "github-release": "publish",
    }
    assert jobs()["test"]["strategy"]["matrix"]["generation"] == [name.replace(" ", "-") for name in GENERATIONS]


def test_release_has_the_least_permissions_and_no_secret() -> None:
    text = WORKFLOW.read_text("utf-8")
    assert yaml.safe_load(text)["permissions"] == {}
    assert {name: job["permissions"] for name, job in jobs().items()} == {
        "build": {"contents": "read"},
        "test": {"contents": "read"},
        "publish": {"id-token": "write"},
        "github-release": {"contents": "write"},
    }
    assert not re.search("secrets|password|api.token", text, re.IGNORECASE)
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * 2


def test_what_may_publish_runs_nothing_of_ours() -> None:
    publish = jobs()["publish"]
    assert publish["environment"]["name"] == "pypi"
    used = [step["uses"].partition("@")[0] for step in publish["steps"]]
    assert used == ["actions/download-artifact", "pypa/gh-action-pypi-publish"]
    assert not any(step.get("uses", "").startswith("actions/checkout@") for step in jobs()["github-release"]["steps"])


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action)] == []


def test_release_runs_what_is_there() -> None:
    commands = [step["run"] for step in steps() if "run" in step]
    assert not any("${{" in command for command in commands), "an expression in a shell command can be a command"
    words = [word for command in commands for word in shlex.split(command, comments=True)]
    files = {word.partition("::")[0] for word in words if re.match(r"[\w./-]+\.(py|txt|md|cff|cfg|toml)(::|$)", word)}
    assert {"constraints.txt", "tests/test_distribution.py", "CHANGELOG.md"} <= files
    assert [name for name in files if not (ROOT / name).is_file()] == []
    made = {word for before, word in pairwise(words) if before == "make"}
    assert made <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    tests = {word.partition("::")[2].partition("[")[0] for word in words if "::" in word}
    assert tests == {"test_three_calls"}
    assert all(name in globals() for name in tests)


def test_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == kgloss_hf.__version__
