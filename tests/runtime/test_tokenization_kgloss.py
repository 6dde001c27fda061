from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerFast, pipeline
from transformers.dynamic_module_utils import get_class_from_dynamic_module

import kgloss_hf
from conftest import GLOSSES, SENTENCES
from kgloss_hf.data.pairs import Pair
from kgloss_hf.models.modeling import build_model
from kgloss_hf.models.vocabulary import rare_names, train_tokenizer
from kgloss_hf.runtime import tokenization_kgloss
from kgloss_hf.runtime.analyzers import has_analyzer
from kgloss_hf.runtime.normalization import normalize, normalize_line
from kgloss_hf.runtime.numerals import number_words
from kgloss_hf.runtime.placeholders import mark_placeholders, placeholder_sources, restore_placeholders
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast

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
    assert "glosses that are not in the tokenizer's vocabulary became [UNK]: 2" in caplog.text


def test_target_padding_truncation_and_tensors(tokenizer: KGlossTokenizerFast) -> None:
    batch = tokenizer(
        SENTENCES, text_target=GLOSSES, padding=True, truncation=True, max_target_length=4, return_tensors="pt"
    )
    assert batch["labels"].shape == (4, 4)
    assert (batch["labels"][:, -1] == tokenizer.eos_token_id).all()
    assert tokenizer(SENTENCES[0], text_target=["몸"], return_tensors="pt")["labels"].shape == (1, 2)


@pytest.mark.parametrize("target", ["몸 모습", [["몸", 3]], [["몸"], "모습"], [["몸"], None], ["몸", ["모습"]], 3])
def test_target_of_a_wrong_type(tokenizer: KGlossTokenizerFast, target: object) -> None:
    with pytest.raises(TypeError, match="expected a list of glosses"):
        tokenizer(text_target=target)


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (
            SENTENCES[:2],
            ["집 불", "도와 주다"],
            r"as texts, 2, found a list of strings.*kgloss_hf\.runtime\.glosses\.split_glosses",
        ),
        (tuple(SENTENCES[:2]), ("집", "불"), "as texts, 2, found a list of strings"),
        (SENTENCES[:1], ["집"], "as texts, 1, found a list of strings"),
        (SENTENCES[:2], [["집"]], "as texts, 2, found 1"),
        (SENTENCES[:2], [["집"], ["불"], []], "as texts, 2, found 3"),
        (SENTENCES[:2], [], "as texts, 2, found 0"),
        ([], [["집"]], "as texts, 0, found 1"),
        (SENTENCES[0], [["집"], ["불"]], "one list of glosses, as there is one text, found a list of lists"),
        (SENTENCES[0], [["집"]], "one list of glosses, as there is one text, found a list of lists"),
    ],
)
def test_targets_are_one_list_per_text(
    tokenizer: KGlossTokenizerFast, text: object, target: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tokenizer(text, text_target=target)


def test_targets_of_words_and_of_columns(tokenizer: KGlossTokenizerFast) -> None:
    expected = tokenizer(SENTENCES, text_target=GLOSSES)
    rows = Dataset.from_dict({"text": SENTENCES, "glosses": GLOSSES})
    assert tokenizer(rows["text"], text_target=rows["glosses"]).data == expected.data
    assert tokenizer(tuple(SENTENCES), text_target=tuple(map(tuple, GLOSSES))).data == expected.data
    words = [sentence.split() for sentence in SENTENCES]
    assert tokenizer(words, text_target=GLOSSES, is_split_into_words=True).data == expected.data
    one = tokenizer(words[0], text_target=GLOSSES[0], is_split_into_words=True)
    assert one["labels"] == expected["labels"][0]
    with pytest.raises(ValueError, match="as texts, 4, found a list of strings"):
        tokenizer(words, text_target=GLOSSES[0], is_split_into_words=True)


def test_no_texts_and_no_glosses(tokenizer: KGlossTokenizerFast) -> None:
    assert tokenizer([], text_target=[])["labels"] == []
    assert tokenizer("몸", text_target=[])["labels"] == [tokenizer.eos_token_id]
    assert tokenizer(["몸"], text_target=[[]])["labels"] == [[tokenizer.eos_token_id]]
    assert tokenizer(text_target=[])["input_ids"] == [tokenizer.eos_token_id]


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
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for other in (loaded, pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):  # noqa: S301
        assert isinstance(other, KGlossTokenizerFast)
        assert other(SENTENCES, text_target=GLOSSES).data == tokenizer(SENTENCES, text_target=GLOSSES).data
        assert other.glosses == tokenizer.glosses


def test_saved_tokenizer_names_its_analyser(checkpoint: str) -> None:
    saved = json.loads((Path(checkpoint) / "tokenizer_config.json").read_text("utf-8"))
    assert saved["analyzer"] == "okt"
    assert saved["lemmatize"] is True
    plain, ours = (kind.from_pretrained(checkpoint) for kind in (PreTrainedTokenizerFast, KGlossTokenizerFast))
    assert plain(SENTENCES[0])["input_ids"] != ours(SENTENCES[0])["input_ids"]


def test_unknown_analyser_is_refused(tokenizer: KGlossTokenizerFast) -> None:
    other = copy.deepcopy(tokenizer)
    other.init_kwargs["analyzer"] = "hannanum"
    with pytest.raises(ValueError, match="analyzer: expected one of .*okt, whitespace.*, found 'hannanum'"):
        other("몸")


def test_no_break_space_loses_no_word(tokenizer: KGlossTokenizerFast) -> None:
    assert tokenizer.words(["몸의\u00a0형태\u3000모양"]) == [["몸", "형태", "모양"]]


def test_vocabulary_is_the_same_each_time() -> None:
    texts = [" ".join(SENTENCES), *(sentence[i:] for sentence in SENTENCES for i in range(0, 30, 3))]
    first, *later = (train_tokenizer(texts, GLOSSES, vocab_size=200) for _ in range(8))
    assert all(other.get_vocab() == first.get_vocab() for other in later)
    assert first.convert_ids_to_tokens(range(7)) == ["[PAD]", "[UNK]", "[BOS]", "[EOS]", "[MASK]", "Number", "Alpha"]


def test_gloss_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="expected glosses of at most 100 characters, found .* with 101"):
        train_tokenizer(SENTENCES, [["가" * 101]])


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "😀", "\x00", "\ud800", "가나다라마바사 " * 1250, "a" * 10_000])
def test_hostile_text_gets_an_answer(tokenizer: KGlossTokenizerFast, text: str) -> None:
    ids = tokenizer(text, truncation=True)["input_ids"]
    assert 2 <= len(ids) <= 128


# Spans worked out by hand for the sentence "4세기의 QR 코드를" (Number stands for 4, Alpha for QR).
OFFSETS = [("Number", "4"), ("세기", "세기"), ("Alpha", "QR"), ("코드", "코드")]


def test_offsets_are_the_morphemes_spans(tokenizer: KGlossTokenizerFast) -> None:
    text = "4세기의 QR 코드를"
    encoded = tokenizer(text, return_offsets_mapping=True)
    assert tokenizer.words([text]) == [[word for word, _ in OFFSETS]]
    assert encoded["offset_mapping"][0] == encoded["offset_mapping"][-1] == (0, 0)
    words = encoded.word_ids()[1:-1]
    spans = [text[start:end] for start, end in encoded["offset_mapping"][1:-1]]
    assert spans == [OFFSETS[word][1] for word in words]
    assert set(words) == {0, 1, 2, 3}


def test_offsets_of_a_lemma_are_those_of_its_surface(tokenizer: KGlossTokenizerFast) -> None:
    encoded = tokenizer(["형태에 따라"], return_offsets_mapping=True)
    assert tokenizer.words(["형태에 따라"]) == [["형태", "따르다"]]
    assert encoded["offset_mapping"][0][-2] == (4, 6)


def test_offsets_of_pairs_and_of_tensors(tokenizer: KGlossTokenizerFast) -> None:
    first, second = ("몸의 형태", "버들잎 모양과")
    single, batch = (
        tokenizer(*texts, return_offsets_mapping=True)["offset_mapping"]
        for texts in ((first, second), ([first, first], [second, second]))
    )
    parts = [tokenizer(text, return_offsets_mapping=True)["offset_mapping"] for text in (first, second)]
    assert batch == [single, single]
    assert single == parts[0] + parts[1][1:]
    tensor = tokenizer(SENTENCES, padding=True, return_offsets_mapping=True, return_tensors="pt")
    lists = tokenizer(SENTENCES, padding=True, return_offsets_mapping=True)
    assert tensor["offset_mapping"].shape == (*tensor["input_ids"].shape, 2)
    assert tensor["offset_mapping"].tolist() == [[list(span) for span in row] for row in lists["offset_mapping"]]


@pytest.mark.parametrize("stride", [0, 2])
def test_offsets_of_overflowing_parts(
    tokenizer: KGlossTokenizerFast, caplog: pytest.LogCaptureFixture, stride: int
) -> None:
    whole = tokenizer(SENTENCES, return_offsets_mapping=True)
    parts = tokenizer(
        SENTENCES,
        truncation=True,
        max_length=8,
        stride=stride,
        padding=True,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert len(parts["input_ids"]) > len(SENTENCES)
    joined: list[list[Any]] = [[] for _ in SENTENCES]
    for index, ids, spans in zip(
        parts["overflow_to_sample_mapping"], parts["input_ids"], parts["offset_mapping"], strict=True
    ):
        assert len(ids) == 8
        real = [item for item in zip(ids, spans, strict=True) if item[0] not in tokenizer.all_special_ids]
        assert all(spans[i] == (0, 0) for i, id_ in enumerate(ids) if id_ in (tokenizer.pad_token_id, 2, 3))
        joined[index] += real[stride if joined[index] else 0 :]
    for row, ids, spans in zip(joined, whole["input_ids"], whole["offset_mapping"], strict=True):
        assert row == list(zip(ids, spans, strict=True))[1:-1]
    assert "truncation" not in caplog.text


def test_offsets_of_words_are_into_the_words_joined(tokenizer: KGlossTokenizerFast) -> None:
    words = ["몸의", "형태에", "따라"]
    split = tokenizer(words, is_split_into_words=True, return_offsets_mapping=True)
    assert split.data == tokenizer(" ".join(words), return_offsets_mapping=True).data


def test_truncation_counts_texts_and_targets(tokenizer: KGlossTokenizerFast, caplog: pytest.LogCaptureFixture) -> None:
    lengths = [len(ids) for ids in tokenizer(SENTENCES)["input_ids"]]
    cut = [length - 10 for length in lengths if length > 10]
    assert cut
    batch = tokenizer(SENTENCES, text_target=GLOSSES, truncation=True, max_length=10, max_target_length=7)
    assert [len(row) for row in batch["labels"]] == [7, 7, 7, 7]
    assert max(len(row) for row in batch["input_ids"]) == 10
    # Of 11, 9, 6 and 9 glosses, 6 remain in addition to [EOS].
    expected = f"truncation dropped tokens: {sum(cut)} (texts cut: {len(cut)}) and 11 (targets cut: 3)"
    assert [record.message.startswith(expected) for record in caplog.records] == [True]


@pytest.mark.parametrize("stride", [0, 3])
def test_truncation_of_pairs_counts_each_token_once(
    tokenizer: KGlossTokenizerFast, caplog: pytest.LogCaptureFixture, stride: int
) -> None:
    whole = len(tokenizer(SENTENCES[0], SENTENCES[1])["input_ids"])
    tokenizer(SENTENCES[0], SENTENCES[1], truncation="only_second", max_length=whole - 5, stride=stride)
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "truncation dropped tokens: 5 (texts cut: 1)"
    ]


def test_nothing_dropped_nothing_said(tokenizer: KGlossTokenizerFast, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer(SENTENCES, text_target=GLOSSES, truncation=True)
    assert tokenizer(text_target=GLOSSES, truncation="do_not_truncate", max_length=3)["input_ids"][0]
    assert caplog.text == ""


def test_targets_stop_at_the_models_length(tokenizer: KGlossTokenizerFast) -> None:
    assert len(tokenizer(text_target=["몸"] * 500, truncation=True)["input_ids"]) == 128


def test_padding_to_a_length_and_to_a_multiple(tokenizer: KGlossTokenizerFast) -> None:
    batch = tokenizer(SENTENCES, text_target=GLOSSES, padding="max_length", max_length=40, truncation=True)
    assert {len(row) for name in ("input_ids", "attention_mask", "labels") for row in batch[name]} == {40}
    assert len(tokenizer("몸", padding=True, pad_to_multiple_of=8)["input_ids"]) == 8


def test_text_without_words_is_an_empty_sequence_of_a_pair(tokenizer: KGlossTokenizerFast) -> None:
    ids = tokenizer("몸", "…!")["input_ids"]
    assert ids == tokenizer(["몸"], ["…!"])["input_ids"][0]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[BOS]", "몸", "[EOS]", "[EOS]"]


@pytest.mark.parametrize("pair", ["가", ["가"], ["가", "나", "다"]])
def test_pairs_of_unequal_length(tokenizer: KGlossTokenizerFast, pair: object) -> None:
    with pytest.raises((ValueError, TypeError), match="text_pair"):
        tokenizer(["몸", "형태"], pair)


def test_normalisation_and_stop_words_are_options() -> None:
    text = "몸의 형태, #QR_Code"
    tokenizer = train_tokenizer([text], [], vocab_size=60)
    assert tokenizer.words([text]) == [["몸", "형태", "#qr_code"]]
    tokenizer.init_kwargs |= {"normalize": False, "stop_words": ["형태"]}
    assert tokenizer.words([text]) == [["몸", ",", "#QR_Code"]]


def test_added_tokens_are_found_in_the_text(tokenizer: KGlossTokenizerFast, tmp_path: Path) -> None:
    other = copy.deepcopy(tokenizer)
    other.add_tokens(["괘불 미디어아트"])
    other.add_tokens(["<jeju>"], special_tokens=True)
    text = "<jeju> 높이의 괘불 미디어아트"
    encoded = other(text, return_offsets_mapping=True)
    tokens = other.convert_ids_to_tokens(encoded["input_ids"])
    assert [tokens[1], tokens[-2]] == ["<jeju>", "괘불 미디어아트"]
    assert [text[slice(*encoded["offset_mapping"][i])] for i in (1, 2, -2)] == ["<jeju>", "높이", "괘불 미디어아트"]
    assert "<jeju>" not in other.tokenize(text, split_special_tokens=True)
    other.add_tokens(["MMCA"])
    assert [other.knows(morpheme) for morpheme in other.morphemes(["MMCA 쿠스코 3"])[0]] == [True, False, True]
    other.save_pretrained(tmp_path)
    assert KGlossTokenizerFast.from_pretrained(tmp_path)(text)["input_ids"] == encoded["input_ids"]


def test_part_of_a_word_is_no_single_word(tokenizer: KGlossTokenizerFast) -> None:
    other = copy.deepcopy(tokenizer)
    other.add_tokens([AddedToken("몸의", single_word=True)])
    assert [m.surface for m in other.morphemes(["몸의 몸의형태"])[0]] == ["몸의", "몸", "의", "형태"]


def test_training_anew_names_what_learns_a_vocabulary(tokenizer: KGlossTokenizerFast) -> None:
    with pytest.raises(NotImplementedError, match=r"expected kgloss_hf\.train_tokenizer"):
        tokenizer.train_new_from_iterator([["몸"]], 80)


def test_fingerprint_outlives_use_and_loading(checkpoint: str) -> None:
    first, second = (KGlossTokenizerFast.from_pretrained(checkpoint) for _ in range(2))
    fresh = Hasher.hash(first)
    assert Hasher.hash(second) == fresh
    first(SENTENCES, text_target=GLOSSES, padding="max_length", truncation=True, max_length=6, stride=2)
    first("전시 " * 300)
    first.decode(first.encode("몸"))
    first.pad({"input_ids": [[1], [1, 2]]})
    assert Hasher.hash(first) == fresh
    assert pickle.dumps(first) == pickle.dumps(second)


def test_second_map_comes_from_the_cache(checkpoint: str, tmp_path: Path) -> None:
    rows = Dataset.from_dict({"text": SENTENCES})
    rows.save_to_disk(tmp_path)
    files = []
    for _ in range(2):
        tokenizer = KGlossTokenizerFast.from_pretrained(checkpoint)
        encoded = Dataset.load_from_disk(tmp_path).map(
            lambda batch, tokenizer=tokenizer: tokenizer(batch["text"], truncation=True, padding=True), batched=True
        )
        files.append([(file["filename"], Path(file["filename"]).stat().st_mtime_ns) for file in encoded.cache_files])
    assert files[0]
    assert files[0] == files[1]


REMOTE = """
import importlib.util, json, sys
from transformers import AutoTokenizer
assert importlib.util.find_spec("kgloss_hf") is None
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=True)
tokenizer.save_pretrained(sys.argv[2])
again = AutoTokenizer.from_pretrained(sys.argv[2], trust_remote_code=True)
given = json.loads(sys.argv[3])
print(json.dumps([t(given[0], text_target=given[1]).data for t in (tokenizer, again)]))
"""


def test_folder_alone_is_enough_with_remote_code(tokenizer: KGlossTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path / "alone")
    assert sorted(path.name for path in (tmp_path / "alone").glob("*.py")) == [
        "analyzers.py",
        "batches.py",
        "glosses.py",
        "java.py",
        "normalization.py",
        "okt.py",
        "targets.py",
        "tokenization_kgloss.py",
        "words.py",
    ]
    # Neither the checkout on the path, nor the site hooks of an editable installation, may help.
    hide = "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
    hide += f"sys.path = [p for p in sys.path if p not in ('', {str(Path(kgloss_hf.__file__).parent.parent)!r})]\n"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    words = [str(tmp_path / "alone"), str(tmp_path / "copy"), json.dumps([SENTENCES, GLOSSES])]
    command = [sys.executable, "-c", hide + REMOTE, *words]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    expected = tokenizer(SENTENCES, text_target=GLOSSES).data
    assert json.loads(result.stdout.splitlines()[-1]) == [expected, expected]


def test_remote_class_counts_as_ours(checkpoint: str) -> None:
    remote = get_class_from_dynamic_module("tokenization_kgloss.KGlossTokenizerFast", checkpoint)
    loaded = remote.from_pretrained(checkpoint)
    assert not isinstance(loaded, KGlossTokenizerFast)
    assert has_analyzer(loaded)
    assert not has_analyzer(PreTrainedTokenizerFast.from_pretrained(checkpoint))
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
    glosses = [
        pipeline("text2text-generation", model=model, tokenizer=t)(SENTENCES[0])["glosses"]
        for t in (loaded, KGlossTokenizerFast.from_pretrained(checkpoint))
    ]
    assert glosses[0] == glosses[1]


@pytest.fixture(scope="module")
def loaded(checkpoint: str) -> KGlossTokenizerFast:
    return KGlossTokenizerFast.from_pretrained(checkpoint)


LETTERS = st.one_of(st.characters(codec=None), st.sampled_from("가몸의4Q []\u3000\ud800"))


@given(st.lists(st.text(LETTERS, max_size=30), max_size=4))
def test_any_unicode_has_ids_that_outlive_saving_and_offsets_in_the_text(
    tokenizer: KGlossTokenizerFast, loaded: KGlossTokenizerFast, texts: list[str]
) -> None:
    encoded = tokenizer(texts, return_offsets_mapping=True)
    assert encoded["input_ids"] == tokenizer(texts)["input_ids"] == loaded(texts)["input_ids"]
    assert len(encoded["input_ids"]) == len(texts)
    assert all(ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id for ids in encoded["input_ids"])
    for index, (text, spans) in enumerate(zip(texts, encoded["offset_mapping"], strict=True)):
        words = encoded.word_ids(index)
        real = [span for span, word in zip(spans, words, strict=True) if word is not None]
        assert all(0 <= start < end <= len(text) for start, end in real)
        assert [start for start, _ in real] == sorted(start for start, _ in real)
        assert all(span == (0, 0) for span, word in zip(spans, words, strict=True) if word is None)


NAMED = [
    Pair("명동으로 가려면 어떻게 가나요?", ("명동", "가다", "방법")),
    Pair("이화여대로 가려면 어떻게 가나요?", ("이화여대", "가다", "방법")),
    Pair("병원으로 가려면 어떻게 가나요?", ("병원", "가다")),
]


def test_unknown_nouns_are_copied(tmp_path: Path) -> None:
    names = rare_names(NAMED, most=1)
    assert names == {"명동", "이화여대", "병원"}
    assert rare_names(NAMED, most=0) == set()
    assert rare_names([*NAMED, Pair("아파요.", ("병원",))], most=1) == {"명동", "이화여대"}
    texts, glosses = [pair.text for pair in NAMED], [list(pair.glosses) for pair in NAMED]
    tokenizer = train_tokenizer(texts, glosses, copy_names=True, names=names - {"병원"})
    assert set(tokenizer.glosses) == {"방법", "병원", "가다", "Name"}
    tokenizer.save_pretrained(tmp_path)
    for tokens in (tokenizer, KGlossTokenizerFast.from_pretrained(tmp_path), pickle.loads(pickle.dumps(tokenizer))):  # noqa: S301
        words = tokens.words(["여의도로 가려면", "병원으로 가려면"])
        assert words[0][0] == "Name"
        assert words[1][0] == "병원"
        assert tokens.convert_ids_to_tokens(tokens("여의도")["input_ids"]) == ["[BOS]", "Name", "[EOS]"]
    (morphemes,) = tokenizer.morphemes(["여의도로 가려면"])
    assert mark_placeholders(["여의도", "방법"], morphemes) == ["Name/여의도", "방법"]
    assert restore_placeholders(["Name", "방법", "Name"], morphemes)[:2] == ["여의도", "방법"]
    assert tokenizer(text_target=["Name/여의도", "방법"])["input_ids"] == tokenizer.convert_tokens_to_ids(
        ["Name", "방법", "[EOS]"]
    )


def test_names_are_off_by_default(tokenizer: KGlossTokenizerFast) -> None:
    assert "Name" not in tokenizer.get_vocab()
    assert tokenizer.words(["여의도"]) == [["여의도"]]
    suppressed = build_model("tiny", tokenizer).generation_config.suppress_tokens
    assert tokenizer.unk_token_id in suppressed


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text).replace(" ", "\u3000")


UNSEEN = "\u200b\u200d\u2060\u00ad\ufeff\u200e\u202e\u2066\ufe0f\u3164\u115f\u034f\x00\x7f\U000e0020"
MIXED = "２층 ＱＲ 코드, １０％！ " + SENTENCES[2]


@given(st.sampled_from([*SENTENCES, MIXED, "열두 명이 여덟시에 3만 5천 원을"]), st.data())
def test_text_that_looks_the_same_has_the_same_ids_and_offsets(
    tokenizer: KGlossTokenizerFast, text: str, data: st.DataObject
) -> None:
    places = st.lists(st.tuples(st.integers(0, len(text)), st.sampled_from(UNSEEN)), max_size=4)
    form = data.draw(st.sampled_from([str, decomposed, full_width, lambda text: decomposed(full_width(text))]))
    with_unseen = text
    for place, character in sorted(data.draw(places), reverse=True):
        with_unseen = with_unseen[:place] + character + with_unseen[place:]
    given_text = form(with_unseen)
    plain, other = (tokenizer(t, return_offsets_mapping=True) for t in (normalize(text), given_text))
    assert other["input_ids"] == plain["input_ids"]
    for (start, end), (plain_start, plain_end) in zip(other["offset_mapping"], plain["offset_mapping"], strict=True):
        assert normalize_line(given_text[start:end]) == normalize(text)[plain_start:plain_end]
    ours, theirs = (tokenizer.morphemes([t])[0] for t in (normalize(text), given_text))
    assert [m[:3] for m in ours] == [m[:3] for m in theirs]
    contents = [
        [(source.content, normalize_line(t[source.start : source.end])) for source in placeholder_sources(morphemes)]
        for t, morphemes in ((normalize(text), ours), (given_text, theirs))
    ]
    assert contents[0] == contents[1]
    assert [s.content for s in number_words(ours)] == [s.content for s in number_words(theirs)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("토기\u200b는", "토기/Noun 는/Josa"),
        ("토\u00ad기는", "토기/Noun 는/Josa"),
        ("\ufeff토기는", "토기/Noun 는/Josa"),
        ("토기\u2060는\u200e", "토기/Noun 는/Josa"),
        ("２층", "2/Number 층/Noun"),
        ("ＱＲ", "QR/Alpha"),
        ("５０％", "50%/Number"),
        ("몸（형태）！", "몸/Noun (/Punctuation 형태/Noun )!/Punctuation"),
        ("몸\u00a0형태", "몸/Noun 형태/Noun"),
        ("몸\u202f형태\u3000", "몸/Noun 형태/Noun"),
        ("\u200b\u3164\ufeff", ""),
        ("\u200b \xa0", ""),
    ],
)
def test_what_nobody_sees_changes_nothing(tokenizer: KGlossTokenizerFast, text: str, expected: str) -> None:
    assert " ".join(f"{m.surface}/{m.tag}" for m in tokenizer.morphemes([text])[0]) == expected


def test_numbers_in_words_lead_back_to_decomposed_text(tokenizer: KGlossTokenizerFast) -> None:
    text = decomposed("그는 만 이천 원을 여덟시에, 십구 세기에 냈다")
    sources = number_words(tokenizer.morphemes([text])[0])
    assert [normalize(text[source.start : source.end]) for source in sources] == ["만 이천", "여덟", "십구 세기"]


def test_pairs_words_and_stop_words_in_any_form(tokenizer: KGlossTokenizerFast) -> None:
    forms = list(map(decomposed, SENTENCES))
    expected = tokenizer(SENTENCES, SENTENCES[::-1], text_target=GLOSSES)
    assert (
        tokenizer(forms, forms[::-1], text_target=[list(map(decomposed, row)) for row in GLOSSES]).data == expected.data
    )
    words = tokenizer([text.split() for text in forms], is_split_into_words=True, return_offsets_mapping=True)
    assert words.data == tokenizer([" ".join(text.split()) for text in forms], return_offsets_mapping=True).data
    assert words["input_ids"] == tokenizer(SENTENCES)["input_ids"]
    made, other = (
        train_tokenizer(
            map(form, SENTENCES),
            [list(map(form, row)) for row in GLOSSES],
            vocab_size=100,
            stop_words=[form("하다")],
            copy_names=True,
            names=[form("비파")],
        )
        for form in (str, lambda text: "\u200b" + decomposed(text))
    )
    assert made.get_vocab() == other.get_vocab()
    assert made.init_kwargs["stop_words"] == other.init_kwargs["stop_words"] == ["하다"]
    older = copy.deepcopy(tokenizer)
    older.init_kwargs["stop_words"] = [decomposed("형태")]
    assert older.words(["몸의 형태"]) == [["몸"]]


def test_older_vocabularies_keep_glosses_of_other_forms() -> None:
    glosses = [decomposed("집"), "집\u200b", "불"]
    made = train_tokenizer(["몸"], [["집", "불"]], vocab_size=60)
    backend = json.loads(made.backend_tokenizer.to_str())
    vocabulary = backend["model"]["vocab"]
    index = vocabulary.pop("집")
    vocabulary |= {glosses[0]: index, glosses[1]: max(vocabulary.values()) + 1}
    older = KGlossTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(backend)), glosses=glosses, unk_token="[UNK]", eos_token="[EOS]"
    )
    for gloss in (decomposed("집"), "집", "집\ufeff"):
        assert older(text_target=[gloss, "불"])["input_ids"][0] == index
    assert older(text_target=["집\u200b"])["input_ids"][0] == vocabulary["집\u200b"]


def test_added_tokens_are_found_in_any_form(tokenizer: KGlossTokenizerFast) -> None:
    other = copy.deepcopy(tokenizer)
    other.add_tokens([decomposed("괘불 미디어아트"), "ＭＭＣＡ"])
    expected = [decomposed("괘불 미디어아트"), "ＭＭＣＡ"]
    for text in ("괘불 미디어아트 MMCA", decomposed("괘불 미디어아트 ＭＭＣＡ"), "괘불 미디어\u200b아트 MM\u00adCA"):
        encoded = other(text, return_offsets_mapping=True)
        assert other.convert_ids_to_tokens(encoded["input_ids"])[1:-1] == expected
        spans = [text[slice(*span)] for span in encoded["offset_mapping"][1:-1]]
        assert list(map(normalize, spans)) == list(map(normalize, expected))
    for token in ("\u200b", AddedToken("\ufeff")):
        with pytest.raises(ValueError, match="expected a visible character, found"):
            other.add_tokens([token])


def test_names_are_known_in_any_form() -> None:
    made = train_tokenizer(["명동으로 가요"], [["가다"]], copy_names=True)
    texts = ["명동 여의도", decomposed("명동 여의도"), "명\u200b동 여의\u00ad도"]
    assert made.words(texts) == [["명동", "Name"]] * 3
    for morphemes in made.morphemes(texts):
        assert restore_placeholders(["Name"], morphemes) == ["여의도"]
        assert [morpheme.tag for morpheme in morphemes] == ["Noun", "Name"]


def test_a_gloss_without_a_visible_character(tokenizer: KGlossTokenizerFast, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="expected glosses, found one without a visible character"):
        train_tokenizer(SENTENCES, [["\u200b"]])
    assert tokenizer(text_target=["\u200b"])["input_ids"] == [tokenizer.unk_token_id, tokenizer.eos_token_id]
    assert "glosses that are not in the tokenizer's vocabulary became [UNK]: 1" in caplog.text


def test_threads_keep_their_own_truncation_and_padding(
    tokenizer: KGlossTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = SENTENCES * 50
    other = copy.deepcopy(tokenizer)
    fresh = Hasher.hash(other)
    limits = [5, 9, None]
    expected = {
        limit: other(texts, truncation=limit is not None, max_length=limit, padding="longest")["input_ids"]
        for limit in limits
    }
    ready = threading.Barrier(len(limits) + 1)

    def encode(limit: int | None) -> bool:
        ready.wait()
        return all(
            other(texts, truncation=limit is not None, max_length=limit, padding="longest")["input_ids"]
            == expected[limit]
            for _ in range(20)
        )

    def add() -> bool:
        ready.wait()
        return all(other.add_tokens([f"<{number}>"]) == 1 for number in range(20))

    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(len(limits) + 1) as threads:
            answers = [threads.submit(add), *(threads.submit(encode, limit) for limit in limits)]
            assert all(answer.result() for answer in answers)
    finally:
        sys.setswitchinterval(switching)
    assert Hasher.hash(tokenizer) == fresh
    assert pickle.loads(pickle.dumps(other))(texts)["input_ids"] == other(texts)["input_ids"]  # noqa: S301


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_while_another_thread_encodes_does_not_hang() -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with tokenization_kgloss._backend_lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    threading.Timer(0.2, done.set).start()  # the fork waits for the thread
    child = os.fork()
    if child == 0:
        os._exit(0 if tokenization_kgloss._backend_lock.acquire(timeout=5) else 1)
    assert done.is_set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
