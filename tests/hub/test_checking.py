"""Checks of a folder before it is published."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import pipeline

from conftest import GLOSSES, SENTENCES
from kgloss_hf.artefacts import artefact
from kgloss_hf.cli import main
from kgloss_hf.data.pairs import Pair
from kgloss_hf.evaluation.results import scores_on
from kgloss_hf.hub import checking
from kgloss_hf.hub.cards import model_card
from kgloss_hf.hub.checking import _kind_of, check_folder
from kgloss_hf.hub.dataset_export import export_dataset
from kgloss_hf.hub.provenance import pretext_sources, source_of
from kgloss_hf.hub.remote_code import add_remote_code
from kgloss_hf.models import modeling
from kgloss_hf.models.modeling import build_model
from kgloss_hf.models.presets import Preset
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.run import run_of


@pytest.fixture(scope="module")
def whole(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the result of a run without problems."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    shutil.copytree(checkpoint, folder)
    answers = pipeline("text2text-generation", model=checkpoint)(SENTENCES)
    rows: list[dict[str, Any]] = [
        {"text": text, "reference": reference, "prediction": answer.glosses}
        for text, reference, answer in zip(SENTENCES, GLOSSES, answers, strict=True)
    ]
    rows[0]["text"] = rows[0]["text"].replace(" ", "\u2028")  # white space, which some programs take for a line end
    pairs = [Pair(row["text"], tuple(row["reference"])) for row in rows]
    metrics = {
        "preset": "tiny",
        "scores": scores_on([pair.glosses for pair in pairs], {"tiny": [row["prediction"] for row in rows]}),
        "pairs": {"train": 10, "validation": 1, "test": len(rows)},
        "split": {"by": "group", "seed": 0},
        "data": [source_of("gksl")],
        "best_validation": {"jaccard": 1.0},
        "epochs": 1.0,
        "steps": 1,
        "train_seconds": 1.0,
        "hyperparameters": {"learning_rate": 0.1},
        "history": [],
        "parameters": 1,
        "command": "python examples/run_text2gloss.py",
        "seed": 0,
        "versions": {"torch": "2"},
        "hardware": "1 × cpu",
    }
    (folder / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    (folder / "predictions.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8"
    )
    (folder / "README.md").write_text(model_card(folder), "utf-8")
    return folder


@pytest.fixture(autouse=True)
def known_words(analysed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGLOSS_OKT_CACHE", analysed)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """Copy the result, to spoil the copy."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def test_a_good_folder(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(whole)]) == 0
    printed = capsys.readouterr().out
    assert "problem" not in printed
    assert "loads with transformers alone, by the code in the folder" in printed
    assert "in metrics.json; predictions that differ: 0" in printed


def _replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), "utf-8")

    return spoil


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def _archive(folder: Path) -> None:
    with zipfile.ZipFile(folder / "weights", "w") as archive:
        archive.writestr("data.pkl", b"")


def _truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def _shuffle_vocabulary(folder: Path) -> None:
    """Give the glosses each other's ids."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    special = {token["content"] for token in content["added_tokens"]}
    names = [name for name in vocabulary if name not in special]
    ids = [vocabulary[name] for name in names]
    vocabulary.update(zip(names, reversed(ids), strict=True))
    file.write_text(json.dumps(content), "utf-8")


def _gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


SECRET, FOREIGN = "expected no secret, found what looks like", "expected only code of the folder, found"
SPOILT: list[tuple[Callable[[Path], Any], str]] = [
    (_write("training_args.bin", b"x"), "training_args.bin: expected no file that can hold a pickle"),
    (_write("notes.txt", pickle.dumps([1])), "notes.txt: expected no file that can hold a pickle"),
    (_archive, "weights: expected no archive"),
    (lambda folder: (folder / "link.json").symlink_to("/etc/hostname"), "link.json: expected a file, found a"),
    (_truncate, "model.safetensors: expected weights, found a file that safetensors cannot read"),
    (_write("notes.txt", b"hf_" + b"aB" * 17), f"notes.txt, line 1: {SECRET} a token of the Hub"),
    (_write("LICENSE", b"hf_" + b"aB" * 17), f"LICENSE, line 1: {SECRET} a token of the Hub"),
    (_write("notes.md", b"first\nAKIA" + b"QWERTYUIOPASDFGH\n"), f"notes.md, line 2: {SECRET} one (AWS Access Key)"),
    (_write(".env", b"-----BEGIN RSA " + b"PRIVATE KEY-----\n"), f".env, line 1: {SECRET} one (Private Key)"),
    (
        _replace("metrics.json", "run_text2gloss.py", "run_text2gloss.py --data_dir /home/me/corpus"),
        "metrics.json, line 1: expected no absolute path of a machine, found '/home/me/corpus'",
    ),
    (
        _replace("metrics.json", "run_text2gloss.py", r"run_text2gloss.py --data_dir C:\\corpora\\gksl"),
        "metrics.json, line 1: expected no absolute path of a machine, found 'C:",
    ),
    (_write("notes.txt", b"\xb0\xa1"), "notes.txt: expected UTF-8, found an invalid byte at position 0"),
    (_write("extra.py", b"import os\n"), "extra.py: expected only kgloss-hf's own code, found other code"),
    (_replace("okt.py", "import gc", "import gc, os"), "okt.py: expected the code of this version of kgloss-hf"),
    (
        _replace("config.json", '"configuration_kgloss.KGlossConfig"', '"me/code--configuration_kgloss.KGlossConfig"'),
        f"config.json: {FOREIGN} 'me/code--configuration_kgloss.KGlossConfig'",
    ),
    (
        _replace("tokenizer_config.json", '"tokenization_kgloss.KG', '"/tmp/code--tokenization_kgloss.KG'),
        f"tokenizer_config.json: {FOREIGN} '/tmp/code--tokenization_kgloss.KG",
    ),
    (
        _replace("config.json", "{", '{"custom_pipelines": {"text-to-gloss": {"impl": "me/code--pipe.Pipe"}},'),
        f"config.json: {FOREIGN} 'me/code--pipe.Pipe'",
    ),
    (  # transformers before 5.3 runs such kernels without asking if `kernels` is installed
        _replace("config.json", '"is_decoder": true', '"is_decoder": true, "_attn_implementation_internal": "me/code"'),
        f"config.json: {FOREIGN} 'me/code'",
    ),
    (_gone("placeholders.py"), "placeholders.py: expected the code that loads the model, found none"),
    (
        _gone("metrics.json"),
        "metrics.json: expected the file that training writes, or statistics.json of train-tokenizer, found neither",
    ),
    (_gone("README.md"), "README.md: expected a card, found none"),
    (
        _replace("README.md", "pipeline_tag: translation\n", ""),
        "README.md: metadata: expected pipeline_tag, found none",
    ),
    (
        _replace("README.md", "license: cc-by-nc-sa-4.0", "license: apache-2.0"),
        "README.md: license: expected a licence with -nc",
    ),
    (
        _replace("metrics.json", '"cc-by-nc-sa-4.0"', "null"),
        "README.md: license: expected the licence of the data 'gksl' too",
    ),
    (_replace("metrics.json", '"jaccard": ', '"jaccard": 9'), "metrics.json: expected the score of this model, JC "),
]
LOADED: list[tuple[Callable[[Path], Any], str]] = [
    (_shuffle_vocabulary, "expected the tokenizer that the model was trained with"),
    (
        _replace("config.json", '"num_hidden_layers": 2', '"num_hidden_layers": "two"'),
        "expected a checkpoint that loads with transformers alone, found:",
    ),
    (_replace("config.json", '"decoder": {', '"decoder": [], "other": {'), "config.json, decoder: expected a mapping"),
]
"""Problems that appear only when the folder is loaded in a process of its own."""


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [pytest.param(*case, id=case[1]) for case in SPOILT]
    + [pytest.param(*case, id=case[1], marks=pytest.mark.slow) for case in LOADED],
)
def test_a_problem_is_found(
    folder: Path, spoil: Callable[[Path], Any], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(folder)
    assert main(["check", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert [problem for problem in printed.split("problem ")[1:] if expected in problem], printed


def test_paths_that_are_none_pass(tmp_path: Path) -> None:
    lines = "https://github.com/AIRC-KETI/GKSL-dataset 10/20/30 kgloss_hf/runtime/okt.py 그리고/또는/아니면 </b>"
    (tmp_path / "notes.md").write_text(lines.replace(" ", "\n"), "utf-8")
    assert list(checking._file_problems(tmp_path, tmp_path / "notes.md")) == []


def test_bias_that_one_generation_would_lose(
    tokenizer: KGlossTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untied = Preset(32, 1, 2, 64, tie_output=False, share_embeddings=False, num_beams=1)
    monkeypatch.setattr(checking, "_load", lambda *_: None)
    monkeypatch.setitem(modeling.PRESETS, "untied", untied)
    model = build_model("untied", tokenizer)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    add_remote_code(tmp_path)
    assert not any("output bias" in problem for problem in check_folder(tmp_path).problems)
    weights = tmp_path / "model.safetensors"
    parameters = {name: value.clone() for name, value in load_file(weights).items()}  # the file is overwritten
    head = "decoder.cls.predictions"
    for spoilt in (
        {name: value for name, value in parameters.items() if name != f"{head}.bias"},
        {name: value for name, value in parameters.items() if name != f"{head}.decoder.bias"},
        {**parameters, f"{head}.bias": parameters[f"{head}.bias"] + torch.tensor(1.0)},
    ):
        save_file(spoilt, weights, metadata={"format": "pt"})
        assert sum("output bias" in problem for problem in check_folder(tmp_path).problems) == 1


@pytest.mark.usefixtures("cache")
def test_data_sets_are_read(tmp_path: Path) -> None:
    export_dataset("mcksg", str(tmp_path / "mcksg"))
    report = check_folder(tmp_path / "mcksg")
    assert report.problems == []
    assert report.notes == [
        f"sample/{split} loads: id, text, glosses, gloss_types, source" for split in ("train", "test")
    ]
    card = tmp_path / "mcksg" / "README.md"
    card.write_text(card.read_text("utf-8").replace("license: apache-2.0\n", ""), "utf-8")
    assert "expected license" in check_folder(tmp_path / "mcksg").problems[0]
    # A data set with terms of its own keeps them, whatever its card states.
    text = (artefact("dataset_scripts/gksl") / "README.md").read_text("utf-8")
    for license, problems in (("cc-by-nc-sa-4.0", 0), ("mit", 2)):
        changed = text.replace("license: cc-by-nc-sa-4.0", f"license: {license}")
        card.write_text(f"{changed}\nWritten by `kgloss export-dataset gksl` of kgloss-hf.\n", "utf-8")
        of_licence = [line for line in checking._card_problems(card, "dataset", {}) if line.startswith("license: exp")]
        assert len(of_licence) == problems


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"---\ntitle: [\n---\n", "README.md: metadata: expected YAML, found an error"),
        (b"---\n- title\n---\n", "README.md: metadata: expected YAML, found an error"),
        (b"---\ntitle: \xb0\xa1\n---\n", "README.md: expected UTF-8"),
    ],
)
def test_card_of_a_space_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    shutil.copytree(artefact("examples/space"), tmp_path / "space", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "space" / "README.md").write_bytes(content)
    assert [problem for problem in check_folder(tmp_path / "space").problems if problem.startswith(message)]


def test_facts_that_are_no_json(folder: Path) -> None:
    (folder / "metrics.json").write_text("{", "utf-8")
    with pytest.raises(ValueError, match=r"metrics\.json: expected JSON, found an error"):
        check_folder(folder)


def test_kinds(checkpoint: str, tmp_path: Path) -> None:
    assert _kind_of(Path(checkpoint)) == "model"
    assert _kind_of(artefact("examples/space")) == "space"
    assert check_folder(artefact("examples/space")).problems == []
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder; expected a folder to publish"):
        _kind_of(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"found none of config\.json, tokenizer_config\.json"):
        _kind_of(tmp_path)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "detect_secrets", None)
    assert main(["check", str(artefact("examples/space"))]) == 1
    assert 'pip install "kgloss-hf[publish]"' in capsys.readouterr().err


def test_sources(checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert source_of("mcksg")["license"] == "apache-2.0"
    own = source_of("mcksg", data_dir="/home/me/MCKSG", license="other", domain="museums")
    assert own == {"name": "mcksg (own copy)", "use": "glosses", "license": "other", "domain": "museums", "url": None}
    assert source_of("gksl", license="mit")["license"] == "cc-by-nc-sa-4.0"  # the card's licence takes precedence
    assert source_of("/home/me/a.csv,/home/me/b.txt")["name"] == "a.csv, b.txt"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # no server answers there
    elsewhere = source_of("someone/corpus:part", "vocabulary")
    assert (elsewhere["license"], elsewhere["url"]) == (None, "https://huggingface.co/datasets/someone/corpus")
    assert source_of("ko_backtranslation:parakqc", "vocabulary")["license"] == "cc-by-sa-4.0"
    whole = source_of("ko_backtranslation", "vocabulary")
    assert (whole["name"], whole["use"], whole["license"]) == ("ko_backtranslation", "vocabulary", None)
    assert source_of("mcksg:sample", "vocabulary")["license"] == "apache-2.0"
    assert [source["name"] for source in pretext_sources({"kornli", "/data/own.txt"})] == ["own.txt", "kornli"]
    assert run_of(checkpoint)["data"][0]["license"] is None
    (tmp_path / "metrics.json").write_text(json.dumps({"data": [own], "preset": "small"}), "utf-8")
    assert run_of(str(tmp_path)) == {"data": [own], "command": None, "preset": "small", "scores": {}}
