"""Favour words that occur in the sentence, and penalise repetition, as two settings of transformers do."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeGuard

import torch
from transformers import EncoderRepetitionPenaltyLogitsProcessor, LogitsProcessor

PENALTY = "encoder_repetition_penalty"
"""Setting of a GenerationConfig: above 1, it favours ids that occur in the source; 1 or None is off."""

REPETITION = "repetition_penalty"
"""Setting of a GenerationConfig: above 1, it penalises ids that were emitted before; 1 or None is off."""


def is_penalised(penalty: float | None) -> TypeGuard[float]:
    """Return whether a value of either setting changes scores.

    Args:
        penalty: Value of the setting.

    Examples:
        >>> is_penalised(None), is_penalised(1), is_penalised(3.0)
        (False, False, True)
    """
    return penalty is not None and penalty != 1


class Penalty:
    """Penalty on the scores of some ids in a batch, computed as in transformers.

    A score below 0 is multiplied by the factor; any other score is divided by it. Greedy search applies this to the
    model's raw scores, beam search to logarithms of probabilities.

    Args:
        factor: Positive factor; above 1, it lowers scores.
        stands: Mask of the ids concerned, batch × ids, or batch × length × ids.

    Examples:
        >>> penalty = source_penalty(2.0, torch.tensor([[1], [3]]), torch.tensor([1, 3]), 4)
        >>> penalty(torch.tensor([[4.0, 4.0], [-4.0, -4.0]])).tolist()
        [[8.0, 4.0], [-4.0, -2.0]]
    """

    def __init__(self, factor: float, stands: torch.Tensor) -> None:
        self._factor = factor
        self._set(stands)

    def _set(self, stands: torch.Tensor) -> None:
        self._stands, self._places = stands, stands.flatten().nonzero().squeeze(1)

    def keep(self, rows: torch.Tensor) -> None:
        """Keep only these rows.

        Args:
            rows: Their indices in the batch.
        """
        self._set(self._stands[rows])

    def repeat(self, times: int) -> None:
        """Repeat each row.

        Args:
            times: Number of copies.
        """
        self._set(self._stands.repeat_interleave(times, dim=0))

    def at_first(self) -> Penalty:
        """Return the penalty of the first position only."""
        return Penalty(self._factor, self._stands[:, 0])

    def add(self, places: torch.Tensor) -> None:
        """Apply the penalty to one more id per row.

        Args:
            places: Index of that id among the ids.
        """
        self._set(self._stands.scatter(1, places.unsqueeze(1), True))

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """Change scores in place, and return them.

        Args:
            scores: Batch × ids, or batch × length × ids.
        """
        if scores.dim() == 3:
            stands = self._stands if self._stands.dim() == 3 else self._stands.unsqueeze(1)
            return scores.copy_(torch.where(stands, self._penalised(scores), scores))
        flat = scores.view(-1)  # few ids of a vocabulary occur in a sentence
        flat[self._places] = self._penalised(flat[self._places])
        return scores

    def _penalised(self, scores: torch.Tensor) -> torch.Tensor:
        return penalised(scores, self._factor)


def penalised(scores: torch.Tensor, factor: float) -> torch.Tensor:
    """Return scores with a penalty on each.

    Args:
        scores: Scores of any shape.
        factor: As for `Penalty`.

    Examples:
        >>> penalised(torch.tensor([4.0, -4.0]), 2.0).tolist()
        [2.0, -8.0]
    """
    return torch.where(scores < 0, scores * factor, scores / factor)


def source_penalty(penalty: float, input_ids: torch.Tensor, ids: torch.Tensor, size: int) -> Penalty:
    """Return the `encoder_repetition_penalty`: above 1, it favours ids that occur in the row's source.

    Args:
        penalty: Value of the setting, above 0.
        input_ids: Source ids, batch × source length.
        ids: Ids to which the scores belong.
        size: Number of ids of the model's output.
    """
    every = input_ids.new_zeros(len(input_ids), size, dtype=torch.bool)
    return Penalty(1 / penalty, every.scatter_(1, input_ids, True)[:, ids])


def repetition_penalty(penalty: float, read: torch.Tensor, ids: torch.Tensor, size: int) -> Penalty:
    """Return the `repetition_penalty`: above 1, it lowers scores of ids that were emitted before.

    Args:
        penalty: Value of the setting, above 0.
        read: Ids emitted before each position, batch × length; each position is penalised for those up to its own.
        ids: Ids to which the scores belong.
        size: Number of ids of the model's output.

    Examples:
        >>> penalty = repetition_penalty(2.0, torch.tensor([[0, 1]]), torch.tensor([1, 2]), 3)
        >>> penalty(torch.full((1, 2, 2), 4.0)).tolist()
        [[[4.0, 4.0], [2.0, 4.0]]]
    """
    every = read.new_zeros(*read.shape, size, dtype=torch.uint8).scatter_(2, read.unsqueeze(2), 1)
    return Penalty(penalty, every[..., ids].cummax(dim=1).values.bool())


class _PenaltyOfBeams(LogitsProcessor):
    """Penalty as in transformers 5. In transformers 4, beams get the sources of other sentences, or none."""

    def __init__(self, penalty: float, input_ids: torch.Tensor) -> None:
        self._penalty, self._input_ids = penalty, input_ids

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        sources = self._input_ids.repeat_interleave(len(scores) // len(self._input_ids), dim=0)
        every = torch.arange(scores.shape[1], device=scores.device)
        return source_penalty(self._penalty, sources, every, scores.shape[1])(scores.clone())


def penalty_arguments(penalty: float | None, input_ids: torch.Tensor, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `generate` by which both generations of transformers apply the penalty correctly.

    Args:
        penalty: Requested `encoder_repetition_penalty`.
        input_ids: Source ids, batch × source length.
        given: Other arguments of the call, whose `logits_processor` is kept.

    Examples:
        >>> penalty_arguments(1.0, torch.tensor([[2, 3]]), {})
        {}
    """
    if not is_penalised(penalty):
        return {}
    if _stock_knows_beams():
        return {PENALTY: float(penalty)}
    processors = [*(given.get("logits_processor") or ()), _PenaltyOfBeams(penalty, input_ids)]
    return {PENALTY: 1.0, "logits_processor": processors}


@cache
def _stock_knows_beams() -> bool:
    processor = EncoderRepetitionPenaltyLogitsProcessor(2.0, torch.tensor([[0]]))
    scores = processor(torch.tensor([[0], [0]]), torch.ones(2, 1))
    return bool(scores.eq(2).all())
