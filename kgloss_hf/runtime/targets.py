"""Read the glosses that a tokenizer gets as targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from .glosses import PLACEHOLDERS, placeholder_of
from .normalization import normalize_line


def is_batch_of_targets(target: Any, texts: int | None, single: bool) -> bool:
    """Return whether targets are a list of lists of glosses, as many as the texts. One text has one list of glosses.

    Args:
        target: What was passed as `text_target`.
        texts: How many texts there are; None where targets are encoded without texts.
        single: Whether the text was given alone, not in a list.

    Raises:
        TypeError: The targets are no list.
        ValueError: The targets do not fit the texts.

    Example:
        >>> is_batch_of_targets(["몸", "모습"], 1, single=True), is_batch_of_targets([["몸"], []], 2, single=False)
        (False, True)
    """
    how = "kgloss_hf.runtime.glosses.split_glosses makes a list of a string of glosses"
    if isinstance(target, str) or not isinstance(target, Sequence):
        raise TypeError(
            f"text_target: expected a list of glosses, or a list of such lists, found {type(target).__name__}; {how}"
        )
    flat = bool(target) and isinstance(target[0], str)
    if texts is None or (single and not target):
        return bool(target) and not flat
    if single and not flat:
        raise ValueError(
            "text_target: expected one list of glosses, as there is one text, found a list of lists; pass a list of "
            "texts too"
        )
    expected = f"text_target: expected as many lists of glosses as texts, {texts}"
    if not single and flat:
        raise ValueError(f"{expected}, found a list of strings; pass a list of lists: {how}")
    if not single and len(target) != texts:
        raise ValueError(f"{expected}, found {len(target)}; pass a list of glosses per text")
    return not single


def tokens_of_targets(targets: Any, glosses: Sequence[str]) -> list[list[str | None]]:
    """Return the vocabulary's token for each gloss of each sequence; None for an unknown gloss.

    Args:
        targets: Gloss sequences, in any form that looks the same (`kgloss_hf.runtime.normalization`).
        glosses: Every gloss of the vocabulary, without placeholder contents.

    Raises:
        TypeError: A sequence is not a list of strings.

    Example:
        >>> tokens_of_targets([["Number/4C", "몸\u200b", "집"]], ["몸", "모습"])
        [['Number', '몸', None]]
    """
    known = _tokens_of_glosses(tuple(glosses))
    rows = []
    for index, sequence in enumerate(targets):
        row: list[Any] = list(sequence) if isinstance(sequence, Iterable) and not isinstance(sequence, str) else [None]
        if not all(isinstance(gloss, str) for gloss in row):
            raise TypeError(f"text_target[{index}]: expected a list of glosses (strings), found {sequence!r:.80}")
        rows.append([known.get(gloss) or known.get(placeholder_of(normalize_line(gloss))) for gloss in row])
    return rows


@lru_cache(maxsize=8)
def _tokens_of_glosses(glosses: tuple[str, ...]) -> dict[str, str]:
    """The vocabulary's tokens by their normal forms, and by themselves: older vocabularies may hold other forms."""
    tokens = (*reversed(glosses), *PLACEHOLDERS)
    return {normalize_line(token): token for token in tokens} | {token: token for token in tokens}
