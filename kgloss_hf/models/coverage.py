"""Measure how well a vocabulary covers texts and glosses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..data.pairs import Pair
from ..runtime.glosses import PLACEHOLDERS, placeholder_of
from ..runtime.normalization import normalize_line
from ..runtime.tokenization_kgloss import KGlossTokenizerFast
from .vocabulary import WordCounts, batches

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
"""Spellings that often replace umlauts in German glosses, such as `KOENNEN`."""


def fit(tokenizer: KGlossTokenizerFast, counted: WordCounts) -> dict[str, float]:
    """Measure how well a vocabulary fits texts, from their word counts, because no token spans two words.

    Args:
        tokenizer: Tokenizer with the vocabulary.
        counted: Word counts of the texts.

    Returns:
        `sentences`, `blank`, `words`, `different_words`, `coverage`, `tokens_a_sentence`, `unknown_rate` and
        `placeholder_rate`, the share of words that are `Number` or `Alpha`.
    """
    covered = tokens = unknown = 0
    for word, pieces in _tokens_of(tokenizer, counted.words):
        count = counted.words[word]
        unknown_pieces = pieces.count("[UNK]")
        covered += count * (not unknown_pieces)
        tokens += count * len(pieces)
        unknown += count * unknown_pieces
    words = counted.words.total()
    return {
        "sentences": counted.sentences,
        "blank": counted.blank,
        "words": words,
        "different_words": len(counted.words),
        "coverage": covered / max(1, words),
        "tokens_a_sentence": tokens / max(1, counted.sentences),
        "unknown_rate": unknown / max(1, tokens),
        "placeholder_rate": sum(counted.words[name] for name in ("Number", "Alpha")) / max(1, words),
    }


def target_in_source(
    tokenizer: KGlossTokenizerFast, pairs: Sequence[Pair], glosses: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Return the share of gloss tokens that are also a token of their sentence (paper, section III.2.2: 41%).

    A gloss in capitals (`WETTER`) also matches the token wetter.

    Args:
        tokenizer: Tokenizer that splits the sentences into tokens.
        pairs: The pairs.
        glosses: The glosses of each pair, with placeholders marked (`kgloss_hf.data.pairs.marked_glosses`).

    Returns:
        `of_tokens`, the share of all gloss tokens, and `mean_of_pairs`, the mean of the pairs' shares; from 0 to 1.

    Examples:
        >>> from kgloss_hf.models.vocabulary import train_tokenizer
        >>> tokenizer = train_tokenizer(["몸의 형태"], [["몸", "모습"]], model="wordlevel")
        >>> target_in_source(tokenizer, [Pair("몸의 형태", ("몸", "모습"))], [["몸", "모습"]])
        {'of_tokens': 0.5, 'mean_of_pairs': 0.5}
    """
    sentences = tokenizer.words([pair.text for pair in pairs])
    pieces = dict(_tokens_of(tokenizer, dict.fromkeys(word for sentence in sentences for word in sentence)))
    shares = []
    matches = 0
    for sentence, sequence in zip(sentences, glosses, strict=True):
        source = {piece for word in sentence for piece in pieces[word]}
        forms = (placeholder_of(normalize_line(gloss)) for gloss in sequence)
        shared = sum(form in source or form.casefold() in source for form in forms)
        matches += shared
        shares.append(shared / len(sequence))
    return {"of_tokens": matches / sum(map(len, glosses)), "mean_of_pairs": sum(shares) / len(shares)}


def words_of_glosses(tokenizer: KGlossTokenizerFast, glosses: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
    """Yield each gloss that is spelled like one or more words of the vocabulary, with the ids of these words.

    The words are the entry that equals the whole gloss in another case (`WETTER`), or else the entries of its parts
    (`WIE-AUSSEHEN`, `HABEN2`). A part that is not an entry contributes its word pieces.

    Args:
        tokenizer: Tokenizer with the words. Its own glosses in capitals do not count as words.
        glosses: The glosses.

    Examples:
        >>> from kgloss_hf.models.vocabulary import train_tokenizer
        >>> tokenizer = train_tokenizer(["몸의 형태"], [["몸"]], model="wordlevel")
        >>> [tokenizer.convert_ids_to_tokens(ids) for _, ids in words_of_glosses(tokenizer, ["몸-형태", "없다"])]
        [['몸', '형태']]
    """
    known = tokenizer.get_vocab()
    cased = {gloss for gloss in tokenizer.glosses if gloss != gloss.casefold()}
    entries: dict[str, int] = {}
    for token in sorted(known.keys() - cased - {*PLACEHOLDERS, *tokenizer.all_special_tokens}):
        entries.setdefault(token.casefold(), known[token])
    for word in list(entries):
        entries.setdefault(word.translate(_UMLAUTS), entries[word])
    for gloss in glosses:
        whole = gloss.casefold()
        ids: list[int] = []
        for part in [whole] if whole in entries else re.findall(r"[^\W\d_]+", whole):
            pieces = tokenizer.backend_tokenizer.encode([part], is_pretokenized=True, add_special_tokens=False).ids
            ids += [entries[part]] if part in entries else pieces
        if words := [index for index in ids if index != tokenizer.unk_token_id]:
            yield gloss, words


def unknown_words(tokenizer: KGlossTokenizerFast, texts: Sequence[str]) -> tuple[int, int]:
    """Return the number of words that contain [UNK], and the number of all words, in texts.

    Args:
        tokenizer: Tokenizer with the vocabulary.
        texts: Sentences.

    Examples:
        >>> from kgloss_hf.models.vocabulary import train_tokenizer
        >>> unknown_words(train_tokenizer(["몸의 형태"], [["몸"]]), ["몸의 형체"])
        (1, 2)
    """
    encoded = tokenizer(list(texts), add_special_tokens=False)
    words = unknown = 0
    for row, ids in enumerate(encoded["input_ids"]):
        of_tokens = encoded.word_ids(row)
        words += len(set(of_tokens))
        unknown += len({word for word, index in zip(of_tokens, ids, strict=True) if index == tokenizer.unk_token_id})
    return unknown, words


def _tokens_of(tokenizer: KGlossTokenizerFast, words: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    for batch in batches(words):
        encodings = tokenizer.backend_tokenizer.encode_batch(
            [[word] for word in batch], is_pretokenized=True, add_special_tokens=False
        )
        yield from zip(batch, (encoding.tokens for encoding in encodings), strict=True)
