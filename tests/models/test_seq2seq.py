"""Each family of whole seq2seqs learns glosses behind its own pieces."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, MarianConfig, MarianMTModel, pipeline

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models.modeling import freeze_unused
from kgloss_hf.models.seq2seq import build_seq2seq
from kgloss_hf.models.warm_start import warm_tokenizer
from kgloss_hf.runtime.explaining import explain
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from tests.models.test_warm_start import batch_of
from tests.pretrained import SEQ2SEQS, save_pretrained_model


@pytest.fixture(scope="module", params=SEQ2SEQS)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_pretrained_model(request.param, tmp_path_factory.mktemp(request.param))


@cache
def tokenizer_of(model: str) -> KGlossTokenizerFast:
    return warm_tokenizer(model, GLOSSES, texts=SENTENCES, seq2seq=True)


def test_the_whole_way_of_each_family(family: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(family)
    model: Any = build_seq2seq(family, tokenizer, num_beams=1)
    batch = batch_of(tokenizer)
    freeze_unused(model)
    model.token_loss.restrict(model.generation_config.suppress_tokens, tokenizer.target_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    model.eval().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    stock = type(AutoModelForSeq2SeqLM.from_pretrained(family))
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert type(loaded) is stock
    assert loaded.config.architectures == [stock.__name__]
    assert loaded.generation_config.to_diff_dict() == model.generation_config.to_diff_dict()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    emitted = loaded.generate(**inputs).tolist()
    assert emitted == model.generate(**inputs).tolist()
    assert min(map(min, emitted)) >= len(tokenizer)  # no piece of a sentence
    text_to_gloss = pipeline("text2text-generation", model=str(tmp_path), tokenizer=tokenizer)
    # A model of little or no training may give a sentence no gloss.
    asked = {"return_types": True, "return_alignment": True, "fingerspell": True, "min_new_tokens": 1}
    answers = text_to_gloss([*SENTENCES, "...", ""], **asked)
    assert all(answer["glosses"] for answer in answers[:4])
    assert [answer["glosses"] for answer in answers[4:]] == [[], []]
    best = text_to_gloss(SENTENCES[0], num_return_sequences=3)
    assert [len(best), best[0]["log_prob"] < 0] == [3, True]


def test_the_loss_is_that_of_a_whole_step(family: str) -> None:
    tokenizer = tokenizer_of(family)
    model: Any = build_seq2seq(family, tokenizer).eval()
    batch = batch_of(tokenizer)
    labels, start = batch["labels"], tokenizer.target_special_ids["bos_token_id"]
    read = torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], dim=1)
    read = read.masked_fill(read == -100, tokenizer.pad_token_id)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    logits = model(**inputs, decoder_input_ids=read).logits
    summed = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    assert torch.allclose(model(**batch, num_items_in_batch=7).loss, summed / 7, atol=1e-3)
    smoothed = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum", label_smoothing=0.1)
    assert torch.allclose(model(**batch, num_items_in_batch=7, smoothing=0.1).loss, smoothed / 7, atol=1e-3)


def test_attention_is_the_models_own(family: str) -> None:
    tokenizer = tokenizer_of(family)
    model: Any = build_seq2seq(family, tokenizer, num_beams=1).eval()
    model.set_attn_implementation("eager")
    inputs = tokenizer(SENTENCES[:2], padding=True, return_tensors="pt")
    sequences = tokenizer(text_target=GLOSSES[:2])["input_ids"]
    sequences = [ids[:3] for ids in sequences]
    explained = explain(model, inputs["input_ids"], inputs["attention_mask"], sequences)
    start = tokenizer.target_special_ids["bos_token_id"]
    read = torch.tensor([[start, *ids] for ids in sequences])
    outputs = model(**inputs, decoder_input_ids=read, output_attentions=True, use_cache=False)
    expected = torch.stack(outputs.cross_attentions).mean(dim=(0, 2))
    assert torch.allclose(explained.attention, expected, atol=1e-5)


def test_glosses_begin_from_their_names(family: str) -> None:
    tokenizer = tokenizer_of(family)
    model: Any = build_seq2seq(family, tokenizer)
    weight, original = (m.get_input_embeddings().weight for m in (model, AutoModelForSeq2SeqLM.from_pretrained(family)))
    assert torch.equal(weight[: len(tokenizer)], original[: len(tokenizer)])
    pieces = tokenizer.backend_tokenizer.encode("모습", add_special_tokens=False).ids
    assert torch.allclose(weight[tokenizer.target_vocab["모습"]], original[pieces].mean(dim=0))
    special = tokenizer.target_special_ids
    config = AutoModelForSeq2SeqLM.from_pretrained(family).config
    assert torch.equal(weight[special["eos_token_id"]], original[config.eos_token_id])
    start = config.decoder_start_token_id or config.eos_token_id
    assert torch.equal(weight[special["bos_token_id"]], original[start])


def test_pruned_to_the_pieces_of_the_corpus(family: str) -> None:
    whole, small = tokenizer_of(family), warm_tokenizer(family, GLOSSES, seq2seq=True, keep=SENTENCES[2:3])
    assert len(small) < len(whole)
    states = []
    for tokenizer in (whole, small):
        model: Any = build_seq2seq(family, tokenizer).eval()
        assert model.get_input_embeddings().num_embeddings == tokenizer.target_size == model.config.vocab_size
        states.append(model.get_encoder()(**tokenizer(SENTENCES[2:3], return_tensors="pt"))[0])
    assert torch.allclose(*states, atol=1e-6)


def test_a_token_cannot_take_the_id_of_a_gloss(family: str) -> None:
    with pytest.raises(ValueError, match="as the ids of glosses follow directly"):
        warm_tokenizer(family, GLOSSES, seq2seq=True).add_tokens(["쿠스코"])


def test_what_is_no_seq2seq_is_refused(encoder: str, tmp_path: Path) -> None:
    bart = save_pretrained_model("bart", tmp_path / "bart")
    with pytest.raises(ValueError, match="--encoder_model_name_or_path"):
        build_seq2seq(encoder, tokenizer_of(bart))
    with pytest.raises(ValueError, match="--num_beams"):
        build_seq2seq(bart, tokenizer_of(bart), num_beams=0)
    two = save_pretrained_model("marian", tmp_path / "marian")
    config = MarianConfig.from_pretrained(two, share_encoder_decoder_embeddings=False, tie_word_embeddings=False)
    MarianMTModel(config).save_pretrained(two)
    with pytest.raises(ValueError, match="one embedding matrix"):
        build_seq2seq(two, warm_tokenizer(two, GLOSSES, seq2seq=True))


def test_the_language_of_sentences_is_korean(tmp_path: Path) -> None:
    """Check the language mark of a multilingual tokenizer, for which transformers assumes English by default."""
    folder = save_pretrained_model("mbart", tmp_path)
    own = AutoTokenizer.from_pretrained(folder)
    own.add_special_tokens({"additional_special_tokens": ["en_XX", "ko_KR"]})
    own.save_pretrained(folder)
    file = tmp_path / "tokenizer_config.json"
    name = "MBartTokenizerFast" if transformers.__version__.startswith("4.") else "MBartTokenizer"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "tokenizer_class": name}), "utf-8")
    tokenizer = tokenizer_of(folder)
    assert tokenizer.convert_ids_to_tokens(tokenizer("이것")["input_ids"])[-2:] == ["</s>", "ko_KR"]
