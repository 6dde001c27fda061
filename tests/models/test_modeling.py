from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
import torch
import transformers

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models import modeling
from kgloss_hf.models.extending import extend_tokenizer
from kgloss_hf.models.modeling import (
    PRESETS,
    EncoderDecoderModel,
    build_model,
    freeze_unused,
    transfer,
)
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast


def test_paper_preset_has_the_papers_parameters(tokenizer: KGlossTokenizerFast) -> None:
    with mock.patch.object(KGlossTokenizerFast, "__len__", return_value=12078), torch.device("meta"):
        model = build_model("paper", tokenizer)
    # Transformers 4 gives the output bias, one tensor, under two names; 5 keeps two tensors. Counted by name: the same.
    assert sum(p.numel() for _, p in model.named_parameters(remove_duplicate=False)) == 94_882_396


def test_unknown_preset(tokenizer: KGlossTokenizerFast) -> None:
    with pytest.raises(ValueError, match="preset: expected one of tiny, small, paper"):
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


def test_loss_and_gradients_are_those_of_the_stock_model(tokenizer: KGlossTokenizerFast, checkpoint: str) -> None:
    batch = tokenizer(SENTENCES, text_target=GLOSSES, padding=True, return_tensors="pt")
    labels = batch.pop("labels")
    labels[labels == tokenizer.pad_token_id] = -100
    ours = EncoderDecoderModel.from_pretrained(checkpoint)
    stock = transformers.EncoderDecoderModel.from_pretrained(checkpoint)
    losses = [model.eval()(**batch, labels=labels).loss for model in (ours, stock)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    for (name, own), expected in zip(ours.named_parameters(), stock.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(own.grad, expected.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_checkpoint_is_a_stock_model(tokenizer: KGlossTokenizerFast, checkpoint: str) -> None:
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
    assert type(model) is transformers.EncoderDecoderModel
    assert model.config.architectures == ["EncoderDecoderModel"]


def test_transfer_takes_all_but_the_final_layer(
    tokenizer: KGlossTokenizerFast, checkpoint: str, tmp_path: Path
) -> None:
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    with mock.patch.dict(PRESETS["paper"].__dict__, small):
        pretext, model = build_model("paper", tokenizer), build_model("paper", tokenizer)
    pretext.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    transfer(model, tokenizer, str(tmp_path))
    final = {
        "decoder.cls.predictions.decoder.weight",
        "decoder.cls.predictions.decoder.bias",
        "decoder.cls.predictions.bias",
    }
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name] if name in final else pretext.state_dict()[name]), name
    assert not torch.equal(
        before["decoder.cls.predictions.decoder.weight"], pretext.decoder.get_output_embeddings().weight
    )


def test_transfer_says_what_differs(tokenizer: KGlossTokenizerFast, checkpoint: str) -> None:
    other = train_tokenizer(SENTENCES, [*GLOSSES, ["새글로스"]], vocab_size=300, stop_words=["없는말"])
    with pytest.raises(
        ValueError, match=r"1 entry is only here, such as '새글로스'; stop_words is \['없는말'\] here and \[\] there"
    ):
        transfer(build_model("tiny", other), other, checkpoint)
    with pytest.raises(
        ValueError, match=r"encoder.embeddings.word_embeddings.weight should be \(\d+, 256\) and is \(\d+, 128\)"
    ):
        transfer(build_model("small", tokenizer), tokenizer, checkpoint)


@pytest.mark.parametrize("preset", ["tiny", "paper"])
def test_transfer_takes_a_pretext_that_lacks_glosses(
    preset: str, tokenizer: KGlossTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hidden_size", "intermediate_size"):
        monkeypatch.setitem(PRESETS[preset].__dict__, name, 16)
    monkeypatch.setitem(PRESETS[preset].__dict__, "num_hidden_layers", 1)
    pretext = build_model(preset, tokenizer)
    pretext.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    extended = extend_tokenizer(tokenizer, [["새글로스", "형태"]])
    model = build_model(preset, extended)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    transfer(model, extended, str(tmp_path))
    final = ["decoder.bias", "bias", *(["decoder.weight"] if preset == "paper" else [])]
    fresh = {f"decoder.cls.predictions.{name}" for name in final}
    old = pretext.state_dict()
    for name, value in model.state_dict().items():
        expected = before[name] if name in fresh else old[name]
        assert torch.equal(value[: len(expected)], expected), name
    for half in (model.encoder, model.decoder):
        rows = half.get_input_embeddings().weight
        assert rows.shape == (len(tokenizer) + 1, 16)
        assert not torch.equal(rows[-1], before["encoder.embeddings.word_embeddings.weight"][-1])


def _glosses_in_another_case() -> KGlossTokenizerFast:
    texts = ["das wetter kann weiß aussehen", "wie war der regen"] * 9
    glosses = [["WETTER", "WEISS", "KOENNEN", "WIE-AUSSEHEN", "REGEN2", "regen", "Number/7", "XÖ"]]
    return train_tokenizer([*texts, "können"], glosses, vocab_size=400, analyzer="whitespace")


@pytest.mark.parametrize("preset", ["tiny", "rnn"])
def test_glosses_begin_from_their_words(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = _glosses_in_another_case()
    torch.manual_seed(0)
    model = build_model(preset, tokenizer)
    drawn_after = torch.rand(1)
    monkeypatch.setattr(modeling, "_start_from_words", lambda *_: None)
    torch.manual_seed(0)
    plain = build_model(preset, tokenizer)
    assert torch.equal(torch.rand(1), drawn_after)
    if preset == "rnn":  # its embeddings are not shared
        assert all(map(torch.equal, model.state_dict().values(), plain.state_dict().values()))
        return

    row = tokenizer.convert_tokens_to_ids
    before = plain.encoder.get_input_embeddings().weight
    expected = {
        "WETTER": before[row("wetter")],
        "WEISS": before[row("weiß")],
        "KOENNEN": before[row("können")],
        "WIE-AUSSEHEN": before[row(["wie", "aussehen"])].mean(dim=0),
        "REGEN2": before[row("regen")],
    }
    for half in (model.encoder, model.decoder):
        weight = half.get_input_embeddings().weight
        for gloss, embedding in expected.items():
            torch.testing.assert_close(weight[row(gloss)], embedding, rtol=0, atol=1e-7, msg=gloss)
        unchanged = [index for token, index in tokenizer.get_vocab().items() if token not in expected]
        assert torch.equal(weight[unchanged], before[unchanged])
    assert row("XÖ") not in model.generation_config.suppress_tokens


def test_models_of_korean_begin_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train_tokenizer([*SENTENCES, "#qr 코드"], [*GLOSSES, ["QR", "V", "Wifi"]], vocab_size=300)
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        states.append(build_model("tiny", tokenizer).state_dict())
        monkeypatch.setattr(modeling, "_start_from_words", lambda *_: None)
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())
