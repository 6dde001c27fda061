"""What choosing among several checkpoints' answers would gain on GKSL: prints one JSON line.

    KGLOSS_DATA=FOLDER python benchmarks/consensus.py MODEL [MODEL ...]

Each model gives its best answers of a beam search. The answer with the highest expected Jaccard score over all models'
answers, each weighted by its probability, is chosen (minimum Bayes risk decoding, Kumar and Byrne 2004). Scores are on
the validation and the test part of the leak-free split, seed 0, beside those of each model's own first answer, and
beside the best that could be chosen if the references were known (`oracle`).
"""

import argparse
import json
from collections import defaultdict
from importlib.metadata import version

import numpy as np
import torch
from corpora import folder
from transformers import AutoModelForSeq2SeqLM

import kgloss_hf  # noqa: F401 - registers gksl
from kgloss_hf.data.pairs import Pair, load_pairs, split_pairs
from kgloss_hf.evaluation.metrics import jaccard, jaccard_scores
from kgloss_hf.runtime.glosses import content_of
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.trainer import predicted_glosses

Answers = list[tuple[list[str], float]]
"""Glosses, and the logarithm of their probability."""


def answers(checkpoint: str, texts: list[str], beams: int) -> dict[str, Answers]:
    """The best answers of one model to each text, the first one first."""
    tokenizer = KGlossTokenizerFast.from_pretrained(checkpoint)
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval()
    of_text: dict[str, Answers] = {}
    for start in range(0, len(texts), 16):
        batch = texts[start : start + 16]
        inputs = tokenizer(batch, padding=True, truncation=True, return_tensors="pt")
        output = model.generate(
            **inputs, num_beams=beams, num_return_sequences=beams, return_dict_in_generate=True, output_scores=True
        )
        morphemes = [row for row in tokenizer.morphemes(batch) for _ in range(beams)]
        glosses = predicted_glosses(tokenizer, output.sequences.tolist(), morphemes)
        # A beam's score is the mean over its tokens.
        scores = [score * (len(row) + 1) for score, row in zip(output.sequences_scores.tolist(), glosses, strict=True)]
        for place, text in enumerate(batch):
            rows = slice(place * beams, (place + 1) * beams)
            of_text[text] = list(zip(glosses[rows], scores[rows], strict=True))
    return of_text


def consensus(candidates: Answers, temperature: float) -> list[str]:
    weights = np.exp(np.array([score for _, score in candidates]) / temperature)
    return most_like(candidates, [glosses for glosses, _ in candidates], weights)


def most_like(candidates: Answers, others: list[list[str]], weights: np.ndarray) -> list[str]:
    expected = [weights @ jaccard_scores([glosses] * len(others), others) for glosses, _ in candidates]
    return candidates[int(np.argmax(expected))][0]


def scores(part: list[Pair], by_model: dict[str, dict[str, Answers]], temperature: float) -> dict[str, float]:
    references: dict[str, list[list[str]]] = defaultdict(list)
    for pair in part:
        references[pair.text].append([content_of(gloss) for gloss in pair.glosses])

    def score(chosen: dict[str, list[str]]) -> float:
        wanted = [(chosen[text], reference) for text, same in references.items() for reference in same]
        return round(jaccard(*zip(*wanted, strict=True)), 2)

    union = {text: [answer for answers in by_model.values() for answer in answers[text]] for text in references}
    oracle = {text: most_like(union[text], same, np.ones(len(same))) for text, same in references.items()}
    return {
        **{name: score({text: answers[text][0][0] for text in references}) for name, answers in by_model.items()},
        "consensus": score({text: consensus(union[text], temperature) for text in references}),
        "oracle": score(oracle),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="folders of trained models")
    parser.add_argument("--beams", type=int, default=10)
    parser.add_argument("--temperature", type=float, default=2.0, help="flattens the answers' probabilities")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    split = split_pairs(load_pairs("gksl", data_dir=str(folder() / "gksl")), seed=0)
    texts = sorted({pair.text for pair in (*split.validation, *split.test)})
    by_model = {checkpoint: answers(checkpoint, texts, options.beams) for checkpoint in options.models}
    result = {part: scores(getattr(split, part), by_model, options.temperature) for part in ("validation", "test")}
    versions = {name: version(name) for name in ("torch", "transformers")}
    print(json.dumps({**result, "beams": options.beams, "temperature": options.temperature, "versions": versions}))


if __name__ == "__main__":
    main()
