"""Gloss Jaccard score as an `evaluate` metric, a thin layer over `kgloss_hf.evaluation.metrics`."""

from itertools import islice
from typing import Any

import datasets
import evaluate

from kgloss_hf.evaluation.metrics import jaccard_result
from kgloss_hf.evaluation.sequences import GlossLists, GlossReferences, gloss_pairs

_DESCRIPTION = """
Mean Jaccard score over pairs of gloss sequences, × 100: glosses in both over glosses in either. The order of glosses
and how often each occurs do not count. A pair of two empty sequences scores 100, and a pair with one empty sequence 0.
Glosses are compared as they are signed: `Number/4C` is `4C`. Where a prediction has several references, its score is
the mean over them; the score against the best of them is reported in addition.
"""

_INPUTS = """
Args:
    predictions: One gloss sequence per pair: a list of glosses, or a string of glosses with spaces between them.
    references: For each prediction one gloss sequence, or several as a list of lists of glosses.
    multiset: Count repetitions (default: False).
    types: Type of each gloss, as a dictionary, for a score per type (default: none).
    ignore_non_manual: Drop glosses of type non_manual first (default: False).
    synonyms: Lists of glosses that count as equal, as a dictionary: {gloss: [equal]} (default: none).
    resamples: Samples for a 95% bootstrap interval (default: 0, no interval).
    seed: Seed of the interval (default: 0).

Returns:
    jaccard: A number from 0 to 100.
    low, high: With resamples, the interval.
    by_type: With types, jaccard and number of pairs for each type.
    signature: How the score was computed.
    jaccard_best, low_best, high_best, signature_best: With several references, the same against the best of them.

Examples:
    >>> import evaluate
    >>> metric = evaluate.load("metric_scripts/gloss_jaccard")
    >>> metric.compute(predictions=[["집", "불"]], references=["불 집 나다 빨리"])
    {'jaccard': 50.0, 'signature': 'jaccard|set|nonmanual:kept|v:0.1.0'}
"""

_CITATION = """
Thanh-Vu Dang, Gwang-hyun Yu, Ji-yong Kim, Young-hwan Park, Chil-woo Lee, Jin-Young Kim:
Korean Text to Gloss: Self-Supervised Learning approach. Section IV.2.
"""


class GlossJaccard(evaluate.Metric):
    """Metric that collects gloss sequences in any form as lists and scores them with `kgloss_hf.evaluation.metrics`."""

    def _info(self) -> evaluate.MetricInfo:
        # One format for all kinds of input, because evaluate chooses among several by the first row only.
        glosses = datasets.Sequence(datasets.Value("string"))
        several = datasets.Sequence(glosses)
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": glosses, "references": several}),
        )

    def add(self, *, prediction: Any = None, reference: Any = None) -> None:
        """Add one pair."""
        self.add_batch(predictions=[prediction], references=[reference])

    def add_batch(self, *, predictions: Any = None, references: Any = None) -> None:
        """Add pairs after checking them, because evaluate raises a bare IndexError for an empty list."""
        pairs = gloss_pairs(predictions, references)
        counts = pairs.counts or [1] * len(pairs.predictions)
        predicted, wanted = iter(pairs.predictions), iter(pairs.references)
        rows = [next(islice(predicted, count - 1, None)) for count in counts]
        super().add_batch(predictions=rows, references=[list(islice(wanted, count)) for count in counts])

    def _compute(
        self, predictions: list[list[str]], references: list[list[list[str]]], **options: Any
    ) -> dict[str, Any]:
        return jaccard_result(GlossLists(predictions), GlossReferences(references), **options)
