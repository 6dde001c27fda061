"""Prune a large vocabulary to the pieces that texts use."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer

from .vocabulary import batches

_MODELS = ("WordPiece", "Unigram", "BPE", "WordLevel")


def pruned(backend: Tokenizer, texts: Iterable[str], first: int = 0) -> Tokenizer:
    """Return a tokenizer with only the pieces that occur in texts, all single characters and bytes, and added tokens.

    It splits these texts as before. Pieces keep their order.

    Args:
        backend: Tokenizer of word pieces, Unigram, byte pairs or whole words.
        texts: Texts that must be split as before.
        first: Number of first ids to keep as well (default 0).

    Raises:
        ValueError: The tokenizer is of another kind, or would split the texts differently.

    Examples:
        >>> from transformers import AutoTokenizer
        >>> backend = AutoTokenizer.from_pretrained(getfixture("encoder")).backend_tokenizer
        >>> small = pruned(backend, ["이 토기는 4세기에 만들어졌습니다."])
        >>> small.get_vocab_size() < backend.get_vocab_size()
        True
    """
    state = json.loads(backend.to_str())
    model, kind = state["model"], state["model"].get("type")
    affixes = [model.get(name) for name in ("end_of_word_suffix", "continuing_subword_prefix")]
    if kind not in _MODELS or (kind == "BPE" and any(affixes)):
        raise ValueError(
            f"--prune_vocabulary: expected a tokenizer of {', '.join(_MODELS)}, found {kind}"
            f"{' with affixes' if any(affixes) else ''}; leave the option out"
        )
    sentences = list(texts)
    ids = backend.get_vocab(with_added_tokens=True)
    used = {token for batch in batches(sentences) for row in backend.encode_batch(batch) for token in row.tokens}
    kept = used | {token["content"] for token in state["added_tokens"]}
    kept |= {token for token, index in ids.items() if index < first or _is_single(token, model)}
    if model.get("unk_token"):
        kept.add(model["unk_token"])
    if kind == "Unigram" and model.get("unk_id") is not None:
        kept.add(model["vocab"][model["unk_id"]][0])
    if kind == "BPE":
        pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
        merged = _merges_of(kept, {pair: rank for rank, pair in enumerate(pairs)})
        kept |= {piece for left, right in merged for piece in (left, right, left + right)}
        model["merges"] = [list(pair) for pair in pairs if pair in merged]
    order = sorted(kept & ids.keys(), key=ids.__getitem__)
    new = {token: index for index, token in enumerate(order)}
    if kind == "Unigram":
        unknown = None if model.get("unk_id") is None else model["vocab"][model["unk_id"]][0]
        model["vocab"] = [[token, score] for token, score in model["vocab"] if token in new]
        model["unk_id"] = None if unknown is None else new[unknown]
    else:
        model["vocab"] = {token: new[token] for token in model["vocab"] if token in new}
    for token in state["added_tokens"]:
        token["id"] = new[token["content"]]
    state["post_processor"] = _renumbered(state["post_processor"], new)
    small = Tokenizer.from_str(json.dumps(state))
    _check_same(backend, small, sentences)
    return small


def _is_single(token: str, model: dict[str, Any]) -> bool:
    """Return whether a piece is a character or a byte, at the beginning of a word or within it."""
    bare = token.removeprefix(model.get("continuing_subword_prefix") or "").removeprefix("▁")
    return len(bare) <= 1 or (len(token) == 6 and token.startswith("<0x"))


def _merges_of(tokens: Iterable[str], ranks: dict[Any, int]) -> set[tuple[str, str]]:
    """Return the merges by which byte-pair encoding arrives at these tokens."""
    merges = set()
    for token in tokens:
        parts = list(token)
        while len(parts) > 1:
            places = range(len(parts) - 1)
            best = min(places, key=lambda at: ranks.get((parts[at], parts[at + 1]), len(ranks)))
            pair = (parts[best], parts[best + 1])
            if pair not in ranks:
                break
            merges.add(pair)
            parts[best : best + 2] = ["".join(pair)]
    return merges


def _renumbered(processor: Any, new: dict[str, int]) -> Any:
    """Return a post-processor with the new ids of the special tokens that it adds."""
    if isinstance(processor, list):
        return [_renumbered(part, new) for part in processor]
    if not isinstance(processor, dict):
        return processor
    changed = {name: _renumbered(value, new) for name, value in processor.items()}
    for name in ("sep", "cls"):
        if isinstance(changed.get(name), list):
            changed[name] = [changed[name][0], new[changed[name][0]]]
    if isinstance(changed.get("ids"), list) and isinstance(changed.get("tokens"), list):
        changed["ids"] = [new[token] for token in changed["tokens"]]
    return changed


def _check_same(backend: Tokenizer, small: Tokenizer, texts: list[str]) -> None:
    for batch in batches(texts):
        for text, before, after in zip(batch, backend.encode_batch(batch), small.encode_batch(batch), strict=True):
            if before.tokens != after.tokens:
                raise ValueError(
                    f"--prune_vocabulary: expected the same pieces of {text!r:.60} as before, found others; leave the "
                    "option out, because this tokenizer cannot be pruned"
                )
