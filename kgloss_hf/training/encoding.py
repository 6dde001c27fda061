"""Encode pairs as ids before training, so that no worker ever starts a JVM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from ..data.pairs import Pair, marked_glosses
from ..reporting import counted
from ..runtime.targets import tokens_of_targets
from ..runtime.tokenization_kgloss import KGlossTokenizerFast

ROWS_AT_ONCE = 1_000
"""Number of rows of the pretext task that are in memory at a time."""


def encode_pairs(tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair]) -> Dataset:
    """Encode pairs as `input_ids` and `labels`.

    Sentences and marked glosses (`marked_glosses`) are truncated to the tokenizer's `model_max_length`, and a warning
    counts the tokens that are dropped.

    Args:
        tokenizer: The model's tokenizer.
        pairs: Sentences with their glosses.
    """
    glosses = marked_glosses(pairs, tokenizer.morphemes)
    encoded = tokenizer([pair.text for pair in pairs], text_target=glosses, truncation=True)
    return Dataset.from_dict({name: encoded[name] for name in ("input_ids", "labels")})


def unknown_glosses(
    tokenizer: KGlossTokenizerFast, parts: Mapping[str, Sequence[Pair]], trained: str | None = None
) -> list[str]:
    """Return messages about the glosses in a run's sets that the model cannot know, and the consequences.

    Args:
        tokenizer: The run's tokenizer.
        parts: Pairs of each set, by the name of the set.
        trained: Folder or repository of the tokenizer, if it was not learnt on the training set.

    Examples:
        >>> parts = {"test": [Pair("몸의 형태", ("몸", "처음보는글로스"))]}
        >>> print(*unknown_glosses(getfixture("tokenizer"), parts))
        1 of 2 glosses in the test set does not occur in the training set (처음보는글로스): the model cannot ...
    """
    lines = []
    for part, pairs in parts.items():
        glosses = marked_glosses(pairs, tokenizer.morphemes)
        rows = tokens_of_targets(glosses, tokenizer.glosses)
        unknown = [
            gloss
            for row, tokens in zip(glosses, rows, strict=True)
            for gloss, token in zip(row, tokens, strict=True)
            if token is None
        ]
        if not unknown:
            continue
        one, distinct = len(unknown) == 1, list(dict.fromkeys(unknown))
        named = f"such as {', '.join(distinct[:3])}" if len(distinct) > 3 else ", ".join(distinct)
        if trained:
            why = f"{'is' if one else 'are'} not in the vocabulary of {trained}"
        else:
            why = f"{'does' if one else 'do'} not occur in the training set"
        cannot = "learn" if part == "training" else "predict"
        scored = "" if part == "training" else f" and {'counts as an error' if one else 'count as errors'}"
        total = counted(sum(map(len, rows)), "gloss", "glosses")
        lines.append(
            f"{len(unknown):,} of {total} in the {part} set {why} ({named}): the model cannot {cannot} "
            f"{'it' if one else 'them'}. {'It becomes' if one else 'They become'} [UNK]{scored}."
        )
    return lines


def encode_pretext(tokenizer: KGlossTokenizerFast, dataset: Dataset) -> Dataset:
    """Encode pairs as `input_ids` and `labels` on disk, cached by `datasets`, so that memory use stays constant.

    The target is the encoded target sentence without [BOS], which the model prepends.

    Args:
        tokenizer: The model's tokenizer.
        dataset: Data set with the columns `source` and `target`.

    Examples:
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
