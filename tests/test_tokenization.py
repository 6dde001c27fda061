from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import kgloss_hf
from conftest import GLOSSES, SENTENCES
from kgloss_hf.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.tokenizer_training import train_tokenizer

# The paper's Table 2 (lemmatised, rows 2 and 3) and Table 4 (not lemmatised), as pre-tokens.
TABLE_2 = [
    (SENTENCES[0], (), "몸 형태 따르다 버들잎 모양 비파 형 구분 되다"),
    (SENTENCES[1], ("하다",), "그리고 확대 되다 화면 하단 Alpha 코드 스캔 사진 핸드폰 다운로드 수 있다"),
]
TABLE_4 = [
    ("토기 아가리 모양이 다양하며, 작은 그릇도 만들었다.", "토기 아가리 모양 다양하며 작은 그릇 만들었다"),
    (
        "삼국시대에 전남지역에는 주변지역을 지키고 통제하기 위한 성들이 많이 만들어졌다.",
        "삼국시대 전남 지역 주변 지역 지키고 통제 하기 위",
    ),
    (SENTENCES[3], "국립 중앙 박물관 불교 회화 실 높이 Number Alpha 폭 Number Alpha 의 괘불 미디어아트 펼쳐집니다"),
]


@pytest.mark.parametrize(("sentence", "stop_words", "expected"), TABLE_2)
def test_table_2_of_the_paper(sentence: str, stop_words: tuple[str, ...], expected: str) -> None:
    tokenizer = train_tokenizer([sentence], [], vocab_size=100, stop_words=stop_words)
    assert tokenizer.words([sentence]) == [expected.split()]


@pytest.mark.parametrize(("sentence", "expected"), TABLE_4)
def test_table_4_of_the_paper(sentence: str, expected: str) -> None:
    tokenizer = train_tokenizer([sentence], [], vocab_size=100, lemmatize=False)
    assert " ".join(tokenizer.words([sentence])[0]).startswith(expected)


def test_template_and_target(tokenizer: KGlossTokenizerFast) -> None:
    encoded = tokenizer(SENTENCES, text_target=GLOSSES)
    for ids, labels, glosses in zip(encoded["input_ids"], encoded["labels"], GLOSSES, strict=True):
        assert tokenizer.convert_ids_to_tokens(ids)[:: len(ids) - 1] == ["[BOS]", "[EOS]"]
        assert len(labels) == len(glosses) + 1
        assert tokenizer.convert_ids_to_tokens(labels)[-1] == "[EOS]"
    expected = ["이것", "흙", "그릇", "Number", "만들다", "완료", "[EOS]"]
    assert tokenizer.convert_ids_to_tokens(encoded["labels"][2]) == expected
    assert "V (불꽃무늬)" in tokenizer.convert_ids_to_tokens(encoded["labels"][3])


def test_gloss_that_is_a_source_word_shares_its_id(tokenizer: KGlossTokenizerFast) -> None:
    source = tokenizer(SENTENCES[0])["input_ids"]
    assert tokenizer(text_target=["따르다"])["input_ids"][0] in source


def test_unknown_gloss_is_counted(tokenizer: KGlossTokenizerFast, caplog: pytest.LogCaptureFixture) -> None:
    labels = tokenizer(text_target=[["없는글로스", "몸"], ["버들잎"]])["input_ids"]
    assert [tokenizer.convert_ids_to_tokens(row)[0] for row in labels] == ["[UNK]", "[UNK]"]
    assert "2 glosses are not in the tokenizer's vocabulary" in caplog.text


def test_target_padding_truncation_and_tensors(tokenizer: KGlossTokenizerFast) -> None:
    batch = tokenizer(
        SENTENCES, text_target=GLOSSES, padding=True, truncation=True, max_target_length=4, return_tensors="pt"
    )
    assert batch["labels"].shape == (4, 4)
    assert (batch["labels"][:, -1] == tokenizer.eos_token_id).all()
    assert tokenizer(SENTENCES[0], text_target=["몸"], return_tensors="pt")["labels"].shape == (1, 2)


@pytest.mark.parametrize("target", ["몸 모습", [["몸", 3]], [["몸"], "모습"]])
def test_target_of_a_wrong_type(tokenizer: KGlossTokenizerFast, target: object) -> None:
    with pytest.raises(TypeError, match="expected a list of glosses"):
        tokenizer(text_target=target)


def test_all_ways_in_give_the_same_ids(tokenizer: KGlossTokenizerFast) -> None:
    ids = tokenizer(SENTENCES)["input_ids"]
    assert [tokenizer(sentence)["input_ids"] for sentence in SENTENCES] == ids
    assert [tokenizer.encode(sentence) for sentence in SENTENCES] == ids
    assert tokenizer([s.split() for s in SENTENCES], is_split_into_words=True)["input_ids"] == ids
    assert tokenizer(SENTENCES[0].split(), is_split_into_words=True)["input_ids"] == ids[0]
    assert tokenizer.convert_tokens_to_ids(tokenizer.tokenize(SENTENCES[1])) == ids[1][1:-1]
    pair = ids[0] + ids[1][1:]
    assert tokenizer(SENTENCES[0], SENTENCES[1])["input_ids"] == pair
    assert tokenizer([SENTENCES[0]], [SENTENCES[1]])["input_ids"] == [pair]
    assert tokenizer([])["input_ids"] == []


def test_decode_joins_glosses_with_a_space(tokenizer: KGlossTokenizerFast) -> None:
    labels = tokenizer(text_target=["몸", "V (불꽃무늬)", "Number/4C"])["input_ids"]
    assert tokenizer.decode(labels, skip_special_tokens=True) == "몸 V (불꽃무늬) Number"


def test_save_load_pickle_and_copy(tokenizer: KGlossTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    assert kgloss_hf.__version__
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for other in (loaded, pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):  # noqa: S301
        assert isinstance(other, KGlossTokenizerFast)
        assert other(SENTENCES, text_target=GLOSSES).data == tokenizer(SENTENCES, text_target=GLOSSES).data
        assert other.glosses == tokenizer.glosses


def test_saved_tokenizer_names_its_analyser(checkpoint: str) -> None:
    saved = json.loads((Path(checkpoint) / "tokenizer_config.json").read_text("utf-8"))
    assert saved["analyzer"] == "okt"
    assert saved["lemmatize"] is True
    plain = PreTrainedTokenizerFast.from_pretrained(checkpoint)
    assert (
        plain(SENTENCES[0])["input_ids"] != KGlossTokenizerFast.from_pretrained(checkpoint)(SENTENCES[0])["input_ids"]
    )


def test_unknown_analyser_is_refused(tokenizer: KGlossTokenizerFast) -> None:
    other = copy.deepcopy(tokenizer)
    other.init_kwargs["analyzer"] = "mecab"
    with pytest.raises(ValueError, match="'mecab'"):
        other("몸")


def test_no_break_space_loses_no_word(tokenizer: KGlossTokenizerFast) -> None:
    assert tokenizer.words(["몸의\u00a0형태\u3000모양"]) == [["몸", "형태", "모양"]]


def test_vocabulary_is_the_same_each_time() -> None:
    texts = [" ".join(SENTENCES), *(sentence[i:] for sentence in SENTENCES for i in range(0, 30, 3))]
    first, *others = (train_tokenizer(texts, GLOSSES, vocab_size=200) for _ in range(8))
    assert all(other.get_vocab() == first.get_vocab() for other in others)
    assert first.convert_ids_to_tokens(range(7)) == ["[PAD]", "[UNK]", "[BOS]", "[EOS]", "[MASK]", "Number", "Alpha"]


def test_gloss_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 100 characters"):
        train_tokenizer(SENTENCES, [["가" * 101]])


@given(st.lists(st.text(alphabet=st.characters(codec=None), max_size=30), max_size=4))
def test_any_unicode_gets_an_answer(tokenizer: KGlossTokenizerFast, texts: list[str]) -> None:
    encoded = tokenizer(texts)
    assert len(encoded["input_ids"]) == len(texts)
    assert all(ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id for ids in encoded["input_ids"])


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "😀", "\x00", "\ud800", "가나다라마바사 " * 1250, "a" * 10_000])
def test_hostile_text_gets_an_answer(tokenizer: KGlossTokenizerFast, text: str) -> None:
    ids = tokenizer(text, truncation=True)["input_ids"]
    assert 2 <= len(ids) <= 128
