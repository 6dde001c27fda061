from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForSeq2SeqLM, pipeline

from conftest import SENTENCES
from kgloss_hf.cli import main
from kgloss_hf.hub.model_export import export_int8
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.modeling_int8 import Int8Linear
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast


@pytest.fixture(scope="module")
def exported(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("export") / "int8"
    assert main(["export", checkpoint, "--output_dir", str(folder)]) == 0
    return str(folder)


def test_layer_is_close_to_its_model() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(64, 32)
    inputs = torch.randn(5, 7, 64)
    found = Int8Linear.of(linear)(inputs)
    assert found.shape == (5, 7, 32)
    assert (found - linear(inputs)).abs().max() < 0.05 * linear(inputs).abs().max()


def test_weights_are_rounded_by_row() -> None:
    linear = nn.Linear(2, 2)
    linear.weight.data = torch.tensor([[1.27, -0.635], [0.0, 0.0]])
    made = Int8Linear.of(linear)
    assert made.weight.tolist() == [[127, -64], [0, 0]]
    assert made.scale[0].item() == pytest.approx(0.01)


def test_export_is_a_model_of_its_own_kind(exported: str, checkpoint: str) -> None:
    assert json.loads(Path(exported, "config.json").read_text("utf-8"))["model_type"] == "kgloss-int8"
    weights = load_file(Path(exported, "model.safetensors"))
    layers = [name for name, value in weights.items() if value.dtype == torch.int8]
    assert len(layers) == sum(type(m) is Int8Linear for m in AutoModelForSeq2SeqLM.from_pretrained(exported).modules())
    assert {value.dtype for value in weights.values()} == {torch.int8, torch.float32}
    sizes = [Path(folder, "model.safetensors").stat().st_size for folder in (checkpoint, exported)]
    assert sizes[1] < sizes[0]


@torch.inference_mode()
def test_scores_are_close(exported: str, checkpoint: str, tokenizer: KGlossTokenizerFast) -> None:
    full, small = (AutoModelForSeq2SeqLM.from_pretrained(folder).eval() for folder in (checkpoint, exported))
    rows = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    start = torch.full((len(SENTENCES), 1), tokenizer.bos_token_id)
    expected, found = (model(**rows, decoder_input_ids=start).logits for model in (full, small))
    assert (found - expected).abs().max() < 0.1 * expected.std()
    assert small.generation_config.suppress_tokens == full.generation_config.suppress_tokens


def test_pipeline_takes_it(exported: str) -> None:
    text_to_gloss = pipeline("text2text-generation", model=exported)
    single = [text_to_gloss(sentence) for sentence in SENTENCES]
    assert all(found.glosses for found in single)
    best = text_to_gloss(SENTENCES[0], num_return_sequences=2, return_alignment=True)
    assert best[0].glosses != best[1].glosses
    assert all(found["log_prob"] < 0 for found in best)


def test_without_the_plug_in_it_is_refused(exported: str) -> None:
    code = f"from transformers import AutoModelForSeq2SeqLM; AutoModelForSeq2SeqLM.from_pretrained({exported!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "trust_remote_code=True" in done.stderr


def test_other_models_are_refused(tokenizer: KGlossTokenizerFast, tmp_path: Path) -> None:
    build_model("rnn", tokenizer).save_pretrained(tmp_path / "rnn")
    with pytest.raises(ValueError, match="expected a model of type encoder-decoder, found kgloss-rnn"):
        export_int8(str(tmp_path / "rnn"), str(tmp_path / "int8"))
    assert not (tmp_path / "int8").exists()


def test_folder_that_is_there_is_left_alone(checkpoint: str, exported: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path(exported, "model.safetensors").read_bytes()
    assert main(["export", checkpoint, "--output_dir", exported]) == 1
    assert "is there already" in capsys.readouterr().err
    assert Path(exported, "model.safetensors").read_bytes() == before
