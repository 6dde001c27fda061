"""Runs from a pre-trained model: options that go together, learning rates, frozen layers and results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import pipeline

from conftest import GLOSSES, SENTENCES
from kgloss_hf.data.pairs import Pair
from kgloss_hf.hub.checking import check_folder
from kgloss_hf.training.encoding import encode_pairs
from kgloss_hf.training.trainer import TrainingArguments, build_trainer, jaccard_of_generation
from kgloss_hf.training.warm import (
    WarmStartArguments,
    base_facts,
    learning_rates_of,
    warm_model_for,
    warm_tokenizer_for,
)
from tests.command_server import Forks
from tests.pretrained import save_pretrained_model

PAIRS = [Pair(text, tuple(glosses)) for text, glosses in zip(SENTENCES, GLOSSES, strict=True)]


@pytest.mark.parametrize(
    ("given", "others", "words"),
    [
        ({"encoder_prefix": "query: "}, {}, "--encoder_prefix: expected --encoder_model_name_or_path"),
        ({"prune_vocabulary": ["corpus"]}, {}, "--prune_vocabulary: expected --encoder_model_name_or_path"),
        ({"encoder_model_name_or_path": "a", "model_name_or_path": "b"}, {}, "use one of the two"),
        ({"encoder_model_name_or_path": "a"}, {"pretext": "c"}, "--pretext: expected none"),
        ({"encoder_model_name_or_path": "a"}, {"vocab_size": 7}, "--vocab_size: expected none"),
        ({"encoder_model_name_or_path": "a", "freeze_encoder": True, "freeze_layers": 2}, {}, "--freeze_layers"),
        ({"encoder_model_name_or_path": "a", "freeze_encoder": True, "encoder_learning_rate": 1e-5}, {}, "trains none"),
        ({"encoder_model_name_or_path": "a", "encoder_learning_rate": 0.0}, {}, "more than 0"),
        ({"model_name_or_path": "a", "fresh_layers": 1}, {}, "--fresh_layers: expected none with --model_name"),
        ({"model_name_or_path": "a", "joined_layers": [0, 2]}, {}, "--joined_layers: expected none with --model_name"),
        ({"joined_layers": [0, 2]}, {}, "--joined_layers: expected --encoder_model_name_or_path"),
        ({"joined_layers": [0, 2]}, {"init_from": "b"}, "--joined_layers: expected --encoder_model_name_or_path"),
        ({"freeze_encoder": True, "freeze_layers": 1}, {"init_from": "b"}, "--freeze_layers: expected none"),
        ({"model_name_or_path": "a"}, {"preset": "tiny"}, "--preset: expected none with --model_name"),
    ],
)
def test_what_does_not_go_together(given: dict[str, Any], others: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WarmStartArguments(**given).check(**others)


def test_a_warm_start_alone_is_fine() -> None:
    WarmStartArguments().check(pretext="a", vocab_size=8, preset="rnn")
    WarmStartArguments(encoder_model_name_or_path="a", fresh_layers=1).check(preset="small", pretext=None)
    WarmStartArguments(freeze_encoder=True).check(init_from="b")


def trainer_of(warm: WarmStartArguments, folder: Path, **options: Any) -> Any:
    tokenizer = warm_tokenizer_for(PAIRS, folder / "run", warm)
    model = warm_model_for(tokenizer, warm, "tiny", 1)
    options = {"max_steps": 2, "per_device_train_batch_size": 2, "use_cpu": True, "bf16": False, **options}
    arguments = TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=1,
        save_steps=1,
        **options,
    )
    encoded = encode_pairs(tokenizer, PAIRS)
    return build_trainer(
        model,
        tokenizer,
        arguments,
        encoded,
        encoded,
        jaccard_of_generation(tokenizer, PAIRS),
        share_embeddings=False,
        learning_rates=learning_rates_of(model, warm),
    )


def test_the_pre_trained_part_has_its_own_rate_also_after_a_resume(encoder: str, tmp_path: Path) -> None:
    warm = WarmStartArguments(encoder_model_name_or_path=encoder, fresh_layers=1, encoder_learning_rate=1e-5)
    trainer = trainer_of(warm, tmp_path, lr_scheduler_type="constant", warmup_steps=0)
    special = vars(trainer.model.generation_config) | {}
    trainer.train()
    rates = {id(p): group["lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
    names = {name: rates[id(p)] for name, p in trainer.model.named_parameters() if id(p) in rates}
    assert {rate for name, rate in names.items() if "encoder.encoder.layer.1." in name} == {1e-5}
    assert {rate for name, rate in names.items() if "encoder.encoder.layer.2." in name} == {5e-4}
    assert {rate for name, rate in names.items() if name.startswith("decoder")} == {5e-4}
    # The trainer does not change the ids of glosses, and saves the tokenizer with each checkpoint.
    assert {k: v for k, v in vars(trainer.model.generation_config).items() if k.endswith("_token_id")} == {
        k: v for k, v in special.items() if k.endswith("_token_id")
    }
    assert (tmp_path / "checkpoints" / "checkpoint-1" / "tokenizer.json").is_file()
    again = trainer_of(warm, tmp_path, lr_scheduler_type="constant", warmup_steps=0)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoints" / "checkpoint-1"))
    for (name, one), other in zip(trainer.model.named_parameters(), again.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6), name


def test_a_frozen_encoder_stays_as_it_is(encoder: str, tmp_path: Path) -> None:
    warm = WarmStartArguments(encoder_model_name_or_path=encoder, fresh_layers=1, freeze_encoder=True)
    trainer = trainer_of(warm, tmp_path, warmup_steps=0)
    before = {name: value.clone() for name, value in trainer.model.encoder.state_dict().items()}
    trainer.train()
    changed = [name for name, value in trainer.model.encoder.state_dict().items() if not value.equal(before[name])]
    assert changed
    assert all("layer.2." in name for name in changed)


def test_the_licence_of_the_model_is_that_of_its_card(encoder: str, tmp_path: Path) -> None:
    base = save_pretrained_model("roberta", tmp_path / "roberta")
    warm = WarmStartArguments(encoder_model_name_or_path=base)
    assert base_facts(warm)["base_model"]["license"] is None
    (tmp_path / "roberta" / "README.md").write_text("---\nlicense: mit\n---\n# A model\n", "utf-8")
    assert base_facts(warm)["base_model"] == {
        **{"name": "roberta", "use": "base model", "license": "mit", "domain": None, "url": None}
    }
    (tmp_path / "roberta" / "README.md").write_text("---\nlicense: [\n---\n", "utf-8")
    assert base_facts(warm)["base_model"]["license"] is None
    assert base_facts(WarmStartArguments()) == {}


def test_the_rate_of_the_pre_trained_part_with_joined_states(encoder: str, tmp_path: Path) -> None:
    warm = WarmStartArguments(
        encoder_model_name_or_path=encoder, fresh_layers=1, joined_layers=[0, 2], encoder_learning_rate=1e-5
    )
    tokenizer = warm_tokenizer_for(PAIRS, tmp_path, warm)
    model: Any = warm_model_for(tokenizer, warm, None, None)
    rates = learning_rates_of(model, warm)
    assert rates == dict.fromkeys(map(id, model.encoder.base.parameters()), 1e-5)


@pytest.mark.parametrize("kind", ["xlm-roberta", pytest.param("t5", marks=pytest.mark.slow)])
def test_a_run_leaves_a_model_that_passes_the_check(kind: str, tmp_path: Path, forks: Forks) -> None:
    base = save_pretrained_model(kind, tmp_path / "base")
    (tmp_path / "base" / "README.md").write_text("---\nlicense: mit\n---\n", "utf-8")
    rows = [f"{n}층에 그릇이 있습니다.,Number/{n} 층 그릇 있다" for n in range(12)]
    (tmp_path / "pairs.csv").write_text("\n".join(["문장,글로스", *rows]) + "\n", "utf-8")
    name = "model_name_or_path" if kind == "t5" else "encoder_model_name_or_path"
    options = [] if kind == "t5" else ["--freeze_encoder", "--encoder_prefix=q: "]
    options += ["--fresh_layers=1", "--joined_layers", "0", "2"] if kind != "t5" else []
    forks.example(
        "run_text2gloss.py",
        f"--dataset={tmp_path}/pairs.csv",
        f"--{name}={base}",
        "--prune_vocabulary=corpus",
        "--num_train_epochs=1",
        "--data_license=cc-by-4.0",
        "--data_domain=museums",
        f"--output_dir={tmp_path}/out",
        *options,
    )
    folder = tmp_path / "out" / "model"
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert metrics["base_model"]["license"] == "mit"
    assert metrics["preset"] == ("seq2seq" if kind == "t5" else "encoder")
    assert "Training started from the weights of base, whose licence is mit." in (folder / "README.md").read_text(
        "utf-8"
    )
    report = check_folder(folder)
    assert report.problems == []
    assert "loads with transformers alone, by the code in the folder" in report.notes
    assert pipeline("text2text-generation", model=str(folder))("2층에 있습니다.")["unresolved"] is not None
