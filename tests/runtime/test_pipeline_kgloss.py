from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import evaluate
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import transformers
from transformers import (
    AutoModelForSeq2SeqLM,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    TextStreamer,
    pipeline,
)

from conftest import GLOSSES, SENTENCES
from kgloss_hf.artefacts import artefact
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.answers import GlossSequence
from kgloss_hf.runtime.consensus import consensus
from kgloss_hf.runtime.glosses import GLOSS_TYPES, PLACEHOLDERS, UNKNOWN_TYPE
from kgloss_hf.runtime.pipeline_kgloss import Text2GlossPipeline
from kgloss_hf.runtime.placeholders import restore_placeholders
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

BLANK = {"generated_text": "", "glosses": [], "unresolved": [], "unknown_words": [], "log_prob": 0.0}


@pytest.fixture(scope="module", params=["text2text-generation", "text-to-gloss"])
def text_to_gloss(request: pytest.FixtureRequest, checkpoint: str) -> Text2GlossPipeline:
    return pipeline(request.param, model=checkpoint)


def outputting(text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch, *glosses: str) -> None:
    """Let the model output these glosses for every text, with equal attention to all word pieces."""
    ids = text_to_gloss.tokenizer.convert_tokens_to_ids(list(glosses))
    monkeypatch.setattr(text_to_gloss, "decode", lambda rows, *_: ([ids] * len(rows), None))


def test_text_in_dict_out(text_to_gloss: Text2GlossPipeline) -> None:
    output = text_to_gloss(SENTENCES[2])
    assert output["generated_text"] == output.generated_text == " ".join(output["glosses"])
    assert all(isinstance(gloss, str) for gloss in output.glosses)
    assert json.loads(json.dumps(output)) == output


def test_prints_as_glosses() -> None:
    glosses = ["흙", "Number", "ㄱ"]
    sequence = GlossSequence(generated_text=" ".join(glosses), glosses=glosses, unresolved=[1], fallback=[2])
    assert str(sequence) == "흙 | Number? | ㄱ*"


def test_batches_give_what_single_texts_give(text_to_gloss: Text2GlossPipeline) -> None:
    texts = [*SENTENCES, "", SENTENCES[0]]
    single = [text_to_gloss(sentence) for sentence in texts]
    expected = [answer | {"log_prob": pytest.approx(answer["log_prob"], abs=1e-4)} for answer in single]
    assert text_to_gloss(texts) == expected
    assert text_to_gloss(texts, batch_size=3) == expected
    assert text_to_gloss(tuple(texts)) == expected
    assert list(text_to_gloss(iter(texts), batch_size=2)) == expected

    class Sentences(torch.utils.data.Dataset[str]):
        def __len__(self) -> int:
            return len(texts)

        def __getitem__(self, index: int) -> str:
            return texts[index % len(texts)]  # torch asks for no IndexError

    assert list(text_to_gloss(Sentences(), batch_size=2)) == expected
    table = pd.DataFrame({"text": texts, "id": range(len(texts))})
    assert list(text_to_gloss(table["text"], batch_size=2)) == expected
    for whole in (table, pa.table({"text": texts})):
        with pytest.raises(TypeError, match="expected a string or several strings, found a table; pass one of its"):
            text_to_gloss(whole)
    rows = datasets.Dataset.from_dict({"text": texts})
    assert list(text_to_gloss(rows)) == expected
    assert list(text_to_gloss(rows["text"])) == expected


def test_iterators_are_read_as_they_are_needed(text_to_gloss: Text2GlossPipeline) -> None:
    read = []

    def endless() -> Iterator[str]:
        while True:
            read.append(1)
            yield "전시"

    answers = text_to_gloss(endless(), batch_size=1)
    assert read == []
    assert next(answers) == text_to_gloss("전시")
    assert len(read) == 16


def test_sequences_are_what_generate_gives(text_to_gloss: Text2GlossPipeline) -> None:
    model, tokenizer = text_to_gloss.model, text_to_gloss.tokenizer
    for options in ({}, {"num_beams": 3}, {"max_new_tokens": 2}, {"num_beams": 2, "length_penalty": 0.5}):
        for sentence in SENTENCES:
            rows = model.generate(**tokenizer(sentence, return_tensors="pt"), **options)
            tokens = tokenizer.convert_ids_to_tokens(rows[0], skip_special_tokens=True)
            glosses = text_to_gloss(sentence, **options)["glosses"]
            assert [a for a, b in zip(glosses, tokens, strict=True) if b not in PLACEHOLDERS] == [
                token for token in tokens if token not in PLACEHOLDERS
            ]


def test_settings_that_our_own_steps_do_not_know_go_to_generate(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text_to_gloss.search.greedy_limit(text_to_gloss.model, {}) == 16
    assert text_to_gloss.search.greedy_limit(text_to_gloss.model, {"max_new_tokens": 3}) == 4
    for options in ({"num_beams": 2}, {"min_length": 3}, {"do_sample": True}, {"no_repeat_ngram_size": 2}):
        assert text_to_gloss.search.greedy_limit(text_to_gloss.model, options) is None
    config = text_to_gloss.model.generation_config
    for name, value in {"temperature": 0.5, "repetition_penalty": 1.0, "min_length": 0}.items():
        monkeypatch.setattr(config, name, value)  # a training run saves such values
    assert text_to_gloss.search.greedy_limit(text_to_gloss.model, {}) == 16
    for name, value in {"min_new_tokens": 1, "no_repeat_ngram_size": 1, "bad_words_ids": [[7]]}.items():
        with monkeypatch.context() as patch:
            patch.setattr(config, name, value)
            assert text_to_gloss.search.greedy_limit(text_to_gloss.model, {}) is None


def test_n_best(text_to_gloss: Text2GlossPipeline) -> None:
    answers = text_to_gloss([SENTENCES[0], "", SENTENCES[1]], num_return_sequences=3)
    assert [len(answer) for answer in answers] == [3, 0, 3]
    assert len({tuple(answer.glosses) for answer in answers[0]}) == 3
    alone = text_to_gloss(SENTENCES[0], num_return_sequences=3)
    assert [answer.glosses for answer in alone] == [answer.glosses for answer in answers[0]]
    log_probs = [answer["log_prob"] for answer in alone]
    assert log_probs == pytest.approx([answer["log_prob"] for answer in answers[0]], abs=1e-3)
    assert all(log_prob < 0 for log_prob in log_probs)
    assert len(text_to_gloss(SENTENCES[0], num_return_sequences=1)) == 1
    with pytest.raises(ValueError, match="num_return_sequences: expected 1 or more, found 0"):
        text_to_gloss("전시", num_return_sequences=0)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"encoder_repetition_penalty": 3}])
def test_every_answer_has_a_log_probability(text_to_gloss: Text2GlossPipeline, options: dict[str, Any]) -> None:
    together = [answer["log_prob"] for answer in text_to_gloss(SENTENCES, **options)]
    alone = [text_to_gloss(text, **options)["log_prob"] for text in SENTENCES]
    assert all(log_prob < 0 for log_prob in together)
    assert together == pytest.approx(alone, abs=1e-4)
    explained = [text_to_gloss(text, return_alignment=True, **options)["log_prob"] for text in SENTENCES]
    assert explained == pytest.approx(together, abs=1e-4)


def test_what_the_model_is_made_to_emit_has_no_log_probability(text_to_gloss: Text2GlossPipeline) -> None:
    suppressed = text_to_gloss.model.generation_config.suppress_tokens[-1]

    def force(_: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores[:, suppressed] = 1e4
        return scores

    answer = text_to_gloss(SENTENCES[0], logits_processor=[force], max_new_tokens=2)
    assert answer["log_prob"] is None


def test_penalty_is_what_generate_does(text_to_gloss: Text2GlossPipeline) -> None:
    model, tokenizer = text_to_gloss.model, text_to_gloss.tokenizer
    assert text_to_gloss.search.greedy_limit(text_to_gloss.model, {"encoder_repetition_penalty": 3.0}) == 16
    changed = False
    for sentence in SENTENCES:
        rows = model.generate(**tokenizer(sentence, return_tensors="pt"), encoder_repetition_penalty=3.0).tolist()
        expected = restore_placeholders(*tokenizer.convert_ids_to_glosses(rows), tokenizer.morphemes([sentence])[0])
        assert text_to_gloss(sentence, encoder_repetition_penalty=3).glosses == expected
        changed |= text_to_gloss(sentence).glosses != expected
    assert changed


@pytest.mark.parametrize("penalty", [None, 3.0])
def test_first_of_n_best_is_the_plain_answer(penalty: float | None, tokenizer: KGlossTokenizerFast) -> None:
    torch.manual_seed(2)
    model = build_model("tiny", tokenizer, num_beams=4)
    model.generation_config.encoder_repetition_penalty = penalty
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 3
        model.decoder.get_output_embeddings().bias[tokenizer.eos_token_id] += 8  # all end before the limit
    text_to_gloss = Text2GlossPipeline(model=model, tokenizer=tokenizer)
    for sentence in SENTENCES:
        plain, [first, *_] = text_to_gloss(sentence), text_to_gloss(sentence, num_return_sequences=4)
        assert first.glosses == plain.glosses
        assert first["log_prob"] == pytest.approx(plain["log_prob"], abs=1e-4)


def test_penalty_of_two_vocabularies_is_refused(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(text_to_gloss.tokenizer.init_kwargs, "target_start", 0)
    with pytest.raises(ValueError, match="encoder_repetition_penalty: .* no ids in common"):
        text_to_gloss("토기", encoder_repetition_penalty=2.0)


def test_words_that_the_model_does_not_know_are_listed(text_to_gloss: Text2GlossPipeline) -> None:
    assert text_to_gloss(SENTENCES[2])["unknown_words"] == []
    answer = text_to_gloss("쿠스코의 토기와 쿠스코의 마추픽추, 12 QR.")
    assert answer["unknown_words"][0] == "쿠스코"
    assert answer["unknown_words"].count("쿠스코") == 1
    assert not {"토기", "의", "와", ",", "12", "QR"} & {*answer["unknown_words"]}
    assert str(text_to_gloss("안녕")).endswith("[unknown: 안녕]")
    for one in text_to_gloss("쿠스코", num_return_sequences=2):
        assert one["unknown_words"] == ["쿠스코"]


def test_types(text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    outputting(text_to_gloss, monkeypatch, "이층삼각형", "휴지(쉽)", "Number", "흙")
    monkeypatch.setattr(text_to_gloss.model.config, "gloss_types", {"이층삼각형": "iconic"}, raising=False)
    output = text_to_gloss("4세기의 토기", return_types=True)
    assert output["types"] == ["iconic", "non_manual", "fingerspelled_number", UNKNOWN_TYPE]
    assert set(output["types"]) <= {*GLOSS_TYPES, UNKNOWN_TYPE}


def test_alignment_is_where_placeholders_come_from(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputting(text_to_gloss, monkeypatch, "높이", "Number", "흙")
    text = "이 벽은 높이 12m 입니다."
    output = text_to_gloss(text, return_alignment=True)
    spans = output["alignment"]
    assert output["glosses"] == ["높이", "12", "흙"]
    assert text[slice(*spans[1])] == "12"
    assert all(0 <= start < end <= len(text) for start, end in spans)


def test_placeholder_without_source_is_reported(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputting(text_to_gloss, monkeypatch, "Number", "흙", "Alpha", "Number")
    output = text_to_gloss("12층의 흙")
    assert output["glosses"][1:] == ["흙", "Alpha", "Number"]
    assert output["glosses"][0].startswith("12")
    assert output["unresolved"] == [2, 3]


def test_number_words_are_restored(text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    outputting(text_to_gloss, monkeypatch, "Number", "Number")
    assert text_to_gloss("세 시에 열두 명이 왔다.")["glosses"] == ["3", "12"]
    assert text_to_gloss("이 사람은 세를 냈다.")["unresolved"] == [0, 1]


def test_fingerspelling(text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    outputting(text_to_gloss, monkeypatch, "Number", "흙", "Alpha")
    options = {"fingerspell": True, "return_types": True, "return_alignment": True}
    output = text_to_gloss("12개의 QR 코드", **options)
    spelled = [output["glosses"][place] for place in output["fallback"]]
    assert "".join(spelled).startswith("102")
    assert spelled[-2:] == ["Q", "R"]
    assert "흙" in output["glosses"]
    assert output["glosses"].index("흙") not in output["fallback"]
    assert {output["types"][place] for place in output["fallback"]} <= {"fingerspelling", "fingerspelled_number"}
    assert len(output["glosses"]) == len(output["types"]) == len(output["alignment"])


def test_noun_that_no_gloss_covers_is_spelled(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputting(text_to_gloss, monkeypatch)
    output = text_to_gloss("쿠스코", fingerspell=True)
    assert output["glosses"] == ["ㅋ", "ㅜ", "ㅅ", "ㅡ", "ㅋ", "ㅗ"]
    assert output["fallback"] == [0, 1, 2, 3, 4, 5]
    assert text_to_gloss("토기", fingerspell=True)["glosses"] == []  # a word in the vocabulary


def test_options_of_the_pipeline_itself(checkpoint: str) -> None:
    text_to_gloss = pipeline("text-to-gloss", model=checkpoint, return_types=True, batch_size=2, num_beams=2)
    assert "types" in text_to_gloss("전시")
    assert "types" not in text_to_gloss("전시", return_types=False)


def answers_of(text_to_gloss: Text2GlossPipeline, **options: Any) -> Any:
    torch.manual_seed(0)
    return text_to_gloss(SENTENCES, **options)


@pytest.fixture
def other(checkpoint: str) -> tuple[PreTrainedModel, KGlossTokenizerFast]:
    """Return a model with three beams that a test may change."""
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
    model.generation_config.num_beams = 3
    return model, KGlossTokenizerFast.from_pretrained(checkpoint)


@pytest.mark.parametrize(
    "options",
    [
        *({"num_beams": 1}, {"max_new_tokens": 2}, {"max_length": 3}, {"num_return_sequences": 2}),
        *({"do_sample": True, "num_beams": 1, "num_return_sequences": 3}, {"min_new_tokens": 5}),
        *({"generation_config": GenerationConfig(max_new_tokens=2)}, {"bad_words_ids": [[30]]}),
        *({"return_types": True}, {"truncation": True, "batch_size": 2}, {"early_stopping": True}),
    ],
)
def test_arguments_of_the_pipeline_are_those_of_a_call(
    options: dict[str, Any], other: tuple[PreTrainedModel, KGlossTokenizerFast]
) -> None:
    model, tokenizer = other
    said = Text2GlossPipeline(model=model, tokenizer=tokenizer, task="text2text-generation", **options)
    assert answers_of(said) == answers_of(Text2GlossPipeline(model=model, tokenizer=tokenizer), **options)


def test_a_call_goes_before_the_pipeline_and_that_before_the_checkpoint(
    other: tuple[PreTrainedModel, KGlossTokenizerFast],
) -> None:
    model, tokenizer = other
    model.generation_config.max_new_tokens = 6
    model.generation_config.suppress_tokens.append(tokenizer.eos_token_id)  # so that all continue to the limit

    def glosses(pipeline_of: dict[str, Any], **options: Any) -> int:
        answer = Text2GlossPipeline(model=model, tokenizer=tokenizer, **pipeline_of)(SENTENCES[0], **options)
        return len(answer.glosses)

    assert glosses({}) == 6
    assert glosses({"max_length": 5}) == 4
    assert glosses({"max_length": 5}, max_new_tokens=3) == 3
    assert glosses({"max_new_tokens": 3}, max_length=5) == 4
    assert glosses({"max_new_tokens": 3}, max_length=None, max_new_tokens=None) == 3
    assert glosses({"max_length": 5}, generation_config=GenerationConfig(max_new_tokens=2)) == 2
    assert glosses({}, generation_config=GenerationConfig(max_new_tokens=2), max_length=5) == 4
    changed = copy.deepcopy(model.generation_config)
    changed.max_new_tokens = 4
    assert glosses({"max_length": 3}, generation_config=changed) == 4
    model.config.task_specific_params = {"": {"max_length": 4}}
    assert glosses({}) == 3
    assert glosses({"max_length": 6}) == 5


def test_two_pipelines_of_one_model(other: tuple[PreTrainedModel, KGlossTokenizerFast]) -> None:
    model, tokenizer = other
    short = Text2GlossPipeline(model=model, tokenizer=tokenizer, max_new_tokens=1)
    long = Text2GlossPipeline(model=model, tokenizer=tokenizer, num_beams=1)
    assert max(len(answer.glosses) for answer in short(SENTENCES)) == 1
    assert max(len(answer.glosses) for answer in long(SENTENCES)) > 1


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"num_beams": "3"}, TypeError, "num_beams: expected an integer, found '3'"),
        ({"num_beams": 0}, ValueError, "num_beams: expected 1 or more, found 0"),
        ({"num_return_sequences": True}, TypeError, "num_return_sequences: expected an integer, found True"),
        ({"num_return_sequences": 2.5}, TypeError, "num_return_sequences: expected an integer, found 2.5"),
        ({"num_return_sequences": 3, "num_beams": 2}, ValueError, "at most num_beams, which is 2, found 3"),
        ({"max_new_tokens": 0}, ValueError, "max_new_tokens: expected 1 or more"),
        ({"max_new_tokens": 3, "max_length": 3}, ValueError, "expected max_length or max_new_tokens, found both"),
        ({"max_length": 1000}, ValueError, "max_length: expected at most 129"),
        ({"batch_size": 0}, ValueError, "batch_size: expected 1 or more"),
        ({"temperature": float("nan"), "do_sample": True}, ValueError, "temperature: expected a finite number"),
        ({"top_p": 2, "do_sample": True}, ValueError, "top_p: expected a number from 0 to 1"),
        ({"do_sample": "no"}, TypeError, "do_sample: expected True or False"),
        ({"return_types": "no"}, TypeError, "return_types: expected True or False"),
        ({"num_beam": 3}, TypeError, "num_beam: .* did you mean num_beams"),
        ({"padding": "max_length"}, ValueError, "padding: expected True or nothing"),
        ({"generation_config": {"num_beams": 2}}, TypeError, "expected a GenerationConfig, found dict"),
        ({"generation_config": GenerationConfig(num_beam=2)}, TypeError, "arguments of generate, found num_beam"),
        ({"generation_config": GenerationConfig(output_scores=True, return_dict_in_generate=True)}, ValueError, "out"),
        ({"return_dict_in_generate": True}, ValueError, "return_dict_in_generate: .* an answer holds glosses"),
        ({"return_tensors": True}, ValueError, "return_tensors: .* an answer holds glosses"),
        ({"encoder_repetition_penalty": 0}, ValueError, "encoder_repetition_penalty: expected a number above 0"),
        ({"return_text": False}, ValueError, "return_text: .* always holds generated_text"),
        ({"clean_up_tokenization_spaces": True}, ValueError, "clean_up_tokenization_spaces: expected False"),
        ({"stop_sequence": "몸"}, ValueError, "stop_sequence: .* give eos_token_id"),
        ({"stop_strings": "몸"}, ValueError, "stop_strings: .* give eos_token_id"),
        ({"num_workers": 2}, ValueError, "num_workers: expected 0"),
        ({"prefix": "translate: "}, ValueError, "prefix: expected nothing"),
        ({"assistant_model": "model"}, ValueError, "assistant_model: expected nothing"),
        ({"num_beam_groups": 2}, ValueError, "num_beam_groups: .* code from the Hub"),
        ({"streamer": 3}, TypeError, "streamer: expected a streamer"),
        ({"logits_processor": 3}, TypeError, "logits_processor: expected a list"),
        ({"truncation": "yes"}, ValueError, "truncation: expected one of True"),
        ({"eos_token_id": 10**6}, ValueError, "eos_token_id: expected a list of ids"),
        ({"decoder_start_token_id": -1}, ValueError, "decoder_start_token_id: expected an id"),
        ({"suppress_tokens": [-1]}, ValueError, "suppress_tokens: expected a list of ids"),
    ],
)
def test_what_cannot_be_asked_for(
    options: dict[str, Any], error: type[Exception], said: str, other: tuple[PreTrainedModel, KGlossTokenizerFast]
) -> None:
    model, tokenizer = other
    with pytest.raises(error, match=said):
        Text2GlossPipeline(model=model, tokenizer=tokenizer)([], **options)
    with pytest.raises(error, match=said):
        Text2GlossPipeline(model=model, tokenizer=tokenizer, **options)


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("suppress_tokens", [*range(168)], "suppress_tokens: expected some of the"),
        ("suppress_tokens", [-1], "suppress_tokens: expected a list of ids"),
        ("decoder_start_token_id", 10**6, "decoder_start_token_id: expected an id"),
        ("max_length", 10**6, "max_length: expected at most"),
        ("num_beams", "3", "num_beams: expected an integer"),
        ("num_return_sequences", 0, "num_return_sequences: expected 1 or more"),
        ("stop_strings", ["몸"], "stop_strings: expected none"),
        ("length_penalty", float("nan"), "length_penalty: expected a finite number"),
    ],
)
def test_what_a_checkpoint_cannot_ask_for(
    setting: str, value: Any, said: str, other: tuple[PreTrainedModel, KGlossTokenizerFast]
) -> None:
    model, tokenizer = other
    assert len(tokenizer) == 168
    setattr(model.generation_config, setting, value)
    with pytest.raises((TypeError, ValueError), match=said):
        Text2GlossPipeline(model=model, tokenizer=tokenizer)


def test_checkpoint_whose_settings_ask_generate_for_more(other: tuple[PreTrainedModel, KGlossTokenizerFast]) -> None:
    model, tokenizer = other
    text_to_gloss = Text2GlossPipeline(model=model, tokenizer=tokenizer)
    expected = text_to_gloss(SENTENCES)
    for name in ("return_dict_in_generate", "output_scores", "output_attentions", "output_hidden_states"):
        setattr(model.generation_config, name, True)
    assert text_to_gloss(SENTENCES) == expected
    assert text_to_gloss(SENTENCES, num_beams=1, return_alignment=True)[0]["alignment"]
    model.generation_config.num_return_sequences = 2
    assert [len(answers) for answers in text_to_gloss(SENTENCES)] == [2, 2, 2, 2]
    assert [len(answers) for answers in text_to_gloss(SENTENCES, num_return_sequences=3)] == [3, 3, 3, 3]


def test_arguments_of_the_stock_pipeline_that_change_nothing(text_to_gloss: Text2GlossPipeline) -> None:
    options = {"truncation": "longest_first", "return_tensors": False, "return_text": True, "num_workers": 0}
    options |= {"clean_up_tokenization_spaces": False, "return_type": None, "num_beams": None, "streamer": None}
    assert text_to_gloss(SENTENCES, **options) == text_to_gloss(SENTENCES)


def test_streamer(text_to_gloss: Text2GlossPipeline, capsys: pytest.CaptureFixture[str]) -> None:
    answer = text_to_gloss(SENTENCES[0], streamer=TextStreamer(text_to_gloss.tokenizer, skip_special_tokens=True))
    assert capsys.readouterr().out.split()[0] == answer.glosses[0]


def test_text_too_long_to_be_read_whole(
    text_to_gloss: Text2GlossPipeline, tokenizer: KGlossTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["토기 " * length for length in (126, 127)]
    assert text_to_gloss(texts[:1], truncation=False) == text_to_gloss(texts[:1])
    with pytest.raises(ValueError, match="text 1: expected at most 128 tokens with truncation=False, found 129"):
        text_to_gloss(texts, truncation=False)
    monkeypatch.setattr(text_to_gloss.tokenizer, "model_max_length", 10**30)
    assert text_to_gloss(texts)[1] == text_to_gloss(texts)[0]
    rnn = Text2GlossPipeline(model=build_model("rnn", tokenizer), tokenizer=tokenizer, max_length=3)
    assert rnn("토기 " * 300 + "몸", truncation=False, return_alignment=True).glosses


@pytest.mark.parametrize("options", [{}, {"length_penalty": 0.0}, {"length_penalty": 3.0}, {"do_sample": True}])
@pytest.mark.parametrize("preset", ["tiny", "rnn"])
def test_n_best_are_ranked_by_the_score_that_is_shown(
    preset: str, options: dict[str, Any], tokenizer: KGlossTokenizerFast
) -> None:
    model = build_model(preset, tokenizer, num_beams=1 if "do_sample" in options else 4)
    model.generation_config.max_length = 6
    text_to_gloss = Text2GlossPipeline(model=model, tokenizer=tokenizer)
    for answers in answers_of(text_to_gloss, num_return_sequences=8, **options):
        scores = [answer["score"] for answer in answers]
        assert scores == sorted(scores, reverse=True)
        penalty = 0 if "do_sample" in options else options.get("length_penalty", 1)
        assert scores == pytest.approx([a["log_prob"] / (len(a.glosses) + 1) ** penalty for a in answers])
        assert len(answers) == 8


@pytest.mark.parametrize(("preset", "hooked"), [("tiny", False), ("tiny", True), ("rnn", False)])
def test_threads_share_a_pipeline_and_a_model(preset: str, hooked: bool, tokenizer: KGlossTokenizerFast) -> None:
    model = build_model(preset, tokenizer, num_beams=1)
    model.generation_config.max_length = 6
    if hooked:  # our own loop does not support hooks
        model.get_input_embeddings().register_forward_hook(lambda *call: -call[-1])
    pipelines = [Text2GlossPipeline(model=model, tokenizer=tokenizer, num_beams=beams) for beams in (1, 2)]
    words = " ".join(SENTENCES).split()
    draw = np.random.default_rng(0)
    options: list[dict[str, Any]] = [
        *({}, {"return_alignment": True}, {"num_return_sequences": 2, "return_alignment": True}),
        *({"fingerspell": True}, {"suppress_tokens": [1, 2]}),
    ]
    texts = [" ".join(draw.choice(words, size=size)) for size in range(1, 5)] + ["토기 " * 200]
    jobs = [(one, text, said) for one in pipelines for text in texts for said in options] * 2
    draw.shuffle(jobs)

    def glosses_and_places(job: tuple[Text2GlossPipeline, str, dict[str, Any]]) -> Any:
        answers = job[0](job[1], **job[2])
        rows = answers if isinstance(answers, list) else [answers]
        return [(row.glosses, row.get("alignment"), row.get("fallback")) for row in rows]

    expected = [*map(glosses_and_places, jobs)]
    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(glosses_and_places, jobs)] == expected


def test_pipeline_is_copied_and_pickled_after_use(other: tuple[PreTrainedModel, KGlossTokenizerFast]) -> None:
    model, tokenizer = other
    text_to_gloss = Text2GlossPipeline(model=model, tokenizer=tokenizer, num_beams=1, return_types=True)
    expected = text_to_gloss(SENTENCES)
    assert copy.deepcopy(text_to_gloss)(SENTENCES) == expected
    assert pickle.loads(pickle.dumps(text_to_gloss))(SENTENCES) == expected  # noqa: S301


def test_fingerspelling_reads_what_the_model_reads(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputting(text_to_gloss, monkeypatch, "Number")
    output = text_to_gloss("토기 " * 200 + "쿠스코 12", fingerspell=True)
    assert output["glosses"] == ["Number"]
    assert output["unresolved"] == [0]


@pytest.mark.skipif(not hasattr(transformers, "TFPreTrainedModel"), reason="evaluate asks for what transformers 5 lost")
def test_evaluator(checkpoint: str, cache: None) -> None:
    rows = datasets.Dataset.from_dict({"text": SENTENCES, "label": [" ".join(row) for row in GLOSSES]})
    metric = evaluate.load(str(artefact("metric_scripts/gloss_jaccard")))
    glosses = [answer["generated_text"] for answer in pipeline("text2text-generation", model=checkpoint)(SENTENCES)]
    expected = metric.compute(predictions=glosses, references=rows["label"])
    scores = evaluate.evaluator("text2text-generation").compute(checkpoint, rows, metric=metric)
    assert scores["jaccard"] == expected["jaccard"]


@pytest.mark.parametrize("text", ["", "  ", "…!"])
def test_text_without_a_word_has_no_glosses(text_to_gloss: Text2GlossPipeline, text: str) -> None:
    assert text_to_gloss(["전시", text], batch_size=2)[1] == BLANK


@pytest.mark.parametrize("text", ["😀", "\ud800", "\x00", "Das ist kein Koreanisch.", "これは日本語です"])
def test_hostile_text_gets_an_answer(text_to_gloss: Text2GlossPipeline, text: str) -> None:
    assert text_to_gloss(text)["generated_text"] is not None


def test_truncation_is_said_in_numbers(text_to_gloss: Text2GlossPipeline, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert text_to_gloss("토기 " * 10_000)["generated_text"] is not None
    assert f"truncation dropped tokens: {10_000 - 126} (texts cut: 1)" in caplog.text


@pytest.mark.parametrize("text", [None, 3, b"text", ["전시", None], {"a": "b"}])
def test_what_is_no_text(text_to_gloss: Text2GlossPipeline, text: object) -> None:
    with pytest.raises(TypeError, match="expected a string"):
        text_to_gloss(text)


def test_what_is_no_text_in_an_iterator(text_to_gloss: Text2GlossPipeline) -> None:
    with pytest.raises(TypeError, match="text 1: expected a string, found bytes"):
        list(text_to_gloss(iter(["전시", b"x"])))


def test_no_texts(text_to_gloss: Text2GlossPipeline) -> None:
    assert text_to_gloss([]) == []


def test_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError), match="config.json"):  # depends on the generation of transformers
        pipeline("text-to-gloss", model=str(tmp_path))


def test_tokenizer_without_analyser_is_refused(checkpoint: str) -> None:
    plain = PreTrainedTokenizerFast.from_pretrained(checkpoint)
    with pytest.raises(TypeError, match="import kgloss_hf before loading the tokenizer"):
        pipeline("text-to-gloss", model=AutoModelForSeq2SeqLM.from_pretrained(checkpoint), tokenizer=plain)


def test_the_rnn_answers_too(tokenizer: KGlossTokenizerFast, tmp_path: Path) -> None:
    model = build_model("rnn", tokenizer)
    model.generation_config.max_length = 8
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    text_to_gloss = pipeline("text-to-gloss", model=str(tmp_path))
    answers = text_to_gloss(SENTENCES, num_return_sequences=2, return_alignment=True)
    for answer in (answer for row in answers for answer in row):
        assert answer["log_prob"] < 0
        assert len(answer["alignment"]) == len(answer.glosses)


def test_nothing_but_glosses_comes_out(text_to_gloss: Text2GlossPipeline) -> None:
    """Check 10,000 random sentences over both tasks; an untrained model would emit anything it may."""
    rng = np.random.default_rng(0)
    known = [word for row in text_to_gloss.tokenizer.words(SENTENCES) for word in row]
    syllables = [chr(code) for code in range(ord("가"), ord("힣"), 7)]
    texts = []
    for length in rng.integers(1, 6, size=5_000):
        words = [
            rng.choice(known) if rng.random() < 0.5 else "".join(rng.choice(syllables, size=rng.integers(1, 4)))
            for _ in range(length)
        ]
        texts.append(" ".join(words))
    allowed = {*text_to_gloss.tokenizer.glosses, *PLACEHOLDERS}
    assert {gloss.partition("/")[0] for row in GLOSSES for gloss in row} - {"Number", "Alpha"} <= allowed
    answers = text_to_gloss(texts, batch_size=256)
    sources = text_to_gloss.tokenizer.morphemes(texts)
    for answer, morphemes in zip(answers, sources, strict=True):
        contents = {morpheme.surface for morpheme in morphemes if morpheme.tag in PLACEHOLDERS}
        assert set(answer.glosses) <= allowed | contents


def test_consensus_of_a_models_own_candidates(text_to_gloss: Text2GlossPipeline) -> None:
    texts = [SENTENCES[0], " ", SENTENCES[2]]
    answers = text_to_gloss(texts, consensus=True, num_return_sequences=4, return_types=True)
    for answer, candidates in zip(answers, text_to_gloss(texts, num_return_sequences=4), strict=True):
        assert {"log_prob", "score"}.isdisjoint(answer)
        assert len(answer["types"]) == len(answer.glosses)
        assert set(answer.glosses) <= {gloss for candidate in candidates for gloss in candidate.glosses}
        if candidates:
            models = [[(candidate.glosses, candidate["log_prob"]) for candidate in candidates]]
            assert (answer.glosses, answer["agreement"]) == consensus(models)
        else:
            assert answer == {
                "generated_text": "",
                "glosses": [],
                "unresolved": [],
                "types": [],
                "unknown_words": [],
                "agreement": 1.0,
            }
    assert list(text_to_gloss(iter(texts), consensus=True, num_beams=4, return_types=True)) == answers


def test_consensus_of_several_models(checkpoint: str, another_checkpoint: str) -> None:
    several = pipeline("text-to-gloss", model=checkpoint, others=[another_checkpoint], num_beams=3)
    alone = [pipeline("text-to-gloss", model=folder) for folder in (checkpoint, another_checkpoint)]
    passed = pipeline(
        "text-to-gloss", model=alone[1].model, tokenizer=alone[1].tokenizer, others=alone[:1], num_beams=3
    )
    answers = several(SENTENCES)
    assert passed(SENTENCES) == answers
    lists = [one(SENTENCES, num_return_sequences=3) for one in alone]
    for answer, *of_models in zip(answers, *lists, strict=True):
        models = [[(candidate.glosses, candidate["log_prob"]) for candidate in candidates] for candidates in of_models]
        glosses, agreement = consensus(models)
        assert answer.glosses == glosses
        assert answer["agreement"] == pytest.approx(agreement)
    assert several(SENTENCES[0], consensus=False, num_beams=1) == alone[0](SENTENCES[0])
    spelled = several(SENTENCES[0], fingerspell=True, return_alignment=True)
    assert len(spelled["alignment"]) == len(spelled.glosses)
    assert "alignment" not in several(SENTENCES[0], fingerspell=True)
    with ThreadPoolExecutor(4) as threads:
        alike = list(threads.map(several, SENTENCES * 3))  # batches differ, and so do the last digits
    assert [answer.glosses for answer in alike] == [answer.glosses for answer in answers * 3]
    assert [answer["agreement"] for answer in alike] == pytest.approx([answer["agreement"] for answer in answers * 3])


def test_what_consensus_cannot_do(text_to_gloss: Text2GlossPipeline, checkpoint: str, another_checkpoint: str) -> None:
    several = pipeline("text-to-gloss", model=checkpoint, others=[another_checkpoint])
    for asked, options, message in (
        (text_to_gloss, {"num_beams": 1}, "consensus: expected several answers to choose from, found one"),
        (text_to_gloss, {"do_sample": True, "num_beams": 2}, "consensus: expected the best answers of a beam search"),
        (several, {"suppress_tokens": [3]}, "suppress_tokens: expected no such argument with others"),
    ):
        with pytest.raises(ValueError, match=message):
            asked(SENTENCES[0], consensus=True, **options)
    for others, kind, message in (
        (checkpoint, TypeError, "others: expected a list of models, found str"),
        ([3], TypeError, "others: expected folders, Hub repositories or pipelines of this kind, found int"),
        ([several], ValueError, "found one with others"),
    ):
        with pytest.raises(kind, match=message):
            pipeline("text-to-gloss", model=checkpoint, others=others)
