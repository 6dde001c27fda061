"""Filters that judge a back-translated pair by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..runtime.normalization import normalize
from .near_duplicates import check_jaccard, folded

REASONS = ("empty", "identical", "script", "length", "repetition", "similarity", "near_duplicate")
"""Reasons for dropping a pair, in the order of the filters; only the first that applies is counted.

`empty`: a side is blank. `identical`: the sides are equal except for case, white space, punctuation and symbols.
`script`: too little of the target is Hangul. `length`: the target is too short or too long for the source.
`repetition`: the target repeats something over and over, and the source does not. `similarity`: the sides differ too
much in meaning. `near_duplicate`: an earlier pair is nearly the same.
"""

_LONGEST_LOOP = 30  # words, or letters, in the longest n-gram that is checked for repetition
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc]")
_WORD = re.compile(r"\w(?:\S*\w)?")
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Thresholds:
    """Thresholds that a pair must meet to be kept; options of `kgloss back-translate`.

    Raises:
        ValueError: A value is out of its range.

    Examples:
        >>> Thresholds(min_hangul=50)
        Traceback (most recent call last):
        ValueError: min_hangul: expected a number from 0 to 1, found 50; 0.5 is half of the letters
    """

    min_hangul: float = field(
        default=0.3,
        metadata={
            "help": "Minimum share of Hangul among the target's letters; a target without letters has a share of 0. "
            "0 turns this off."
        },
    )
    min_length_ratio: float = field(
        default=0.3, metadata={"help": "Minimum ratio of the target's characters to the source's; 0 turns this off."}
    )
    max_length_ratio: float = field(
        default=3.0, metadata={"help": "Maximum ratio of the target's characters to the source's; inf turns this off."}
    )
    max_word_repeats: int = field(
        default=2,
        metadata={"help": "Maximum number of times in a row that the target may repeat a sequence of up to 30 words."},
    )
    max_letter_repeats: int = field(
        default=3,
        metadata={
            "help": "Maximum number of times in a row that a word may repeat a sequence of up to 30 letters; digits do "
            "not count."
        },
    )
    near_duplicates: float = field(
        default=0.9,
        metadata={
            "help": "Jaccard index of two pairs' character trigrams, from 0.5 to 1, at or above which the later pair "
            "is dropped; 0 turns this off."
        },
    )
    min_similarity: float | None = field(
        default=None,
        metadata={"help": "Minimum cosine similarity of the sentences' meanings; needs --semantic_model."},
    )

    def __post_init__(self) -> None:
        if not 0 <= self.min_hangul <= 1:
            raise ValueError(
                f"min_hangul: expected a number from 0 to 1, found {self.min_hangul!r}; 0.5 is half of the letters"
            )
        low, high = self.min_length_ratio, self.max_length_ratio
        if not (0 <= low <= high and high > 0):
            raise ValueError(
                f"expected 0 <= min_length_ratio <= max_length_ratio, found {low!r} and {high!r}; equal lengths are 1"
            )
        for name in ("max_word_repeats", "max_letter_repeats"):
            if not getattr(self, name) >= 1:
                raise ValueError(
                    f"{name}: expected at least 1, found {getattr(self, name)!r}; 1 allows no repetition at all"
                )
        if self.near_duplicates:
            check_jaccard("near_duplicates", self.near_duplicates)
        if self.min_similarity is not None and not -1 <= self.min_similarity <= 1:
            raise ValueError(
                f"min_similarity: expected a cosine from -1 to 1 or None, found {self.min_similarity!r}; write 0.7 "
                "for 70%"
            )


def reason(source: str, target: str, similarity: float | None, thresholds: Thresholds) -> str:
    """Return the reason for dropping a pair, judging by the pair alone.

    Args:
        source: The original sentence.
        target: The back-translated sentence.
        similarity: The pair's similarity from `SemanticScorer`, or None.
        thresholds: Thresholds to apply.

    Returns:
        One of `REASONS` except the last, or "" for a pair to keep.

    Raises:
        ValueError: `thresholds.min_similarity` is set, and the pair passed every other filter but has no similarity.

    Examples:
        >>> reason("불이 났어요.", "불이 났어요!", None, Thresholds())
        'identical'
        >>> reason("그리고 집에 갔다.", "그리고 그리고 그리고 갔다.", None, Thresholds())
        'repetition'
        >>> reason("불이 났어요.", "화재가 났습니다.", None, Thresholds())
        ''
    """
    source, target = (normalize(text).strip() for text in (source, target))
    if not source or not target:
        return "empty"
    if folded(source) == folded(target):
        return "identical"
    if _hangul_share(target) < thresholds.min_hangul:
        return "script"
    if not thresholds.min_length_ratio <= len(target) / len(source) <= thresholds.max_length_ratio:
        return "length"
    if _repeats(target, thresholds) and not _repeats(source, thresholds):
        return "repetition"
    if thresholds.min_similarity is not None:
        if similarity is None:
            raise ValueError("similarity: expected a number, since min_similarity is set, found None; score the pair")
        if not similarity >= thresholds.min_similarity:
            return "similarity"
    return ""


def _hangul_share(text: str) -> float:
    letters = sum(map(str.isalpha, text))
    return len(_HANGUL.findall(text)) / letters if letters else 0.0


def _repeats(text: str, thresholds: Thresholds) -> bool:
    if _loops(_WORD.findall(text), thresholds.max_word_repeats + 1):
        return True
    times = thresholds.max_letter_repeats + 1
    return any(_loops(letters, times) for letters in _LETTERS.findall(text) if len(letters) >= times)


def _loops(items: Sequence[str], times: int) -> bool:
    """Return whether an n-gram occurs `times` times in a row, in one step per item and n-gram length."""
    for length in range(1, min(len(items) // times, _LONGEST_LOOP) + 1):
        run = 0
        for item, later in zip(items, items[length:], strict=False):
            run = run + 1 if item == later else 0
            if run == length * (times - 1):
                return True
    return False
