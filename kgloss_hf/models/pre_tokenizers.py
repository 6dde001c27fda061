"""Pre-tokenizer that makes Okt a component of the `tokenizers` library."""

from __future__ import annotations

from tokenizers import NormalizedString, PreTokenizedString

from ..runtime.okt import analyze
from ..runtime.words import DROPPED_TAGS


class OktPreTokenizer:
    """Pre-tokenizer that splits text into the surfaces of Okt's morphemes, without particles and punctuation.

    Use it as `PreTokenizer.custom(OktPreTokenizer())`, after the normalizer `NFC()` if text may be decomposed. Offsets
    of tokens refer to the text, as with any pre-tokenizer. A word that Okt's normalisation changes stays whole.

    A pre-tokenizer cannot replace a part of a text with a dictionary form, so this one has no lemmatisation, no stop
    words and no `Number` or `Alpha`. In addition, `tokenizers` cannot save, pickle or copy a tokenizer with a component
    written in Python: set another pre-tokenizer before saving, and this one after loading. `KGlossTokenizerFast` exists
    for both reasons.

    Examples:
        >>> from tokenizers.pre_tokenizers import PreTokenizer
        >>> PreTokenizer.custom(OktPreTokenizer()).pre_tokenize_str("몸의 형태에 따라")
        [('몸', (0, 1)), ('형태', (3, 5)), ('따라', (7, 9))]
    """

    def pre_tokenize(self, pretok: PreTokenizedString) -> None:
        """Split a text in place (called by `tokenizers`).

        Args:
            pretok: The text and its splits so far.
        """
        pretok.split(self._split)

    def _split(self, _: int, normalized: NormalizedString) -> list[NormalizedString]:
        spans = ((m.start, m.end) for m in analyze([str(normalized)])[0] if m.tag not in DROPPED_TAGS)
        # Morphemes of a word that Okt changed share its span.
        parts = (normalized[start:end] for start, end in dict.fromkeys(spans))
        return [part for part in parts if part is not None]
