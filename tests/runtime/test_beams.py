from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from conftest import SENTENCES
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.beams import BeamDecoder
from kgloss_hf.runtime.decoding import end_ids
from kgloss_hf.runtime.explaining import explain
from kgloss_hf.runtime.int8 import with_int8_weights
from kgloss_hf.runtime.penalties import PENALTY, penalty_arguments
from kgloss_hf.runtime.pipeline_kgloss import Text2GlossPipeline
from kgloss_hf.runtime.search import OwnSearch
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

ROOM = 8

OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "num_beams": st.sampled_from([2, 3, 4, 6]),
    "num_return_sequences": st.sampled_from([1, 2]),
    "length_penalty": st.sampled_from([-1.0, 0.0, 0.4, 1.0, 3.0]),
    "early_stopping": st.sampled_from([False, True, "never"]),
    "renormalize_logits": st.booleans(),
    PENALTY: st.sampled_from([0.5, 1.0, 3.0]),
    "repetition_penalty": st.sampled_from([0.8, 1.0, 2.5]),
    "max_length": st.sampled_from([2, 3, ROOM]),
}


@pytest.fixture(scope="module")
def model(tokenizer: KGlossTokenizerFast) -> PreTrainedModel:
    """Return a model that ends sequences sooner or later, like a trained one, and equal in all transformers."""
    model = build_model("tiny", tokenizer, num_beams=4)
    model.generation_config.max_length = ROOM
    torch.manual_seed(1)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            if parameter.dim() == 2:
                parameter.normal_(std=0.1)
        model.decoder.get_output_embeddings().bias[tokenizer.eos_token_id] += 2
    return model.eval()


@pytest.fixture(scope="module")
def batch(tokenizer: KGlossTokenizerFast) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    words = " ".join(SENTENCES).split()
    texts = [" ".join(rng.choice(words, size=size)) for size in rng.integers(1, 12, size=12)]
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


@pytest.fixture
def text_to_gloss(model: PreTrainedModel, tokenizer: KGlossTokenizerFast) -> Text2GlossPipeline:
    return Text2GlossPipeline(model=model, tokenizer=tokenizer)


def generated(model: PreTrainedModel, batch: dict[str, torch.Tensor], **options: Any) -> list[list[int]]:
    penalty = options.pop(PENALTY, model.generation_config.encoder_repetition_penalty)
    options |= penalty_arguments(penalty, batch["input_ids"], options)
    rows = model.generate(**batch, **options).tolist()
    # Padding follows the end. If its id is 0, transformers pads with the first end, even if that is a gloss.
    ends = {*end_ids(model.generation_config)}
    lengths = [next((at for at, index in enumerate(row) if at and index in ends), len(row)) + 1 for row in rows]
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]


def searched(model: PreTrainedModel, batch: dict[str, torch.Tensor], **options: Any) -> list[list[int]]:
    length = options.pop("max_length", ROOM)
    return BeamDecoder(model).decode(batch["input_ids"], batch["attention_mask"], length, **options).rows


@settings(max_examples=40, derandomize=True)
@given(options=st.fixed_dictionaries({}, optional=OPTIONS))
def test_beams_are_generate(options: dict[str, Any], model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> None:
    assert searched(model, batch, **options) == generated(model, batch, **options)


def test_searches_of_a_batch_end_at_different_times(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> None:
    rows = searched(model, batch)
    assert len({*map(len, rows)}) > 3
    for number, row in enumerate(rows):
        assert searched(model, {name: values[number : number + 1] for name, values in batch.items()}) == [row]


@pytest.mark.parametrize("kind", ["two ends", "a gloss first", "none", "suppressed", "nothing suppressed", "start"])
def test_settings_of_the_checkpoint(
    kind: str, model: PreTrainedModel, batch: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = model.generation_config
    gloss, end = searched(model, batch, max_length=3)[0][1], config.eos_token_id
    changed: dict[str, Any] = {
        "two ends": {"eos_token_id": [end, gloss]},
        "a gloss first": {"eos_token_id": [gloss, end]},
        "none": {"eos_token_id": None},
        "suppressed": {"suppress_tokens": [*config.suppress_tokens, end]},
        "nothing suppressed": {"suppress_tokens": None},
        "start": {"decoder_start_token_id": gloss, "repetition_penalty": 3.0},
    }[kind]
    before = searched(model, batch)
    for name, value in changed.items():
        monkeypatch.setattr(config, name, value)
    rows = searched(model, batch, num_return_sequences=2)
    assert rows == generated(model, batch, num_return_sequences=2)
    assert rows[::2] != before


@pytest.mark.parametrize("renormalised", [False, True])
@pytest.mark.parametrize("penalties", [{}, {PENALTY: 3.0, "repetition_penalty": 1.5}])
def test_log_probabilities_are_what_explain_says(
    renormalised: bool,
    penalties: dict[str, float],
    model: PreTrainedModel,
    batch: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in penalties.items():
        monkeypatch.setattr(model.generation_config, name, value)
    inputs = batch["input_ids"], batch["attention_mask"]
    decoded = BeamDecoder(model).decode(*inputs, ROOM, num_return_sequences=2, renormalize_logits=renormalised)
    end = model.generation_config.eos_token_id
    ended = [number for number, row in enumerate(decoded.rows) if row[-1] == end]
    assert len(ended) > 10
    sources = [values.repeat_interleave(2, dim=0)[ended] for values in inputs]
    expected = explain(model, *sources, [decoded.rows[number][1:-1] for number in ended], attention=False).log_probs
    assert [decoded.log_probs[number] for number in ended] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        *({}, {"num_return_sequences": 3}, {"max_new_tokens": 2, "num_return_sequences": 2}, {"consensus": True}),
        *({"encoder_repetition_penalty": 2.0, "early_stopping": True}, {"length_penalty": 0, "num_beams": 2}),
    ],
)
def test_pipeline_answers_as_by_generate(
    options: dict[str, Any], text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = text_to_gloss(SENTENCES, **options)
    assert text_to_gloss.search.beams is not None
    monkeypatch.setattr(OwnSearch, "decode", lambda *_: None)
    for ours, theirs in zip(answers, text_to_gloss(SENTENCES, **options), strict=True):
        for one, other in zip(*(rows if isinstance(rows, list) else [rows] for rows in (ours, theirs)), strict=True):
            numbers = one.keys() & {"log_prob", "score", "agreement"}
            assert numbers
            assert {name: one.pop(name) for name in numbers} == pytest.approx(
                {name: other.pop(name) for name in numbers}, abs=1e-4
            )
            assert one == other


def test_an_end_that_is_no_gloss_is_weighed_as_before(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = text_to_gloss.model.generation_config
    other = text_to_gloss.tokenizer.unk_token_id
    suppressed = [index for index in config.suppress_tokens if index != other]
    monkeypatch.setattr(config, "suppress_tokens", suppressed)
    monkeypatch.setattr(config, "eos_token_id", [config.eos_token_id, other])
    with torch.no_grad():
        text_to_gloss.model.decoder.get_output_embeddings().bias[other] += 4
    answers = text_to_gloss(SENTENCES)
    assert text_to_gloss.search.beams is not None
    monkeypatch.setattr(OwnSearch, "decode", lambda *_: None)
    expected = text_to_gloss(SENTENCES)
    with torch.no_grad():
        text_to_gloss.model.decoder.get_output_embeddings().bias[other] -= 4
    assert [one.glosses for one in answers] == [one.glosses for one in expected]
    assert [one["log_prob"] for one in answers] == pytest.approx([one["log_prob"] for one in expected], abs=1e-4)


def test_what_our_search_does_not_know_goes_to_generate(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text_to_gloss.search.beam_limit(text_to_gloss.model, {}) == ROOM
    assert text_to_gloss.search.beam_limit(text_to_gloss.model, {"max_new_tokens": 3, "early_stopping": "never"}) == 4
    for options in (
        *({"num_beams": 1}, {"min_length": 3}, {"do_sample": True}, {"no_repeat_ngram_size": 2}),
        *({"early_stopping": "always"}, {"suppress_tokens": [1]}, {"num_return_sequences": 5}),
    ):
        assert text_to_gloss.search.beam_limit(text_to_gloss.model, options) is None
    for name, value in {"num_beam_groups": 2, "diversity_penalty": 0.5, "forced_eos_token_id": 3}.items():
        with monkeypatch.context() as patch:
            patch.setattr(text_to_gloss.model.generation_config, name, value, raising=False)
            assert text_to_gloss.search.beam_limit(text_to_gloss.model, {}) is None
    with pytest.raises(ValueError, match="early_stopping"):
        text_to_gloss(SENTENCES[0], early_stopping="always")


def test_too_few_ids_go_to_generate(
    text_to_gloss: Text2GlossPipeline, batch: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = text_to_gloss.model.generation_config
    emitted = {*range(text_to_gloss.model.config.decoder.vocab_size)} - {*config.suppress_tokens}
    few = [*sorted(emitted - {config.eos_token_id})[:6], config.eos_token_id]
    monkeypatch.setattr(config, "suppress_tokens", [*config.suppress_tokens, *emitted.difference(few)])
    decoder = BeamDecoder(text_to_gloss.model)
    assert decoder.can_search(3)
    assert not decoder.can_search(4)
    assert searched(text_to_gloss.model, batch, num_beams=3) == generated(text_to_gloss.model, batch, num_beams=3)
    monkeypatch.setattr(BeamDecoder, "decode", None)
    assert text_to_gloss(SENTENCES[0])["log_prob"] < 0


def test_it_follows_the_parameters(
    text_to_gloss: Text2GlossPipeline, batch: dict[str, torch.Tensor], tokenizer: KGlossTokenizerFast
) -> None:
    model = text_to_gloss.model
    decoder = BeamDecoder(model)
    bias = model.decoder.get_output_embeddings().bias
    before = bias.detach().clone()
    decoder.decode(batch["input_ids"], batch["attention_mask"], ROOM)
    with torch.no_grad():
        bias[tokenizer.eos_token_id] -= 4
    rows = decoder.decode(batch["input_ids"], batch["attention_mask"], ROOM).rows
    expected = generated(model, batch)
    with torch.no_grad():
        bias.copy_(before)
    assert rows == expected != generated(model, batch)


def test_eight_bit_weights(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> None:
    small = with_int8_weights(model)
    for number in range(4):
        one = {name: values[number : number + 1] for name, values in batch.items()}
        rows = BeamDecoder(small, int8=True).decode(one["input_ids"], one["attention_mask"], ROOM).rows
        assert rows == generated(small, one)


def test_an_encoder_of_another_kind_is_called_as_it_is(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> None:
    hook = model.encoder.embeddings.register_forward_hook(lambda _, __, output: output.flip(1))
    try:
        rows = searched(model, batch)
        assert rows == generated(model, batch)
    finally:
        hook.remove()
    assert rows != searched(model, batch)


def test_threads_share_a_pipeline(text_to_gloss: Text2GlossPipeline) -> None:
    jobs = [(text, beams) for text in SENTENCES for beams in (1, 2, 4)] * 3

    def glosses(job: tuple[str, int]) -> list[str]:
        return text_to_gloss(job[0], num_beams=job[1]).glosses

    expected = [*map(glosses, jobs)]
    assert text_to_gloss.search.beams is not None
    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(glosses, jobs)] == expected


def test_more_rows_than_beams_are_refused(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="num_return_sequences: expected at most num_beams, which is 4, found 5"):
        searched(model, batch, num_return_sequences=5)


def test_other_models_are_refused(checkpoint: str) -> None:
    from transformers import AutoModelForSeq2SeqLM

    with pytest.raises(ValueError, match="expected an EncoderDecoderModel whose decoder is a stock BERT"):
        BeamDecoder(AutoModelForSeq2SeqLM.from_pretrained(checkpoint).half())
