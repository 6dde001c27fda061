"""Each family of encoders becomes a text-to-gloss model that trains, saves, loads and answers."""

from __future__ import annotations

import copy
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    pipeline,
)

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models.modeling import EncoderDecoderModel, freeze_unused
from kgloss_hf.models.step import StepLoss
from kgloss_hf.models.warm_start import (
    build_warm_model,
    freeze_encoder,
    pretrained_parameters,
    warm_tokenizer,
)
from kgloss_hf.runtime.decoding import GreedyDecoder
from kgloss_hf.runtime.int8 import with_int8_weights
from kgloss_hf.runtime.plain import is_plain
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from tests.pretrained import ENCODERS, save_pretrained_model


@pytest.fixture(scope="module", params=ENCODERS)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_pretrained_model(request.param, tmp_path_factory.mktemp(request.param))


@cache
def tokenizer_of(encoder: str, prefix: str = "query: ", **options: Any) -> KGlossTokenizerFast:
    return warm_tokenizer(encoder, GLOSSES, prefix=prefix, texts=SENTENCES, **options)


def model_of(encoder: str, **options: Any) -> EncoderDecoderModel:
    torch.manual_seed(0)
    return build_warm_model(encoder, tokenizer_of(encoder), preset="tiny", **options)


def batch_of(tokenizer: KGlossTokenizerFast) -> Any:
    batch = tokenizer(SENTENCES, text_target=GLOSSES, padding=True, return_tensors="pt")
    batch["labels"] = batch["labels"].masked_fill(batch["labels"] == tokenizer.target_special_ids["pad_token_id"], -100)
    return batch


def test_the_whole_way_of_each_family(family: str, tmp_path: Path) -> None:
    tokenizer, model = tokenizer_of(family), model_of(family, fresh_layers=1, num_beams=1)
    batch = batch_of(tokenizer)
    freeze_unused(model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(15):
        loss = model(**batch).loss
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    model.eval().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert type(loaded).__name__ == "EncoderDecoderModel"
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    assert loaded.generate(**inputs).tolist() == model.generate(**inputs).tolist()
    assert AutoTokenizer.from_pretrained(tmp_path)(SENTENCES).data == tokenizer(SENTENCES).data
    text_to_gloss = pipeline("text2text-generation", model=str(tmp_path), tokenizer=tokenizer)
    asked = {"return_types": True, "return_alignment": True, "fingerspell": True}
    answers = text_to_gloss([*SENTENCES, "...", ""], **asked)
    assert [answer["glosses"] for answer in answers[4:]] == [[], []]
    spans = [tuple(span) for span in answers[2]["alignment"] if span]
    assert spans
    number = (6, 9)  # 4세기, which is restored
    morphemes = tokenizer.morphemes(SENTENCES)[2]
    assert {*spans} <= {number, *((morpheme.start, morpheme.end) for morpheme in morphemes)}
    assert len(text_to_gloss(SENTENCES[0], num_return_sequences=3)) == 3
    assert text_to_gloss.search.greedy is not None


def test_offsets_are_of_morphemes_in_the_text_as_given(family: str) -> None:
    tokenizer = tokenizer_of(family)
    text = "그리고 토\u200b기는  QR 코드를!"
    encoded = tokenizer(text, return_offsets_mapping=True)
    spans = {(morpheme.start, morpheme.end) for morpheme in tokenizer.morphemes([text])[0]}
    assert {*encoded["offset_mapping"]} - {(0, 0)} <= spans
    assert (4, 7) in encoded["offset_mapping"]
    # Neither the prefix nor special tokens stand in the sentence.
    bare = tokenizer_of(family, prefix="")(text, return_offsets_mapping=True)
    assert [s for s in bare["offset_mapping"] if s[1]] == [s for s in encoded["offset_mapping"] if s[1]]
    pieces = AutoTokenizer.from_pretrained(family)("query: 그리고 토기는  QR 코드를!")["input_ids"]
    assert encoded["input_ids"] == pieces


def test_a_piece_over_a_noun_and_its_particle_counts_for_the_noun(tmp_path: Path) -> None:
    encoder = save_pretrained_model("xlm-roberta", tmp_path)
    tokenizer = tokenizer_of(encoder)
    text = "몸의 형태"
    encoded = tokenizer(text, return_offsets_mapping=True)
    pieces = dict(zip(tokenizer.convert_ids_to_tokens(encoded["input_ids"]), encoded["offset_mapping"], strict=True))
    whole = [span for piece, span in pieces.items() if piece.strip("▁") == "몸의"]
    assert whole in ([(0, 1)], [])


def test_truncation_keeps_the_template_and_is_counted(family: str, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = tokenizer_of(family)
    whole = tokenizer(SENTENCES[0])["input_ids"]
    ids = tokenizer(SENTENCES[0], truncation=True, max_length=9)["input_ids"]
    assert [len(ids), ids[0], ids[-1]] == [9, whole[0], whole[-1]]
    assert f"truncation dropped tokens: {len(whole) - 9} (texts cut: 1);" in caplog.text
    assert tokenizer.model_max_length == 64


def test_targets_are_padded_with_their_own_id(family: str) -> None:
    tokenizer = tokenizer_of(family)
    both = tokenizer(
        SENTENCES[:2], text_target=[["몸"], ["흙", "그릇", "Number/4C"]], padding=True, return_tensors="pt"
    )
    assert both["labels"][0].tolist()[1:] == [3, 0, 0]
    assert tokenizer.convert_ids_to_glosses(both["labels"].tolist())[1] == ["흙", "그릇", "Number"]
    assert tokenizer(text_target=["흙"], padding="max_length", max_length=4)["input_ids"][1:] == [3, 0, 0]
    assert tokenizer(text_target=[["흙"], ["흙", "몸"]])["input_ids"][0][1:] == [3]


def test_saving_loading_and_pickling(family: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(family)
    tokenizer.save_pretrained(tmp_path)
    for other in (
        KGlossTokenizerFast.from_pretrained(tmp_path),
        pickle.loads(pickle.dumps(tokenizer)),  # noqa: S301
        copy.deepcopy(tokenizer),
    ):
        assert other.vocabulary_digest == tokenizer.vocabulary_digest
        assert other(SENTENCES, text_target=GLOSSES).data == tokenizer(SENTENCES, text_target=GLOSSES).data
        assert [*map(other.knows, other.morphemes(["토기와 쿠스코"])[0])] == [True, False, False]


def test_known_words_and_copied_names(encoder: str) -> None:
    tokenizer = tokenizer_of(encoder, copy_names=True, names=("토기",))
    assert "Name" in tokenizer.glosses
    tags = [morpheme.tag for morpheme in tokenizer.morphemes(["토기는 사진"])[0]]
    assert tags == ["Name", "Josa", "Noun"]


def test_frozen_parts_are_deterministic_and_read_a_sentence_once(family: str) -> None:
    tokenizer, model = tokenizer_of(family), model_of(family, fresh_layers=1)
    freeze_encoder(model, 2)
    model.train()
    trained = [name for name, parameter in model.encoder.named_parameters() if parameter.requires_grad]
    assert trained
    assert all(".2." in name or "pooler" in name for name in trained)
    read: list[int] = []
    model.encoder.get_input_embeddings().register_forward_hook(lambda *call: read.append(len(call[1][0])))
    twice = tokenizer([SENTENCES[0]] * 3 + [SENTENCES[1]], padding=True, return_tensors="pt")
    labels = tokenizer(text_target=[["몸"]] * 4, padding=True, return_tensors="pt")["input_ids"]
    model(**twice, labels=labels).loss.backward()
    assert read == [2]
    states: list[Any] = []
    layers = next(m for m in model.encoder.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 3)
    layers[1].register_forward_hook(lambda *call: states.append(call[2]))
    for _ in range(2):
        model(**twice, labels=labels)
    first, second = (state[0] if isinstance(state, tuple) else state for state in states)
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert layers[2].training


def test_pretrained_parameters_leave_out_fresh_layers(family: str) -> None:
    model = model_of(family, fresh_layers=1)
    of_encoder = {id(parameter) for parameter in model.encoder.parameters()}
    own = {id(parameter) for parameter in pretrained_parameters(model, 1)}
    assert own < of_encoder
    assert {id(parameter) for parameter in pretrained_parameters(model, 0)} == of_encoder


def test_the_loss_is_that_of_what_is_generated(encoder: str) -> None:
    """Check that the loss includes the projection between two widths, as generation does."""
    tokenizer, model = tokenizer_of(encoder), model_of(encoder).eval()
    batch = batch_of(tokenizer)
    logits = super(StepLoss, model).forward(**batch).logits
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
    assert torch.allclose(model(**batch).loss, expected, atol=1e-5)
    assert torch.allclose(
        model(**batch, num_items_in_batch=1).loss, expected * (batch["labels"] != -100).sum(), atol=1e-3
    )


def test_our_own_loop_follows_a_projection(encoder: str) -> None:
    tokenizer, model = tokenizer_of(encoder), model_of(encoder, num_beams=1).eval()
    assert is_plain(model)
    inputs = dict(tokenizer(SENTENCES, padding=True, return_tensors="pt"))
    read = torch.tensor([tokenizer(text_target=GLOSSES[0])["input_ids"]] * len(SENTENCES))
    decode, ids = GreedyDecoder(model), torch.arange(tokenizer.target_size)
    for factor in (1.0, 50.0):
        with torch.inference_mode():
            model.enc_to_dec_proj.weight.mul_(factor)
            expected = model(**inputs, decoder_input_ids=read).logits
        assert torch.allclose(decode.forced(**inputs, read=read, ids=ids)[0], expected, atol=1e-4)
        rows = [[i for i in row if i] for row in model.generate(**inputs, max_length=12).tolist()]
        assert decode(**inputs, max_length=12) == rows
    int8 = with_int8_weights(model)
    assert type(int8.enc_to_dec_proj) is not torch.nn.Linear
    assert GreedyDecoder(int8, int8=True)(**inputs, max_length=12)


def test_glosses_begin_from_their_names(encoder: str) -> None:
    model = model_of(encoder)
    weight = model.decoder.get_input_embeddings().weight.detach()
    fresh = model_of(encoder).decoder
    assert torch.equal(weight[:7], fresh.get_input_embeddings().weight[:7])  # specials and placeholders
    glosses = weight[7:, :16]
    assert abs(glosses.std() - 0.02) < 0.01


def test_what_is_no_encoder_is_refused(encoder: str, checkpoint: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(encoder)
    with pytest.raises(ValueError, match="expected a pre-trained encoder with its own tokenizer"):
        warm_tokenizer(checkpoint, GLOSSES)
    whole = save_pretrained_model("bart", tmp_path / "bart")
    with pytest.raises(ValueError, match="--model_name_or_path"):
        build_warm_model(whole, tokenizer)
    size = len(tokenizer)
    GPT2Model(GPT2Config(vocab_size=size, n_embd=16, n_layer=1, n_head=2)).save_pretrained(tmp_path / "gpt")
    with pytest.raises(ValueError, match="reads both directions"):
        build_warm_model(str(tmp_path / "gpt"), tokenizer)
    for options, words in (
        ({"preset": "rnn"}, "--preset"),
        ({"decoder_layers": 0}, "--decoder_layers"),
        ({"fresh_layers": -1}, "--fresh_layers"),
        ({"num_beams": 0}, "--num_beams"),
    ):
        with pytest.raises(ValueError, match=words):
            build_warm_model(encoder, tokenizer, **options)
    with pytest.raises(ValueError, match="at most 2 layers"):
        freeze_encoder(model_of(encoder), 3)


def test_weights_of_another_kind_are_refused(encoder: str, tmp_path: Path) -> None:
    """Check that BERT's configuration over another encoder's weights is refused: training would use random weights."""
    save_pretrained_model("distilbert", tmp_path)
    for name in ("config.json",):
        (tmp_path / name).write_bytes(Path(encoder, name).read_bytes())
    with pytest.raises(ValueError, match="expected all weights of a model of type"):
        build_warm_model(str(tmp_path), tokenizer_of(encoder))


def test_a_tokenizer_of_another_model_is_refused(encoder: str, tmp_path: Path) -> None:
    other = save_pretrained_model("roberta", tmp_path)
    with pytest.raises(ValueError, match="belong together"):
        build_warm_model(encoder, tokenizer_of(other))


def test_a_tokenizer_without_padding_is_refused(encoder: str, tmp_path: Path) -> None:
    own = PreTrainedTokenizerFast.from_pretrained(encoder)
    PreTrainedTokenizerFast(tokenizer_object=own.backend_tokenizer, unk_token="[UNK]").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes(Path(encoder, "config.json").read_bytes())
    with pytest.raises(ValueError, match="pad_token"):
        warm_tokenizer(str(tmp_path), GLOSSES)
