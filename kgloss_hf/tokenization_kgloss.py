"""The tokenizer: Okt in front of a plain WordPiece backend, and glosses as whole tokens on the target side."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizerFast

from .glosses import PLACEHOLDERS, placeholder_of
from .okt import Morpheme, analyze

logger = logging.getLogger(__name__)

DROPPED_TAGS = ("Josa", "Punctuation")
ANALYZER = "okt"

# Okt loses a word that touches white space outside ASCII, such as the no-break space of web text.
_OTHER_SPACE = re.compile(r"[^\S \t\n\x0b\f\r]")


class KGlossTokenizerFast(PreTrainedTokenizerFast):
    """WordPiece over Okt morphemes for Korean text, one id a gloss for targets (paper, section III.2.1).

    A sentence goes through the paper's four steps: normalisation, pre-tokenisation (Okt morphemes; particles,
    punctuation and stop words dropped; numbers to `Number`, Latin words to `Alpha`), WordPiece, and the template
    `[BOS] … [EOS]`. Okt runs on the whole batch before the backend, so that the backend stays serialisable; only the
    analyser's name and options are saved. Build one with `kgloss_hf.tokenizer_training.train_tokenizer`.

    Args, all saved in tokenizer_config.json:
        analyzer: Name of the morphological analyser; `"okt"` is the only one.
        lemmatize: Use dictionary forms of verbs and adjectives (default True; the paper's Table 4 shows False).
        stop_words: Morphemes to drop, compared after lemmatisation. Default none; Table 2 drops `하다`.
        glosses: Every gloss of the target side, without placeholder contents.

    Calling it takes what any fast tokenizer takes. `text_target` is a list of glosses for one text, or a list of such
    lists for a batch; each gloss becomes one id, `Number/4C` becomes `Number`, an unknown gloss becomes [UNK] and is
    counted in a warning. Labels end with [EOS] and do not start with [BOS]: the model prepends it.

    Example:
        >>> from kgloss_hf.tokenizer_training import train_tokenizer
        >>> tokenizer = train_tokenizer(["몸의 형태에 따라 구분된다."], [["몸", "모습", "나누다"]], vocab_size=60)
        >>> tokenizer.words(["몸의 형태에 따라 구분된다."])
        [['몸', '형태', '따르다', '구분', '되다']]
        >>> tokenizer.convert_ids_to_tokens(tokenizer(text_target=["몸", "모습"])["input_ids"])
        ['몸', '모습', '[EOS]']
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json"}
    model_input_names = ["input_ids", "attention_mask"]
    slow_tokenizer_class = None

    @property
    def glosses(self) -> list[str]:
        """Every gloss of the target side, in id order of addition."""
        return list(self.init_kwargs.get("glosses", []))

    def words(self, texts: Sequence[str]) -> list[list[str]]:
        """The pre-tokens of each text: what WordPiece gets to split.

        Raises:
            TypeError: A text is not a string.
            ValueError: The stored analyser is not one this version has.
        """
        return [self._kept(morphemes) for morphemes in self.morphemes(texts)]

    def morphemes(self, texts: Sequence[str]) -> list[list[Morpheme]]:
        """Okt's analysis of each text after the tokenizer's normalisation, with offsets into the text as given."""
        name = self.init_kwargs.get("analyzer", ANALYZER)
        if name != ANALYZER:
            raise ValueError(
                f"tokenizer_config.json names the analyser {name!r}; this version of kgloss_hf has {ANALYZER!r}"
            )
        return analyze([_OTHER_SPACE.sub(" ", text) if isinstance(text, str) else text for text in texts])

    def _kept(self, morphemes: list[Morpheme]) -> list[str]:
        lemmatize = self.init_kwargs.get("lemmatize", True)
        stop_words = self.init_kwargs.get("stop_words", ())
        kept = []
        for morpheme in morphemes:
            if morpheme.tag in PLACEHOLDERS:
                kept.append(morpheme.tag)
            elif morpheme.tag not in DROPPED_TAGS:
                word = (morpheme.lemma if lemmatize else morpheme.surface).lower()
                if word not in stop_words:
                    kept.append(word)
        return kept

    def __call__(
        self, text: Any = None, text_pair: Any = None, text_target: Any = None, **kwargs: Any
    ) -> BatchEncoding:
        if text_target is None:
            return super().__call__(text, text_pair, **kwargs)
        if kwargs.pop("text_pair_target", None) is not None:
            raise ValueError("text_pair_target: a gloss sequence has no pair; pass text_target alone")
        max_length = kwargs.get("max_length")
        limit = kwargs.pop("max_target_length", None) or max_length
        labels = self._labels(text_target, limit if kwargs.get("truncation") else None)
        if kwargs.get("return_tensors") and not isinstance(labels[0], list):
            labels = [labels]
        self.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True  # nothing here could be padded faster
        padded = self.pad(
            {"input_ids": labels},
            padding=kwargs.get("padding") or False,
            max_length=limit,
            pad_to_multiple_of=kwargs.get("pad_to_multiple_of"),
            return_attention_mask=kwargs.get("return_attention_mask"),
            return_tensors=kwargs.get("return_tensors"),
            verbose=False,
        )
        if text is None:
            return padded
        encoding = super().__call__(text, text_pair, **kwargs)
        encoding["labels"] = padded["input_ids"]
        return encoding

    def _labels(self, target: Any, max_length: int | None) -> list[Any]:
        if not isinstance(target, (list, tuple)):
            raise TypeError(
                f"text_target: expected a list of glosses, or a list of such lists, found {type(target).__name__}"
            )
        batched = bool(target) and not isinstance(target[0], str)
        known = set(self.glosses) | set(PLACEHOLDERS)
        unknown = 0
        rows = []
        for index, glosses in enumerate(target if batched else [target]):
            if isinstance(glosses, str) or not all(isinstance(gloss, str) for gloss in glosses):
                raise TypeError(f"text_target[{index}]: expected a list of glosses (strings), found {glosses!r:.80}")
            tokens = [placeholder_of(gloss) for gloss in glosses]
            unknown += sum(token not in known for token in tokens)
            tokens = [token if token in known else self.unk_token for token in tokens]
            ids = self.convert_tokens_to_ids(tokens)
            rows.append([*ids[: max_length - 1 if max_length else None], self.eos_token_id])
        if unknown:
            logger.warning("%d glosses are not in the tokenizer's vocabulary and became %s", unknown, self.unk_token)
        return rows if batched else rows[0]

    # The encoding entry point: transformers 5 calls _encode_plus for one text and for many; transformers 4 calls
    # _batch_encode_plus for both.
    def _encode_plus(
        self, text: Any, text_pair: Any = None, is_split_into_words: bool = False, **kwargs: Any
    ) -> BatchEncoding:
        if hasattr(PreTrainedTokenizerFast, "_batch_encode_plus"):
            return super()._encode_plus(text, text_pair, is_split_into_words=is_split_into_words, **kwargs)
        single = not _is_batch(text, is_split_into_words)
        if not single and not text:
            return BatchEncoding({"input_ids": [], "attention_mask": []})
        words = self._words_of([text] if single else text, is_split_into_words)
        pairs = None
        if text_pair is not None:
            pairs = self._words_of([text_pair] if single else text_pair, is_split_into_words)
        if single:
            return super()._encode_plus(words[0], pairs and pairs[0], is_split_into_words=True, **kwargs)
        return super()._encode_plus(words, pairs, is_split_into_words=True, **kwargs)

    def _batch_encode_plus(
        self, batch_text_or_text_pairs: Any, is_split_into_words: bool = False, **kwargs: Any
    ) -> BatchEncoding:
        batch = batch_text_or_text_pairs
        if not batch:
            return BatchEncoding({"input_ids": [], "attention_mask": []})
        if isinstance(batch[0], tuple):
            columns = (self._words_of(column, is_split_into_words) for column in zip(*batch, strict=True))
            words: list[Any] = list(zip(*columns, strict=True))
        else:
            words = list(self._words_of(batch, is_split_into_words))
        return super()._batch_encode_plus(words, is_split_into_words=True, **kwargs)

    def _words_of(self, texts: Sequence[Any], is_split_into_words: bool) -> list[list[str]]:
        return self.words([" ".join(text) for text in texts] if is_split_into_words else texts)


def _is_batch(text: Any, is_split_into_words: bool) -> bool:
    if is_split_into_words:
        return bool(text) and isinstance(text[0], (list, tuple))
    return isinstance(text, (list, tuple))
