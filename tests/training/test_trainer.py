"""Refusal of options that the trainer cannot honour, before training begins."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import GLOSSES, SENTENCES
from kgloss_hf.data.pairs import Pair
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.search import OwnSearch
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.encoding import encode_pairs
from kgloss_hf.training.trainer import (
    PretextTrainingArguments,
    TrainingArguments,
    build_trainer,
    jaccard_of_generation,
)

KNOWN = {field.name for field in fields(TrainingArguments)}


def _arguments(kind: type[TrainingArguments] = TrainingArguments, **options: Any) -> TrainingArguments:
    if missing := sorted(options.keys() - KNOWN):
        pytest.skip(f"this generation has no {', '.join(missing)}")
    return kind(output_dir="outputs/a", use_cpu=True, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"predict_with_generate": False},
            "--predict_with_generate: expected True, found False; .* no other evaluation",
        ),
        ({"prediction_loss_only": True}, "--prediction_loss_only: expected False, found True"),
        ({"train_sampling_strategy": "group_by_length"}, "--train_sampling_strategy: .* --batches_by_length"),
        ({"train_sampling_strategy": "sequential"}, "--train_sampling_strategy: expected random, found sequential"),
        ({"group_by_length": True}, "--group_by_length: .* --batches_by_length"),
        ({"sortish_sampler": True}, "--sortish_sampler: .* --batches_by_length"),
        ({"length_column_name": "n"}, "--length_column_name"),
        ({"generation_max_length": 4}, "--generation_max_length: expected None, found 4; scores must be those of"),
        ({"generation_num_beams": 2}, "--generation_num_beams: .* set --num_beams, which is saved in it"),
        ({"generation_config": "nowhere"}, "--generation_config: expected None, found nowhere"),
        ({"fp16_full_eval": True}, "--fp16_full_eval: .* compute in float32"),
        ({"bf16_full_eval": True}, "--bf16_full_eval: .* compute in float32"),
        ({"fp16": True}, "--fp16: expected a GPU, found none; --bf16 works"),
        ({"eval_do_concat_batches": False}, "--eval_do_concat_batches: .* all pairs at once"),
        ({"batch_eval_metrics": True}, "--batch_eval_metrics"),
        ({"use_legacy_prediction_loop": True}, "--use_legacy_prediction_loop"),
        ({"include_for_metrics": ["inputs"]}, "--include_for_metrics"),
        ({"label_names": ["glosses"]}, "--label_names: .* column labels"),
        ({"dataloader_drop_last": True}, "--dataloader_drop_last: .* every pair must be trained on and scored"),
        ({"auto_find_batch_size": True}, "--auto_find_batch_size: .* a step would take fewer pairs"),
        ({"save_only_model": True}, "--save_only_model: .* --resume needs the optimiser's state"),
        ({"resume_from_checkpoint": "nowhere"}, "--resume_from_checkpoint: .* --resume finds the last"),
        ({"overwrite_output_dir": True}, "--overwrite_output_dir: .* delete the folder"),
        ({"metric_for_best_model": "bleu"}, "--metric_for_best_model: expected jaccard or loss, found bleu"),
        (
            {"greater_is_better": False},
            "--greater_is_better: expected True for jaccard, found False, which would keep the worst",
        ),
        ({"metric_for_best_model": "loss", "greater_is_better": True}, "--greater_is_better: expected False for loss"),
        ({"eval_strategy": "no", "save_strategy": "no"}, "--load_best_model_at_end: expected evaluations"),
        ({"eval_delay": 20}, "--load_best_model_at_end: expected evaluations"),
        ({"label_smoothing_factor": 1}, "--label_smoothing_factor: expected at least 0 and less than 1, found 1"),
        ({"label_smoothing_factor": -0.1}, "--label_smoothing_factor: expected at least 0 and less than 1, found -0.1"),
        ({"loss_over": "words"}, "--loss_over: expected glosses or vocabulary, found words"),
        ({"per_device_train_batch_size": 0}, "--per_device_train_batch_size: expected 1 or more, found 0"),
        ({"per_device_eval_batch_size": 0}, "--per_device_eval_batch_size: expected 1 or more, found 0"),
        ({"gradient_accumulation_steps": 0}, "--gradient_accumulation_steps: expected 1 or more, found 0"),
        ({"num_train_epochs": -1}, "--num_train_epochs: expected 0 or more, found -1"),
        ({"max_steps": 0}, "--max_steps: expected 1 or more, or -1"),
        ({"max_grad_norm": -1}, "--max_grad_norm: expected 0 or more, found -1"),
        ({"weight_decay": -1}, "--weight_decay: expected 0 or more, found -1"),
        ({"accelerator_config": {"split_batches": True}}, "--accelerator_config: expected no split_batches"),
        (
            {"accelerator_config": {"gradient_accumulation_kwargs": {"num_steps": 2}}},
            "--accelerator_config: expected no gradient_accumulation_kwargs",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _arguments(**options)


def test_ratio_beside_steps_of_the_warm_up_is_refused() -> None:
    if "warmup_ratio" not in KNOWN or TrainingArguments(output_dir="outputs/a", use_cpu=True).warmup_ratio is None:
        pytest.skip("the current generation has one option for both")
    with pytest.raises(ValueError, match="--warmup_ratio: expected --warmup_steps=0 with it"):
        _arguments(warmup_ratio=0.1)
    assert _arguments(warmup_ratio=0.1, warmup_steps=0).get_warmup_steps(100) == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predict_with_generate": True}, "--predict_with_generate: expected False, found True"),
        ({"metric_for_best_model": "jaccard"}, "--metric_for_best_model: expected loss, found jaccard"),
        ({"greater_is_better": True}, "--greater_is_better: expected False for loss, found True"),
        ({"generation_num_beams": 2}, "--generation_num_beams"),
    ],
    ids=str,
)
def test_pretext_refuses_the_same(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _arguments(PretextTrainingArguments, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"metric_for_best_model": "eval_jaccard"},
        {"metric_for_best_model": "loss"},
        {"eval_strategy": "no", "load_best_model_at_end": False},
        {"save_strategy": "no", "load_best_model_at_end": False},
        {"label_names": ["labels"]},
        {"neftune_noise_alpha": 5, "optim": "adafactor", "lr_scheduler_type": "cosine"},
    ],
    ids=str,
)
def test_what_can_be_honoured_is_taken(options: dict[str, Any]) -> None:
    _arguments(**options)


def test_patience_needs_evaluations_and_a_number(tokenizer: KGlossTokenizerFast) -> None:
    data = encode_pairs(tokenizer, [Pair("몸의 형태", ("몸",))])
    model = build_model("tiny", tokenizer)
    for patience, options in ((0, {}), (3, {"eval_strategy": "no", "load_best_model_at_end": False})):
        with pytest.raises(ValueError, match=f"--patience: expected 1 or more, .* found {patience} and"):
            build_trainer(
                model,
                tokenizer,
                _arguments(**options),
                data,
                data,
                lambda _: {},
                share_embeddings=True,
                patience=patience,
            )


@pytest.mark.parametrize("num_beams", [1, 3])
def test_an_evaluation_gives_what_generate_gives(
    tokenizer: KGlossTokenizerFast, num_beams: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model("tiny", tokenizer)
    with torch.no_grad():
        for matrix in (parameter for parameter in model.parameters() if parameter.dim() > 1):
            matrix.mul_(5)  # an untrained model would give most sentences the same answer
    model.generation_config.update(max_length=12, num_beams=num_beams, encoder_repetition_penalty=1.5)
    pairs = [Pair(text, tuple(GLOSSES[len(text) % 2])) for text in (*SENTENCES, "집에 불이 났어요.", "집")]
    args = TrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, label_smoothing_factor=0.1, per_device_eval_batch_size=3
    )
    encoded = encode_pairs(tokenizer, pairs)
    trainer = build_trainer(
        model, tokenizer, args, encoded, encoded, jaccard_of_generation(tokenizer, pairs), share_embeddings=True
    )
    ours = trainer.predict(encoded)
    assert (trainer._search.greedy if num_beams == 1 else trainer._search.beams) is not None
    monkeypatch.setattr(OwnSearch, "decode", lambda *_: None)
    theirs = trainer.predict(encoded)
    assert ours.predictions.shape == theirs.predictions.shape
    glosses, expected = (tokenizer.convert_ids_to_glosses(made.predictions.tolist()) for made in (ours, theirs))
    assert glosses == expected  # transformers 4 pads with [EOS] where 0 is the padding
    assert ours.label_ids.tolist() == theirs.label_ids.tolist()
    assert ours.metrics["test_loss"] == pytest.approx(theirs.metrics["test_loss"], abs=1e-6)
    assert len({*map(tuple, glosses)}) > 2
