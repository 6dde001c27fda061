"""Check that an analyser can read the language of the sentences before anything is learnt from them or scored."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from ..runtime.analyzers import ANALYZER, get_analyzer
from ..runtime.glosses import NAME
from ..runtime.normalization import normalize
from ..runtime.okt import Morpheme

if TYPE_CHECKING:
    from ..runtime.tokenization_kgloss import KGlossTokenizerFast

logger = logging.getLogger(__name__)

SAMPLE = 1_000
"""Number of sentences that are examined."""

_MOST = 0.5
_HANGUL = re.compile("[가-힣ㄱ-ㆎ]")
# Tags that a Korean analyser gives to words that it does not analyse: Okt cuts them at umlauts, Kiwi and Komoran drop
# them as symbols. Latin words become a placeholder.
_NOT_KOREAN = ("Alpha", "Foreign", "SH")


def check_language(
    analyzer: str | KGlossTokenizerFast, texts: Iterable[str], origin: str = "training sentences"
) -> None:
    """Refuse sentences in a language that an analyser cannot read, and warn where most words are lost otherwise.

    A language is refused if most words of the first 1,000 sentences, apart from particles, punctuation and numbers, are
    Latin (Korean analysers turn them into the placeholder `Alpha`) or in another script, and most of the sentences
    with such words contain no Hangul. Korean sentences with that many Latin words cause a warning, as do sentences
    whose words are mostly unknown to a tokenizer that was learnt on others. The analyser `whitespace` keeps every word
    unchanged, so it reads any language that is written with spaces.

    Args:
        analyzer: Name of an analyser, or a tokenizer, which has its own analyser and a vocabulary.
        texts: Sentences; the first 1,000 are read.
        origin: Description of the sentences, for messages (default: `training sentences`).

    Raises:
        ValueError: The analyser loses most words. The message gives their share, an example and a remedy.

    Examples:
        >>> check_language("okt", ["QR 코드를 스캔하면 PDF 12개를 봅니다."])
        >>> check_language("okt", ["Where is the exit?"])
        Traceback (most recent call last):
        ...
        ValueError: training sentences: expected Korean, which the analyser okt reads, found 100% of words ...
    """
    sample = list(islice(texts, SAMPLE))
    if isinstance(analyzer, str):
        name, analysed = analyzer, get_analyzer(analyzer)(list(map(normalize, sample)))
        advice = "for a language other than Korean, add --analyzer whitespace"
    else:
        name, analysed = analyzer.init_kwargs.get("analyzer", ANALYZER), analyzer.morphemes(sample)
        advice = "for a language other than Korean, use a tokenizer that was learnt with --analyzer whitespace"
    counts = [_lost_of(row) for row in analysed]
    lost, words = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    if lost > _MOST * words:
        affected = [text for text, (lost_here, _) in zip(sample, counts, strict=True) if lost_here]
        korean = sum(bool(_HANGUL.search(normalize(text))) for text in affected)
        where = f"sentences examined: {len(sample):,}, for example {affected[0][:60]!r}"
        if korean < _MOST * len(affected):
            raise ValueError(
                f"{origin}: expected Korean, which the analyser {name} reads, found {lost / words:.0%} of words in "
                f"another script ({where}), which would become placeholders or be dropped; {advice}"
            )
        logger.warning(
            "%s: %.0f%% of words are in a script other than Hangul (%s); the analyser %s turns Latin words into the "
            "placeholder Alpha, and they are copied to the glosses",
            *(origin, 100 * lost / words, where, name),
        )
    elif not isinstance(analyzer, str):
        _warn_of_unknown(analyzer, sample, origin)


def _lost_of(morphemes: Sequence[Morpheme]) -> tuple[int, int]:
    """Count the words of a sentence that the analyser does not read, and all its words except numbers."""
    lost = words = 0
    for morpheme in morphemes:
        dropped = morpheme.tag == "Punctuation"
        if morpheme.tag in ("Josa", "Number") or (dropped and not any(map(str.isalpha, morpheme.surface))):
            continue
        words += 1
        lost += dropped or morpheme.tag in _NOT_KOREAN
    return lost, words


def _warn_of_unknown(tokenizer: KGlossTokenizerFast, texts: Sequence[str], origin: str) -> None:
    rows = tokenizer.words(texts)
    vocabulary = dict.fromkeys(word for row in rows for word in row)
    words_of_its_own = not tokenizer.two_vocabularies  # otherwise, pieces of whole texts
    encodings = tokenizer.backend_tokenizer.encode_batch(
        [[word] if words_of_its_own else word for word in vocabulary],
        is_pretokenized=words_of_its_own,
        add_special_tokens=False,
    )
    unknown = {
        word
        for word, encoding in zip(vocabulary, encodings, strict=True)
        if word == NAME or tokenizer.unk_token_id in encoding.ids
    }
    counts = [sum(word in unknown for word in row) for row in rows]
    words = sum(map(len, rows))
    if sum(counts) > _MOST * words:
        example = next(text for text, count in zip(texts, counts, strict=True) if count)
        logger.warning(
            "%s: the tokenizer does not know %.0f%% of words (sentences examined: %d, for example %r), from which a "
            "model learns little; use a tokenizer that was learnt on such sentences, or name none to learn a new one",
            *(origin, 100 * sum(counts) / words, len(texts), example[:60]),
        )
