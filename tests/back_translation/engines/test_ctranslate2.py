from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kgloss_hf.back_translation.engines.ctranslate2 import CTranslate2Engine
from kgloss_hf.back_translation.engines.engine import EngineError, RefusedError
from kgloss_hf.back_translation.engines.transformers import TransformersEngine

from ..conftest import ENGLISH, KOREAN

ctranslate2 = pytest.importorskip("ctranslate2")


def convert(checkpoint: str, folder: Path, copied: tuple[str, ...] = ()) -> str:
    converter = ctranslate2.converters.TransformersConverter(checkpoint, copy_files=list(copied))
    return str(converter.convert(str(folder / Path(checkpoint).name)))


@pytest.fixture(scope="session")
def converted(ko_en: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return convert(ko_en, tmp_path_factory.mktemp("converted"))


@pytest.fixture
def engine(converted: str, ko_en: str) -> CTranslate2Engine:
    return CTranslate2Engine(model=converted, tokenizer=ko_en, num_beams=1, threads=1)


@pytest.mark.parametrize(
    ("checkpoint", "source", "target"), [("ko_en", "ko", "en"), ("en_mul", "en", "ko"), ("m2m100", "ko", "en")]
)
@pytest.mark.parametrize("num_beams", [1, 3])
def test_it_gives_what_transformers_gives(
    checkpoint: str, source: str, target: str, num_beams: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    original, texts = request.getfixturevalue(checkpoint), KOREAN if source == "ko" else ENGLISH
    engine = CTranslate2Engine(model=convert(original, tmp_path), tokenizer=original, num_beams=num_beams, threads=1)
    expected = TransformersEngine(model=original, num_beams=num_beams).translate(texts, source, target)
    assert engine.translate(texts, source, target) == expected


def test_a_batch_gives_what_each_text_gives_in_order(converted: str, ko_en: str, engine: CTranslate2Engine) -> None:
    several = CTranslate2Engine(model=converted, tokenizer=ko_en, num_beams=1, threads=2, batch_size=2)
    # Short texts have the same length limit alone and in a batch.
    texts = [text for text in KOREAN if len(text) < 15]
    assert several.translate(texts, "ko", "en") == [engine.translate([text], "ko", "en")[0] for text in texts]
    assert several.translate([], "ko", "en") == []


def test_the_builder_gives_batches_for_several_threads(converted: str, ko_en: str) -> None:
    one, four = (
        CTranslate2Engine(model=converted, tokenizer=ko_en, threads=threads, batch_size=2) for threads in (1, 4)
    )
    assert one.limits == four.limits
    assert one.limits.texts == 16


def test_the_tokenizer_may_be_in_the_folder(ko_en: str, tmp_path: Path, engine: CTranslate2Engine) -> None:
    copied = ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json")
    whole = CTranslate2Engine(model=convert(ko_en, tmp_path, copied), num_beams=1, threads=1)
    assert whole.translate(KOREAN, "ko", "en") == engine.translate(KOREAN, "ko", "en")


def test_into_korean_is_the_work_of_back_model(converted: str, ko_en: str, en_ko: str, tmp_path: Path) -> None:
    back = convert(en_ko, tmp_path)
    both = CTranslate2Engine(model=converted, back_model=back, tokenizer=ko_en, back_tokenizer=en_ko)
    alone = CTranslate2Engine(model=back, tokenizer=en_ko)
    assert both.translate(ENGLISH, "en", "ko") == alone.translate(ENGLISH, "en", "ko")


def test_no_tokenizer_anywhere(converted: str) -> None:
    with pytest.raises(EngineError, match="expected a checkpoint with its tokenizer"):
        CTranslate2Engine(model=converted).translate(["물"], "ko", "en")


def test_a_text_that_is_too_long_is_refused_and_not_cut(engine: CTranslate2Engine) -> None:
    with pytest.raises(RefusedError, match=r"at most 64 tokens, found one of \d+ tokens .* that begins '그는 어제"):
        engine.translate(["물", "그는 어제 도서관에서 책을 읽었다. " * 5], "ko", "en")


def test_a_limit_that_only_the_model_knows(engine: CTranslate2Engine) -> None:
    engine.translate(["물"], "ko", "en")
    for checkpoint in engine._loaded.values():
        checkpoint.tokenizer.model_max_length = 10**30
    message = "opus-mt-ko-en: expected translations, found an error of CTranslate2: .*position"
    with pytest.raises(EngineError, match=message):
        engine.translate(["그는 어제 도서관에서 책을 읽었다. " * 5], "ko", "en")


def test_the_description_has_no_path_and_is_json(engine: CTranslate2Engine, converted: str, ko_en: str) -> None:
    described = json.dumps(engine.describe())
    assert str(Path(converted).parent) not in described
    assert str(Path(ko_en).parent) not in described
    assert {"versions", "num_beams", "compute_type"} <= engine.describe().keys()
    assert engine.name == "opus-mt-ko-en"


@pytest.mark.parametrize("options", [{"model": "Helsinki-NLP/opus-mt-ko-en"}, {"back_model": "/nowhere"}])
def test_no_converted_checkpoint(converted: str, options: dict[str, Any]) -> None:
    with pytest.raises(FileNotFoundError, match="make it with ct2-transformers-converter"):
        CTranslate2Engine(**{"model": converted} | options)


def test_options_that_cannot_be(converted: str) -> None:
    with pytest.raises(ValueError, match="threads: expected a whole number from 1, found 0"):
        CTranslate2Engine(model=converted, threads=0)


def test_the_library_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ImportError, match=r'pip install "kgloss-hf\[ctranslate2\]"'):
        CTranslate2Engine(model="anything")
