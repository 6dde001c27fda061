"""Measure how often a placeholder gets its own content back, by order, by cross-attention and by its neighbours.

python benchmarks/placeholders.py MODEL DATASET [DATA_DIR]

Reference glosses are passed through the model by teacher forcing, so that the errors of the model do not count. Only
placeholders for which the sentence has two or more sources are counted, since only these can go wrong. `natural` are
the pairs of the data set. In `swapped`, two sentences with placeholders are concatenated, and their glosses in reverse
order.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import kgloss_hf  # noqa: F401 - registers the tokenizer
from kgloss_hf.data.pairs import load_pairs
from kgloss_hf.runtime.decoding import emitted_ids
from kgloss_hf.runtime.explaining import explain
from kgloss_hf.runtime.glosses import PLACEHOLDERS, content_of, placeholder_of
from kgloss_hf.runtime.numerals import Source
from kgloss_hf.runtime.placeholders import assign_sources, placeholder_sources


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    checkpoint, dataset, data_dir = [*sys.argv[1:], None][:3]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval()
    ids = emitted_ids(model.generation_config.suppress_tokens, len(tokenizer)).tolist()
    emitted = set(tokenizer.convert_ids_to_tokens(ids)) - set(tokenizer.all_special_tokens)
    rows = [(pair.text, list(pair.glosses)) for pair in load_pairs(dataset=str(dataset), data_dir=data_dir)]
    rows = [(text, [gloss for gloss in glosses if placeholder_of(gloss) in emitted]) for text, glosses in rows]
    holding = [row for row in rows if any(placeholder_of(gloss) in PLACEHOLDERS for gloss in row[1])]
    others = [holding[i] for i in np.random.default_rng(0).permutation(len(holding))]
    swapped = [(f"{a} {b}", [*of_b, *of_a]) for (a, of_a), (b, of_b) in zip(holding, others, strict=True)]
    counts = {name: count(tokenizer, model, cases) for name, cases in (("natural", rows), ("swapped", swapped))}
    for name, numbers in counts.items():
        print(name, *(f"{key} {value}" for key, value in numbers.items()), sep=", ")
    print(json.dumps(counts))


def count(tokenizer: Any, model: Any, cases: list[tuple[str, list[str]]]) -> dict[str, int]:
    """Return the number of placeholders with a choice, and the number that each method resolves correctly."""
    counts = {"placeholders": 0, "by order": 0, "by attention": 0, "by neighbours": 0}
    for text, glosses in cases:
        morphemes = tokenizer.morphemes([text])[0]
        tokens = [placeholder_of(gloss) for gloss in glosses]
        sources = placeholder_sources(morphemes)
        choices = {tag: {source.content for source in sources if source.tag == tag} for tag in PLACEHOLDERS}
        asked = [
            place
            for place, (token, gloss) in enumerate(zip(tokens, glosses, strict=True))
            if len(choices.get(token, ())) > 1 and gloss != token
        ]
        if not asked:
            continue
        encoded = tokenizer([text], truncation=True, return_offsets_mapping=True, return_tensors="pt")
        ids = tokenizer.convert_tokens_to_ids(tokens)
        with torch.inference_mode():
            explained = explain(model, encoded["input_ids"], encoded["attention_mask"], [ids])
        weights = explained.attention[0] @ inside(encoded["offset_mapping"][0], sources)
        ways = {
            "by order": in_order(tokens, sources),
            "by attention": most_attended(tokens, sources, weights),
            "by neighbours": assign_sources(tokens, morphemes),
        }
        counts["placeholders"] += len(asked)
        for name, assigned in ways.items():
            contents = [source.content if source else "" for source in assigned]
            counts[name] += sum(contents[place] == content_of(glosses[place]) for place in asked)
    return counts


def inside(spans: torch.Tensor, sources: list[Source]) -> torch.Tensor:
    """Return a matrix with 1 where a token (first index) belongs to a source (second index)."""
    starts = torch.tensor([source.start for source in sources])
    ends = torch.tensor([source.end for source in sources])
    first, last = spans[:, :1], spans[:, 1:]
    return ((first >= starts) & (first < ends) & (last > first)).float()


def in_order(tokens: list[str], sources: list[Source]) -> list[Source | None]:
    left = {tag: iter([source for source in sources if source.tag == tag]) for tag in PLACEHOLDERS}
    return [next(left[token], None) if token in left else None for token in tokens]


def most_attended(tokens: list[str], sources: list[Source], weights: torch.Tensor) -> list[Source | None]:
    """Assign sources by descending attention, each source once."""
    assigned: list[Source | None] = [None] * len(tokens)
    pairs = [(p, s) for p, token in enumerate(tokens) for s, source in enumerate(sources) if source.tag == token]
    while pairs:
        place, chosen = max(pairs, key=lambda pair: float(weights[pair]))
        assigned[place] = sources[chosen]
        pairs = [pair for pair in pairs if pair[0] != place and pair[1] != chosen]
    return assigned


if __name__ == "__main__":
    main()
