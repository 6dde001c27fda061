"""Check a folder before it is published: `kgloss check`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub.repocard import metadata_load
from safetensors import SafetensorError, safe_open

from ..artefacts import artefact
from ..data.tables import read_rows
from ..evaluation.metrics import jaccard
from ..evaluation.sequences import GlossLists
from ..files import read_json
from ..optional import require
from ..reporting import counted
from . import stranger
from .cards import card_problems
from .provenance import DOMAINS, origins_of, pretext_sources, source_of
from .remote_code import travelling_modules

OWN_FOLDERS = {"metric": "metric_scripts/gloss_jaccard", "space": "examples/space"}
"""Folders of this package that are published without changes, by kind."""

_SENTENCES = ["이 토기는 4세기에 만들어졌습니다.", "QR 코드는 2층에 있습니다.", ""]
_TOLERANCE = 0.5  # points of JC by which a score may differ from metrics.json, since hardware differs in rounding
_BINARY = (".png", ".parquet")
_ABSOLUTE_PATH = re.compile(r"(?<![\w/:.<~-])(/(?:[\w.~+-]+/)+[\w.~+-]+|[A-Za-z]:\\{1,2}\w[^\"'\s]*)")
_EXPORT = re.compile(r"`kgloss export-dataset (\w+)`")
_KERNELS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
_HUB_TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z]{30,}\b")
_PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".msgpack")
# Detectors of detect-secrets that know a token's form; those that guess by entropy or by name mistake glosses for one.
_DETECTORS = (
    *("ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector"),
    *("DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "MailchimpDetector"),
    *("NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector"),
    *("SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector"),
)


@dataclass
class _Report:
    """The result of a check: `problems` that forbid publishing, and `notes` on what was checked."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _kind_of(folder: Path) -> str:
    """Return the kind of a folder: `model`, `tokenizer`, `dataset`, `metric` or `space`."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected a folder to publish")
    marks = {
        "model": "config.json",
        "tokenizer": "tokenizer_config.json",
        "metric": "gloss_jaccard.py",
        "space": "app.py",
        "dataset": "**/*.parquet",
    }
    kind = next((kind for kind, mark in marks.items() if any(folder.glob(mark))), None)
    if kind is None:
        inside = next((path for path in (folder / "model", folder / "tokenizer") if path.is_dir()), None)
        hint = f"; did you mean {inside}?" if inside else ""
        raise ValueError(
            f"{folder}: expected a folder that training, kgloss train-tokenizer or kgloss export-dataset wrote, found "
            f"none of {', '.join(marks.values())} in it{hint}"
        )
    return kind


def check_folder(folder: Path, *, predictions: Path | None = None) -> _Report:
    """Check every file of a folder, and load a model or a tokenizer without this package.

    Args:
        folder: Folder of a training run, of `kgloss train-tokenizer`, of `kgloss export-dataset`, or of a Space.
        predictions: The run's `predictions.jsonl`, for its sentences (default: the one in the folder).

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: The folder holds nothing that can be published.
        ImportError: detect-secrets is not installed.

    Examples:
        >>> check_folder(artefact("metric_scripts/gloss_jaccard")).problems
        []
    """
    kind = _kind_of(folder)
    report = _Report()
    for path in sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts and not path.is_dir()):
        report.problems += _file_problems(folder, path)
    report.problems += _code_problems(folder, kind)
    metrics = read_json(folder / "metrics.json", missing={}) or read_json(folder / "statistics.json", missing={})
    if kind in ("model", "tokenizer") and not metrics:
        report.problems.append(
            "metrics.json: expected the file that training writes, or statistics.json of train-tokenizer, found neither"
        )
    card = folder / "README.md"
    if not card.is_file():
        report.problems.append(
            f"README.md: expected a card, found none; kgloss publish --dry_run writes the card of a {kind}"
        )
    else:
        report.problems += [f"README.md: {problem}" for problem in _card_problems(card, kind, metrics)]
    if kind == "dataset" and not report.problems:
        report.notes += _splits(folder)
    if kind in ("model", "tokenizer") and not report.problems:
        _load(folder, metrics, predictions or folder / "predictions.jsonl", report)
    return report


def _card_problems(card: Path, kind: str, metrics: Mapping[str, Any]) -> list[str]:
    try:
        text = card.read_text("utf-8-sig")
    except UnicodeDecodeError:
        return []  # the check of the file has reported it
    if kind not in ("metric", "space"):
        made_of = _EXPORT.search(text) if kind == "dataset" else None
        data = [source_of(made_of[1])] if made_of and made_of[1] in DOMAINS else metrics.get("data", [])
        problems = card_problems(text, data)
        if made_of and made_of[1] == "ko_backtranslation":
            sources = pretext_sources(origins_of(card.parent))
            if kept := [source["name"] for source in sources if source["license"] is None]:
                problems.append(
                    f"license: expected rows that may be passed on, found rows of {', '.join(kept)}, whose licence is "
                    "unknown or forbids it; export a corpus without them"
                )
        return problems
    try:
        fields = metadata_load(card) or {}
    except Exception as error:  # PyYAML and huggingface_hub raise errors of many kinds on unexpected input
        return [f"metadata: expected YAML, found an error: {error}; correct it"]
    needed = ("title", "sdk", "sdk_version", "python_version", "app_file", "license")
    return [f"metadata: expected {name}, found none; add it" for name in needed if not fields.get(name)]


def _file_problems(folder: Path, path: Path) -> Iterator[str]:
    name = path.relative_to(folder).as_posix()
    if path.is_symlink():
        yield f"{name}: expected a file, found a link; replace it with the file itself"
        return
    with path.open("rb") as file:
        start = file.read(2)
    if path.suffix in _PICKLE_SUFFIXES or (start[:1] == b"\x80" and start[1:] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        yield f"{name}: expected no file that can hold a pickle, which runs code when it is loaded; delete it"
    elif zipfile.is_zipfile(path):
        yield f"{name}: expected no archive; delete or unpack it"
    elif path.suffix == ".safetensors":
        yield from _weight_problems(folder, path)
    elif path.suffix not in _BINARY:
        yield from _text_problems(name, path)


def _weight_problems(folder: Path, path: Path) -> Iterator[str]:
    from ..models.step import OUTPUT_BIASES

    try:
        with safe_open(path, "pt") as weights:
            biases = [weights.get_tensor(name) for name in OUTPUT_BIASES if name in set(weights.keys())]
    except SafetensorError as error:
        yield f"{path.name}: expected weights, found a file that safetensors cannot read ({error}); copy it again"
        return
    decoder = read_json(folder / "config.json", missing={}).get("decoder")
    tied = not isinstance(decoder, dict) or decoder.get("tie_word_embeddings", True)  # loading reports a bad config
    if not tied and path.name == "model.safetensors" and not (len(biases) == 2 and biases[0].equal(biases[1])):
        yield (
            f"{path.name}: expected the output bias under both of its names, without which transformers 4 or 5 loses "
            "it; load the model with kgloss_hf.models.modeling.EncoderDecoderModel, in the version of transformers it "
            "was saved with, and save it again"
        )


def _text_problems(name: str, path: Path) -> Iterator[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        yield f"{name}: expected UTF-8, found an invalid byte at position {error.start}; save the file as UTF-8"
        return
    for number, line in enumerate(lines, 1):
        if path.suffix != ".py" and (match := _ABSOLUTE_PATH.search(line)):
            yield f"{name}, line {number}: expected no absolute path of a machine, found {match[0]!r:.80}; shorten it"
        if _HUB_TOKEN.search(line):
            yield f"{name}, line {number}: expected no secret, found what looks like a token of the Hub; revoke it"
    for _, number, secret in find_secrets([path]):
        yield f"{name}, line {number}: expected no secret, found what looks like one ({secret}); remove and revoke it"


def find_secrets(paths: Iterable[Path]) -> list[tuple[Path, int, str]]:
    """List strings that have the form of a key or a token of a known service.

    Args:
        paths: Text files.

    Returns:
        File, line and kind of each string.

    Raises:
        ImportError: detect-secrets is not installed.

    Examples:
        >>> find_secrets([artefact("metric_scripts/gloss_jaccard/app.py")])
        []
    """
    require("publish", "detect_secrets", purpose="the search for secrets")
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import transient_settings

    with transient_settings({"plugins_used": [{"name": name} for name in _DETECTORS]}):
        return [(path, secret.line_number, secret.type) for path in paths for secret in scan_file(str(path))]


def _code_problems(folder: Path, kind: str) -> Iterator[str]:
    """Find code that is missing, that is not this package's own, or that a configuration loads from elsewhere."""
    if kind in ("model", "tokenizer"):
        model_type = read_json(folder / "config.json", missing={}).get("model_type")
        ours = {path.name: path for path in travelling_modules(model_type)}
        if missing := [name for name in ours if not (folder / name).is_file()]:
            yield f"{', '.join(missing)}: expected the code that loads the model, found none; kgloss publish adds it"
        for file in sorted(folder.glob("*config.json")):
            for reference in _named_code(read_json(file)):
                if not isinstance(reference, str) or f"{reference.partition('.')[0]}.py" not in ours:
                    yield f"{file.name}: expected only code of the folder, found {reference!r:.80}; delete it"
        if kind == "model":
            ours["handler.py"] = Path(__file__).with_name("handler.py")
    else:
        source = OWN_FOLDERS.get(kind)
        ours = {path.name: path for path in artefact(source).glob("*.py")} if source else {}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if name not in ours:
            yield f"{name}: expected only kgloss-hf's own code, found other code; delete it"
        elif path.read_bytes() != ours[name].read_bytes():
            yield f"{name}: expected the code of this version of kgloss-hf, found other code; publishing replaces it"


def _named_code(settings: Any) -> Iterator[Any]:
    """Yield the places that transformers would load code from: modules of classes, and kernels' repositories."""
    if isinstance(settings, list):
        settings = dict(enumerate(settings))
    if not isinstance(settings, dict):
        return
    for name, value in settings.items():
        if name == "auto_map":
            classes = value.values() if isinstance(value, dict) else [value]
            flat = (each for entry in classes for each in (entry if isinstance(entry, list) else [entry]))
            yield from (each for each in flat if each is not None)
        elif name == "impl" or (name in _KERNELS and "/" in str(value)):
            yield value
        else:
            yield from _named_code(value)


def _splits(folder: Path) -> Iterator[str]:
    """Load the first row of every split in the way that the card describes."""
    from datasets import get_dataset_config_names, load_dataset

    for config in get_dataset_config_names(str(folder)):
        for split, rows in load_dataset(str(folder), config, streaming=True).items():
            row = next(iter(rows), None)
            yield f"{config}/{split} loads: {', '.join(row) if row else 'no rows'}"


def _load(folder: Path, metrics: Mapping[str, Any], predictions: Path, report: _Report) -> None:
    rows = []
    if predictions.is_file():
        rows = [row for _, row in read_rows(predictions)]
    for number, row in enumerate(rows, 1):
        if missing := {"text", "reference", "prediction"} - row.keys():
            report.problems.append(
                f"{predictions.name}, row {number}: expected text, reference and prediction, found no "
                f"{' and no '.join(sorted(missing))}; copy the file that training wrote"
            )
            return
    sentences = [row["text"] for row in rows] or _SENTENCES
    try:
        answers = _load_without_this_package(folder, sentences)
    except RuntimeError as error:
        report.problems.append(str(error))
        return
    from ..runtime.tokenization_kgloss import KGlossTokenizerFast

    ids = KGlossTokenizerFast.from_pretrained(folder)(sentences)["input_ids"]
    if answers["ids"] != ids:
        report.problems.append(
            "tokenizer: expected the same ids from the folder's own code as from kgloss-hf, found other ids"
        )
    report.notes.append("loads with transformers alone, by the code in the folder")
    scores = metrics.get("scores", {}).get(metrics.get("preset"))
    if scores is None:
        return
    if not rows:
        report.notes.append("found no predictions.jsonl, so the score in metrics.json was not verified")
        return
    references = GlossLists([row["reference"] for row in rows])
    score, stated = jaccard(GlossLists(answers["glosses"]), references), scores["jaccard"]
    different = sum(row["prediction"] != glosses for row, glosses in zip(rows, answers["glosses"], strict=True))
    report.notes.append(
        f"JC {score:.2f} on {counted(len(rows), 'test pair')}, {stated:.2f} in metrics.json; predictions that differ: "
        f"{different:,}"
    )
    if abs(score - stated) > _TOLERANCE:
        report.problems.append(
            f"metrics.json: expected the score of this model, JC {score:.2f} on {counted(len(rows), 'pair')}, found "
            f"{stated:.2f}; replace the file if it belongs to another model"
        )


def _load_without_this_package(folder: Path, sentences: list[str]) -> dict[str, Any]:
    """Return the ids and, for a model, the glosses of sentences from a process that cannot import this package.

    Raises:
        RuntimeError: The checkpoint does not load; the message holds the last lines of the process's output.
    """
    with tempfile.TemporaryDirectory() as scratch:
        texts, answers = Path(scratch, "texts.json"), Path(scratch, "answers.json")
        texts.write_text(json.dumps(sentences, ensure_ascii=False), "utf-8")
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(Path(scratch, "modules"))}
        environment["PYTHONIOENCODING"] = "utf-8"
        environment.pop("PYTHONPATH", None)
        command = [sys.executable, "-P", stranger.__file__, str(folder.resolve()), str(texts), str(answers)]
        result = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False)  # noqa: S603
        if result.returncode:
            last = "\n".join(result.stderr.replace(f"{scratch}{os.sep}", "").strip().splitlines()[-5:])
            raise RuntimeError(f"{folder}: expected a checkpoint that loads with transformers alone, found:\n{last}")
        loaded: dict[str, Any] = json.loads(answers.read_text("utf-8"))
    return loaded
