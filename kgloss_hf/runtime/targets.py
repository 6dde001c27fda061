"""Target side of a tokenizer: read glosses, and assign ids to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from .glosses import PLACEHOLDERS, placeholder_of
from .normalization import normalize_line

logger = logging.getLogger(__name__)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[BOS]", "[EOS]", "[MASK]")
RESERVED = (*SPECIAL_TOKENS, "Number", "Alpha")
"""The first entries of every vocabulary of glosses."""


def is_batch_of_targets(target: Any, texts: int | None, single: bool) -> bool:
    """Return whether targets are a list of lists of glosses, one list per text. A single text has one list of glosses.

    Args:
        target: The argument `text_target`.
        texts: Number of texts; None if targets are encoded without texts.
        single: Whether the text was passed alone, not in a list.

    Raises:
        TypeError: The targets are not a list.
        ValueError: The targets do not match the texts.

    Examples:
        >>> is_batch_of_targets(["몸", "모습"], 1, single=True), is_batch_of_targets([["몸"], []], 2, single=False)
        (False, True)
    """
    how = "kgloss_hf.runtime.glosses.split_glosses turns a string of glosses into a list"
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
        targets: Gloss sequences, which are normalised (`kgloss_hf.runtime.normalization`).
        glosses: All glosses of the vocabulary, without placeholder contents.

    Raises:
        TypeError: A sequence is not a list of strings.

    Examples:
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
    """Return the vocabulary's tokens by normal form, and by themselves, as older vocabularies may hold other forms."""
    tokens = (*reversed(glosses), *PLACEHOLDERS)
    return {normalize_line(token): token for token in tokens} | {token: token for token in tokens}


class GlossTargets:
    """Target side of a tokenizer: glosses, their ids, and labels."""

    init_kwargs: dict[str, Any]
    all_special_ids: list[int]
    get_vocab: Callable[[], dict[str, int]]
    convert_ids_to_tokens: Callable[[list[int]], list[str]]

    @property
    def glosses(self) -> list[str]:
        """All glosses of the target side, in the order of their ids."""
        return list(self.init_kwargs.get("glosses", []))

    @property
    def two_vocabularies(self) -> bool:
        """True if glosses have ids of their own, and sentences are encoded unchanged in the pieces of an encoder."""
        return self.init_kwargs.get("target_start") is not None

    @property
    def target_vocab(self) -> dict[str, int]:
        """Ids of a model's output by token: the vocabulary itself or, if `target_start` is set, that of the glosses."""
        if not self.two_vocabularies:
            return self.get_vocab()
        start = self.init_kwargs["target_start"]
        tokens = dict.fromkeys([*RESERVED, *self.glosses])
        return {token: start + index for index, token in enumerate(tokens)}

    @property
    def target_size(self) -> int:
        """Number of ids of a model's output: those of the target side, and all before them."""
        return 1 + max(self.target_vocab.values())

    @property
    def target_special_ids(self) -> dict[str, int]:
        """`pad_token_id`, `unk_token_id`, `bos_token_id` and `eos_token_id` of the target side."""
        names = ("pad_token", "unk_token", "bos_token", "eos_token")
        if not self.two_vocabularies:
            return {f"{name}_id": getattr(self, f"{name}_id") for name in names}
        known = self.target_vocab
        return {f"{name}_id": known[f"[{name[:3].upper()}]"] for name in names}

    @property
    def target_specials(self) -> frozenset[int]:
        """Ids of a model's output that are special tokens rather than glosses."""
        if not self.two_vocabularies:
            return frozenset(self.all_special_ids)
        return frozenset(self.target_vocab[token] for token in SPECIAL_TOKENS)

    def convert_ids_to_glosses(self, rows: Iterable[Iterable[int]]) -> list[list[str]]:
        """Return the glosses of ids that a model emitted, without special tokens; placeholders are unchanged.

        Args:
            rows: Ids of each sequence.

        Examples:
            >>> tokenizer = getfixture("tokenizer")
            >>> tokenizer.convert_ids_to_glosses([tokenizer(text_target=["몸", "모습"])["input_ids"]])
            [['몸', '모습']]
        """
        special = self.target_specials
        kept = [[index for index in row if index >= 0 and index not in special] for row in rows]
        if not self.two_vocabularies:  # a dictionary of the whole vocabulary would cost a tenth of a short answer
            return list(map(self.convert_ids_to_tokens, kept))
        tokens = {index: token for token, index in self.target_vocab.items()}
        return [[tokens[index] for index in row] for row in kept]

    def labels_of(
        self, targets: Any, max_length: int | None, truncate: bool
    ) -> tuple[list[list[int]], tuple[int, int]]:
        """Return the ids of each sequence, and how many glosses of how many sequences the limit cuts off.

        Args:
            targets: Gloss sequences.
            max_length: Maximum number of ids per sequence, including [EOS].
            truncate: Cut longer sequences.
        """
        rows = tokens_of_targets(targets, self.glosses)
        if missing := sum(row.count(None) for row in rows):
            logger.warning("glosses that are not in the tokenizer's vocabulary became [UNK]: %d", missing)
        longest = max(map(len, rows), default=0)
        room = max(0, max_length - 1) if truncate and max_length is not None else longest  # [EOS] takes one place
        dropped = [len(row[room:]) for row in rows]
        known, special = self.target_vocab, self.target_special_ids
        unknown, end = special["unk_token_id"], special["eos_token_id"]
        ids = [[*(known.get(token or "", unknown) for token in row[:room]), end] for row in rows]
        return ids, (sum(dropped), sum(map(bool, dropped)))
