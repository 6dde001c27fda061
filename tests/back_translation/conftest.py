"""Fixtures: tiny checkpoints with random weights and real tokenizers, made once per session; local paid services."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, MarianConfig, MarianMTModel

from kgloss_hf.back_translation.engines import remote
from kgloss_hf.back_translation.engines.remote import RemoteEngine

from .servers import IDENTITY, KEYS, PAID, SECRET, Paid, Service, serve

KOREAN = [
    "그는 어제 도서관에서 책을 읽었다.",
    "내일은 비가 올 것입니다.",
    "이 토기는 4세기에 만들어졌습니다.",
    "도와 주세요.",
    "물",
    "박물관에 가려면 어느 버스를 타야 하는지 그 사람에게 물어보았지만 아무 대답도 듣지 못했다.",
    "안내소는 정문 오른쪽에 있습니다.",
]
ENGLISH = [
    "He read a book in the library yesterday.",
    "It will rain tomorrow.",
    "This pot was made in the fourth century.",
    "Please help me.",
    "Water",
    "I asked him which bus goes to the museum, but I got no answer.",
    "The desk is to the right of the gate.",
]


SIZES: dict[str, Any] = {
    "max_position_embeddings": 64,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}


def sentencepiece_model() -> bytes:
    """Train a SentencePiece model of Korean and English."""
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((KOREAN + ENGLISH) * 3),
        model_writer=model,
        vocab_size=260,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
    )
    return model.getvalue()


@pytest.fixture(scope="session")
def spm() -> bytes:
    return sentencepiece_model()


def pieces(spm: bytes) -> list[str]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=spm)
    return [processor.id_to_piece(index) for index in range(3, len(processor))]


def save_marian(folder: Path, spm: bytes, seed: int, *, codes: tuple[str, ...] = (), **options: Any) -> str:
    """Save an untrained Marian checkpoint; `codes` are its target languages, `options` those of its tokenizer."""
    from transformers import MarianTokenizer

    pytest.importorskip("sacremoses")
    folder.mkdir()
    vocabulary = ["</s>", "<unk>", *codes, *pieces(spm), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(vocabulary)}), "utf-8")
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(spm)
    files = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    MarianTokenizer(*files, model_max_length=64, **options).save_pretrained(folder)
    pad = len(vocabulary) - 1
    torch.manual_seed(seed)
    config = MarianConfig(
        **SIZES,
        vocab_size=len(vocabulary),
        activation_function="swish",
        scale_embedding=True,
        init_std=0.5,
        pad_token_id=pad,
        eos_token_id=0,
        forced_eos_token_id=None,  # translations run until they are cut off, since CTranslate2 forces no end
        decoder_start_token_id=pad,
    )
    model = MarianMTModel(config)
    model.generation_config.bad_words_ids = [[pad]]
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def ko_en(spm: bytes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a Marian checkpoint that translates Korean to English only."""
    folder = tmp_path_factory.mktemp("marian") / "opus-mt-ko-en"
    return save_marian(folder, spm, 0, source_lang="ko", target_lang="en")


@pytest.fixture(scope="session")
def en_ko(spm: bytes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a Marian checkpoint that translates English to Korean only."""
    folder = tmp_path_factory.mktemp("marian") / "opus-mt-en-ko"
    return save_marian(folder, spm, 1, source_lang="en", target_lang="ko")


@pytest.fixture(scope="session")
def en_mul(spm: bytes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a Marian checkpoint with several target languages."""
    folder = tmp_path_factory.mktemp("marian") / "opus-mt-en-mul"
    return save_marian(folder, spm, 2, codes=(">>kor<<", ">>jpn<<"), source_lang="en", target_lang="mul")


@pytest.fixture(scope="session")
def m2m100(spm: bytes, tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_m2m100(tmp_path_factory.mktemp("m2m100") / "m2m100_tiny", spm)


def save_m2m100(folder: Path, spm: bytes) -> str:
    """Save an untrained M2M100 checkpoint, which knows a hundred languages."""
    from transformers import M2M100Tokenizer

    folder.mkdir()
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *pieces(spm)]
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(vocabulary)}), "utf-8")
    (folder / "spm.model").write_bytes(spm)
    files = [str(folder / name) for name in ("vocab.json", "spm.model")]
    # The published checkpoint lists its languages as special tokens; the class by itself does not.
    codes = [f"__{code}__" for code in M2M100Tokenizer(*files).lang_code_to_id]
    tokenizer = M2M100Tokenizer(*files, model_max_length=64, additional_special_tokens=codes)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = M2M100Config(
        **SIZES,
        vocab_size=len(vocabulary) + len(tokenizer.lang_code_to_id) + tokenizer.num_madeup_words,
        init_std=1.0,
    )
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the waits between attempts, which then take no time."""
    seconds: list[float] = []
    monkeypatch.setattr(remote, "sleep", seconds.append)
    return seconds


@pytest.fixture(params=PAID)
def paid(request: pytest.FixtureRequest) -> Paid:
    """Return each paid service in turn; a module about one service overrides this fixture."""
    return PAID[request.param]


@pytest.fixture
def service(
    paid: Paid, monkeypatch: pytest.MonkeyPatch, waits: list[float], caplog: pytest.LogCaptureFixture
) -> Iterator[Service]:
    """Run a paid service; no key may appear in the log."""
    for library in ("tenacity", *paid.engine.libraries):
        pytest.importorskip(library)
    for variable, value in {**KEYS, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(variable, value)
    caplog.set_level(logging.DEBUG)
    with serve(paid.translate) as service:
        yield service
    assert not has_key(caplog.text)


@pytest.fixture
def engine(paid: Paid, service: Service) -> RemoteEngine:
    return paid.open(service)


def has_key(text: str) -> bool:
    return IDENTITY in text or SECRET in text
