"""Check that the pipeline answers as `generate` does, whatever has been done to the model."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import peft
import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    PreTrainedModel,
    XLMRobertaConfig,
)

from conftest import SENTENCES
from kgloss_hf.models import modeling
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.decoding import emitted_ids
from kgloss_hf.runtime.explaining import explain
from kgloss_hf.runtime.pipeline_kgloss import Text2GlossPipeline
from kgloss_hf.runtime.plain import has_plain_decoder, is_plain
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

WORDS = " ".join(SENTENCES).split()
TEXTS = [" ".join(np.random.default_rng(seed).choice(WORDS, size=1 + seed % 9)) for seed in range(8)]


def drawn(model: PreTrainedModel, tokenizer: KGlossTokenizerFast, factor: float = 3) -> PreTrainedModel:
    """Return the model with weights that give sentences different answers, which end sooner or later."""
    model.generation_config = copy.deepcopy(build_model("tiny", tokenizer, num_beams=1).generation_config)
    model.generation_config.max_length = 8
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= factor
        model.get_output_embeddings().bias[tokenizer.eos_token_id] += 2
    return model.eval()


@pytest.fixture(scope="module", params=["tiny", "paper"])
def original(request: pytest.FixtureRequest, tokenizer: KGlossTokenizerFast) -> PreTrainedModel:
    torch.manual_seed(1)
    # The paper's shape with narrower layers, and only two, as all are alike.
    paper = dataclasses.replace(
        modeling.PRESETS["paper"], num_hidden_layers=2, hidden_size=128, intermediate_size=512, num_attention_heads=2
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(modeling.PRESETS, "paper", paper)
        return drawn(build_model(request.param, tokenizer), tokenizer)


@pytest.fixture
def text_to_gloss(original: PreTrainedModel, tokenizer: KGlossTokenizerFast) -> Text2GlossPipeline:
    """Return a pipeline that has already answered with its own loop."""
    text_to_gloss = Text2GlossPipeline(model=copy.deepcopy(original), tokenizer=tokenizer)
    assert answers(text_to_gloss) == generated(text_to_gloss)
    assert text_to_gloss.search.greedy is not None
    return text_to_gloss


def answers(text_to_gloss: Text2GlossPipeline, **options: Any) -> list[list[int]]:
    """Return the output of the pipeline's model, before words of the sentence are restored."""
    rows = text_to_gloss.tokenizer(TEXTS, padding=True, return_tensors="pt")
    torch.manual_seed(0)
    with torch.inference_mode():
        return text_to_gloss.decode(rows["input_ids"], rows["attention_mask"], options)[0]


def generated(text_to_gloss: Text2GlossPipeline, **options: Any) -> list[list[int]]:
    """Return the output of `generate`."""
    tokenizer = text_to_gloss.tokenizer
    torch.manual_seed(0)
    rows = text_to_gloss.model.generate(**tokenizer(TEXTS, padding=True, return_tensors="pt"), **options)
    return [[index for index in row if index not in tokenizer.all_special_ids] for row in rows.tolist()]


def attentions(model: Any) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "query") and hasattr(module, "value")]


def lora(**options: Any) -> peft.LoraConfig:
    """Return the configuration of an adapter that changes the answers from the start."""
    chosen = {"target_modules": ["query", "value", "dense"], "lora_alpha": 64, "init_lora_weights": False, **options}
    return peft.LoraConfig(**chosen)


def with_adapter(model: Any) -> None:
    model.add_adapter(lora())


def with_head_of_its_own(model: Any) -> Any:
    wrapped = peft.get_peft_model(model, lora(target_modules=["query"], modules_to_save=["predictions"]))
    wrapped.decoder.cls.predictions.modules_to_save["default"].decoder.weight.data.normal_()
    return wrapped


def in_place(model: Any) -> None:
    for attention in attentions(model):
        attention.query.weight.mul_(-1)
    model.get_output_embeddings().weight.mul_(-1)


def through_data(model: Any) -> None:
    """Change weights as peft does to merge an adapter: torch counts no new version, and the storage stays."""
    for attention in attentions(model):
        attention.value.weight.data *= -1
    model.get_output_embeddings().weight.data *= -1
    model.decoder.bert.embeddings.position_embeddings.weight.data.neg_()


def by_new_data(model: Any) -> None:
    for attention in attentions(model):
        attention.value.weight.data = -attention.value.weight.data
    model.get_output_embeddings().bias.data = torch.randn(model.config.vocab_size) * 9


def by_new_parameters(model: Any) -> None:
    for attention in attentions(model):
        attention.value.weight = nn.Parameter(-attention.value.weight)


def loaded(model: Any) -> None:
    model.load_state_dict({name: -value for name, value in model.state_dict().items()})


def hooked(model: Any) -> None:
    model.decoder.bert.encoder.layer[-1].output.register_forward_hook(lambda *call: -call[-1])


def hooked_before(model: Any) -> None:
    model.decoder.bert.encoder.layer[0].register_forward_pre_hook(lambda _, inputs: (-inputs[0], *inputs[1:]))


def parametrized(model: Any) -> None:
    for attention in attentions(model):
        nn.utils.parametrizations.spectral_norm(attention.value)


def normalised_by_hooks(model: Any) -> None:
    for attention in attentions(model):
        attention.value = nn.utils.weight_norm(attention.value)
        attention.value.weight_g.data *= 3


class Negative(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return -super().forward(input)


def of_another_class(model: Any) -> None:
    model.decoder.bert.encoder.layer[-1].output.dense.__class__ = Negative


def of_another_forward(model: Any) -> None:
    dense = model.decoder.bert.encoder.layer[-1].output.dense
    dense.forward = lambda input: -nn.Linear.forward(dense, input)


def without_bias(model: Any) -> None:
    for attention in attentions(model):
        attention.query.bias = None
    model.decoder.bert.encoder.layer[-1].output.dense.bias = None


def in_a_peft_model(model: Any) -> Any:
    return peft.get_peft_model(model, lora())


def merged(model: Any) -> Any:
    return peft.get_peft_model(model, lora()).merge_and_unload()


def quantised(model: Any) -> Any:
    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear})


def compiled(model: Any) -> Any:
    return torch.compile(model, backend="eager")


SAY_SOMETHING_ELSE: Sequence[Callable[[Any], Any]] = [
    *(with_adapter, in_a_peft_model, with_head_of_its_own, merged),
    *(in_place, through_data, by_new_data, by_new_parameters, loaded),
    *(hooked, hooked_before, parametrized, normalised_by_hooks, of_another_class, of_another_forward),
    nn.Module.train,
]
MAY_SAY_THE_SAME = [without_bias, quantised, compiled, nn.Module.double, nn.Module.bfloat16, nn.Module.half]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:torch.quantize:UserWarning")
@pytest.mark.parametrize("alter", [*SAY_SOMETHING_ELSE, *MAY_SAY_THE_SAME])
def test_altered_between_two_calls(text_to_gloss: Text2GlossPipeline, alter: Callable[[Any], Any]) -> None:
    before = answers(text_to_gloss)
    with torch.no_grad():
        altered = alter(text_to_gloss.model)
    text_to_gloss.model = text_to_gloss.model if altered is None else altered
    expected = generated(text_to_gloss)
    assert answers(text_to_gloss) == expected
    assert expected != before or alter not in SAY_SOMETHING_ELSE
    check_explained(text_to_gloss, expected)


def check_explained(text_to_gloss: Text2GlossPipeline, sequences: list[list[int]]) -> None:
    """Check that log-probabilities are those of the model's own scores."""
    model, tokenizer = text_to_gloss.model, text_to_gloss.tokenizer
    rows = tokenizer(TEXTS, padding=True, return_tensors="pt")
    whole = [[tokenizer.bos_token_id, *ids, tokenizer.eos_token_id] for ids in sequences]
    read = nn.utils.rnn.pad_sequence(list(map(torch.tensor, whole)), True, tokenizer.bos_token_id)[:, :-1]
    with torch.no_grad():
        torch.manual_seed(0)
        # With a cache, transformers 4 gives all queries of relative positions the place of the last.
        logits = model(**rows, decoder_input_ids=read, use_cache=False).logits.float()
        torch.manual_seed(0)
        explained = explain(model, rows["input_ids"], rows["attention_mask"], sequences)
    logits[..., model.generation_config.suppress_tokens] = -torch.inf
    steps = logits.log_softmax(dim=-1)
    for row, ids in enumerate(whole):
        expected = sum(steps[row, place, index].item() for place, index in enumerate(ids[1:]))
        assert explained.log_probs[row] == pytest.approx(expected, rel=1e-3, abs=1e-2)
    assert explained.attention.shape == (len(TEXTS), read.shape[1], rows["input_ids"].shape[1])
    assert explained.attention[0, 0].sum().item() == pytest.approx(1, abs=1e-2)


def test_another_model(text_to_gloss: Text2GlossPipeline, tokenizer: KGlossTokenizerFast) -> None:
    before = answers(text_to_gloss)
    text_to_gloss.model = drawn(build_model("tiny", tokenizer), tokenizer)
    assert answers(text_to_gloss) == generated(text_to_gloss) != before
    text_to_gloss.model = build_model("rnn", tokenizer).eval()
    text_to_gloss.model.generation_config.max_length = 8
    assert answers(text_to_gloss) == generated(text_to_gloss)


def berts(tokenizer: KGlossTokenizerFast, kind: Any = BertConfig, decoder_size: int = 32, **options: Any) -> Any:
    shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": len(tokenizer)}
    shape |= {"max_position_embeddings": 60, "pad_token_id": tokenizer.pad_token_id, **options}
    configs = kind(hidden_size=32, **shape), kind(hidden_size=decoder_size, **shape)
    return EncoderDecoderConfig.from_encoder_decoder_configs(*configs)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": XLMRobertaConfig},
        {"decoder_size": 16},
        {"position_embedding_type": "relative_key"},
        {"hidden_act": "relu", "layer_norm_eps": 1e-2, "chunk_size_feed_forward": 1},
    ],
)
def test_models_of_other_shapes(options: dict[str, Any], tokenizer: KGlossTokenizerFast) -> None:
    text_to_gloss = Text2GlossPipeline(
        model=drawn(EncoderDecoderModel(berts(tokenizer, **options)), tokenizer, 10), tokenizer=tokenizer
    )
    expected = generated(text_to_gloss)
    assert len(set(map(tuple, expected))) > 1
    assert answers(text_to_gloss) == expected
    check_explained(text_to_gloss, expected)


def test_pruned_heads(text_to_gloss: Text2GlossPipeline) -> None:
    attention = text_to_gloss.model.decoder.bert.encoder.layer[0].attention
    if not hasattr(attention, "prune_heads"):
        pytest.skip("transformers 5 prunes no heads")
    attention.prune_heads({0})
    text_to_gloss.model.eval()  # new layers are in training mode
    assert answers(text_to_gloss) == generated(text_to_gloss)
    assert text_to_gloss.search.greedy is not None


@pytest.mark.parametrize("kind", ["forward", "forward_pre"])
def test_hooks_of_all_modules(text_to_gloss: Text2GlossPipeline, kind: str) -> None:
    def negative(module: nn.Module, *call: Any) -> Any:
        return -call[-1] if kind == "forward" and type(module) is nn.LayerNorm else None

    handle = getattr(nn.modules.module, f"register_module_{kind}_hook")(negative)
    try:
        assert answers(text_to_gloss) == generated(text_to_gloss)
        assert not is_plain(text_to_gloss.model)
    finally:
        handle.remove()
    assert is_plain(text_to_gloss.model)


def test_autocast(text_to_gloss: Text2GlossPipeline) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert answers(text_to_gloss) == generated(text_to_gloss)
        assert not is_plain(text_to_gloss.model)


def test_settings_changed_between_two_calls(text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    config = text_to_gloss.model.generation_config
    before = answers(text_to_gloss)
    said = before[0][0]
    eos = config.eos_token_id
    for settings in (
        {"suppress_tokens": [*config.suppress_tokens, said]},
        {"suppress_tokens": None},
        {"decoder_start_token_id": said},
        {"eos_token_id": [said, eos]},
        {"eos_token_id": [eos, said]},
        {"eos_token_id": None},
        {"forced_bos_token_id": said + 1},
        {"forced_eos_token_id": eos},
        {"max_new_tokens": 2},
        {"max_length": 3},
        {"num_beams": 3},
        {"min_length": 5},
        {"repetition_penalty": 3.0},
    ):
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setattr(config, name, value)
            expected = generated(text_to_gloss)
            assert answers(text_to_gloss) == expected, settings
            if settings.get("eos_token_id"):
                assert text_to_gloss(TEXTS, num_return_sequences=1, num_beams=1)[0][0]["log_prob"] < 0
    config.suppress_tokens.append(said)  # the same list
    assert answers(text_to_gloss) == generated(text_to_gloss) != before
    config.suppress_tokens.remove(said)
    assert answers(text_to_gloss) == before
    for options in ({"suppress_tokens": [said]}, {"max_new_tokens": 3}, {"max_length": 4}, {"min_new_tokens": 4}):
        assert answers(text_to_gloss, **options) == generated(text_to_gloss, **options), options


def test_suppressed_in_the_call_alone(text_to_gloss: Text2GlossPipeline) -> None:
    everything = emitted_ids(None, text_to_gloss.model.config.vocab_size).tolist()
    said, eos = answers(text_to_gloss)[0][0], text_to_gloss.tokenizer.eos_token_id
    options = {"suppress_tokens": sorted({*everything} - {said, eos}), "max_new_tokens": 2}
    [answer] = text_to_gloss(TEXTS[0], num_return_sequences=1, **options)
    assert answer["log_prob"] < 0
    assert {said} >= set(text_to_gloss.tokenizer.convert_tokens_to_ids(answer.glosses))


def test_plain_decoders(original: PreTrainedModel) -> None:
    model = copy.deepcopy(original)
    hook = model.encoder.embeddings.register_forward_hook(lambda *_: None)
    assert not is_plain(model)
    assert has_plain_decoder(model)
    hook.remove()
    assert is_plain(model)
    for part in (model, model.decoder.bert.embeddings):
        hook = part.register_forward_hook(lambda *_: None)
        assert not has_plain_decoder(model)
        hook.remove()
    assert not has_plain_decoder(model.train())
    assert not has_plain_decoder(model.eval().half())
