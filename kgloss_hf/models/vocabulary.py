"""Learn a tokenizer's vocabulary: word pieces or whole words of Korean text, then every gloss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tqdm import tqdm

from ..data.pairs import Pair
from ..runtime.glosses import NAME, placeholder_of
from ..runtime.normalization import normalize, normalize_line
from ..runtime.okt import analyze
from ..runtime.targets import RESERVED, SPECIAL_TOKENS
from ..runtime.tokenization_kgloss import ANALYZER, KGlossTokenizerFast
from .presets import MODELS

_MAX_GLOSS_CHARS = 100
_MAX_CHARACTERS = 2_000
"""Maximum number of characters that become word pieces, each as the start of a word and as its continuation. Noisy
text has thousands that occur a few times and would leave no room for longer pieces; a word with one becomes `[UNK]`."""

_BATCH = 10_000


class WordCounts(NamedTuple):
    """Counts from one reading of texts.

    Args:
        words: How often each word occurs.
        sentences: Number of texts that are not blank.
        blank: Number of blank texts.
    """

    words: Counter[str]
    sentences: int
    blank: int


def train_tokenizer(
    texts: Iterable[str],
    glosses: Iterable[Sequence[str]],
    *,
    model: str = "wordpiece",
    vocab_size: int = 10_000,
    analyzer: str = ANALYZER,
    normalize: bool = True,
    lemmatize: bool = True,
    stop_words: Sequence[str] = (),
    copy_names: bool = False,
    names: Collection[str] = (),
    max_length: int = 128,
) -> KGlossTokenizerFast:
    """Learn a vocabulary from texts and append every gloss that is not in it yet (paper, section III.2.1).

    The same texts give the same vocabulary in every run. Texts, glosses, stop words and names are normalised first
    (`kgloss_hf.runtime.normalization`), so that texts that look the same are one entry.

    Args:
        texts: Korean sentences; read once, 10,000 at a time. The different words stay in memory.
        glosses: Gloss sequences whose glosses the vocabulary must hold, except contents of placeholders.
        model: `wordpiece` (default), or `wordlevel` for each different whole word of the texts.
        vocab_size: Number of word pieces, special tokens and placeholders, before glosses (default 10,000, as in
            the paper). The 2,000 most frequent characters are always pieces, even if that exceeds it. No effect with
            `wordlevel`.
        analyzer: Name of the morphological analyser, which is saved in the tokenizer (default `okt`).
        normalize: Lower-case words and drop punctuation (default), or keep case and punctuation.
        lemmatize: Use dictionary forms of verbs and adjectives (default, as in the paper's text) or surfaces (as in its
            Table 4).
        stop_words: Morphemes to drop (default: none).
        copy_names: Replace nouns that are not in the vocabulary with the placeholder `Name`, which is then a gloss
            (default False). Only Okt finds nouns.
        names: With copy_names, words to leave out of the vocabulary and of the glosses, so that a model learns from
            them to copy (`rare_names`; default: none).
        max_length: Longest input in tokens, `[BOS]` and `[EOS]` included (default 128, as in the paper).

    Returns:
        A tokenizer whose ids are 0 to 4 for `[PAD] [UNK] [BOS] [EOS] [MASK]`, then Number, Alpha, word pieces or words,
        glosses.

    Raises:
        ValueError: The model or the analyser is unknown, a gloss has more than 100 characters or no visible one, or
            names are to be copied with an analyser other than Okt.

    Examples:
        >>> tokenizer = train_tokenizer(["몸의 형태"], [["몸", "모습"]], model="wordlevel")
        >>> tokenizer.convert_ids_to_tokens(range(5, len(tokenizer)))
        ['Number', 'Alpha', '몸', '형태', '모습']
    """
    if copy_names:
        check_names(analyzer)
    options = {
        "analyzer": analyzer,
        "normalize": normalize,
        "lemmatize": lemmatize,
        "stop_words": list(map(normalize_line, stop_words)),
    }
    counted = count_words(texts, model=model, **options)
    entries = learn_entries(counted.words, model=model, vocab_size=vocab_size)
    return with_glosses(entries, glosses, model, max_length, options, names if copy_names else None)


def check_names(analyzer: str) -> None:
    """Refuse to copy names with an analyser whose nouns the tokenizer cannot distinguish from other words.

    Args:
        analyzer: Name of the analyser.

    Raises:
        ValueError: The analyser is not Okt.

    Examples:
        >>> check_names("okt")
    """
    if analyzer != ANALYZER:
        raise ValueError(
            f"copy_names: expected the analyser {ANALYZER}, whose nouns are copied as names, found {analyzer!r}; leave "
            f"out --copy_names, or use --analyzer {ANALYZER}"
        )


def rare_names(pairs: Sequence[Pair], most: int = 3) -> set[str]:
    """Return the nouns that a corpus signs as written, in so few sentences that a model should copy them.

    Args:
        pairs: The training pairs.
        most: Maximum number of different sentences with the noun (default 3). It must be a gloss in at least half of
            its pairs, and never one of a sentence without the noun, because nothing could be copied there.

    Examples:
        >>> rare_names([Pair("송파로 가요.", ("송파", "가다")), Pair("집에 가요.", ("우리집", "가다"))])
        {'송파'}
    """
    sentences: dict[str, set[str]] = {}
    signed: Counter[str] = Counter()
    elsewhere: set[str] = set()
    texts = [normalize(pair.text) for pair in pairs]
    for text, pair, morphemes in zip(texts, pairs, analyze(texts), strict=True):
        nouns = {morpheme.surface for morpheme in morphemes if morpheme.tag == "Noun"}
        glosses = set(map(normalize_line, pair.glosses))
        elsewhere.update(glosses - nouns)
        for noun in nouns:
            sentences.setdefault(noun, set()).add(text)
            signed[noun] += 1 if noun in glosses else -1
    rare = {noun for noun, holders in sentences.items() if len(holders) <= most and signed[noun] >= 0}
    return rare - elsewhere


def count_words(texts: Iterable[str], *, model: str = "wordpiece", **options: Any) -> WordCounts:
    """Count the words of texts as a tokenizer with these options sees them.

    Args:
        texts: Korean sentences, read once, with a progress bar on a terminal. Blank texts are skipped and counted.
        model: As in `train_tokenizer`.
        **options: `analyzer`, `normalize`, `lemmatize` and `stop_words`, as in `train_tokenizer`.

    Raises:
        ValueError: The model or the analyser is unknown.

    Examples:
        >>> count_words(["전시 전시가", " "])
        WordCounts(words=Counter({'전시': 2}), sentences=1, blank=1)
    """
    untrained = untrained_tokenizer(model, options)
    words: Counter[str] = Counter()
    sentences = blank = 0
    with tqdm(desc="Counting words", unit=" texts", disable=None) as progress:
        for batch in batches(texts):
            kept = [text for text in batch if not isinstance(text, str) or normalize(text).strip()]
            sentences += len(kept)
            blank += len(batch) - len(kept)
            for sentence in untrained.words(kept):
                words.update(sentence)
            progress.update(len(batch))
    return WordCounts(words, sentences, blank)


def learn_entries(counts: Counter[str], *, model: str = "wordpiece", vocab_size: int = 10_000) -> list[str]:
    """Return the sorted vocabulary between the reserved tokens and the glosses, which is the same in every run.

    Args:
        counts: Words and how often each occurs, from `count_words`.
        model: As in `train_tokenizer`.
        vocab_size: As in `train_tokenizer`.

    Examples:
        >>> learn_entries(Counter({"전시": 3, "전기": 1}), vocab_size=12)
        ['##기', '##시', '기', '시', '전']
        >>> learn_entries(Counter({"전시": 3, "전기": 1}), model="wordlevel")
        ['전기', '전시']
    """
    counts = Counter({word: count for word, count in counts.items() if word not in RESERVED})
    return sorted(counts) if model == "wordlevel" else _word_pieces(counts, max(0, vocab_size - len(RESERVED)))


def _word_pieces(counts: Counter[str], size: int) -> list[str]:
    """Return the sorted pieces of WordPiece, which are the same in every run.

    The trainer breaks ties between merges by the ids of their parts, and hands out ids to characters in the order of a
    randomised hash table. Giving it the characters first, in order, fixes that.
    """
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    kept = set(sorted(characters, key=lambda character: (-characters[character], character))[:_MAX_CHARACTERS])
    words = sorted(word for word in counts if kept.issuperset(word))
    pieces = kept | {f"##{character}" for word in words for character in word[1:]}
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.CharDelimiterSplit("\n")
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=sorted(pieces), show_progress=False)
    # The trainer takes words, not counts. One string per word is twice as fast as a list.
    backend.train_from_iterator(("\n".join([word] * counts[word]) for word in words), trainer)
    return sorted(backend.get_vocab())


def with_glosses(
    entries: Iterable[str],
    glosses: Iterable[Sequence[str]],
    model: str,
    max_length: int,
    options: dict[str, Any],
    names: Collection[str] | None = None,
) -> KGlossTokenizerFast:
    """Return a tokenizer of learnt entries and every gloss that is not among them.

    Args:
        entries: Entries from `learn_entries`.
        glosses: As in `train_tokenizer`.
        model: As in `train_tokenizer`.
        max_length: As in `train_tokenizer`.
        options: `analyzer`, `normalize`, `lemmatize` and `stop_words`.
        names: Words to leave out, so that a model learns from them to copy nouns; None to copy none.
    """
    kept = distinct_glosses(glosses, names)
    if names is not None:
        left_out = set(map(normalize_line, names))
        options = {**options, "copy_names": True}
        entries = [entry for entry in entries if entry not in left_out]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys([*RESERVED, *entries, *kept]))}
    return _tokenizer(vocabulary, model, max_length, glosses=kept, **options)


def distinct_glosses(glosses: Iterable[Sequence[str]], names: Collection[str] | None = None) -> list[str]:
    """Return the different glosses of sequences in order, normalised and without contents of placeholders.

    Args:
        glosses: As in `train_tokenizer`.
        names: As in `with_glosses`.

    Raises:
        ValueError: A gloss has more than 100 characters or no visible one.

    Examples:
        >>> distinct_glosses([["집", "Number/4"], ["집", "불"]])
        ['집', '불']
    """
    glosses = ([normalize_line(gloss) for gloss in sequence] for sequence in glosses)
    if names is not None:
        left_out = set(map(normalize_line, names))
        kept_sequences = ([gloss for gloss in sequence if gloss not in left_out] for sequence in glosses)
        glosses = chain(kept_sequences, [[NAME]])
    distinct = dict.fromkeys(placeholder_of(gloss) for sequence in glosses for gloss in sequence)
    kept = [gloss for gloss in distinct if gloss not in RESERVED]
    if "" in kept:
        raise ValueError("expected glosses, found one without a visible character; check the gloss column")
    if too_long := [gloss for gloss in kept if len(gloss) > _MAX_GLOSS_CHARS]:
        raise ValueError(
            f"expected glosses of at most {_MAX_GLOSS_CHARS} characters, found {too_long[0]!r:.60} with "
            f"{len(too_long[0]):,}; check the gloss column"
        )
    return kept


def untrained_tokenizer(model: str, options: dict[str, Any]) -> KGlossTokenizerFast:
    """Return a tokenizer with only the special tokens, which analyses text like a trained one.

    Args:
        model: As in `train_tokenizer`.
        options: `analyzer`, `normalize`, `lemmatize` and `stop_words`.
    """
    vocabulary = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
    return _tokenizer(vocabulary, model, 128, glosses=[], **options)


def _tokenizer(vocabulary: dict[str, int], model: str, max_length: int, **options: Any) -> KGlossTokenizerFast:
    if model == "wordpiece":
        pieces = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=_MAX_GLOSS_CHARS)
        backend = Tokenizer(pieces)
        backend.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    elif model == "wordlevel":
        backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    else:
        raise ValueError(f"model: expected one of {', '.join(MODELS)}, found {model!r}; choose one of these")
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


def batches(items: Iterable[str]) -> Iterator[list[str]]:
    """Yield items 10,000 at a time.

    Args:
        items: Read once.

    Examples:
        >>> list(batches(["몸", "집"]))
        [['몸', '집']]
    """
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
