from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from transformers import BertConfig, MarianMTModel

from kgloss_hf.back_translation.engines.engine import EngineError, RefusedError
from kgloss_hf.back_translation.engines.transformers import TransformersEngine

from ..conftest import ENGLISH, KOREAN


def engine(model: str, **options: Any) -> TransformersEngine:
    return TransformersEngine(**{"model": model, "num_beams": 1, "max_new_tokens": 12} | options)


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("checkpoint", ["ko_en", "m2m100"])
def test_a_batch_gives_what_each_text_gives_in_order(
    checkpoint: str, num_beams: int, request: pytest.FixtureRequest
) -> None:
    built = engine(request.getfixturevalue(checkpoint), num_beams=num_beams, batch_size=3)
    translations = built.translate(KOREAN, "ko", "en")
    assert translations == [built.translate([text], "ko", "en")[0] for text in KOREAN]
    assert len(set(translations)) > 3
    assert built.translate([], "ko", "en") == []


def test_into_korean_is_the_work_of_back_model(ko_en: str, en_ko: str) -> None:
    both = engine(ko_en, back_model=en_ko)
    assert both.translate(ENGLISH, "en", "ko") == engine(en_ko).translate(ENGLISH, "en", "ko")
    assert both.translate(KOREAN, "ko", "en") == engine(ko_en).translate(KOREAN, "ko", "en")
    assert both.name == "opus-mt-ko-en"


def test_the_other_direction_needs_back_model(ko_en: str) -> None:
    with pytest.raises(ValueError, match="opus-mt-ko-en: expected ko to en, found en to ko"):
        engine(ko_en).translate(["Water"], "en", "ko")


def test_marian_is_told_the_target(en_mul: str) -> None:
    built = engine(en_mul)
    assert built.translate(ENGLISH, "en", "ko") != built.translate(ENGLISH, "en", "ja")


def test_m2m100_is_told_both_languages(m2m100: str) -> None:
    built = engine(m2m100)
    assert built.translate(KOREAN, "ko", "en") != built.translate(KOREAN, "ja", "en")
    assert built.translate(KOREAN, "ko", "en") != built.translate(KOREAN, "ko", "ja")
    assert not any("__en__" in text for text in built.translate(KOREAN, "ko", "en"))


def test_a_text_that_is_too_long_is_refused_and_not_cut(ko_en: str) -> None:
    text = "그는 어제 도서관에서 책을 읽었다. " * 5
    with pytest.raises(RefusedError, match=r"at most 64 tokens, found one of \d+ tokens .* that begins '그는 어제"):
        engine(ko_en).translate(["물", text], "ko", "en")


def test_samples_repeat_with_the_seed(ko_en: str) -> None:
    built = engine(ko_en, num_beams=None, do_sample=True, temperature=1.5)

    def sample(seed: int) -> list[str]:
        torch.manual_seed(seed)
        return built.translate(KOREAN, "ko", "en")

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_a_translation_ends_at_three_times_its_source(ko_en: str) -> None:
    built = engine(ko_en, max_new_tokens=None)
    with mock.patch.object(MarianMTModel, "generate", autospec=True, side_effect=MarianMTModel.generate) as generate:
        built.translate(["물"], "ko", "en")
        built.translate([KOREAN[0]], "ko", "en")
    limits = [(call.args[1].shape[1], call.kwargs["max_new_tokens"]) for call in generate.call_args_list]
    assert limits[0][1] == 50
    # The checkpoint has 64 positions.
    assert limits[1][1] == min(63, 3 * limits[1][0])


def test_the_description_has_no_path_and_is_json(ko_en: str, en_ko: str) -> None:
    described = engine(ko_en, back_model=en_ko).describe()
    assert str(Path(ko_en).parent) not in json.dumps(described)
    assert described["forth"]["model"] == "opus-mt-ko-en"
    assert described["forth"]["sha256"] != described["back"]["sha256"]
    assert described["dtype"] == "float32"
    assert {"num_beams", "do_sample", "max_new_tokens"} <= described.keys()
    assert described["versions"].keys() == {"transformers", "torch"}


def test_the_description_tells_checkpoints_of_the_hub_by_revision() -> None:
    built = engine("Helsinki-NLP/opus-mt-ko-en", revision="abc")
    assert built.describe()["forth"] == {"model": "Helsinki-NLP/opus-mt-ko-en", "revision": "abc"}


@pytest.mark.parametrize("name", ["generation_config.json", "model.safetensors"])
def test_another_file_is_another_description(ko_en: str, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(ko_en, tmp_path / "copy")
    before = engine(str(folder)).describe()
    assert engine(str(folder)).describe() == before
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    assert engine(str(folder)).describe() != before


@pytest.mark.parametrize("model", ["/nowhere/opus", "./opus", "a/b/c", "~/opus"])
def test_no_folder(model: str) -> None:
    with pytest.raises(FileNotFoundError, match="expected the folder of a checkpoint, found none"):
        engine(model)


def test_a_folder_without_a_checkpoint(tmp_path: Path, ko_en: str) -> None:
    with pytest.raises(FileNotFoundError, match="found a folder without config.json"):
        engine(ko_en, back_model=str(tmp_path))


def test_a_checkpoint_that_translates_nothing(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="expected a checkpoint that translates, .* found the model type bert"):
        engine(str(tmp_path)).translate(["물"], "ko", "en")


@pytest.mark.parametrize(
    ("missing", "message"), [("vocab.json", "its tokenizer"), ("model.safetensors", "its weights")]
)
def test_a_checkpoint_with_a_part_missing(ko_en: str, tmp_path: Path, missing: str, message: str) -> None:
    for path in Path(ko_en).iterdir():
        if path.name != missing:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(EngineError, match=message):
        engine(str(tmp_path)).translate(["물"], "ko", "en")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beams": 0}, "num_beams: expected a whole number from 1, found 0"),
        ({"batch_size": True}, "batch_size: expected a whole number from 1, found True"),
        ({"temperature": 0.7}, "expected do_sample=true"),
        ({"do_sample": True, "temperature": 0}, "temperature: expected a number above 0, found 0"),
        ({"do_sample": True, "top_p": 1.5}, "top_p: expected a number above 0, at most 1, found 1.5"),
        ({"dtype": "int8"}, "dtype: expected float32, bfloat16, float16, found 'int8'"),
        ({"back_revision": "main"}, "back_revision: expected a back_model"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        engine("a/b", **options)


def test_a_batch_too_large_for_the_device_is_halved(ko_en: str) -> None:
    built = engine(ko_en)
    expected = built.translate(KOREAN, "ko", "en")
    real = MarianMTModel.generate

    def generate(model: MarianMTModel, ids: torch.Tensor, **options: Any) -> torch.Tensor:
        if len(ids) > 2:
            raise torch.cuda.OutOfMemoryError
        return real(model, ids, **options)

    with mock.patch.object(MarianMTModel, "generate", generate):
        assert built.translate(KOREAN, "ko", "en") == expected


def test_one_text_too_large_for_the_device(ko_en: str) -> None:
    with (
        mock.patch.object(MarianMTModel, "generate", side_effect=torch.cuda.OutOfMemoryError),
        pytest.raises(EngineError, match="expected memory for one text of"),
    ):
        engine(ko_en).translate(["물"], "ko", "en")
