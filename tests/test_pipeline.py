from __future__ import annotations

import pytest
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerFast, pipeline

from conftest import SENTENCES
from kgloss_hf.pipeline_kgloss import Text2GlossPipeline


@pytest.fixture(scope="module", params=["text2text-generation", "text-to-gloss"])
def text_to_gloss(request: pytest.FixtureRequest, checkpoint: str) -> Text2GlossPipeline:
    return pipeline(request.param, model=checkpoint)


def test_text_in_dict_out(text_to_gloss: Text2GlossPipeline) -> None:
    output = text_to_gloss(SENTENCES[2])
    assert output["generated_text"] == " ".join(output["glosses"])
    assert all(isinstance(gloss, str) for gloss in output["glosses"])


def test_batches_give_what_single_texts_give(text_to_gloss: Text2GlossPipeline) -> None:
    single = [text_to_gloss(sentence) for sentence in SENTENCES]
    assert text_to_gloss(SENTENCES) == single
    assert text_to_gloss(SENTENCES, batch_size=3) == single
    assert text_to_gloss(iter(SENTENCES), batch_size=2) == single


@pytest.mark.parametrize("text", ["", "  ", "…!"])
def test_text_without_a_word_has_no_glosses(text_to_gloss: Text2GlossPipeline, text: str) -> None:
    assert text_to_gloss(["전시", text], batch_size=2)[1] == {"generated_text": "", "glosses": []}


@pytest.mark.parametrize("text", ["😀", "\ud800", "\x00", "가나다라마바사 " * 1250])
def test_hostile_text_gets_an_answer(text_to_gloss: Text2GlossPipeline, text: str) -> None:
    assert text_to_gloss(text)["generated_text"] is not None


@pytest.mark.parametrize("text", [None, 3, b"text", ["전시", None]])
def test_what_is_no_text(text_to_gloss: Text2GlossPipeline, text: object) -> None:
    with pytest.raises(TypeError, match="expected a string"):
        text_to_gloss(text)


def test_no_texts(text_to_gloss: Text2GlossPipeline) -> None:
    assert text_to_gloss([]) == []


def test_tokenizer_without_analyser_is_refused(checkpoint: str) -> None:
    plain = PreTrainedTokenizerFast.from_pretrained(checkpoint)
    with pytest.raises(TypeError, match="import kgloss_hf before loading the tokenizer"):
        pipeline("text-to-gloss", model=AutoModelForSeq2SeqLM.from_pretrained(checkpoint), tokenizer=plain)
