"""Check that a checkpoint with an impossible shape fails at once, before a model is built."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForSeq2SeqLM, BertConfig, EncoderDecoderConfig, T5Config, pipeline

from kgloss_hf.cli import main
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.configuration_kgloss import (
    KGlossConfig,
    KGlossJoinedConfig,
    KGlossRnnConfig,
    check_configuration,
    check_ids,
)
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

WRONG: list[tuple[str, Any]] = [
    *(("encoder.num_hidden_layers", value) for value in (10**9, -1, 0, 2.5, "2", None, [2], True, float("nan"))),
    *(("decoder.hidden_size", value) for value in (10**9, 7, "128")),
    *(("decoder.num_attention_heads", value) for value in (0, 10**6)),
    *(("encoder.vocab_size", 10**12), ("encoder.max_position_embeddings", 0), ("decoder.intermediate_size", 10**9)),
    *(("decoder.hidden_dropout_prob", value) for value in (float("nan"), 2, "a", None)),
    *(("encoder.layer_norm_eps", "x"), ("encoder.hidden_act", "x"), ("encoder.hidden_act", [1])),
    *(("encoder", value) for value in (None, [1], "bert", {}, 3)),
    *(("encoder.pad_token_id", 10**6), ("pad_token_id", "x"), ("decoder.is_decoder", "yes")),
    *(("gloss_types", value) for value in (["몸"], "iconic", {"몸": 1}, 3)),
    *(("task_specific_params", [1]), ("prefix", "say: ")),
]
OF_THE_RNN: list[tuple[str, Any]] = [
    *(("hidden_size", value) for value in (10**9, 0, "2", None, float("nan"))),
    *(("vocab_size", -1), ("embedding_size", 10**9), ("max_position_embeddings", 0), ("gloss_types", ["몸"])),
    *(("dropout", value) for value in (float("nan"), -0.1, None)),
]

OF_JOINED_STATES: list[tuple[str, Any]] = [
    *(("joined_layers", value) for value in ([], [0, 0], [3], [-1], [1.0], ["1"], [True], "01", 1, None, [10**12])),
    *(("fresh_layers", value) for value in (-1, 10**9, 1.5, "1", None, True)),
    *(("decoder.model_type", "gpt2"), ("decoder.hidden_size", 7), ("encoder.num_hidden_layers", 10**9)),
]


def spoilt(folder: Path, name: str, value: Any) -> str:
    file = folder / "config.json"
    content = json.loads(file.read_text("utf-8"))
    *parts, last = name.split(".")
    changed = content
    for part in parts:
        changed = changed[part]
    changed[last] = value
    file.write_text(json.dumps(content), "utf-8")
    return str(folder)


@pytest.fixture
def copied(checkpoint: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "model"))


@pytest.fixture(scope="module")
def rnn(tokenizer: KGlossTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rnn")
    build_model("rnn", tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_encoder_decoder_of_an_impossible_shape(name: str, value: Any, copied: Path) -> None:
    with pytest.raises(ValueError, match=rf"^config.json, {name}: expected .*; "):
        pipeline("text-to-gloss", model=spoilt(copied, name, value))


@pytest.mark.parametrize(("name", "value"), OF_THE_RNN)
def test_rnn_of_an_impossible_shape(name: str, value: Any, rnn: Path, tmp_path: Path) -> None:
    folder = spoilt(Path(shutil.copytree(rnn, tmp_path / "model")), name, value)
    with pytest.raises(ValueError, match=rf"^config.json, {name}: expected .*; "):
        pipeline("text-to-gloss", model=folder)


@pytest.mark.parametrize(("name", "value"), OF_JOINED_STATES)
@pytest.mark.parametrize("kind", [AutoConfig, KGlossConfig])
def test_joined_states_of_an_impossible_shape(kind: Any, name: str, value: Any, tmp_path: Path) -> None:
    shape = {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2}
    KGlossJoinedConfig(shape, shape, joined_layers=[0, 2]).save_pretrained(tmp_path)
    config = kind.from_pretrained(tmp_path)
    assert [type(config), config.joined_layers, config.fresh_layers] == [KGlossJoinedConfig, [0, 2], 1]
    assert [config.encoder.num_hidden_layers, config.decoder.is_decoder] == [2, True]
    with pytest.raises(ValueError, match=rf"^config.json, {name}: expected .*; "):
        kind.from_pretrained(spoilt(tmp_path, name, value))


def test_each_way_of_loading_and_the_command(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = spoilt(copied, "decoder.num_hidden_layers", 10**9)
    for load in (AutoConfig, KGlossConfig, AutoModelForSeq2SeqLM):
        with pytest.raises(ValueError, match="expected an integer from 1 to 1,000, found 1000000000"):
            load.from_pretrained(folder)
    assert main(["translate", folder, "토기"]) == 1
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("kgloss")]
    assert line.startswith(f"kgloss translate: {folder}: config.json, decoder.num_hidden_layers: expected an integer")


def test_sizes_that_are_too_great_together() -> None:
    shape = {"hidden_size": 32_768, "num_hidden_layers": 500, "num_attention_heads": 8, "intermediate_size": 65_536}
    with pytest.raises(ValueError, match="sizes that make at most 10000000000 parameters"):
        check_configuration({"model_type": "bert", **shape})


def test_models_of_others_are_left_alone() -> None:
    check_configuration({**T5Config().to_dict(), "num_heads": [1, 2], "dropout_rate": -1})
    bert = BertConfig(num_hidden_layers=1).to_dict()
    config = EncoderDecoderConfig.from_dict({"encoder": {**bert, "model_type": "electra"}, "decoder": bert})
    assert config.encoder.num_hidden_layers == 1
    assert KGlossRnnConfig().hidden_size == 512


@pytest.mark.parametrize("ids", ["12", 3, [1.0], [True], [8], [-1], [[1]], {"a": 1}])
def test_what_are_no_ids(ids: Any) -> None:
    with pytest.raises(ValueError, match="expected a list of ids from 0 to 7, found"):
        check_ids("suppress_tokens", ids, 8)
