"""Tiny pre-trained models of each family, with random weights and a real tokenizer, made without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from kgloss_hf.models.vocabulary import learn_entries

TEXTS = [
    "몸의 형태에 따라 버들잎 모양과 비파형으로 구분된다.",
    "그리고 확대된 화면 하단의 QR 코드를 스캔하면 사진을 핸드폰에 다운로드할 수 있습니다.",
    "이 토기는 4세기에 만들어졌습니다.",
    "국립중앙박물관 불교회화실에 높이 12m 폭 6m 의 괘불 미디어아트가 펼쳐집니다.",
    "박물관 모습 나누다 이것 그릇 만들다 query: passage:",
]


def _wordpiece() -> tuple[Tokenizer, dict[str, str]]:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    split = pre_tokenizers.BertPreTokenizer()
    words = Counter(word for text in TEXTS for word, _ in split.pre_tokenize_str(text))
    # The library's own trainer gives other pieces in every process, and with them a random model other answers.
    pieces = [*special, *learn_entries(words, vocab_size=250)]
    backend = Tokenizer(models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = split
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(special)
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return backend, dict(zip(names, special, strict=True))


def _byte_pairs() -> tuple[Tokenizer, dict[str, str]]:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    backend.train_from_iterator(TEXTS, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return backend, {
        **{"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"},
        **{"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"},
    }


def _unigram() -> tuple[Tokenizer, dict[str, str]]:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    words = dict.fromkeys(f"▁{word}" for text in TEXTS for word in text.split())
    pairs = dict.fromkeys(word[at : at + 2] for word in words for at in range(1, len(word) - 1))
    characters = dict.fromkeys("".join(words))
    scores = [(token, 0.0) for token in special]
    scores += [
        (token, score) for score, tokens in ((-12.0, characters), (-9.0, pairs), (-8.0, words)) for token in tokens
    ]
    backend = Tokenizer(models.Unigram(list(dict(scores).items()), unk_id=3))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens(special)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return backend, {
        **{"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"},
        **{"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"},
    }


_BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
_BART = {
    **{"d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2},
    **{"decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
}
_DISTIL = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 64}
_T5 = {"d_model": 16, "num_layers": 2, "num_heads": 2, "d_kv": 8, "d_ff": 32}

ENCODERS: dict[str, tuple[str, Callable[[], Any], dict[str, Any]]] = {
    "bert": ("Bert", _wordpiece, {**_BERT, "max_position_embeddings": 64}),
    "roberta": ("Roberta", _byte_pairs, {**_BERT, "max_position_embeddings": 66}),
    "xlm-roberta": ("XLMRoberta", _unigram, {**_BERT, "max_position_embeddings": 66}),
    "electra": ("Electra", _wordpiece, {**_BERT, "embedding_size": 8, "max_position_embeddings": 64}),
    "distilbert": ("DistilBert", _wordpiece, _DISTIL),
}
SEQ2SEQS: dict[str, tuple[str, Callable[[], Any], dict[str, Any]]] = {
    "bart": ("Bart", _byte_pairs, {**_BART, "max_position_embeddings": 64}),
    "mbart": ("MBart", _unigram, {**_BART, "max_position_embeddings": 64}),
    "t5": ("T5", _unigram, {**_T5, "decoder_start_token_id": 1}),
    "m2m_100": ("M2M100", _unigram, {**_BART, "max_position_embeddings": 64}),
    "marian": ("Marian", _unigram, {**_BART, "max_position_embeddings": 64, "decoder_start_token_id": 1}),
}


def save_pretrained_model(kind: str, folder: Path, **other: Any) -> str:
    """Write a tiny model of a family with its tokenizer, and return the folder.

    Args:
        kind: Key of `ENCODERS` or `SEQ2SEQS`.
        folder: Folder to write to.
        **other: Values that replace those of the model's configuration.
    """
    name, make, shape = (ENCODERS | SEQ2SEQS)[kind]
    backend, special = make()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    ids = {"pad_token_id": tokenizer.pad_token_id}
    if tokenizer.eos_token_id is not None:
        ids |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(vocab_size=len(tokenizer), **{**shape, **ids, **other})
    head = {"t5": "ForConditionalGeneration", "marian": "MTModel"}.get(kind, "ForConditionalGeneration")
    model = getattr(transformers, name + (head if kind in SEQ2SEQS else "Model"))(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
