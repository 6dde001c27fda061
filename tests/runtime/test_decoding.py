from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from transformers import PreTrainedModel

from conftest import SENTENCES
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.decoding import GreedyDecoder, _cut_head, emitted_ids, explain
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast


@pytest.fixture(scope="module")
def model(tokenizer: KGlossTokenizerFast) -> PreTrainedModel:
    """An untrained model that ends sequences sooner and later, as a trained one does."""
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
    assert len(set(map(len, expected))) > 3  # rows do leave at different times
    found = GreedyDecoder(model)(rows["input_ids"], rows["attention_mask"], 12)
    assert without_special(tokenizer, found) == expected


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
    assert torch.allclose(_cut_head(model, ids)(hidden), whole[:, ids], atol=1e-6)
    assert model.generation_config.eos_token_id in ids
    assert not set(ids.tolist()) & set(model.generation_config.suppress_tokens)


@torch.inference_mode()
@pytest.mark.parametrize("preset", ["tiny", "rnn"])
def test_log_probabilities_are_those_of_the_steps(preset: str, tokenizer: KGlossTokenizerFast) -> None:
    torch.manual_seed(0)
    model = build_model(preset, tokenizer).eval()
    rows = tokenizer([SENTENCES[0], "4세기의 토기"], padding=True, return_tensors="pt")
    emitted = emitted_by(model).tolist()
    sequences = [emitted[-3:], emitted[-1:]]
    found = explain(model, rows["input_ids"], rows["attention_mask"], sequences)
    for row, (sequence, log_prob) in enumerate(zip(sequences, found.log_probs, strict=True)):
        ids = torch.tensor([[tokenizer.bos_token_id, *sequence, tokenizer.eos_token_id]])
        one = {name: values[row : row + 1] for name, values in rows.items()}
        logits = model(**one, decoder_input_ids=ids[:, :-1]).logits[0]
        logits[:, model.generation_config.suppress_tokens] = -torch.inf
        steps = logits.log_softmax(dim=-1).gather(1, ids[0, 1:, None])
        assert log_prob == pytest.approx(steps.sum().item(), abs=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize("preset", ["tiny", "rnn"])
def test_attention_is_the_models_own(preset: str, tokenizer: KGlossTokenizerFast) -> None:
    model = build_model(preset, tokenizer).eval()
    rows = tokenizer([SENTENCES[0], "4세기의 토기"], padding=True, return_tensors="pt")
    emitted = emitted_by(model).tolist()
    found = explain(model, rows["input_ids"], rows["attention_mask"], [emitted[-3:]] * 2).attention
    assert found.shape == (2, 4, rows["input_ids"].shape[1])
    assert torch.allclose(found.sum(dim=2), torch.ones(2, 4))
    assert found[1][:, rows["attention_mask"][1] == 0].eq(0).all()
    if preset == "tiny":
        model.decoder.set_attn_implementation("eager")
        read = torch.tensor([[tokenizer.bos_token_id, *emitted[-3:]]] * 2)
        outputs = model(**rows, decoder_input_ids=read, output_attentions=True)
        assert torch.allclose(found, torch.stack(outputs.cross_attentions).mean(dim=(0, 2)), atol=1e-6)


def test_sequence_that_cannot_come_out(model: PreTrainedModel, tokenizer: KGlossTokenizerFast) -> None:
    rows = tokenizer(["토기"], return_tensors="pt")
    with pytest.raises(ValueError, match="expected ids that the model can emit"):
        explain(model, rows["input_ids"], rows["attention_mask"], [[tokenizer.mask_token_id]])


def test_checkpoint_that_restricts_nothing(checkpoint: str) -> None:
    assert emitted_ids(None, 7).tolist() == [*range(7)]


def test_an_id_too_many() -> None:
    with pytest.raises(ValueError, match="suppress_tokens: expected some of the 3 ids to be left"):
        emitted_ids([0, 1, 2], 3)
    with pytest.raises(ValueError, match="expected a list of ids from 0 to 2, found -1"):
        emitted_ids([-1], 3)


@torch.inference_mode()
@pytest.mark.parametrize("preset", ["tiny", "rnn"])
def test_models_are_not_touched_while_they_are_looked_at(preset: str, tokenizer: KGlossTokenizerFast) -> None:
    model = build_model(preset, tokenizer).eval()
    rows = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    sequences = [emitted_by(model).tolist()[-3:]] * len(SENTENCES)
    expected = explain(model, **rows, sequences=sequences)
    hooks = []
    last = model.get_output_embeddings() or model.output

    def look(module: torch.nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
        hooks.append({part for part in model.modules() if part._forward_hooks})
        return -output

    with last.register_forward_hook(look):
        found = explain(model, **rows, sequences=sequences)
    assert hooks == [{last}]
    assert torch.allclose(found.attention, expected.attention, atol=1e-6)
    assert found.log_probs != expected.log_probs


@torch.inference_mode()
def test_models_whose_calls_are_wrapped(model: PreTrainedModel, tokenizer: KGlossTokenizerFast) -> None:
    rows = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    sequences = [emitted_by(model).tolist()[-3:]] * len(SENTENCES)
    expected = explain(model, **rows, sequences=sequences)
    spread = copy.deepcopy(model)
    for part in [*spread.modules()]:
        add_hook_to_module(part, ModelHook())  # as accelerate does where layers are on several devices
    compiled = torch.compile(copy.deepcopy(model), backend="eager")
    inside = copy.deepcopy(model)
    inside.compile(backend="eager")
    for wrapped in (spread, compiled, inside):
        found = explain(wrapped, **rows, sequences=sequences)
        assert torch.allclose(found.attention, expected.attention, atol=1e-6)
        assert found.log_probs == pytest.approx(expected.log_probs, abs=1e-4)
