"""Baselines without a model: the sentence's own words as glosses, or a similar sentence's glosses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from ..data.language import check_language
from ..data.pairs import Pair, Split
from ..optional import require
from ..runtime.analyzers import ANALYZER, get_analyzer
from ..runtime.glosses import CENTURY, PLACEHOLDERS, content_of
from ..runtime.normalization import normalize_line
from ..runtime.okt import Morpheme
from ..runtime.placeholders import restore_placeholders

# Okt's tags of content words, which Korean Sign Language signs too. A VerbPrefix is 못, 안 or 잘: mostly negation.
_COPIED_BY_OKT = re.compile("Noun|Verb|Adjective|Adverb|VerbPrefix|Number|Alpha")
# Sejong tags of what Okt's list leaves out: endings (E*), affixes (XP*, XS*), auxiliary verbs (VX), 이다 (VCP),
# determiners (MM), conjunctions (MAJ) and exclamations (IC). Words of `whitespace` have none of these tags.
_COPIED_OTHERWISE = re.compile("(?!Josa|Punctuation|E[A-Z]|X[PS]|VX|VCP|MM|MAJ|IC).*")
_SIMILARITIES_AT_ONCE = 4_000_000


def baseline_predictions(split: Split, analyzer: str = ANALYZER) -> dict[str, list[list[str]]]:
    """Return the glosses of two baselines for the sentences of a split's test set.

    `copy` takes the content words of the sentence in their order, without training or a gloss vocabulary: the
    dictionary forms of Okt's Noun (which includes pronouns and counting words), Verb, Adjective, Adverb and VerbPrefix
    (못, 안, 잘), and Number and Alpha (Latin words) by their content. A number and 세기 (century) make one gloss, `4C`,
    as in the paper's data (Table 2). `copy` leaves out what the grammar of Korean Sign Language omits or expresses by
    place and face: particles, endings, suffixes, determiners, conjunctions, exclamations, punctuation.
    With Kiwi, MeCab and Komoran, it takes the same parts of speech; with `whitespace`, every word. Copied words are
    upper-cased where most gloss tokens of the training set are upper case (`WETTER`), and lower-cased where most are
    lower case.

    `nearest neighbour` takes the glosses of the most similar training sentence. A trained model should score higher.
    Similarity is the cosine between TF-IDF vectors of character 1- to 4-grams. Of equally similar sentences, the first
    wins; a sentence that shares no character with any training sentence gets the glosses of the first.

    Args:
        split: Split from `kgloss_hf.data.pairs.split_pairs`; the nearest neighbour searches its training set.
        analyzer: Name of the morphological analyser that finds the words to copy (default: `okt`).

    Returns:
        For each baseline one list of glosses per test pair.

    Raises:
        ValueError: The analyser is unknown or does not read the language of the training sentences.
        ImportError: scikit-learn, KoNLPy, JPype, a Java runtime or another analyser's package is missing.
        RuntimeError: The JVM cannot be started, or was started before this process was forked.

    Examples:
        >>> training = [Pair("집에 불이 났어요.", ("집", "불")), Pair("도와주세요.", ("돕다", "부탁"))]
        >>> baseline_predictions(Split(training, [], [Pair("4세기의 불이 났어요!", ())]))
        {'copy': [['4C', '불', '나다']], 'nearest neighbour': [['집', '불']]}
    """
    texts = [normalize_line(pair.text) for pair in split.test]
    check_language(analyzer, (pair.text for pair in split.train))
    tags = _COPIED_BY_OKT if analyzer == "okt" else _COPIED_OTHERWISE
    fold = _case_of(gloss for pair in split.train for gloss in pair.glosses)
    copied = [list(map(fold, _content_words(morphemes, tags))) for morphemes in get_analyzer(analyzer)(texts)]
    return {"copy": copied, "nearest neighbour": _nearest_glosses(split.train, texts)}


def _case_of(glosses: Iterable[str]) -> Callable[[str], str]:
    """Return a function that writes a word in the case of most gloss tokens: upper, lower, or unchanged (Hangul)."""
    tokens = list(glosses)
    for fold, other in ((str.upper, str.lower), (str.lower, str.upper)):
        if 2 * sum(gloss == fold(gloss) != other(gloss) for gloss in tokens) > len(tokens):
            return fold
    return str


def _content_words(morphemes: Sequence[Morpheme], tags: re.Pattern[str]) -> list[str]:
    words = []
    previous = ""
    for morpheme in morphemes:
        part_of_number = previous == "Number" and morpheme.surface == CENTURY
        if tags.fullmatch(morpheme.tag) and not part_of_number:
            words.append(morpheme.tag if morpheme.tag in PLACEHOLDERS else morpheme.lemma)
        previous = morpheme.tag
    return restore_placeholders(words, morphemes)


def _nearest_glosses(training: Sequence[Pair], texts: Sequence[str]) -> list[list[str]]:
    """Return the glosses of each text's nearest training pair, comparing four million similarities (32 MB) at once."""
    require("train", "sklearn", purpose="the nearest-neighbour baseline")
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4))
    vectors = vectorizer.fit_transform([normalize_line(pair.text) for pair in training]).T.tocsr()
    size = max(1, _SIMILARITIES_AT_ONCE // len(training))
    nearest: list[Pair] = []
    for start in range(0, len(texts), size):
        similarities = vectorizer.transform(texts[start : start + size]) @ vectors
        nearest += (training[row] for row in similarities.toarray().argmax(axis=1))
    return [[content_of(gloss) for gloss in pair.glosses] for pair in nearest]
