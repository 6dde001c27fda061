from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from conftest import SENTENCES
from kgloss_hf.models.loading import load
from kgloss_hf.runtime.answers import GlossSequence
from kgloss_hf.runtime.pipeline_kgloss import Text2GlossPipeline
from tests.local_hub import LocalHub
from tests.pretrained import save_pretrained_model


def test_a_folder_is_loaded_with_its_options(checkpoint: str) -> None:
    text_to_gloss = load(Path(checkpoint), device="cpu", dtype=torch.float64, return_types=True, num_beams=2)
    assert type(text_to_gloss) is Text2GlossPipeline
    assert text_to_gloss.model.dtype == torch.float64
    answer = text_to_gloss(SENTENCES[0])
    assert type(answer) is GlossSequence
    assert len(answer.types) == len(answer.glosses)
    assert text_to_gloss(SENTENCES[:2], num_beams=1) == load(checkpoint, dtype="float64", return_types=True)(
        SENTENCES[:2]
    )


def test_several_models(checkpoint: str, another_checkpoint: str) -> None:
    alone = load(another_checkpoint)
    by_path, by_pipeline = (load(checkpoint, others=[other], int8=False) for other in (Path(another_checkpoint), alone))
    assert by_path(SENTENCES[2]).agreement == by_pipeline(SENTENCES[2]).agreement <= 1


@pytest.fixture
def folder(checkpoint: str, tmp_path: Path) -> Path:
    """Return the folder of a run, with its model."""
    shutil.copytree(checkpoint, tmp_path / "run" / "model")
    return tmp_path / "run"


def _says(error: type[Exception], message: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(error) as caught:
        load(*arguments, **options)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert re.search(message, str(caught.value)), caught.value


def test_the_folder_of_a_run_names_the_models(folder: Path, checkpoint: str) -> None:
    expected = f"{folder}: expected the folder of a model, found the folder of a run; did you mean "
    _says(ValueError, re.escape(f"{expected}{folder / 'model'}?"), folder)
    _says(ValueError, re.escape(f"{folder / 'model'}?"), checkpoint, others=[folder])


def test_what_is_no_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = folder / "model"
    _says(ValueError, "found a file; did you mean", model / "config.json")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("", "a/b/c", "/nowhere", "./nowhere", "C:\\nowhere"):
        _says(FileNotFoundError, "no such folder; expected a model folder", name)
    _says(OSError, "kgloss-nobody/nothing", "kgloss-nobody/nothing")
    _says(OSError, "kgloss-nobody/v9", model, others=["kgloss-nobody/v9"])
    _says(TypeError, "others: expected a list of models", model, others="kgloss-nobody/v9")
    _says(TypeError, "others: expected folders, Hub repositories or pipelines of this kind", model, others=[1])


def test_damaged_files_are_named(folder: Path) -> None:
    model = folder / "model"
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    _says(ValueError, f"^{model}: the weights are cut short or damaged", model)
    (model / "model.safetensors").unlink()
    _says(OSError, "model.safetensors", model)
    (model / "tokenizer_config.json").write_text("{", "utf-8")
    _says(ValueError, f"^{model}: ", model)
    (model / "tokenizer_config.json").unlink()
    _says(ValueError, "found no tokenizer class; use another model", model)


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_other_models_are_refused_before_their_weights_are_read(family: str, tmp_path: Path) -> None:
    folder = Path(save_pretrained_model(family, tmp_path / "foreign"))
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    _says(ValueError, f"^{folder}: expected a model that kgloss-hf trained, with a KGlossTokenizerFast, found ", folder)


def test_a_model_of_another_kind_under_our_tokenizer(folder: Path) -> None:
    model = folder / "model"
    config = {"model_type": "bert", "architectures": ["BertModel"]}
    (model / "config.json").write_text(json.dumps(config), "utf-8")
    _says(ValueError, f"^{model}: Unrecognized configuration class", model)


def test_options_that_it_does_not_have(checkpoint: str) -> None:
    for option in ("no_such_option", "trust_remote_code"):
        _says(TypeError, option, checkpoint, **{option: True})
    _says(TypeError, "model_kwargs|no_such_option", checkpoint, model_kwargs={"no_such_option": 1})
    _says(ValueError, "num_beams: expected", checkpoint, num_beams=0)


HUB = """
import json, sys
import kgloss_hf
model, revision, foreign = sys.argv[1:]
print(len(kgloss_hf.load(model, revision=revision).tokenizer), len(kgloss_hf.load(model).tokenizer))
for name, options in ((model, {"revision": "v9"}), ("tester/nothing", {}), (foreign, {})):
    try:
        kgloss_hf.load(name, **options)
    except (OSError, ValueError) as error:
        print(json.dumps([isinstance(error, OSError), str(error)]))
"""


def test_a_repository_of_the_hub_and_its_revision(checkpoint: str, another_checkpoint: str, tmp_path: Path) -> None:
    foreign = save_pretrained_model("t5", tmp_path / "foreign")
    with LocalHub() as hub:
        for name, folders in (("tester/glosses", (checkpoint, another_checkpoint)), ("tester/foreign", (foreign,))):
            hub.create("model", name)
            for folder in folders:
                files = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
                hub.commit("model", name, files)
        first = hub.commits("model", "tester/glosses")[1].oid
        environment = hub.environment(tmp_path / "home", hub.token) | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", HUB, "tester/glosses", first, "tester/foreign"]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    sizes, *errors = done.stdout.splitlines()
    assert sizes.split() == [str(len(AutoTokenizer.from_pretrained(one))) for one in (checkpoint, another_checkpoint)]
    revision, nothing, other = map(json.loads, errors)
    assert revision[0]
    assert "v9" in revision[1]
    assert nothing[0]
    assert "tester/nothing" in nothing[1]
    assert not other[0]
    assert "tester/foreign: expected a model that kgloss-hf trained" in other[1]
    assert not any("\n" in message for _, message in (revision, nothing, other))
