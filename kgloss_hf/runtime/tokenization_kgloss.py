"""Tokenizer with Okt in front of a plain WordPiece backend, and glosses as whole tokens on the target side."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from transformers import BatchEncoding, PreTrainedTokenizerFast

from .analyzers import ANALYZER, get_analyzer
from .batches import (
    columns_of,
    count_dropped,
    is_batch,
    list_of_column,
    offsets_of_pieces,
    offsets_of_words,
    say_dropped,
    truncates,
)
from .glosses import NAME
from .java import start_jvm  # noqa: F401 - transformers 4 copies only neighbours that a loaded file names
from .normalization import normalize
from .okt import Morpheme, collection_paused
from .targets import GlossTargets, is_batch_of_targets
from .words import Spans, Words, analyze_texts, kept_words, normalized_texts, word_of

logger = logging.getLogger(__name__)

OPTIONS = {"analyzer": ANALYZER, "normalize": True, "lemmatize": True, "stop_words": (), "copy_names": False}
"""Options that determine how text becomes words, with their defaults. A tokenizer saves its own."""

# Warnings of transformers that are not repeated. It considers padding after encoding slow, which it is not here.
_warned = {"Asking-to-pad-a-fast-tokenizer": True}

# Shared by all tokenizers: an attribute could not be pickled, and would change the fingerprint for `datasets`.
_backend_lock = threading.RLock()


def _after_fork() -> None:
    global _backend_lock
    _backend_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A fork waits for the backend, whose own lock could not be released in the child.
    os.register_at_fork(
        before=lambda: _backend_lock.acquire(),
        after_in_parent=lambda: _backend_lock.release(),
        after_in_child=_after_fork,
    )


class KGlossTokenizerFast(GlossTargets, PreTrainedTokenizerFast):
    """WordPiece over Okt morphemes for Korean text, and one id per gloss for targets (paper, section III.2.1).

    A sentence goes through the paper's four steps: normalisation, pre-tokenisation (Okt morphemes; particles,
    punctuation and stop words dropped; numbers to `Number`, Latin words to `Alpha`), WordPiece, and the template
    `[BOS] … [EOS]`. Okt runs on the whole batch before the backend, so the backend stays serialisable; only the
    analyser's name and options are saved. Build a tokenizer with `kgloss_hf.models.vocabulary.train_tokenizer`.

    Texts that look the same get the same ids: the first step composes decomposed Korean, removes invisible characters,
    and reads full-width characters as ASCII (`kgloss_hf.runtime.normalization`), in sentences, glosses, stop words and
    added tokens. Offsets refer to the text as given. The tokenizer is thread-safe.

    Args, all saved in tokenizer_config.json:
        analyzer: Name of the morphological analyser, one of `kgloss_hf.runtime.analyzers.ANALYZERS` (default `"okt"`).
        normalize: Lower-case words and drop punctuation (default True).
        lemmatize: Use dictionary forms of verbs and adjectives (default True; the paper's Table 4 shows False).
        stop_words: Words to drop, compared after the steps above. Default none; Table 2 drops `하다`.
        copy_names: Replace nouns that are not in the vocabulary with the placeholder `Name`, in the sentence and, if
            they are signed as written, among the glosses, so that the model can output unseen names (default False).
        glosses: All glosses of the target side, without placeholder contents.
        target_start: First id of the glosses, which then have a vocabulary of their own, if the pieces are those of a
            pre-trained encoder (`kgloss_hf.models.warm_start`). After the first step, a sentence is split directly
            into pieces; words are used only for placeholders, alignment and spelling. Default None.
        prefix: With `target_start`, text that the encoder expects before a sentence, such as `"query: "`.
        known_words: With `target_start`, words that the model was trained on, for `knows`.

    A call takes the arguments of any fast tokenizer, with these meanings:

    - `text_target` is a list of glosses for one text, or a list of such lists for a batch, one per text. Each gloss
      becomes one id; `Number/4C` becomes `Number`; an unknown gloss becomes [UNK] and is counted in a warning. Labels
      end with [EOS] and do not start with [BOS], which the model prepends. `max_target_length` limits them (default
      `max_length`). `kgloss_hf.runtime.glosses.split_glosses` turns a string of glosses into a list.
    - `truncation` counts what it drops from texts and targets, in one warning per call.
    - `is_split_into_words`: the words are joined by one space, and offsets refer to the joined text.
    - `return_offsets_mapping` returns, for each word piece, the span of its morpheme in the text as given; `(0, 0)` for
      special tokens. `word_ids()` of the result numbers the words that were kept, as returned by `words`. The backend
      sees only words, so `char_to_token` and similar methods do not refer to the text. With `target_start`, a piece may
      overlap several morphemes; it gets the span of the one with which it shares most, particles last.
    - Tokens from `add_tokens` and `add_special_tokens` are found in the text first, and the text between them is
      analysed: a particle attached to such a token is analysed alone, and may be mistaken for a word.

    Examples:
        >>> from kgloss_hf.models.vocabulary import train_tokenizer
        >>> tokenizer = train_tokenizer(["몸의 형태에 따라 구분된다."], [["몸", "모습", "나누다"]], vocab_size=60)
        >>> tokenizer.words(["몸의 형태에 따라 구분된다."])
        [['몸', '형태', '따르다', '구분', '되다']]
        >>> tokenizer("몸의 형태", return_offsets_mapping=True)["offset_mapping"]
        [(0, 0), (0, 1), (3, 5), (0, 0)]
        >>> tokenizer.convert_ids_to_tokens(tokenizer(text_target=["몸", "모습"])["input_ids"])
        ['몸', '모습', '[EOS]']
    """

    vocab_files_names = {"tokenizer_file": "tokenizer.json"}
    model_input_names = ["input_ids", "attention_mask"]
    slow_tokenizer_class = None

    @property
    def vocabulary_digest(self) -> str:
        """Digest of all entries and their ids, by which a checkpoint recognises its own tokenizer."""
        entries = sorted((index, token) for token, index in self.get_vocab().items())
        if self.two_vocabularies:
            entries += sorted((index, token) for token, index in self.target_vocab.items())
        return hashlib.blake2b(json.dumps(entries).encode(), digest_size=16).hexdigest()

    @property
    def deprecation_warnings(self) -> dict[str, bool]:
        """Warnings that transformers has issued, shared by all tokenizers.

        An attribute of the tokenizer would change the fingerprint by which `datasets` caches.
        """
        return _warned

    @deprecation_warnings.setter
    def deprecation_warnings(self, _: dict[str, bool]) -> None:
        """Ignore the empty dict with which the base class initialises each tokenizer."""

    def morphemes(self, texts: Sequence[str], *, split_special_tokens: bool | None = None) -> list[list[Morpheme]]:
        """Analyse each text after step 1, with offsets into the text as given.

        `kgloss_hf.analyze` is KoNLPy's Okt on the text as given, without step 1.

        Args:
            texts: Sentences.
            split_special_tokens: Treat special tokens in a text as text (default: the tokenizer's own attribute, which
                is False).

        Raises:
            TypeError: A text is not a string.
            ValueError: This version does not have the stored analyser.
        """
        analyze = get_analyzer(self._option("analyzer"))
        split = self.split_special_tokens if split_special_tokens is None else split_special_tokens
        added = [token for token in self.added_tokens_decoder.values() if not (split and token.special)]
        analysed = analyze_texts(list(texts), analyze, added)
        return [list(map(self._or_name, row)) for row in analysed] if self._option("copy_names") else analysed

    def knows(self, morpheme: Morpheme) -> bool:
        """Return whether the morpheme's word, or its placeholder, is an entry of the vocabulary.

        With the pieces of a pre-trained encoder, return whether the word is a gloss or a word of training sentences.

        Args:
            morpheme: A morpheme from `morphemes`.

        Examples:
            >>> tokenizer = getfixture("tokenizer")
            >>> [tokenizer.knows(morpheme) for morpheme in tokenizer.morphemes(["토기 쿠스코"])[0]]
            [True, False]
        """
        surface, lemma, tag, *_ = morpheme
        word = word_of(surface, lemma, tag, self._option("lemmatize"), self._option("normalize"))
        if self.two_vocabularies:
            return word in _known_words(self)
        return self._tokenizer.token_to_id(word) is not None

    def have_words(self, analysed: list[list[Morpheme]]) -> list[bool]:
        """Return whether each text contains a word; a text of only punctuation and particles does not.

        Args:
            analysed: Morphemes of the texts, from `morphemes`.
        """
        return [bool(words) for words in self._pre_tokenize(analysed)[0]]

    def _or_name(self, morpheme: Morpheme) -> Morpheme:
        return morpheme._replace(tag=NAME) if morpheme.tag == "Noun" and not self.knows(morpheme) else morpheme

    def words(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the words of each text that the tokenizer keeps, before WordPiece splits them.

        Args:
            texts: Sentences.

        Raises:
            TypeError: A text is not a string.
            ValueError: This version does not have the stored analyser.
        """
        return self._pre_tokenize(self.morphemes(texts))[0]

    def __call__(
        self, text: Any = None, text_pair: Any = None, text_target: Any = None, **kwargs: Any
    ) -> BatchEncoding:
        text, text_pair = map(list_of_column, (text, text_pair))
        if text_target is None:
            return super().__call__(text, text_pair, **kwargs)
        if kwargs.pop("text_pair_target", None) is not None:
            raise ValueError("text_pair_target: expected nothing, as glosses have no pairs; pass only text_target")
        single = text is not None and not is_batch(text, bool(kwargs.get("is_split_into_words")))
        batched = is_batch_of_targets(text_target, None if text is None else 1 if single else len(text), single)
        limit = kwargs.pop("max_target_length", None)
        names = ("padding", "truncation", "max_length", "pad_to_multiple_of", "verbose")
        padding, truncation, max_length, _ = self._get_padding_truncation_strategies(
            **{name: kwargs[name] for name in names if name in kwargs}
        )
        limit = max_length if limit is None else limit
        rows, dropped = self.labels_of(text_target if batched else [text_target], limit, truncates(truncation))
        labels: list[Any] = rows if batched or kwargs.get("return_tensors") else rows[0]
        padded = self._pad_labels(
            labels,
            padding=padding,
            max_length=limit,
            pad_to_multiple_of=kwargs.get("pad_to_multiple_of"),
            return_attention_mask=kwargs.get("return_attention_mask"),
            return_tensors=kwargs.get("return_tensors"),
        )
        if text is None:
            say_dropped(targets=dropped)
            return padded
        encoding = super().__call__(text, text_pair, dropped_of_targets=dropped, **kwargs)
        encoding["labels"] = padded["input_ids"]
        return encoding

    def _pad_labels(self, labels: list[Any], **kwargs: Any) -> BatchEncoding:
        if not self.two_vocabularies:
            return self.pad({"input_ids": labels}, verbose=False, **kwargs)
        wanted, tensors = kwargs.pop("return_attention_mask"), kwargs.pop("return_tensors")
        padded = self.pad({"input_ids": labels}, verbose=False, return_attention_mask=True, **kwargs)
        pad, nested = self.target_special_ids["pad_token_id"], bool(labels) and isinstance(labels[0], list)
        ids, masks = ([row] if not nested else row for row in (padded["input_ids"], padded["attention_mask"]))
        rows = [[i if on else pad for i, on in zip(*row, strict=True)] for row in zip(ids, masks, strict=True)]
        columns = {"input_ids": rows if nested else rows[0], "attention_mask": padded["attention_mask"]}
        return BatchEncoding(columns if wanted is not False else {"input_ids": columns["input_ids"]}, None, tensors)

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Add tokens as any tokenizer does, even while other threads call this one.

        Args:
            new_tokens: A token, or a list of tokens.
            special_tokens: Whether they are special tokens (default False).

        Returns:
            The number of tokens that were not yet in the vocabulary.

        Raises:
            ValueError: A token has no visible character, so it could never be found in a text; or its id would be that
                of a gloss, because glosses follow the pieces of a pre-trained model.

        Examples:
            >>> import copy
            >>> copy.deepcopy(getfixture("tokenizer")).add_tokens(["괘불 미디어아트"])
            1
        """
        for token in new_tokens if isinstance(new_tokens, (list, tuple)) else [new_tokens]:
            if not normalize(str(token)):
                raise ValueError(f"added token: expected a visible character, found {str(token)!a}")
        if self.init_kwargs.get("target_start"):
            listed = new_tokens if isinstance(new_tokens, (list, tuple)) else [new_tokens]
            if new := [str(token) for token in listed if self._tokenizer.token_to_id(str(token)) is None]:
                raise ValueError(
                    f"added token: expected one of the {len(self)} pieces, as the ids of glosses follow directly, "
                    f"found {new[0]!a:.60}; add it to the pre-trained model's tokenizer before training"
                )
        with _backend_lock:
            added: int = super().add_tokens(new_tokens, special_tokens)
        return added

    def train_new_from_iterator(self, *_: Any, **__: Any) -> Any:
        """Refuse to train, as `kgloss_hf.train_tokenizer` learns a vocabulary together with its glosses.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "expected kgloss_hf.train_tokenizer(texts, glosses, …), which learns word pieces and appends the glosses; "
            "found train_new_from_iterator, which knows no glosses"
        )

    # Entry points for encoding. transformers 5 calls _encode_plus for one text and for several; transformers 4 calls it
    # for one, and _batch_encode_plus for several.
    def _encode_plus(
        self, text: Any, text_pair: Any = None, is_split_into_words: bool = False, **kwargs: Any
    ) -> BatchEncoding:
        single = not is_batch(text, is_split_into_words)
        batch = [text] if single else text
        if text_pair is not None:
            pairs = [text_pair] if single else text_pair
            if isinstance(pairs, str) or len(pairs) != len(batch):
                raise ValueError(f"text_pair: expected a list as long as text, {len(batch)}, found {pairs!r:.60}")
            batch = list(zip(batch, pairs, strict=True))
        encoding = self._batch_encode_plus(batch, is_split_into_words, **kwargs)
        if not single or kwargs.get("return_tensors") or kwargs.get("return_overflowing_tokens"):
            return encoding
        row = {key: value[0] if isinstance(value[0], list) else value for key, value in encoding.items()}
        return BatchEncoding(row, encoding.encodings)

    def _batch_encode_plus(
        self,
        batch_text_or_text_pairs: Any,
        is_split_into_words: bool = False,
        dropped_of_targets: tuple[int, int] = (0, 0),
        **kwargs: Any,
    ) -> BatchEncoding:
        with_offsets = bool(kwargs.get("return_offsets_mapping"))
        columns = columns_of(batch_text_or_text_pairs, is_split_into_words)
        if not columns:
            empty: dict[str, list[Any]] = {"input_ids": [], "attention_mask": []}
            return BatchEncoding(empty | {"offset_mapping": []} if with_offsets else empty)
        encoding = (self._whole_texts if self.two_vocabularies else self._words)(columns, with_offsets, **kwargs)
        counted = truncates(kwargs.get("truncation_strategy")) and not kwargs.get("return_overflowing_tokens")
        say_dropped(count_dropped(encoding) if counted else (0, 0), dropped_of_targets)
        return encoding

    def _words(self, columns: list[list[str]], with_offsets: bool, **kwargs: Any) -> BatchEncoding:
        """Encode the words kept of the texts and, for pairs, of the second texts."""
        split_special_tokens = kwargs.get("split_special_tokens")
        words: list[Words] = []
        spans: list[Spans] = []
        with collection_paused():
            for column in columns:
                analysed = self.morphemes(column, split_special_tokens=split_special_tokens)  # step 1
                kept = self._pre_tokenize(analysed, with_offsets)  # step 2
                words.append(kept[0])
                spans.append(kept[1])
            encoding = self._pieces_in_template(words, True, **kwargs)  # steps 3 and 4
            if with_offsets:
                _set_offsets(encoding, offsets_of_words(encoding, spans), kwargs)
            del analysed  # before the next collection
        return encoding

    def _whole_texts(self, columns: list[list[str]], with_offsets: bool, **kwargs: Any) -> BatchEncoding:
        """Encode texts with the pieces of a pre-trained encoder, after its prefix."""
        prefix = self.init_kwargs.get("prefix") or ""
        normal = [normalized_texts(column) for column in columns]
        prefixed = [[prefix + text for text in normal[0][0]], *(texts for texts, _ in normal[1:])]
        encoding = self._pieces_in_template(prefixed, False, **kwargs)
        if with_offsets:
            split = kwargs.get("split_special_tokens")
            with collection_paused():
                analysed = [self.morphemes(column, split_special_tokens=split) for column in columns]
                places = [spans for _, spans in normal]
                _set_offsets(encoding, offsets_of_pieces(encoding, analysed, places, len(prefix)), kwargs)
                del analysed  # before the next collection
        return encoding

    def _pre_tokenize(self, analysed: list[list[Morpheme]], with_spans: bool = False) -> tuple[Words, Spans]:
        """Return the words kept of each text, and their spans if requested (step 2)."""
        options = {name: self._option(name) for name in ("lemmatize", "normalize", "stop_words")}
        return kept_words(analysed, **options, with_spans=with_spans)

    def _pieces_in_template(self, columns: list[Any], are_words: bool, **kwargs: Any) -> BatchEncoding:
        """Let the backend split words, texts or pairs of these into pieces, and apply the template (steps 3 and 4)."""
        batch: list[Any] = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        base: Any = super()
        encode = getattr(base, "_batch_encode_plus", None) or base._encode_plus
        # The backend stores truncation and padding as settings, which a call from another thread would change.
        with _backend_lock:
            try:
                return encode(batch, is_split_into_words=are_words, **kwargs)
            finally:
                # Settings that stay would change the fingerprint by which `datasets` caches.
                self._tokenizer.no_truncation()
                self._tokenizer.no_padding()

    def _option(self, name: str) -> Any:
        return self.init_kwargs.get(name, OPTIONS[name])


# The tokenizer is saved with a copy of this file and its neighbours, so that trust_remote_code=True loads it without
# this package.
KGlossTokenizerFast.register_for_auto_class("AutoTokenizer")


def _set_offsets(encoding: BatchEncoding, offsets: Spans, arguments: dict[str, Any]) -> None:
    encoding.update(BatchEncoding({"offset_mapping": offsets}, tensor_type=arguments.get("return_tensors")))


_known: WeakKeyDictionary[KGlossTokenizerFast, tuple[Any, frozenset[str]]] = WeakKeyDictionary()


def _known_words(tokenizer: KGlossTokenizerFast) -> frozenset[str]:
    """Return the glosses and the words of the training sentences, cached outside the tokenizer.

    An attribute would change the fingerprint for `datasets`.
    """
    lists = [tokenizer.init_kwargs.get(name) or () for name in ("known_words", "glosses")]
    kept = _known.get(tokenizer)
    if kept is None or any(now is not then for now, then in zip(lists, kept[0], strict=True)):
        kept = _known[tokenizer] = (lists, frozenset(["Number", "Alpha", *lists[0], *lists[1]]))
    return kept[1]
