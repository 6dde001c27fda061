"""Help a tokenizer with batches: arrange texts, find spans, and count what truncation drops."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from transformers import BatchEncoding

from .okt import Morpheme
from .words import DROPPED_TAGS, Spans

logger = logging.getLogger(__name__)


def columns_of(batch: Any, is_split_into_words: bool) -> list[list[str]]:
    """Return the texts of a batch and, for pairs, the second texts too; an empty list if the batch is empty.

    Args:
        batch: Texts or pairs of texts.
        is_split_into_words: Each text is a list of words.

    Examples:
        >>> columns_of([("가", "나")], False), columns_of([["가", "나"]], True)
        ([['가'], ['나']], [['가 나']])
    """
    if not batch:
        return []
    first = batch[0]
    pairs = isinstance(first, (list, tuple))
    if is_split_into_words:
        pairs = pairs and len(first) == 2 and isinstance(first[0], (list, tuple))
    columns = list(zip(*batch, strict=True)) if pairs else [batch]
    return [[" ".join(words) for words in column] if is_split_into_words else list(column) for column in columns]


def is_batch(text: Any, is_split_into_words: bool) -> bool:
    """Return whether a tokenizer was given several texts rather than one.

    Args:
        text: The tokenizer's argument.
        is_split_into_words: Each text is a list of words.
    """
    if is_split_into_words:
        return bool(text) and isinstance(text[0], (list, tuple))
    return isinstance(text, (list, tuple))


def list_of_column(texts: Any) -> Any:
    """Return a column of a data set as a list, and anything else unchanged.

    Args:
        texts: The tokenizer's argument.
    """
    return list(texts) if isinstance(texts, Sequence) and not isinstance(texts, (str, bytes, list, tuple)) else texts


def offsets_of_words(encoding: BatchEncoding, spans: list[Spans]) -> Spans:
    """Return, for each token of each row, the span of its morpheme in the text.

    Args:
        encoding: The backend's encoding of words.
        spans: Span of each word of each text; the first index is the place in a pair.
    """
    return [
        [
            (0, 0) if word is None else spans[sequence or 0][text][word]
            for word, sequence in zip(row.word_ids, row.sequence_ids, strict=True)
        ]
        for text, row in _rows_of(encoding)
    ]


def offsets_of_pieces(
    encoding: BatchEncoding,
    analysed: Sequence[list[list[Morpheme]]],
    places: Sequence[dict[int, list[tuple[int, int]]]],
    prefix: int,
) -> Spans:
    """Return the span of the morpheme that contains each piece of an untouched sentence, or (0, 0) if none does.

    A piece that overlaps several morphemes belongs to the one with which it shares most characters; particles and
    punctuation come last.

    Args:
        encoding: The backend's encoding of whole texts.
        analysed: Morphemes of each text, with offsets into the text as given; the first index is the place in a pair.
        places: Spans of the characters of texts that were normalised, by the index of the text.
        prefix: Number of characters in front of each first text.
    """
    owners: dict[tuple[int, int], list[Morpheme | None]] = {}
    offsets: Spans = []
    for text, row in _rows_of(encoding):
        spans_of_row = []
        for (start, end), sequence in zip(row.offsets, row.sequence_ids, strict=True):
            if sequence == 0:
                start, end = max(0, start - prefix), max(0, end - prefix)
            if sequence is None or start == end:
                spans_of_row.append((0, 0))
                continue
            if (owned := owners.get((sequence, text))) is None:
                owned = owners[sequence, text] = _owners(analysed[sequence][text])
            if spans := places[sequence].get(text):
                start, end = spans[start][0], spans[end - 1][1]
            shared = Counter(filter(None, owned[start:end]))
            best = max(shared, key=lambda m: (m.tag not in DROPPED_TAGS, shared[m], -m.start), default=None)
            spans_of_row.append((best.start, best.end) if best else (0, 0))
        offsets.append(spans_of_row)
    return offsets


def _owners(morphemes: list[Morpheme]) -> list[Morpheme | None]:
    """Return the morpheme of each character, or None between morphemes."""
    owners: list[Morpheme | None] = [None] * max((morpheme.end for morpheme in morphemes), default=0)
    for morpheme in morphemes:
        owners[morpheme.start : morpheme.end] = [morpheme] * (morpheme.end - morpheme.start)
    return owners


def _rows_of(encoding: BatchEncoding) -> list[tuple[int, Any]]:
    """Return each row with the index of its text. A text has several rows if overflowing tokens are returned."""
    texts = encoding.get("overflow_to_sample_mapping", range(len(encoding.encodings)))
    return list(zip(map(int, texts), encoding.encodings, strict=True))


def truncates(strategy: Any) -> bool:
    """Return whether a truncation strategy cuts anything.

    Args:
        strategy: Truncation strategy of transformers, or None.
    """
    return strategy is not None and strategy.value != "do_not_truncate"


def count_dropped(encoding: BatchEncoding) -> tuple[int, int]:
    """Return the number of tokens that truncation dropped, and of rows that lost some.

    Tokens in overlaps (`stride`) count once.

    Args:
        encoding: The backend's encoding.
    """
    tokens = rows = 0
    for row in encoding.encodings:
        if parts := row.overflowing:
            kept, *overflowing = (
                # Pieces of one character have the same offsets, but rarely the same id.
                {t for t in zip(p.sequence_ids, p.word_ids, p.offsets, p.ids, strict=True) if t[1] is not None}
                for p in (row, *parts)
            )
            lost = len(set().union(*overflowing) - kept)
            tokens += lost
            rows += lost > 0
    return tokens, rows


def say_dropped(texts: tuple[int, int] = (0, 0), targets: tuple[int, int] = (0, 0)) -> None:
    """Log a warning with the number of tokens that truncation dropped, if it dropped any.

    Args:
        texts: Number of dropped tokens, and of texts that lost some.
        targets: Number of dropped glosses, and of targets that lost some.
    """
    counts = [
        f"{tokens} ({kind} cut: {rows})" for (tokens, rows), kind in ((texts, "texts"), (targets, "targets")) if tokens
    ]
    if counts:
        logger.warning(
            "truncation dropped tokens: %s; max_length and max_target_length set the limits", " and ".join(counts)
        )
