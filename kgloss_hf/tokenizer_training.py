"""Learning a tokenizer's vocabulary: WordPiece over Okt morphemes, then every gloss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from tokenizers import Tokenizer, decoders, models, processors, trainers

from .glosses import PLACEHOLDERS, placeholder_of
from .tokenization_kgloss import ANALYZER, KGlossTokenizerFast

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[BOS]", "[EOS]", "[MASK]")
MAX_GLOSS_CHARS = 100
_BATCH = 10_000


def train_tokenizer(
    texts: Iterable[str],
    glosses: Iterable[Sequence[str]],
    *,
    vocab_size: int = 10_000,
    lemmatize: bool = True,
    stop_words: Sequence[str] = (),
    max_length: int = 128,
) -> KGlossTokenizerFast:
    """Learn WordPiece on texts and append every gloss that is not a word piece already (paper, section III.2.1).

    Args:
        texts: Korean sentences; read once, 10,000 at a time. The different words stay in memory.
        glosses: Gloss sequences whose glosses the vocabulary must hold, contents of placeholders aside.
        vocab_size: Word pieces with special tokens and placeholders, before glosses (paper: 10,000).
        lemmatize: Dictionary forms of verbs and adjectives (default, as the paper's text) or surfaces (its Table 4).
        stop_words: Morphemes to drop.
        max_length: Longest input in tokens, [BOS] and [EOS] included (paper: 128).

    Returns:
        A tokenizer whose ids are 0 to 4 for [PAD] [UNK] [BOS] [EOS] [MASK], then Number, Alpha, word pieces, glosses.
    """
    options = {"analyzer": ANALYZER, "lemmatize": lemmatize, "stop_words": list(stop_words)}
    untrained = _tokenizer({token: i for i, token in enumerate(SPECIAL_TOKENS)}, max_length, glosses=[], **options)
    reserved = [*SPECIAL_TOKENS, *PLACEHOLDERS]
    pieces = _word_pieces(Counter(chain.from_iterable(_words(untrained, texts))), max(0, vocab_size - len(reserved)))
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys([*reserved, *pieces]))}
    distinct = dict.fromkeys(placeholder_of(gloss) for sequence in glosses for gloss in sequence)
    kept = [gloss for gloss in distinct if gloss not in reserved]
    if too_long := [gloss for gloss in kept if len(gloss) > MAX_GLOSS_CHARS]:
        raise ValueError(
            f"gloss of more than {MAX_GLOSS_CHARS} characters: {too_long[0]!r:.60}; check the gloss column"
        )
    for gloss in kept:
        vocabulary.setdefault(gloss, len(vocabulary))
    return _tokenizer(vocabulary, max_length, glosses=kept, **options)


def _word_pieces(counts: Counter[str], size: int) -> list[str]:
    """WordPiece's pieces, sorted, and the same in each run.

    The trainer breaks ties between merges by the ids of their parts, and hands out ids to characters in the order of a
    randomised hash table. Giving it the characters first, in order, fixes that; and no character is left out.
    """
    characters = {word[0] for word in counts} | {f"##{c}" for word in counts for c in word[1:]}
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=sorted(characters), show_progress=False)
    backend.train_from_iterator(([word] * counts[word] for word in sorted(counts)), trainer)
    return sorted(backend.get_vocab())


def _words(tokenizer: KGlossTokenizerFast, texts: Iterable[str]) -> Iterable[list[str]]:
    remaining = iter(texts)
    while batch := list(islice(remaining, _BATCH)):
        yield from tokenizer.words(batch)


def _tokenizer(vocabulary: dict[str, int], max_length: int, **options: object) -> KGlossTokenizerFast:
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=MAX_GLOSS_CHARS))
    backend.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    bos, eos = (("[BOS]", vocabulary["[BOS]"]), ("[EOS]", vocabulary["[EOS]"]))
    backend.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", pair="[BOS] $A [EOS] $B:1 [EOS]:1", special_tokens=[bos, eos]
    )
    return KGlossTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        mask_token="[MASK]",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        **options,
    )
