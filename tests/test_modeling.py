from __future__ import annotations

from unittest import mock

import pytest
import torch
from transformers import EncoderDecoderModel

from conftest import GLOSSES, SENTENCES
from kgloss_hf.modeling import PRESETS, build_model, freeze_unused
from kgloss_hf.tokenization_kgloss import KGlossTokenizerFast


def test_paper_preset_has_the_papers_parameters(tokenizer: KGlossTokenizerFast) -> None:
    with mock.patch.object(KGlossTokenizerFast, "__len__", return_value=12078), torch.device("meta"):
        model = build_model("paper", tokenizer)
    # Transformers 4 gives the output bias, one tensor, under two names; 5 keeps two tensors. Counted by name: the same.
    assert sum(p.numel() for _, p in model.named_parameters(remove_duplicate=False)) == 94_882_396


def test_unknown_preset(tokenizer: KGlossTokenizerFast) -> None:
    with pytest.raises(ValueError, match="choose from tiny, small, paper"):
        build_model("large", tokenizer)


@pytest.mark.parametrize("preset", ["tiny", "paper"])
def test_every_trained_parameter_gets_a_gradient(tokenizer: KGlossTokenizerFast, preset: str) -> None:
    with mock.patch.dict(
        PRESETS[preset].__dict__, {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    ):
        model = build_model(preset, tokenizer)
    freeze_unused(model)
    batch = tokenizer(SENTENCES, text_target=GLOSSES, padding=True, return_tensors="pt")
    decoder_input_ids = model.prepare_decoder_input_ids_from_labels(batch.pop("labels"))
    model(**batch, decoder_input_ids=decoder_input_ids).logits.sum().backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_generation_emits_only_glosses(tokenizer: KGlossTokenizerFast, checkpoint: str) -> None:
    model = EncoderDecoderModel.from_pretrained(checkpoint)
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    allowed = {*tokenizer.glosses, "Number", "Alpha"}
    for seed in range(5):
        torch.manual_seed(seed)
        sequences = model.generate(**batch, do_sample=True, num_beams=1, temperature=5.0, max_length=40)
        tokens = [tokenizer.convert_ids_to_tokens(row, skip_special_tokens=True) for row in sequences]
        assert {token for row in tokens for token in row} <= allowed


def test_shared_embeddings_start_equal(tokenizer: KGlossTokenizerFast) -> None:
    model = build_model("tiny", tokenizer)
    encoder, decoder = (half.get_input_embeddings().weight for half in (model.encoder, model.decoder))
    assert torch.equal(encoder, decoder)
    assert encoder is not decoder
