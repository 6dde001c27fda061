"""Compare predicted places of glosses in the sentence with those that people marked."""

from __future__ import annotations

from collections.abc import Sequence

from .sequences import as_signed

Spans = list[tuple[int, int] | None]
"""Start and end of each gloss in characters of the sentence, the end exclusive; or None."""


def alignment_scores(
    predictions: Sequence[Sequence[str]],
    alignments: Sequence[Spans | None],
    references: Sequence[Sequence[str]],
    spans: Sequence[Spans],
) -> dict[str, float]:
    """Compare the spans of predicted glosses with those of the same glosses in the references.

    Equal glosses of a row's prediction and reference, compared as they are signed, are matched in order by the longest
    common subsequence; of several, the one that matches earliest. Only matches with a reference span count.

    Args:
        predictions: Gloss sequences of the system.
        alignments: Span of each gloss of each prediction; None for a row that is left out.
        references: Gloss sequences, one per prediction.
        spans: Span of each gloss of each reference.

    Returns:
        The number of glosses that were `matched`, and of those that were `compared` because they have a reference span.
        For the latter, from 0 to 1: `coverage`, the share with a predicted span; `overlap`, the share whose predicted
        span overlaps the reference span; and `iou`, the mean of the spans' intersection over their union, which is 0
        without a predicted span. The shares are absent where no gloss was compared.

    Raises:
        ValueError: The arguments have different lengths.

    Examples:
        >>> spans = [[(0, 2), (3, 7)]]
        >>> alignment_scores([["집", "불"]], [[(0, 1), None]], [["집", "불"]], spans)
        {'matched': 2, 'compared': 2, 'coverage': 0.5, 'overlap': 0.5, 'iou': 0.25}
    """
    matched = 0
    unions: list[float] = []
    covered = overlapping = 0
    sides = as_signed(list(map(list, predictions))), as_signed(list(map(list, references)))
    for prediction, own, reference, gold in zip(sides[0], alignments, sides[1], spans, strict=True):
        for first, second in _matches(prediction, reference) if own is not None else ():
            matched += 1
            if (wanted := gold[second]) is None or own is None:
                continue
            span = own[first]
            shared = max(0, min(span[1], wanted[1]) - max(span[0], wanted[0])) if span else 0
            covered += span is not None
            overlapping += shared > 0
            lengths = sum(end - start for start, end in (span, wanted)) if span else 0
            unions.append(shared / (lengths - shared) if shared else 0.0)
    result: dict[str, float] = {"matched": matched, "compared": len(unions)}
    if not unions:
        return result
    shares = {"coverage": covered, "overlap": overlapping, "iou": sum(unions)}
    return result | {name: total / len(unions) for name, total in shares.items()}


def _matches(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of a longest common subsequence in both sequences."""
    longest = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) - 1, -1, -1):
        for j in range(len(second) - 1, -1, -1):
            equal = first[i] == second[j]
            longest[i][j] = longest[i + 1][j + 1] + 1 if equal else max(longest[i + 1][j], longest[i][j + 1])
    places, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        if first[i] == second[j]:
            places.append((i, j))
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return places
