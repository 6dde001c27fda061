"""Turn pairs into ids before training, so that no worker ever starts a JVM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from ..data.pairs import Pair, marked_glosses
from ..runtime.targets import tokens_of_targets
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


def unknown_glosses(
    tokenizer: KGlossTokenizerFast, parts: Mapping[str, Sequence[Pair]], trained: str | None = None
) -> list[str]:
    """Return lines that say which glosses of a run's parts the model cannot know, and what follows from it.

    Args:
        tokenizer: The run's.
        parts: The pairs by the name of their part.
        trained: Where the tokenizer was not learnt on the training part, the folder or repository that it is from.

    Example:
        >>> parts = {"test": [Pair("몸의 형태", ("몸", "처음보는글로스"))]}
        >>> print(*unknown_glosses(getfixture("tokenizer"), parts))
        1 of the 2 glosses of the test part stands nowhere in the training part (처음보는글로스): the model cannot ...
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
        one, some = len(unknown) == 1, list(dict.fromkeys(unknown))
        named = f"such as {', '.join(some[:3])}" if len(some) > 3 else ", ".join(some)
        if trained:
            why = f"{'is' if one else 'are'} not in the vocabulary of {trained}"
        else:
            why = f"{'stands' if one else 'stand'} nowhere in the training part"
        cannot = "learn" if part == "training" else "be right on"
        counted = "" if part == "training" else f" and {'counts as an error' if one else 'count as errors'}"
        lines.append(
            f"{len(unknown):,} of the {sum(map(len, rows)):,} glosses of the {part} part {why} ({named}): the model "
            f"cannot {cannot} {'it' if one else 'them'}. {'It becomes' if one else 'They become'} [UNK]{counted}."
        )
    return lines


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
