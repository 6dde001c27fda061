"""A pruned tokenizer splits the texts it was pruned for as before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import AutoModel, AutoTokenizer

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models.pruning import pruned
from kgloss_hf.models.warm_start import build_warm_model, warm_tokenizer
from tests.pretrained import ENCODERS, TEXTS, save_pretrained_model


@pytest.fixture(scope="module", params=["bert", "roberta", "xlm-roberta"])  # WordPiece, byte pairs, Unigram
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_pretrained_model(request.param, tmp_path_factory.mktemp(request.param))


def test_the_same_pieces_and_states(family: str) -> None:
    kept = SENTENCES[2:3]
    whole = warm_tokenizer(family, GLOSSES, prefix="query: ")
    small = warm_tokenizer(family, GLOSSES, prefix="query: ", keep=kept)
    assert len(small) < len(whole)
    assert small.convert_ids_to_tokens(small(kept)["input_ids"][0]) == whole.convert_ids_to_tokens(
        whole(kept)["input_ids"][0]
    )
    assert small.pad_token_id == whole.pad_token_id
    # What it was not pruned for still has pieces, down to characters or bytes.
    assert small.unk_token_id not in small("모습을 다운로드")["input_ids"]
    states = []
    for tokenizer in (whole, small):
        torch.manual_seed(0)
        encoder = build_warm_model(family, tokenizer, preset="tiny").eval().encoder
        assert encoder.config.vocab_size == len(tokenizer) == encoder.get_input_embeddings().num_embeddings
        states.append(encoder(**tokenizer(kept, return_tensors="pt"))[0])
    assert torch.allclose(*states, atol=1e-6)


def test_names_of_glosses_keep_their_pieces(family: str) -> None:
    small = warm_tokenizer(family, [["이층삼각형", "버들잎"]], keep=[])
    whole = AutoTokenizer.from_pretrained(family)
    pieces = [
        tokenizer.backend_tokenizer.encode("버들잎", add_special_tokens=False).tokens for tokenizer in (small, whole)
    ]
    assert pieces[0] == pieces[1]


def test_special_tokens_of_the_template_have_their_new_ids(tmp_path: Path) -> None:
    encoder = save_pretrained_model("bert", tmp_path)
    backend = AutoTokenizer.from_pretrained(encoder).backend_tokenizer
    backend.add_special_tokens(["<end>"])  # behind the pieces
    small = pruned(backend, TEXTS[2:3])
    encoded = small.encode(TEXTS[2])
    assert encoded.tokens == backend.encode(TEXTS[2]).tokens
    assert small.token_to_id("<end>") == small.get_vocab_size() - 1
    assert small.encode("<end>").tokens == ["[CLS]", "<end>", "[SEP]"]


def test_others_are_refused() -> None:
    with pytest.raises(ValueError, match="with affixes"):
        pruned(Tokenizer(models.BPE(end_of_word_suffix="</w>")), TEXTS)


def test_each_family_has_a_model(tmp_path: Path) -> None:
    for kind in ENCODERS:
        assert AutoModel.from_pretrained(save_pretrained_model(kind, tmp_path / kind)).config.model_type == kind
