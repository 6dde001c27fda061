from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from tokenizers import models
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedModel, T5Config, T5ForConditionalGeneration

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models.extending import extend_model, extend_tokenizer, release_glosses
from kgloss_hf.models.modeling import PRESETS, EncoderDecoderModel, build_model
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.runtime.targets import RESERVED
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

NEW = [["형태", "처음보는글로스", "Number/3"], ["몸", "(사진)인화", "처음보는글로스"]]
"""Two glosses outside the fixture's vocabulary, one that is a word piece of it, and known glosses."""


@pytest.fixture(scope="module")
def extended(tokenizer: KGlossTokenizerFast) -> KGlossTokenizerFast:
    return extend_tokenizer(tokenizer, NEW)


def _trained(model: PreTrainedModel, tokenizer: KGlossTokenizerFast, steps: int = 30) -> PreTrainedModel:
    """Return a model that has partly learnt the fixture's sentences, so that no bias or embedding is fresh."""
    batch = tokenizer(SENTENCES, text_target=GLOSSES, padding=True, return_tensors="pt")
    batch["labels"] = batch["labels"].masked_fill(batch["labels"] == tokenizer.pad_token_id, -100)
    model.token_loss.restrict(model.generation_config.suppress_tokens, tokenizer.target_size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        model(**batch).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return model.eval()


def _small(preset: str, tokenizer: KGlossTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> PreTrainedModel:
    widths = {"hidden_size": 32, "embedding_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    for name in widths.keys() & PRESETS[preset].__dict__.keys():
        monkeypatch.setitem(PRESETS[preset].__dict__, name, widths[name])
    torch.manual_seed(0)
    return build_model(preset, tokenizer)


@pytest.mark.parametrize("kind", ["wordpiece", "wordlevel"])
def test_ids_stay_and_new_glosses_follow(kind: str, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(SENTENCES, GLOSSES, model=kind, vocab_size=300, stop_words=["하다"], max_length=40)
    tokenizer.add_tokens(["괘불 미디어아트"])
    known, word = tokenizer.get_vocab(), tokenizer.words(["몸의 형태"])[0][1]
    extended = extend_tokenizer(tokenizer, [[word, " 처음보는\u200b글로스", "Number/3", "Alpha"], ["몸"]])
    extended.save_pretrained(tmp_path)
    loaded = KGlossTokenizerFast.from_pretrained(tmp_path)
    for made in (extended, loaded):
        assert made.get_vocab() == known | {"처음보는글로스": len(known)}
        assert made.glosses == [*tokenizer.glosses, "형태", "처음보는글로스"]
        assert (made.model_max_length, made.init_kwargs["stop_words"]) == (40, ["하다"])
        assert made(SENTENCES)["input_ids"] == tokenizer(SENTENCES)["input_ids"]
    assert type(loaded.backend_tokenizer.model) is type(tokenizer.backend_tokenizer.model)
    assert tokenizer.get_vocab() == known  # unchanged
    assert extend_tokenizer(tokenizer, GLOSSES).vocabulary_digest == tokenizer.vocabulary_digest


def test_glosses_that_cannot_be(tokenizer: KGlossTokenizerFast) -> None:
    with pytest.raises(ValueError, match="expected glosses, found one without a visible character"):
        extend_tokenizer(tokenizer, [["\u200b"]])
    with pytest.raises(ValueError, match="expected glosses of at most 100 characters, found .* with 101"):
        extend_tokenizer(tokenizer, [["가" * 101]])
    other = copy.deepcopy(tokenizer)
    other.backend_tokenizer.model = models.BPE()
    with pytest.raises(ValueError, match="expected a vocabulary of word pieces or whole words, found BPE"):
        extend_tokenizer(other, NEW)


@pytest.mark.parametrize("preset", ["tiny", "paper", "rnn"])
def test_answers_stay_until_trained(
    preset: str,
    tokenizer: KGlossTokenizerFast,
    extended: KGlossTokenizerFast,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = _trained(_small(preset, tokenizer, monkeypatch), tokenizer)
    model.save_pretrained(tmp_path / "before")
    model = type(model).from_pretrained(tmp_path / "before")  # in transformers 5, untied, with two biases
    texts = [*SENTENCES, *(sentence[cut:] for sentence in SENTENCES for cut in (3, 9))]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    assert extended(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    before = {beams: model.generate(**batch, num_beams=beams, max_length=14) for beams in (1, 4)}
    state = torch.get_rng_state()
    extend_model(model, tokenizer, extended)
    assert torch.equal(torch.get_rng_state(), state)
    model.save_pretrained(tmp_path / "after")
    loaded = type(model).from_pretrained(tmp_path / "after")
    for answering in (model, loaded):
        for beams, expected in before.items():
            assert torch.equal(answering.generate(**batch, num_beams=beams, max_length=14), expected)
    new = [extended.target_vocab[gloss] for gloss in ("형태", "처음보는글로스", "(사진)인화")]
    assert not {*new} & {*loaded.generation_config.suppress_tokens}
    assert {*loaded.generation_config.suppress_tokens, *new} == {*model.generation_config.suppress_tokens, *new}
    parts = [loaded.config, *(getattr(loaded.config, name, loaded.config) for name in ("encoder", "decoder"))]
    assert {part.vocab_size for part in parts} == {len(extended)}
    assert loaded.config.vocabulary_digest == extended.vocabulary_digest

    release_glosses(loaded, tokenizer, extended)  # and a few steps suffice
    labels = extended(text_target=[["처음보는글로스", "형태"]], return_tensors="pt")["input_ids"]
    source = extended([SENTENCES[0]], return_tensors="pt")
    optimiser = torch.optim.AdamW(loaded.parameters(), lr=1e-2)
    for _ in range(15):
        loaded(**source, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    answer = loaded.eval().generate(**source, num_beams=1, max_length=14)
    assert extended.convert_ids_to_glosses(answer.tolist()) == [["처음보는글로스", "형태"]]


def test_new_rows_begin_from_the_words_of_the_gloss(
    tokenizer: KGlossTokenizerFast, extended: KGlossTokenizerFast, checkpoint: str
) -> None:
    model = EncoderDecoderModel.from_pretrained(checkpoint)
    before = model.encoder.get_input_embeddings().weight.detach().clone()
    extend_model(model, tokenizer, extended)
    encoder, decoder = (half.get_input_embeddings().weight for half in (model.encoder, model.decoder))
    assert torch.equal(encoder, decoder)  # required by SharedEmbeddings
    assert decoder is model.decoder.get_output_embeddings().weight
    assert torch.equal(encoder[: len(tokenizer)], before)
    pieces = tokenizer.convert_tokens_to_ids(tokenizer.tokenize("사진"))
    unknown = tokenizer.unk_token_id
    other_pieces = tokenizer.backend_tokenizer.encode(["인화"], is_pretokenized=True, add_special_tokens=False).ids
    words = [index for index in [*pieces, *other_pieces] if index not in (unknown, *tokenizer.all_special_ids)]
    torch.testing.assert_close(encoder[extended.target_vocab["(사진)인화"]], before[words].mean(dim=0))


def test_bias_is_lower_where_names_are_favoured(
    tokenizer: KGlossTokenizerFast, extended: KGlossTokenizerFast, checkpoint: str
) -> None:
    lowest = []
    for penalty in (1.0, 3.0):
        model = EncoderDecoderModel.from_pretrained(checkpoint)
        model.generation_config.encoder_repetition_penalty = penalty
        extend_model(model, tokenizer, extended)
        lowest.append(model.decoder.get_output_embeddings().bias.min().item())
    assert lowest[1] == pytest.approx(lowest[0] - 20)


def test_tokenizers_that_do_not_fit(
    tokenizer: KGlossTokenizerFast, extended: KGlossTokenizerFast, checkpoint: str
) -> None:
    model = EncoderDecoderModel.from_pretrained(checkpoint)
    other = train_tokenizer(SENTENCES, [*GLOSSES, ["새글로스"]], vocab_size=300)
    with pytest.raises(ValueError, match=r"expected the model's tokenizer, with \d+ ids, found another vocabulary"):
        extend_model(model, other, extend_tokenizer(other, NEW))
    with pytest.raises(ValueError, match="expected a new tokenizer that is the old one with more glosses"):
        extend_model(model, tokenizer, train_tokenizer(["집"], [["집"]]))
    before = copy.deepcopy(model.state_dict())
    extend_model(model, tokenizer, tokenizer)  # nothing is new
    assert all(map(torch.equal, before.values(), model.state_dict().values()))


def _with_target(tokenizer: KGlossTokenizerFast, start: int) -> KGlossTokenizerFast:
    made = copy.deepcopy(tokenizer)
    made.init_kwargs["target_start"] = start
    return made


def test_glosses_with_a_vocabulary_of_their_own(tokenizer: KGlossTokenizerFast) -> None:
    for start in (0, len(tokenizer)):
        own = _with_target(tokenizer, start)
        extended = extend_tokenizer(own, NEW)
        assert extended.get_vocab() == own.get_vocab()
        size = start + len(RESERVED) + len(own.glosses)
        expected = {"형태": size, "처음보는글로스": size + 1, "(사진)인화": size + 2}
        assert extended.target_vocab == own.target_vocab | expected


def test_a_whole_seq2seq_keeps_its_answers(tokenizer: KGlossTokenizerFast) -> None:
    own = _with_target(tokenizer, len(tokenizer))
    extended = extend_tokenizer(own, NEW)
    special, size = own.target_special_ids, own.target_size
    ids = {name: special[name] for name in ("pad_token_id", "eos_token_id")}
    shape = {"vocab_size": size, "d_model": 16, **ids, "decoder_start_token_id": special["bos_token_id"]}
    bart = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    t5 = {"d_ff": 16, "d_kv": 8, "num_layers": 1, "num_heads": 2, "tie_word_embeddings": False}
    kinds: list[PreTrainedModel] = [
        BartForConditionalGeneration(BartConfig(**shape, **bart, encoder_ffn_dim=16, decoder_ffn_dim=16)),
        T5ForConditionalGeneration(T5Config(**shape, **t5)),
    ]
    batch = own(SENTENCES, padding=True, return_tensors="pt")
    for model in kinds:
        config = model.eval().generation_config
        config.suppress_tokens = [*range(len(tokenizer)), special["pad_token_id"], special["unk_token_id"]]
        config.forced_eos_token_id = config.forced_bos_token_id = None
        before = model.generate(**batch, num_beams=1, max_length=10)
        extend_model(model, own, extended)
        assert torch.equal(model.generate(**batch, num_beams=1, max_length=10), before)
        assert model.config.vocab_size == model.get_input_embeddings().num_embeddings == size + 3
        assert model.get_encoder().get_input_embeddings().weight is model.get_decoder().get_input_embeddings().weight


def test_an_encoder_with_another_vocabulary_stays(tokenizer: KGlossTokenizerFast) -> None:
    own = _with_target(tokenizer, 0)
    model = build_model("tiny", tokenizer)
    model.decoder.resize_token_embeddings(own.target_size, mean_resizing=False)
    model.config.vocab_size, model.config.vocabulary_digest = own.target_size, own.vocabulary_digest
    model.generation_config.suppress_tokens = [0, 1, 2, 4]
    before = model.encoder.get_input_embeddings().weight
    extend_model(model, own, extend_tokenizer(own, NEW))
    assert model.encoder.get_input_embeddings().weight is before
    assert model.config.encoder.vocab_size == len(tokenizer)
    assert model.config.decoder.vocab_size == own.target_size + 3
