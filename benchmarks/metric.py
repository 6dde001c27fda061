"""Compare the Jaccard score of a million pairs with `evaluate` and a plain loop; print one JSON line.

python benchmarks/metric.py [--pairs 1000000] [--sample 100000]

The pairs are synthetic (seed 0): 1 to 14 of 3,000 glosses, 70% of them predicted correctly. The results must be equal.
All sides run in one process; seconds are of the processor, so that other work on the machine counts less. `evaluate` is
timed on the first `--sample` pairs, after a small first call, and its seconds are scaled to `--pairs`: it writes the
pairs to an Arrow file and reads them back before it computes.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate

from kgloss_hf.evaluation.metrics import jaccard_scores

SCRIPT = Path(__file__).parents[1] / "metric_scripts" / "gloss_jaccard"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=100_000, help="pairs for evaluate")
    options = parser.parse_args()
    predictions, references = synthetic_pairs(options.pairs)

    scores, ours = timed(lambda: jaccard_scores(predictions, references))
    plain, loop = timed(lambda: plain_scores(predictions, references))
    with tempfile.TemporaryDirectory() as cache:
        metric = evaluate.load(str(SCRIPT), cache_dir=cache)
        metric.compute(predictions=predictions[:10], references=references[:10])
        sample = {"predictions": predictions[: options.sample], "references": references[: options.sample]}
        computed, seconds = timed(lambda: metric.compute(**sample))
    count = len(sample["predictions"])
    theirs = seconds * options.pairs / count
    difference = max(abs(scores - plain).max(), abs(computed["jaccard"] / 100 - scores[:count].mean()))
    result = {
        "pairs": options.pairs,
        "ours_s": round(ours, 2),
        "plain_loop_s": round(loop, 2),
        "evaluate_s": round(theirs, 2),
        "evaluate_timed_on": count,
        "ratio_to_plain_loop": round(ours / loop, 2),
        "ratio_to_evaluate": round(ours / theirs, 2),
        "largest_difference": float(difference),
    }
    print(json.dumps(result))
    sys.exit(difference > 1e-12)


def synthetic_pairs(pairs: int) -> tuple[list[list[str]], list[list[str]]]:
    chance = random.Random(0)  # noqa: S311
    glosses = [f"G{number}" for number in range(3000)]
    references = [chance.choices(glosses, k=chance.randint(1, 14)) for _ in range(pairs)]
    predictions = [[g if chance.random() < 0.7 else chance.choice(glosses) for g in row] for row in references]
    return predictions, references


def plain_scores(predictions: list[list[str]], references: list[list[str]]) -> list[float]:
    scores = []
    for p, r in zip(predictions, references, strict=True):
        scores.append(len(set(p) & set(r)) / len(set(p) | set(r)) if p or r else 1.0)
    return scores


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


if __name__ == "__main__":
    main()
