"""Read gloss sequences in any form as lists of glosses, and bring glosses into the form that is compared.

A gloss sequence is a list of glosses, or a string for `kgloss_hf.runtime.glosses.split_glosses`. Several references of
one prediction are a list of lists of glosses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

from ..reporting import counted
from ..runtime.glosses import content_of, split_glosses
from ..runtime.normalization import normalize


class GlossLists(list[list[str]]):
    """Gloss sequences that are known to be lists of glosses, so that nothing in them is mistaken for something else."""


class GlossReferences(list[list[list[str]]]):
    """Lists of references per prediction that are known to be lists of lists of glosses."""


class GlossPairs(NamedTuple):
    """Pairs of a prediction and a reference.

    `counts` holds the number of references of each prediction, whose pairs are adjacent; it is None where each
    prediction has one.
    """

    predictions: list[list[str]]
    references: list[list[str]]
    counts: list[int] | None = None


def gloss_pairs(
    predictions: Iterable[str | Iterable[str]], references: Iterable[str | Iterable[str] | Iterable[Iterable[str]]]
) -> GlossPairs:
    """Check both arguments and return them as pairs of gloss lists, which every gloss metric starts from.

    Args:
        predictions: As for `kgloss_hf.evaluation.metrics.jaccard`.
        references: As for `kgloss_hf.evaluation.metrics.jaccard`: one gloss sequence per prediction, or a list of
            lists of glosses where it has several.

    Returns:
        The pairs, in order. A prediction with several references is repeated for each of them. Items that are lists
        are not copied, because that takes long for a million.

    Raises:
        TypeError: An argument is a single string or not iterable, or one of its items is not a gloss sequence.
        ValueError: As for `kgloss_hf.evaluation.metrics.jaccard`.

    Examples:
        >>> gloss_pairs(["집 불"], [["집", "불"]])
        GlossPairs(predictions=[['집', '불']], references=[['집', '불']], counts=None)
        >>> gloss_pairs(["집 불"], [[["집"], ["불"]]])
        GlossPairs(predictions=[['집', '불'], ['집', '불']], references=[['집'], ['불']], counts=[2])
    """
    hypothesis_lists = _as_lists(predictions, "predictions")
    reference_lists, counts = _references(references)
    rows = len(reference_lists if counts is None else counts)
    if len(hypothesis_lists) != rows:
        raise ValueError(
            f"expected one item of references per prediction, found "
            f"{counted(len(hypothesis_lists), 'prediction')} and {counted(rows, 'reference')}; where a sentence has "
            "several references, pass them as a list of lists of glosses, or repeat it"
        )
    if not hypothesis_lists:
        raise ValueError("expected at least one pair, found none; check that the split or filter left some rows")
    if counts is not None:
        hypothesis_lists = [row for row, count in zip(hypothesis_lists, counts, strict=True) for _ in range(count)]
    return GlossPairs(hypothesis_lists, reference_lists, counts)


def gloss_references(references: Iterable[Any]) -> GlossLists | GlossReferences:
    """Check references and return them as lists of glosses, or as lists of such lists where some row has several.

    Args:
        references: As for `kgloss_hf.evaluation.metrics.jaccard`.

    Raises:
        TypeError: `references` is a single string or not iterable, or one of its items is not a gloss sequence.
        ValueError: As for `gloss_list`.

    Examples:
        >>> gloss_references(["집 불", ["물"]]), gloss_references(["집 불", [["물"], []]])
        ([['집', '불'], ['물']], [[['집', '불']], [['물'], []]])
    """
    lists, counts = _references(references)
    if counts is None:
        return GlossLists(lists)
    rest = iter(lists)
    return GlossReferences(list(islice(rest, count)) for count in counts)


def gloss_lists(sequences: Iterable[str | Iterable[str]], name: str = "glosses") -> list[list[str]]:
    """Return gloss sequences as lists of glosses, with strings split.

    Args:
        sequences: A list of lists of glosses, of strings, or of both; tuples, arrays and dataset columns work as well.
        name: Name of the argument in errors.

    Returns:
        One new list of glosses per sequence.

    Raises:
        TypeError: `sequences` is a single string or not iterable, or one of its items is not a gloss sequence.
        ValueError: As for `gloss_list`.

    Examples:
        >>> gloss_lists(["집  불", ["V (불꽃무늬)"], "V (불꽃무늬) 집"])
        [['집', '불'], ['V (불꽃무늬)'], ['V (불꽃무늬)', '집']]
    """
    return [list(glosses) for glosses in _as_lists(sequences, name)]


def gloss_list(
    sequence: str | Iterable[str], name: str = "glosses", split: Callable[[str], list[str]] = split_glosses
) -> list[str]:
    """Return one gloss sequence as a list of glosses.

    Args:
        sequence: A list of glosses, a string of glosses with any white space between them, or a JSON list as a string.
        name: Name of the argument in errors.
        split: Function that splits a string (default: `kgloss_hf.runtime.glosses.split_glosses`).

    Returns:
        The list of glosses, which is `sequence` itself if that is a list.

    Raises:
        TypeError: `sequence` is neither a string nor a list or similar, or one of its items is not a string.
        ValueError: Each string in a list holds several glosses, or a string begins like a JSON list but is not one.

    Examples:
        >>> gloss_list("집  불 V (불꽃무늬)")
        ['집', '불', 'V (불꽃무늬)']
    """
    if isinstance(sequence, str):
        try:
            glosses = split(" ".join(sequence.split()))
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
            f"{name}: expected glosses, found strings of several glosses in a list, {glosses!r:.60}; pass one sequence "
            "as the string itself, choose one of several references or pass a list of lists of glosses, and pass one "
            "gloss with spaces as a JSON list"
        )
    return glosses


def as_signed(sequences: list[list[str]]) -> list[list[str]]:
    """Return gloss sequences in the form that is compared: contents for placeholders, and characters in one form.

    Args:
        sequences: Lists of glosses; returned themselves if nothing in them changes.

    Examples:
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
    _check_listing(sequences, name)
    return [gloss_list(sequence, f"{name}[{index}]") for index, sequence in enumerate(sequences)]


def _references(references: Iterable[Any]) -> tuple[list[list[str]], list[int] | None]:
    """Return all references in one list, and how many each prediction has, or None where each has one."""
    if isinstance(references, GlossLists):
        return references, None
    if isinstance(references, GlossReferences):
        counts = list(map(len, references))
        if 0 in counts:
            raise ValueError(f"references[{counts.index(0)}]: expected references, found none; remove the row")
        lists = list(chain.from_iterable(references))
        return lists, None if len(lists) == len(counts) else counts
    _check_listing(references, "references")
    several: dict[int, int] = {}

    def read(row: Any, index: int) -> list[list[str]] | list[str]:
        name = f"references[{index}]"
        row = list(row) if not isinstance(row, (str, list)) and _is_listing(row) else row
        if not isinstance(row, list) or not row or isinstance(row[0], str) or not _is_listing(row[0]):
            return gloss_list(row, name)
        several[index] = len(row)
        return [_reference(reference, f"{name}[{number}]") for number, reference in enumerate(row)]

    # Nearly every row is a list of strings, which the first condition finds fast.
    rows: list[Any] = [
        gloss_list(row, f"references[{index}]")
        if isinstance(row, list) and row and isinstance(row[0], str)
        else read(row, index)
        for index, row in enumerate(references)
    ]
    if not several:
        return rows, None
    lists = [glosses for index, row in enumerate(rows) for glosses in (row if index in several else [row])]
    return lists, None if len(lists) == len(rows) else [several.get(index, 1) for index in range(len(rows))]


def _reference(reference: Any, name: str) -> list[str]:
    if isinstance(reference, str):
        raise TypeError(f"{name}: expected a list of glosses like the first reference, found a string; split it")
    return gloss_list(reference, name)


def _check_listing(sequences: object, name: str) -> None:
    if isinstance(sequences, str):
        raise TypeError(f"{name}: expected a list of gloss sequences, found one string; write [{sequences!r:.40}]")
    if not _is_listing(sequences):
        raise TypeError(f"{name}: expected a list of gloss sequences, found {type(sequences).__name__}; pass a list")


def _is_listing(value: object) -> bool:
    # Asking for Iterable is slow, and nearly every value is a list.
    return isinstance(value, list) or (isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping)))
