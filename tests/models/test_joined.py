"""A model that joins hidden states of its encoder learns, with the encoder frozen or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models.modeling import freeze_unused
from kgloss_hf.models.warm_start import build_warm_model, freeze_encoder, pretrained_parameters, warm_tokenizer
from kgloss_hf.runtime import modeling_joined
from tests.models.test_warm_start import batch_of, tokenizer_of
from tests.pretrained import ENCODERS, save_pretrained_model


def model_of(encoder: str, **options: Any) -> Any:
    torch.manual_seed(0)
    options = {"preset": "tiny", "fresh_layers": 1, "joined_layers": [0, 2], **options}
    return build_warm_model(encoder, tokenizer_of(encoder), **options)


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("frozen", [True, False])
def test_each_family_learns(kind: str, frozen: bool, tmp_path: Path) -> None:
    encoder = save_pretrained_model(kind, tmp_path / "base")
    model, batch = model_of(encoder), batch_of(tokenizer_of(encoder))
    if frozen:
        freeze_encoder(model, 2)
    freeze_unused(model)
    model.train()
    before = {name: value.clone() for name, value in model.encoder.base.state_dict().items()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer, losses = torch.optim.AdamW(trained, lr=3e-3), []
    for _ in range(15):
        loss = model(**batch).loss
        loss.backward()
        assert all(parameter.grad is not None for parameter in trained)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    same = [name for name, value in model.encoder.base.state_dict().items() if value.equal(before[name])]
    assert (len(same) == len(before)) == frozen
    model.eval().save_pretrained(tmp_path / "saved")
    loaded = modeling_joined.JoinedEncoderDecoderModel.from_pretrained(tmp_path / "saved")
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    assert loaded.generate(**inputs).tolist() == model.generate(**inputs).tolist()


def test_the_loss_is_that_of_a_whole_step(encoder: str) -> None:
    model, batch = model_of(encoder).eval(), batch_of(tokenizer_of(encoder))
    labels = batch["labels"]
    start = torch.full_like(labels[:, :1], model.config.decoder_start_token_id)
    read = torch.cat([start, labels[:, :-1].masked_fill(labels[:, :-1] == -100, 0)], dim=1)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    logits = model(**inputs, decoder_input_ids=read).logits
    summed = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    assert torch.allclose(model(**batch, num_items_in_batch=7).loss, summed / 7, atol=1e-3)
    assert model(**batch, smoothing=0.5).loss != model(**batch).loss


def test_a_frozen_encoder_reads_a_sentence_once(encoder: str) -> None:
    model, tokenizer = model_of(encoder), tokenizer_of(encoder)
    freeze_encoder(model, 2)
    model.train()
    read: list[Any] = []
    model.encoder.base.register_forward_hook(lambda *call: read.append(call[2].last_hidden_state))
    twice = tokenizer([SENTENCES[0]] * 3 + [SENTENCES[1]], padding=True, return_tensors="pt")
    labels = tokenizer(text_target=[["몸"]] * 4, padding=True, return_tensors="pt")["input_ids"]
    for _ in range(2):
        model(**twice, labels=labels)
    assert [len(states) for states in read] == [2, 2]
    assert torch.equal(*read)  # no dropout
    assert not read[0].requires_grad  # it costs only a forward pass
    assert model.encoder.head.dropout.training


def test_some_layers_can_be_frozen(encoder: str) -> None:
    model = model_of(encoder)
    freeze_encoder(model, 1)
    trained = {name for name, parameter in model.encoder.base.named_parameters() if parameter.requires_grad}
    assert any("layer.1." in name for name in trained)
    assert not any("embeddings" in name or "layer.0." in name for name in trained)


def test_what_is_pre_trained_is_the_base(encoder: str) -> None:
    model = model_of(encoder, fresh_layers=2)
    own = {id(parameter) for parameter in pretrained_parameters(model, 2)}
    assert own == {id(parameter) for parameter in model.encoder.base.parameters()}


def test_layers_that_nothing_reads_are_left_out(encoder: str) -> None:
    model = model_of(encoder, joined_layers=[0, 1])
    assert model.config.encoder.num_hidden_layers == 1
    assert model.config.joined_layers == [0, 1]


@pytest.mark.parametrize("layers", [[3], [-1], [1, 1], [0]])
def test_layers_that_there_are_not_are_refused(encoder: str, layers: list[int]) -> None:
    with pytest.raises(
        ValueError, match="--joined_layers: expected different layers up to the encoder's last, 2, .*, found"
    ):
        model_of(encoder, joined_layers=layers)


def test_a_decoder_is_as_wide_as_the_encoder(tmp_path: Path) -> None:
    encoder = save_pretrained_model("bert", tmp_path)
    tokenizer = warm_tokenizer(encoder, GLOSSES)
    for joined in ([], [0, 2]):
        model = build_warm_model(encoder, tokenizer, joined_layers=joined)
        decoder = model.config.decoder
        assert [decoder.hidden_size, decoder.num_attention_heads, decoder.intermediate_size] == [16, 1, 64]
        assert [decoder.hidden_dropout_prob, model.generation_config.num_beams] == [0.2, 4]
