"""Turn pairs into ids before training, so that no worker ever starts a JVM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from ..data.pairs import Pair, marked_glosses
from ..runtime.tokenization_kgloss import KGlossTokenizerFast

ROWS_AT_ONCE = 1_000
"""Rows of the pretext that are in memory at a time."""


def encode_pairs(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> Dataset:
    """Encode pairs as `input_ids` and `labels`.

    Sentences and marked glosses (`marked_glosses`) are cut at the tokenizer's `model_max_length`, and a warning counts
    the tokens that this drops.

    Args:
        tokenizer: The model's tokenizer.
        pairs: Sentences and glosses.
    """
    glosses = marked_glosses(pairs, tokenizer.morphemes)
    encoded = tokenizer([pair.text for pair in pairs], text_target=glosses, truncation=True)
    return Dataset.from_dict({name: encoded[name] for name in ("input_ids", "labels")})


def encode_pretext(tokenizer: KGlossTokenizerFast, dataset: Dataset) -> Dataset:
    """Encode pairs as `input_ids` and `labels` on disk, cached by `datasets`, so that memory does not grow with them.

    The target is what the tokenizer makes of a sentence, without [BOS], which the model prepends.

    Args:
        tokenizer: The model's tokenizer.
        dataset: With the columns `source` and `target`.

    Example:
        >>> pairs = Dataset.from_dict({"source": ["몸의 형태"], "target": ["몸의 모양"]})
        >>> tokenizer = getfixture("tokenizer")
        >>> tokenizer.convert_ids_to_tokens(encode_pretext(tokenizer, pairs)[0]["labels"])
        ['몸', '모양', '[EOS]']
    """
    return dataset.map(
        _encode,
        batched=True,
        batch_size=ROWS_AT_ONCE,
        remove_columns=dataset.column_names,
        fn_kwargs={"tokenizer": tokenizer},
        desc="Tokenizing",
    )


def _encode(batch: dict[str, Any], tokenizer: KGlossTokenizerFast) -> dict[str, list[np.ndarray]]:
    source, target = (tokenizer(batch[name], truncation=True)["input_ids"] for name in ("source", "target"))
    return {
        "input_ids": [np.array(ids, dtype=np.int32) for ids in source],
        "labels": [np.array(ids[1:], dtype=np.int32) for ids in target],
    }
