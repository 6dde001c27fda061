"""Check that a model that joins hidden states of its encoder computes correctly, and is saved, loaded and searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel, pipeline

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models.warm_start import build_warm_model, warm_tokenizer
from kgloss_hf.runtime.configuration_kgloss import KGlossJoinedConfig
from kgloss_hf.runtime.explaining import explain
from kgloss_hf.runtime.modeling_joined import JoinedEncoderDecoderModel
from kgloss_hf.runtime.pipeline_kgloss import Text2GlossPipeline
from kgloss_hf.runtime.plain import is_plain
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast


@pytest.fixture(scope="module")
def tokenizer(encoder: str) -> KGlossTokenizerFast:
    return warm_tokenizer(encoder, GLOSSES, texts=SENTENCES)


@pytest.fixture(scope="module")
def folder(encoder: str, tokenizer: KGlossTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("joined")
    model = build_warm_model(encoder, tokenizer, preset="tiny", fresh_layers=1, joined_layers=[0, 2], num_beams=2)
    with torch.no_grad():
        for matrix in (p for p in model.parameters() if p.dim() > 1):
            matrix.mul_(5)  # an untrained model would give most sentences the same answer
    model.generation_config.max_length = 12
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> PreTrainedModel:
    loaded: PreTrainedModel = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    return loaded


def sources(tokenizer: KGlossTokenizerFast) -> dict[str, Any]:
    return dict(tokenizer(SENTENCES, padding=True, return_tensors="pt"))


def test_it_loads_as_itself(folder: Path, model: PreTrainedModel, tmp_path: Path) -> None:
    assert type(model) is JoinedEncoderDecoderModel
    config = AutoConfig.from_pretrained(folder)
    assert [type(config), config.joined_layers, config.fresh_layers] == [KGlossJoinedConfig, [0, 2], 1]
    assert isinstance(AutoTokenizer.from_pretrained(folder), KGlossTokenizerFast)
    assert not hasattr(model, "enc_to_dec_proj")
    model.save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())


def test_the_decoder_reads_the_joined_states(model: Any, tokenizer: KGlossTokenizerFast) -> None:
    source, head = sources(tokenizer), model.encoder.head
    with torch.inference_mode():
        states = model.encoder.base(**source, output_hidden_states=True).hidden_states
        joined = head.norm(head.projection(torch.cat([states[0], states[2]], dim=-1)))
        alone = [model.encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, -1] for text in SENTENCES]
        read = model.encoder(**source)
        of_head = head.layers[0](joined[:1, : int(source["attention_mask"][0].sum())])
    ends = source["attention_mask"].sum(dim=1) - 1
    padded = read.last_hidden_state[torch.arange(len(ends)), ends]
    assert torch.allclose(padded, torch.stack(alone), atol=1e-4)  # padding is not read
    of_head = of_head[0] if isinstance(of_head, tuple) else of_head
    assert torch.allclose(of_head[0, -1], alone[0], atol=1e-4)
    assert read.hidden_states is None
    asked = model(**source, decoder_input_ids=torch.full((4, 1), 2), output_hidden_states=True)
    assert [state.shape[-1] for state in asked.encoder_hidden_states] == [16, 16, 16]
    assert len(model.encoder(**source, return_dict=False)) == 1


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_each_kind_of_attention_gives_the_same(
    folder: Path, model: Any, tokenizer: KGlossTokenizerFast, attention: str
) -> None:
    other = AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation=attention).eval()
    assert other.encoder.config._attn_implementation == attention
    with torch.inference_mode():
        states = [each.encoder(**sources(tokenizer)).last_hidden_state for each in (model, other)]
    kept = sources(tokenizer)["attention_mask"].bool()
    assert torch.allclose(states[0][kept], states[1][kept], atol=1e-4)


def test_half_precision_answers(folder: Path, tokenizer: KGlossTokenizerFast) -> None:
    half = AutoModelForSeq2SeqLM.from_pretrained(folder).to(torch.bfloat16).eval()
    assert half.generate(**sources(tokenizer), max_length=4).shape[1] == 4


def test_answers_with_all_that_can_be_asked(folder: Path, model: Any, tokenizer: KGlossTokenizerFast) -> None:
    text_to_gloss = pipeline("text2text-generation", model=str(folder))
    # A model of little or no training may give a sentence no gloss.
    asked = {"return_types": True, "return_alignment": True, "fingerspell": True, "min_new_tokens": 1}
    answers = text_to_gloss([*SENTENCES, "..."], **asked)
    assert all(answer["glosses"] for answer in answers[:4])
    assert answers[4]["glosses"] == []
    assert [span for answer in answers for span in answer["alignment"] if span]
    best = text_to_gloss(SENTENCES[0], num_return_sequences=3)
    assert [len(best), best[0]["log_prob"] < 0] == [3, True]
    # Log-probabilities and alignments are those of the stock forward method.
    assert not is_plain(model)
    source, start = tokenizer(SENTENCES[0], return_tensors="pt"), model.generation_config.decoder_start_token_id
    ids = [tokenizer.target_vocab[gloss] for gloss in ("몸", "모습")]
    explained = explain(model, **source, sequences=[ids])
    with torch.inference_mode():
        logits = model(**source, decoder_input_ids=torch.tensor([[start, *ids]])).logits[0]
        logits[:, model.generation_config.suppress_tokens] = -torch.inf
    wanted = torch.tensor([*ids, model.generation_config.eos_token_id])
    expected = logits.log_softmax(dim=-1).gather(1, wanted[:, None]).sum().item()
    assert abs(explained.log_probs[0] - expected) < 1e-3
    assert torch.allclose(explained.attention.sum(dim=-1), torch.ones(1, 3))


def test_int8_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="int8: expected an encoder-decoder of two BERTs.*JoinedEncoderDecoderModel"):
        Text2GlossPipeline(
            model=AutoModelForSeq2SeqLM.from_pretrained(folder),
            tokenizer=KGlossTokenizerFast.from_pretrained(folder),
            int8=True,
        )
