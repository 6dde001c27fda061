"""Measure on GKSL the cost of playing by a lexicon; print a table, and one JSON line at the end.

    KGLOSS_DATA=FOLDER python benchmarks/playable.py MODEL [--part validation] [--sentences 100]

The lexicon has an entry for each gloss of the model and for letters and digits, except for a share of the glosses that
is withheld at random. For each share, the table has a row for plain answers, one for `playable="prefer"` and one for
`playable="only"`. A row holds the percentage of glosses that can be played, the percentage of answers that can be
played completely, Jaccard, and sentences per second, each the mean over the seeds. `--preferences` also tries "prefer"
with these weights of the playable share, to choose `PREFERENCE`.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from corpora import folder

import kgloss_hf
from kgloss_hf.data.pairs import load_pairs, split_pairs
from kgloss_hf.evaluation.metrics import jaccard
from kgloss_hf.reporting import Table, counted, print_tables
from kgloss_hf.runtime import pipeline_kgloss
from kgloss_hf.runtime.glosses import PLACEHOLDERS
from kgloss_hf.runtime.lexicon import PREFERENCE, SYMBOLS, Entry, Lexicon, playable_share

LETTERS = [*"".join(SYMBOLS.values()), ".", "10", "100", "1000", "10000"]


def lexicon_without(glosses: Sequence[str], share: float, seed: int) -> Lexicon:
    order = np.random.default_rng(seed).permutation(len(glosses))
    kept = [glosses[place] for place in order[round(share * len(glosses)) :]]
    return Lexicon(Entry(gloss, id=gloss) for gloss in dict.fromkeys([*kept, *LETTERS]))


def measured(answers: Sequence[Any], references: Sequence[Any], seconds: float) -> dict[str, float]:
    signs = [answer["signs"] for answer in answers]
    playable = sum(playable_share(row) * len(row) for row in signs) / max(1, sum(map(len, signs)))
    whole = np.mean([all("reason" not in sign for sign in row) for row in signs])
    score = jaccard([answer["glosses"] for answer in answers], references)
    return {"playable": 100 * playable, "whole": 100 * whole, "jaccard": score, "per_second": len(answers) / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a trained model")
    parser.add_argument("--part", default="test", choices=("validation", "test"))
    parser.add_argument("--sentences", type=int, help="number of sentences (default: the whole set)")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.25, 0.5])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preferences", type=float, nargs="+", default=[])
    options = parser.parse_args()
    split = split_pairs(load_pairs("gksl", data_dir=str(folder() / "gksl")), seed=0)
    pairs = getattr(split, options.part)[: options.sentences]
    texts, references = [pair.text for pair in pairs], [list(pair.glosses) for pair in pairs]
    text_to_gloss = kgloss_hf.load(options.model)
    text_to_gloss(texts)  # starts Java
    glosses = [gloss for gloss in text_to_gloss.tokenizer.glosses if gloss not in PLACEHOLDERS]
    rows: dict[tuple[float, str], list[dict[str, float]]] = {}

    def timed(**asked: Any) -> tuple[list[Any], float]:
        start = time.perf_counter()
        answers = text_to_gloss(texts, **asked)
        return answers, time.perf_counter() - start

    for share in options.shares:
        for seed in range(options.seeds):
            lexicon = lexicon_without(glosses, share, seed)
            for name, asked in (("plain", {}), ("prefer", {"playable": "prefer"}), ("only", {"playable": "only"})):
                answers, seconds = timed(lexicon=lexicon, **asked)
                rows.setdefault((share, name), []).append(measured(answers, references, seconds))
            for weight in options.preferences:
                pipeline_kgloss.PREFERENCE = weight
                answers, seconds = timed(lexicon=lexicon, playable="prefer")
                rows.setdefault((share, f"prefer, {weight:g}"), []).append(measured(answers, references, seconds))
            pipeline_kgloss.PREFERENCE = PREFERENCE
    means = [
        {"withheld": share, "answers": name}
        | {key: round(float(np.mean([one[key] for one in by_seed])), 2) for key in by_seed[0]}
        for (share, name), by_seed in rows.items()
    ]
    header = tuple(means[0])
    print_tables(
        [
            Table(
                f"{options.part}, {counted(len(pairs), 'pair')}",
                header,
                [[str(row[key]) for key in header] for row in means],
            )
        ]
    )
    print(json.dumps({"model": Path(options.model).name, "pairs": len(pairs), "seeds": options.seeds, "rows": means}))


if __name__ == "__main__":
    main()
