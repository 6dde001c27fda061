from __future__ import annotations

import copy

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module

from conftest import SENTENCES
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.explaining import explain
from kgloss_hf.runtime.penalties import penalty_arguments
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from tests.runtime.test_decoding import emitted_by, without_special


@torch.inference_mode()
@pytest.mark.parametrize("preset", ["tiny", "rnn"])
@pytest.mark.parametrize(("penalty", "repetition"), [(None, None), (3.0, None), (2.0, 1.5)])
def test_log_probabilities_are_what_beams_are_ranked_by(
    penalty: float | None, repetition: float | None, preset: str, tokenizer: KGlossTokenizerFast
) -> None:
    model = build_model(preset, tokenizer, num_beams=3).eval()
    config = model.generation_config
    config.encoder_repetition_penalty, config.max_length, config.length_penalty = penalty, 5, 0.0
    config.renormalize_logits, config.repetition_penalty = True, repetition
    kept = {tokenizer.eos_token_id, *emitted_by(model).tolist()[-3:]}  # few, so that some sequences end
    config.suppress_tokens = [index for index in range(model.config.vocab_size) if index not in kept]
    one = tokenizer([SENTENCES[0]], return_tensors="pt")
    asked = {"num_return_sequences": 3, "output_scores": True, "return_dict_in_generate": True}
    asked |= penalty_arguments(penalty, one["input_ids"], {})
    generated = model.generate(**one, **asked)
    ended = [row for row, ids in enumerate(generated.sequences.tolist()) if tokenizer.eos_token_id in ids[1:]]
    sequences = without_special(tokenizer, [generated.sequences[row].tolist() for row in ended])
    explained = explain(model, *(value.expand(len(ended), -1) for value in one.values()), sequences)
    assert explained.log_probs == pytest.approx(generated.sequences_scores[ended].tolist(), abs=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize("preset", ["tiny", "rnn"])
def test_log_probabilities_are_those_of_the_steps(preset: str, tokenizer: KGlossTokenizerFast) -> None:
    model = build_model(preset, tokenizer).eval()
    rows = tokenizer([SENTENCES[0], "4세기의 토기"], padding=True, return_tensors="pt")
    emitted = emitted_by(model).tolist()
    sequences = [emitted[-3:], emitted[-1:]]
    explained = explain(model, rows["input_ids"], rows["attention_mask"], sequences)
    for row, (sequence, log_prob) in enumerate(zip(sequences, explained.log_probs, strict=True)):
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
    attention = explain(model, rows["input_ids"], rows["attention_mask"], [emitted[-3:]] * 2).attention
    assert attention.shape == (2, 4, rows["input_ids"].shape[1])
    assert torch.allclose(attention.sum(dim=2), torch.ones(2, 4))
    assert attention[1][:, rows["attention_mask"][1] == 0].eq(0).all()
    if preset == "tiny":
        model.decoder.set_attn_implementation("eager")
        read = torch.tensor([[tokenizer.bos_token_id, *emitted[-3:]]] * 2)
        outputs = model(**rows, decoder_input_ids=read, output_attentions=True)
        assert torch.allclose(attention, torch.stack(outputs.cross_attentions).mean(dim=(0, 2)), atol=1e-6)


def test_sequence_that_cannot_come_out(tokenizer: KGlossTokenizerFast) -> None:
    model = build_model("tiny", tokenizer).eval()
    rows = tokenizer(["토기"], return_tensors="pt")
    with pytest.raises(ValueError, match="expected ids that the model can emit"):
        explain(model, rows["input_ids"], rows["attention_mask"], [[tokenizer.mask_token_id]])


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
        explained = explain(model, **rows, sequences=sequences)
    assert hooks == [{last}]
    assert torch.allclose(explained.attention, expected.attention, atol=1e-6)
    assert explained.log_probs != expected.log_probs


@torch.inference_mode()
def test_models_whose_calls_are_wrapped(tokenizer: KGlossTokenizerFast) -> None:
    model = build_model("tiny", tokenizer).eval()
    rows = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    sequences = [emitted_by(model).tolist()[-3:]] * len(SENTENCES)
    expected = explain(model, **rows, sequences=sequences)
    spread = copy.deepcopy(model)
    for part in [*spread.modules()]:
        add_hook_to_module(part, ModelHook())  # as accelerate does when layers are on several devices
    compiled = torch.compile(copy.deepcopy(model), backend="eager")
    inside = copy.deepcopy(model)
    inside.compile(backend="eager")
    for wrapped in (spread, compiled, inside):
        explained = explain(wrapped, **rows, sequences=sequences)
        assert torch.allclose(explained.attention, expected.attention, atol=1e-6)
        assert explained.log_probs == pytest.approx(expected.log_probs, abs=1e-4)
