"""Measure on GKSL the gain of a consensus of several answers; print one JSON line.

    KGLOSS_DATA=FOLDER python benchmarks/consensus.py MODEL [MODEL ...]

Scores are given for the validation and test sets of the leak-free split with seed 0: for the answer of each model, the
consensus of its own candidates, the consensus of every two or more models, and the best set of glosses that could be
answered if the references were known (`oracle`).
"""

import argparse
import json
import time
from collections import defaultdict
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numpy as np
from corpora import folder
from transformers import pipeline

import kgloss_hf  # noqa: F401 - registers gksl
from kgloss_hf.data.pairs import Pair, load_pairs, split_pairs
from kgloss_hf.evaluation.metrics import jaccard
from kgloss_hf.evaluation.results import scores_on
from kgloss_hf.runtime.answers import GlossSequence
from kgloss_hf.runtime.consensus import CANDIDATES, TEMPERATURE, consensus
from kgloss_hf.runtime.glosses import content_of

Candidates = list[GlossSequence]


def chosen(models: list[Candidates], temperature: float) -> list[str]:
    lists = [[(answer["glosses"], answer["log_prob"]) for answer in candidates] for candidates in models]
    return consensus(lists, temperature=temperature)[0]


def scores(part: list[Pair], answers: dict[str, list[str]]) -> dict[str, float]:
    by_sentence: dict[str, list[list[str]]] = defaultdict(list)
    for pair in part:
        by_sentence[pair.text].append(list(pair.glosses))
    by_row = scores_on([pair.glosses for pair in part], {"": [answers[pair.text] for pair in part]})[""]
    return {
        "row": round(by_row["jaccard"], 2),
        "sentence": round(jaccard([answers[text] for text in by_sentence], list(by_sentence.values())), 2),
        "bleu_4": round(by_row.get("bleu_4", float("nan")), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="folders of trained models")
    parser.add_argument("--beams", type=int, default=CANDIDATES, help=f"candidates per model; default {CANDIDATES}")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[TEMPERATURE])
    options = parser.parse_args()
    split = split_pairs(load_pairs("gksl", data_dir=str(folder() / "gksl")), seed=0)
    parts = {"validation": split.validation, "test": split.test}
    texts = sorted({pair.text for part in parts.values() for pair in part})
    first: dict[str, dict[str, list[str]]] = {}
    candidates: dict[str, dict[str, Candidates]] = {}
    seconds: dict[str, float] = {}
    for model in options.models:
        text_to_gloss = pipeline("text-to-gloss", model=model)
        first[model] = {text: answer.glosses for text, answer in zip(texts, text_to_gloss(texts), strict=True)}
        start = time.perf_counter()
        lists = text_to_gloss(texts, num_return_sequences=options.beams)
        seconds[model] = (time.perf_counter() - start) / len(texts)
        candidates[model] = {text: best for text, best in zip(texts, lists, strict=True) if best}

    known = defaultdict(list)
    for part in parts.values():
        for pair in part:
            known[pair.text].append((list(map(content_of, pair.glosses)), 0.0))
    systems = {**first, "oracle": {text: consensus([known[text]])[0] for text in texts}}
    for temperature in options.temperatures:
        for model in options.models:
            own = {text: chosen([candidates[model][text]], temperature) for text in texts}
            systems[f"{model}, own consensus, temperature {temperature:g}"] = own
        for size in range(2, len(options.models) + 1):
            for subset in combinations(options.models, size):
                start = time.perf_counter()
                systems[f"consensus of {' + '.join(subset)}, temperature {temperature:g}"] = {
                    text: chosen([candidates[model][text] for model in subset], temperature) for text in texts
                }
                seconds[f"consensus of {size}"] = (time.perf_counter() - start) / len(texts)
    result = {
        name: {system: scores(part, answers) for system, answers in systems.items()} for name, part in parts.items()
    }
    megabytes = {model: round(Path(model, "model.safetensors").stat().st_size / 1e6, 1) for model in options.models}
    versions = {name: version(name) for name in ("numpy", "torch", "transformers")}
    print(
        json.dumps(
            {
                **result,
                "beams": options.beams,
                "seconds_per_sentence": {name: float(np.round(value, 5)) for name, value in seconds.items()},
                "megabytes": megabytes,
                "versions": versions,
            },
            ensure_ascii=False,
        )
    )


if __name__ == "__main__":
    main()
