from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pytest
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerFast, pipeline

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models.modeling import build_model
from kgloss_hf.runtime.glosses import GLOSS_TYPES, PLACEHOLDERS, UNKNOWN_TYPE
from kgloss_hf.runtime.pipeline_kgloss import GlossSequence, Text2GlossPipeline
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

BLANK = {"generated_text": "", "glosses": [], "unresolved": []}


@pytest.fixture(scope="module", params=["text2text-generation", "text-to-gloss"])
def text_to_gloss(request: pytest.FixtureRequest, checkpoint: str) -> Text2GlossPipeline:
    return pipeline(request.param, model=checkpoint)


def outputting(text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch, *glosses: str) -> None:
    """Let the model put out these glosses for every text, whose word pieces it attends to alike."""
    ids = text_to_gloss.tokenizer.convert_tokens_to_ids(list(glosses))
    monkeypatch.setattr(text_to_gloss, "decode", lambda rows, *_: [ids] * len(rows))


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
    assert text_to_gloss(texts) == single
    assert text_to_gloss(texts, batch_size=3) == single
    assert text_to_gloss(tuple(texts)) == single
    assert list(text_to_gloss(iter(texts), batch_size=2)) == single
    rows = datasets.Dataset.from_dict({"text": texts})
    assert list(text_to_gloss(rows)) == list(text_to_gloss(rows["text"])) == single


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
            found = text_to_gloss(sentence, **options)["glosses"]
            assert [a for a, b in zip(found, tokens, strict=True) if b not in PLACEHOLDERS] == [
                token for token in tokens if token not in PLACEHOLDERS
            ]


def test_settings_that_our_own_steps_do_not_know_go_to_generate(
    text_to_gloss: Text2GlossPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text_to_gloss._greedy_limit({}) == 16
    assert text_to_gloss._greedy_limit({"max_new_tokens": 3}) == 4
    for options in ({"num_beams": 2}, {"min_length": 3}, {"do_sample": True}, {"repetition_penalty": 2.0}):
        assert text_to_gloss._greedy_limit(options) is None
    config = text_to_gloss.model.generation_config
    for name, value in {"temperature": 0.5, "repetition_penalty": 1.0, "min_length": 0}.items():
        monkeypatch.setattr(config, name, value)  # a training run saves such values
    assert text_to_gloss._greedy_limit({}) == 16
    for name, value in {"min_new_tokens": 1, "no_repeat_ngram_size": 1, "bad_words_ids": [[7]]}.items():
        with monkeypatch.context() as patch:
            patch.setattr(config, name, value)
            assert text_to_gloss._greedy_limit({}) is None


def test_n_best(text_to_gloss: Text2GlossPipeline) -> None:
    answers = text_to_gloss([SENTENCES[0], "", SENTENCES[1]], num_return_sequences=3)
    assert [len(found) for found in answers] == [3, 0, 3]
    assert len({tuple(found.glosses) for found in answers[0]}) == 3
    alone = text_to_gloss(SENTENCES[0], num_return_sequences=3)
    assert [found.glosses for found in alone] == [found.glosses for found in answers[0]]
    log_probs = [found["log_prob"] for found in alone]
    assert log_probs == pytest.approx([found["log_prob"] for found in answers[0]], abs=1e-3)
    assert all(log_prob < 0 for log_prob in log_probs)
    assert len(text_to_gloss(SENTENCES[0], num_return_sequences=1)) == 1
    with pytest.raises(ValueError, match="num_return_sequences: expected 1 or more, found 0"):
        text_to_gloss("전시", num_return_sequences=0)


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
    assert text_to_gloss("토기", fingerspell=True)["glosses"] == []  # a word that the vocabulary holds


def test_options_of_the_pipeline_itself(checkpoint: str) -> None:
    text_to_gloss = pipeline("text-to-gloss", model=checkpoint, return_types=True, batch_size=2, num_beams=2)
    assert "types" in text_to_gloss("전시")
    assert "types" not in text_to_gloss("전시", return_types=False)


@pytest.mark.parametrize("text", ["", "  ", "…!"])
def test_text_without_a_word_has_no_glosses(text_to_gloss: Text2GlossPipeline, text: str) -> None:
    assert text_to_gloss(["전시", text], batch_size=2)[1] == BLANK


@pytest.mark.parametrize("text", ["😀", "\ud800", "\x00", "Das ist kein Koreanisch.", "これは日本語です"])
def test_hostile_text_gets_an_answer(text_to_gloss: Text2GlossPipeline, text: str) -> None:
    assert text_to_gloss(text)["generated_text"] is not None


def test_truncation_is_said_in_numbers(text_to_gloss: Text2GlossPipeline, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert text_to_gloss("토기 " * 10_000)["generated_text"] is not None
    assert f"truncation dropped {10_000 - 126} tokens of 1 texts" in caplog.text


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
    with pytest.raises((OSError, ValueError), match="config.json"):  # which of them is the generation
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
    for found in (found for row in answers for found in row):
        assert found["log_prob"] < 0
        assert len(found["alignment"]) == len(found.glosses)


def test_nothing_but_glosses_comes_out(text_to_gloss: Text2GlossPipeline) -> None:
    """10,000 random sentences over both tasks; an untrained model would put out anything it may."""
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
