"""Read gloss sequences in any form as lists of glosses, and bring glosses into the form that is compared.

A gloss sequence is a list of glosses, or a string for `kgloss_hf.runtime.glosses.split_glosses`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from ..runtime.glosses import content_of, split_glosses
from ..runtime.normalization import normalize


class GlossLists(list[list[str]]):
    """Gloss sequences that are known to be lists of glosses, so that nothing in them is taken for something else."""


def gloss_pairs(
    predictions: Iterable[str | Iterable[str]], references: Iterable[str | Iterable[str]]
) -> tuple[list[list[str]], list[list[str]]]:
    """Check both arguments and return them as lists of gloss lists, which every gloss metric starts from.

    Args:
        predictions: As for `kgloss_hf.evaluation.metrics.jaccard`.
        references: As many gloss sequences as `predictions` has.

    Returns:
        Predictions and references, in order; items that are lists are not copied, which takes long for a million.

    Raises:
        TypeError: An argument is one string or no sequence, or one of its items is no gloss sequence.
        ValueError: As for `kgloss_hf.evaluation.metrics.jaccard`.

    Example:
        >>> gloss_pairs(["집 불"], [["집", "불"]])
        ([['집', '불']], [['집', '불']])
    """
    hypothesis_lists = _as_lists(predictions, "predictions")
    reference_lists = _as_lists(references, "references")
    if len(hypothesis_lists) != len(reference_lists):
        raise ValueError(
            f"expected one reference per prediction, found {len(hypothesis_lists)} predictions and "
            f"{len(reference_lists)} references; where a sentence has several references, choose one or repeat it"
        )
    if not hypothesis_lists:
        raise ValueError("expected at least one pair, found none; check that the split or filter left some rows")
    return hypothesis_lists, reference_lists


def gloss_lists(sequences: Iterable[str | Iterable[str]], name: str = "glosses") -> list[list[str]]:
    """Return gloss sequences as lists of glosses: split strings, and refuse what is neither.

    Args:
        sequences: A list of lists of glosses, of strings, or of both; tuples, arrays and dataset columns do as well.
        name: What errors call the argument.

    Returns:
        One new list of glosses per sequence.

    Raises:
        TypeError: `sequences` is one string or not iterable, or one of its items is no gloss sequence.
        ValueError: As for `gloss_list`.

    Example:
        >>> gloss_lists(["집  불", ["V (불꽃무늬)"], "V (불꽃무늬) 집"])
        [['집', '불'], ['V (불꽃무늬)'], ['V (불꽃무늬)', '집']]
    """
    return [list(glosses) for glosses in _as_lists(sequences, name)]


def gloss_list(sequence: str | Iterable[str], name: str = "glosses") -> list[str]:
    """Return one gloss sequence as a list of glosses.

    Args:
        sequence: A list of glosses; or a string of glosses with any white space between them, or of a JSON list.
        name: What errors call the argument.

    Returns:
        The list; `sequence` itself where it is one.

    Raises:
        TypeError: `sequence` is neither, or one of its items is no string.
        ValueError: Each string in a list holds several glosses, or a string begins a JSON list that is none.

    Example:
        >>> gloss_list("집  불 V (불꽃무늬)")
        ['집', '불', 'V (불꽃무늬)']
    """
    if isinstance(sequence, str):
        try:
            glosses = split_glosses(" ".join(sequence.split()))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    elif not _is_listing(sequence):
        kind = type(sequence).__name__
        repair = "take its 'glosses'" if isinstance(sequence, Mapping) else "check for missing values"
        raise TypeError(f"{name}: expected a list of glosses or a string, found {kind}; {repair}")
    else:
        glosses = sequence if isinstance(sequence, list) else list(sequence)
    for gloss in glosses:
        if not isinstance(gloss, str):
            kind = type(gloss).__name__
            raise TypeError(f"{name}: expected glosses as strings, found {kind}; pass one decoded sequence per pair")
    if glosses and not isinstance(sequence, str) and all(map(_holds_several, glosses)):
        raise ValueError(
            f"{name}: expected glosses, found strings of several glosses in a list, {glosses!r:.60}; for one sequence "
            "pass the string itself, of several references choose one, and one gloss with spaces pass as a JSON list"
        )
    return glosses


def as_signed(sequences: list[list[str]]) -> list[list[str]]:
    """Return gloss sequences as they are compared: placeholders by their content, and characters in one form.

    Args:
        sequences: Lists of glosses; returned themselves where nothing in them differs.

    Example:
        >>> as_signed([["Number/4C", "흙", "\u1109\u1165\u11ab"]])
        [['4C', '흙', '선']]
    """
    forms = {gloss: content_of(normalize(gloss)) for gloss in set(chain.from_iterable(sequences))}
    changed = {gloss: form for gloss, form in forms.items() if form != gloss}
    if not changed:
        return sequences
    return [[changed.get(gloss, gloss) for gloss in glosses] for glosses in sequences]


def _holds_several(text: str) -> bool:
    if not text.startswith("[") and len(text.split()) < 2:
        return False
    try:
        return text.startswith("[") or len(split_glosses(" ".join(text.split()))) > 1
    except ValueError:
        return False


def _as_lists(sequences: Iterable[str | Iterable[str]], name: str) -> list[list[str]]:
    if isinstance(sequences, GlossLists):
        return sequences
    if isinstance(sequences, str):
        raise TypeError(f"{name}: expected a list of gloss sequences, found one string; write [{sequences!r:.40}]")
    if not _is_listing(sequences):
        raise TypeError(f"{name}: expected a list of gloss sequences, found {type(sequences).__name__}; pass a list")
    return [gloss_list(sequence, f"{name}[{index}]") for index, sequence in enumerate(sequences)]


def _is_listing(value: object) -> bool:
    # Asking for Iterable is slow, and nearly every value is a list.
    return isinstance(value, list) or (isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping)))
