from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from kgloss_hf.back_translation.engines.languages import Direction, find_direction, find_language

pytest.importorskip("langcodes")

NLLB = ["arb_Arab", "arz_Arab", "eng_Latn", "ind_Latn", "kor_Hang", "pes_Arab", "prs_Arab", "zho_Hans", "zho_Hant"]


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("ko", "kor_Hang"),
        ("kor", "kor_Hang"),
        ("kor_Hang", "kor_Hang"),
        ("zh-Hans", "zho_Hans"),
        ("id", "ind_Latn"),
        # Dari (prs) is the Persian of Afghanistan.
        ("fa", "pes_Arab"),
        # Standard Arabic (arb) counts as Arabic; Egyptian Arabic (arz) is a language of its own.
        ("ar", "arb_Arab"),
    ],
)
def test_nllb(language: str, code: str) -> None:
    assert find_language(language, NLLB, "nllb") == code


@pytest.mark.parametrize("language", ["zh", "zho", "cmn"])
def test_what_is_ambiguous_is_asked(language: str) -> None:
    with pytest.raises(ValueError, match=f"{language} can mean zho_Hans, zho_Hant; give one of these"):
        find_language(language, NLLB, "nllb")


@pytest.mark.parametrize("language", ["ja", "xx", "klingon", "Korean", "", "zh-Latn", "a_b"])
def test_what_is_unknown_is_answered_with_what_there_is(language: str) -> None:
    with pytest.raises(ValueError, match=f"nllb: expected one of its 9 languages .*kor_Hang.*, found '{language}'"):
        find_language(language, NLLB, "nllb")


def test_many_languages_are_not_all_listed() -> None:
    codes = [f"{letter}a" for letter in "abcdefghijklmnopqrst"]
    with pytest.raises(ValueError, match=r"20 languages \(ka, aa, .*, …\), found 'ko'"):
        find_language("ko", codes, "m")


def test_m2m100(m2m100: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(m2m100)
    assert find_direction(tokenizer, "ko", "en", "m") == Direction(source="ko", target="__en__")
    with pytest.raises(ValueError, match="m: expected one of its 100 languages"):
        find_direction(tokenizer, "ko", "la", "m")


def test_marian_with_several_targets(en_mul: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(en_mul)
    assert find_direction(tokenizer, "en", "ko", "m") == Direction(prefix=">>kor<< ")
    with pytest.raises(ValueError, match=r"m: expected one of its 2 languages \(jpn, kor\), found 'de'"):
        find_direction(tokenizer, "en", "de", "m")
    with pytest.raises(ValueError, match="m: expected en to mul, found ko to ja"):
        find_direction(tokenizer, "ko", "ja", "m")


def test_marian_of_one_direction(ko_en: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(ko_en)
    assert find_direction(tokenizer, "kor", "en", "m") == Direction()
    with pytest.raises(ValueError, match="m: expected ko to en, found en to ko"):
        find_direction(tokenizer, "en", "ko", "m")


@pytest.mark.parametrize(
    ("name", "source", "target"), [("NllbTokenizer", "kor_Hang", "eng_Latn"), ("MBart50Tokenizer", "ko_KR", "en_XX")]
)
def test_nllb_and_mbart(name: str, source: str, target: str, spm: bytes, tmp_path: Path) -> None:
    import transformers

    tokenizer: Any = getattr(transformers, name)
    vocabulary = tmp_path / "sentencepiece.bpe.model"
    vocabulary.write_bytes(spm)
    # Transformers 5 builds NLLB's tokenizer from its tokenizer.json only.
    five = transformers.__version__.startswith("5")
    (tokenizer() if five else tokenizer(str(vocabulary))).save_pretrained(tmp_path / "saved")
    loaded = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert find_direction(loaded, "ko", "en", "m") == Direction(source=source, target=target)
    loaded.src_lang = source
    assert loaded.convert_ids_to_tokens(loaded("물").input_ids)[0] == source
    assert loaded.convert_tokens_to_ids(target) != loaded.unk_token_id
