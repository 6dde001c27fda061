"""What one would use without a model: the sentence's own words as glosses, or a similar sentence's glosses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..data.pairs import Split
from ..optional import require
from ..runtime.glosses import CENTURY, PLACEHOLDERS, content_of
from ..runtime.okt import Morpheme, analyze
from ..runtime.placeholders import restore_placeholders
from .metrics import gloss_lists

COPIED_TAGS = ("Noun", "Verb", "Adjective", "Adverb", "VerbPrefix", "Number", "Alpha")
"""Okt's tags of content words, which Korean Sign Language signs too. A VerbPrefix is 못, 안 or 잘: mostly negation."""

_SIMILARITIES_AT_ONCE = 4_000_000


def copy_glosses(texts: Sequence[str]) -> list[list[str]]:
    """The content words of each text as glosses, in their order: no training and no gloss vocabulary.

    Copied are the dictionary forms of Okt's Noun (which includes pronouns and counting words), Verb, Adjective, Adverb
    and VerbPrefix (못, 안, 잘), and Number and Alpha (Latin words) by their content. A number and 세기 (century)
    make one gloss, `4C`, as in the paper's data (Table 2). Left out is what the grammar of Korean Sign Language does
    without, or shows by place and face: particles, endings, suffixes, determiners, conjunctions, exclamations,
    punctuation.

    Args:
        texts: Korean sentences; a blank one gives an empty list.

    Returns:
        One list of glosses a text.

    Raises:
        TypeError: `texts` is one string, or an item is not a string.
        ImportError: KoNLPy, JPype or a Java runtime is missing.
        RuntimeError: The JVM cannot be started, or was started before this process was forked.

    Example:
        >>> copy_glosses(["4세기의 아름다운 유물을 QR 코드로 천천히 보세요."])
        [['4C', '아름답다', '유물', 'QR', '코드', '천천히', '보다']]
    """
    # Okt knows ASCII white space only
    return [_content_words(morphemes) for morphemes in analyze([" ".join(text.split()) for text in _checked(texts)])]


class NearestNeighbour:
    """The glosses of the most similar training sentence: the bar a trained model has to clear.

    Similarity is the cosine between TF-IDF vectors of character 1- to 4-grams. Of equally similar sentences the first
    wins; a sentence that shares no character with any gets the first one's glosses. Needs scikit-learn.

    Example:
        >>> neighbour = NearestNeighbour().fit(["집에 불이 났어요.", "도와주세요."], [["집", "불"], ["돕다", "부탁"]])
        >>> neighbour.predict(["불이 났어요!"])
        [['집', '불']]
    """

    def __init__(self) -> None:
        self._vectorizer: Any = None
        self._vectors: Any = None
        self._glosses: list[list[str]] = []

    def fit(self, texts: Sequence[str], glosses: Iterable[str | Iterable[str]]) -> NearestNeighbour:
        """Remember the training sentences; a second call forgets the first.

        Args:
            texts: Korean sentences.
            glosses: As many gloss sequences: lists of glosses, or strings of glosses separated by white space.

        Returns:
            Itself.

        Raises:
            TypeError: `texts` or `glosses` is one string, or an item is of another type.
            ValueError: The two lengths differ, there are no pairs, or every text is blank.
            ImportError: scikit-learn is missing.
        """
        sentences, targets = _checked(texts), gloss_lists(glosses)
        if len(sentences) != len(targets):
            raise ValueError(
                f"expected one gloss sequence a text, found {len(sentences)} texts and {len(targets)} gloss sequences; "
                "pass two columns of the same rows"
            )
        if not any(text.strip() for text in sentences):
            raise ValueError(
                f"expected at least one text that is not blank, found {len(sentences)} texts; check the split"
            )
        require("train", "sklearn", purpose="NearestNeighbour")
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4))
        self._vectors = self._vectorizer.fit_transform(sentences).T.tocsr()
        self._glosses = targets
        return self

    def predict(self, texts: Sequence[str]) -> list[list[str]]:
        """The glosses of the nearest training sentence, for each text.

        Args:
            texts: Korean sentences, any number; compared some at a time, four million similarities (32 MB).

        Returns:
            One list of glosses a text.

        Raises:
            TypeError: `texts` is one string, or an item is not a string.
            ValueError: `fit` has not been called.
        """
        if self._vectorizer is None:
            raise ValueError("predict expects training sentences, found none; call fit(texts, glosses) first")
        sentences = _checked(texts)
        size = max(1, _SIMILARITIES_AT_ONCE // len(self._glosses))
        nearest: list[list[str]] = []
        for start in range(0, len(sentences), size):
            similarities = self._vectorizer.transform(sentences[start : start + size]) @ self._vectors
            nearest += (list(self._glosses[row]) for row in similarities.toarray().argmax(axis=1))
        return nearest


def baseline_predictions(split: Split) -> dict[str, list[list[str]]]:
    """What both baselines answer to the sentences of a split's test part.

    Args:
        split: From `kgloss_hf.data.pairs.split_pairs`; its training part is what the nearest neighbour searches.

    Returns:
        For `copy` and `nearest neighbour` one list of glosses a test pair.
    """
    texts = [pair.text for pair in split.test]
    training = [[content_of(gloss) for gloss in pair.glosses] for pair in split.train]
    neighbour = NearestNeighbour().fit([pair.text for pair in split.train], training)
    return {"copy": copy_glosses(texts), "nearest neighbour": neighbour.predict(texts)}


def _content_words(morphemes: Sequence[Morpheme]) -> list[str]:
    words = []
    previous = ""
    for morpheme in morphemes:
        part_of_number = previous == "Number" and morpheme.surface == CENTURY
        if morpheme.tag in COPIED_TAGS and not part_of_number:
            words.append(morpheme.tag if morpheme.tag in PLACEHOLDERS else morpheme.lemma)
        previous = morpheme.tag
    return restore_placeholders(words, morphemes)


def _checked(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError(f"texts: expected a list of strings, found one string; write [{texts!r:.40}]")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{index}]: expected a string, found {type(text).__name__}; check for missing values")
    return list(texts)
