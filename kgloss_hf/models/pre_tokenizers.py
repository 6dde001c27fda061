"""Use Okt as a component of the `tokenizers` library alone."""

from __future__ import annotations

from tokenizers import NormalizedString, PreTokenizedString

from ..runtime.okt import analyze
from ..runtime.words import DROPPED_TAGS


class OktPreTokenizer:
    """Split text into the surfaces of Okt's morphemes, without particles and punctuation.

    For use as `PreTokenizer.custom(OktPreTokenizer())`, behind the normalizer `NFC()` where text may be decomposed.
    Offsets of tokens are into the text, as with any pre-tokenizer. Where Okt's normalisation changes a word, that word
    stays whole.

    A part of a text cannot be replaced by a dictionary form, so there is no lemmatisation here, no stop word and no
    `Number` or `Alpha`. And `tokenizers` cannot save, pickle or copy a tokenizer with a component written in Python:
    set another pre-tokenizer before saving and this one after loading. `KGlossTokenizerFast` exists because of both.

    Example:
        >>> from tokenizers.pre_tokenizers import PreTokenizer
        >>> PreTokenizer.custom(OktPreTokenizer()).pre_tokenize_str("몸의 형태에 따라")
        [('몸', (0, 1)), ('형태', (3, 5)), ('따라', (7, 9))]
    """

    def pre_tokenize(self, pretok: PreTokenizedString) -> None:
        """Split a text in place; `tokenizers` calls this.

        Args:
            pretok: The text, with what was split already.
        """
        pretok.split(self._split)

    def _split(self, _: int, normalized: NormalizedString) -> list[NormalizedString]:
        spans = ((m.start, m.end) for m in analyze([str(normalized)])[0] if m.tag not in DROPPED_TAGS)
        # Morphemes of a word that Okt changed share its span.
        parts = (normalized[start:end] for start, end in dict.fromkeys(spans))
        return [part for part in parts if part is not None]
