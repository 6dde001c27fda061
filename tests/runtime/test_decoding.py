from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from conftest import SENTENCES
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.decoding import GreedyDecoder, cut_head, emitted_ids
from kgloss_hf.runtime.explaining import explain
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast


@pytest.fixture(scope="module")
def model(tokenizer: KGlossTokenizerFast) -> PreTrainedModel:
    """Return an untrained model that ends sequences sooner or later, like a trained one."""
    torch.manual_seed(1)
    model = build_model("tiny", tokenizer, num_beams=1)
    model.generation_config.max_length = 12
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 3
        model.decoder.get_output_embeddings().bias[tokenizer.eos_token_id] += 2
    return model.eval()


def batch(tokenizer: KGlossTokenizerFast) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    words = " ".join(SENTENCES).split()
    texts = [" ".join(rng.choice(words, size=size)) for size in rng.integers(1, 12, size=48)]
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


def without_special(tokenizer: KGlossTokenizerFast, rows: list[list[int]]) -> list[list[int]]:
    return [[index for index in row if index not in tokenizer.all_special_ids] for row in rows]


@torch.inference_mode()
def test_greedy_is_generate(model: PreTrainedModel, tokenizer: KGlossTokenizerFast) -> None:
    rows = batch(tokenizer)
    expected = without_special(tokenizer, model.generate(**rows).tolist())
    assert len(set(map(len, expected))) > 3  # rows leave at different times
    decoded = GreedyDecoder(model)(rows["input_ids"], rows["attention_mask"], 12)
    assert without_special(tokenizer, decoded) == expected


PENALTIES = [(0.5, 1.0), (3.0, 1.0), (1.0, 2.0), (3.0, 1.5)]


@torch.inference_mode()
@pytest.mark.parametrize(("penalty", "repetition"), PENALTIES)
def test_greedy_is_generate_with_penalties(
    penalty: float,
    repetition: float,
    model: PreTrainedModel,
    tokenizer: KGlossTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, decoder = batch(tokenizer), GreedyDecoder(model)
    inputs = rows["input_ids"], rows["attention_mask"]
    asked = {"encoder_repetition_penalty": penalty, "repetition_penalty": repetition}
    expected = without_special(tokenizer, model.generate(**rows, **asked).tolist())
    assert expected != without_special(tokenizer, decoder(*inputs, 12))
    decoded = decoder.decode(*inputs, 12, penalty, repetition).rows
    assert without_special(tokenizer, decoded) == expected
    for name, value in asked.items():
        monkeypatch.setattr(model.generation_config, name, value)
    assert decoder(*inputs, 12) == decoded


@torch.inference_mode()
@pytest.mark.parametrize(("penalty", "repetition"), [(1.0, 1.0), *PENALTIES])
@pytest.mark.parametrize("length", [3, 12])  # with 3, many rows have no room to end
def test_greedy_knows_what_explain_says(
    penalty: float,
    repetition: float,
    length: int,
    model: PreTrainedModel,
    tokenizer: KGlossTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model.generation_config, "encoder_repetition_penalty", penalty)
    monkeypatch.setattr(model.generation_config, "repetition_penalty", repetition)
    rows = batch(tokenizer)
    inputs = rows["input_ids"], rows["attention_mask"]
    decoded = GreedyDecoder(model).decode(*inputs, length)
    sequences = without_special(tokenizer, decoded.rows)
    explained = explain(model, *inputs, sequences, attention=False)
    assert decoded.log_probs == pytest.approx(explained.log_probs, abs=1e-4)
    assert not explained.attention.numel()
    alone = [GreedyDecoder(model).decode(*(one[row : row + 1] for one in inputs), length) for row in range(8)]
    assert [one.log_probs[0] for one in alone] == pytest.approx(decoded.log_probs[:8], abs=1e-4)


@torch.inference_mode()
def test_end_without_a_position_does_not_count(tokenizer: KGlossTokenizerFast) -> None:
    model = build_model("tiny", tokenizer).eval()
    rows = tokenizer(["토기"], return_tensors="pt")
    sequence = emitted_by(model).tolist()[-1:] * 128
    explained = explain(model, rows["input_ids"], rows["attention_mask"], [sequence])
    assert explained.attention.shape[1] == 128
    with torch.no_grad():
        model.decoder.get_output_embeddings().bias[tokenizer.eos_token_id] = -1e4
    decoded = GreedyDecoder(model).decode(rows["input_ids"], rows["attention_mask"], 129)
    assert len(decoded.rows[0]) == 129
    whole = explain(model, rows["input_ids"], rows["attention_mask"], [decoded.rows[0][1:]])
    assert decoded.log_probs == pytest.approx(whole.log_probs, abs=1e-3)


@torch.inference_mode()
def test_end_as_transformers_4_saves_it(
    model: PreTrainedModel, tokenizer: KGlossTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = batch(tokenizer)
    inputs = rows["input_ids"], rows["attention_mask"]
    expected = GreedyDecoder(model)(*inputs, 12)
    sequences = without_special(tokenizer, expected)
    scores = explain(model, *inputs, sequences).log_probs
    monkeypatch.setattr(model.generation_config, "eos_token_id", [tokenizer.eos_token_id])
    assert GreedyDecoder(model)(*inputs, 12) == expected
    assert explain(model, *inputs, sequences).log_probs == scores


def emitted_by(model: PreTrainedModel) -> torch.Tensor:
    return emitted_ids(model.generation_config.suppress_tokens, model.config.vocab_size)


@torch.inference_mode()
def test_cut_projection_gives_the_same_scores(model: PreTrainedModel) -> None:
    hidden = torch.randn(7, 128)
    ids = emitted_by(model)
    whole = model.decoder.cls.predictions(hidden)
    assert torch.allclose(cut_head(model, ids)(hidden), whole[:, ids], atol=1e-6)
    assert model.generation_config.eos_token_id in ids
    assert not set(ids.tolist()) & set(model.generation_config.suppress_tokens)


def test_checkpoint_that_restricts_nothing(checkpoint: str) -> None:
    assert emitted_ids(None, 7).tolist() == [*range(7)]


def test_an_id_too_many() -> None:
    with pytest.raises(ValueError, match="suppress_tokens: expected some of the 3 ids to be left"):
        emitted_ids([0, 1, 2], 3)
    with pytest.raises(ValueError, match="expected a list of ids from 0 to 2, found -1"):
        emitted_ids([-1], 3)
