"""Measure the gain of continuing from a trained model with more glosses; print one JSON line.

    python benchmarks/new_glosses.py OUTPUT_DIR [--seeds 0 1]

The training set of the bundled sample is divided in two: pairs that contain one of some rare glosses, drawn at random,
and all others. A model learns only the others, and continues from there with the new pairs alone or with all pairs. It
is compared with models that learn all pairs from scratch. All models are scored on the sample's test set, without
penalties in decoding.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kgloss_hf.data.arguments import CorpusArguments
from kgloss_hf.data.pairs import Pair
from kgloss_hf.data.parts import load_corpus

SCRIPT = Path(__file__).parent.parent / "examples" / "run_text2gloss.py"
RARE = 3  # maximum number of pairs with a gloss that may be held out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output_dir", type=Path, help="folder for the sets and the models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    split = load_corpus(CorpusArguments(dataset="mcksg")).split
    held_out = drawn(split.train)
    parts = {
        "old": [pair for pair in split.train if held_out.isdisjoint(pair.glosses)],
        "new": [pair for pair in split.train if not held_out.isdisjoint(pair.glosses)],
        "all": split.train,
        "validation": split.validation,
        "test": split.test,
    }
    options.output_dir.mkdir(parents=True, exist_ok=True)
    files = {name: written(options.output_dir / f"{name}.jsonl", pairs) for name, pairs in parts.items()}
    scores: dict[str, dict[int, float]] = {}
    for seed in options.seeds:
        for name, part, epochs, begin in (
            ("old pairs", "old", 30, None),
            ("then all pairs", "all", 20, "old pairs"),
            ("then new pairs alone", "new", 20, "old pairs"),
            ("all pairs from scratch, 20 epochs", "all", 20, None),
            ("all pairs from scratch, 50 epochs", "all", 50, None),
        ):
            folder = options.output_dir / f"{name.replace(' ', '_')}_{seed}"
            first = options.output_dir / f"old_pairs_{seed}" / "model"
            start = ["--init_from", str(first)] if begin else ["--preset", "tiny"]
            words = ["--train", files[part], "--validation", files["validation"], "--test", files["test"], *start]
            words += ["--num_train_epochs", str(epochs), "--learning_rate", "1e-3", "--seed", str(seed)]
            words += ["--per_device_train_batch_size", "16", "--output_dir", str(folder)]
            words += ["--encoder_repetition_penalty", "1", "--repetition_penalty", "1"]
            subprocess.run([sys.executable, str(SCRIPT), *words], check=True, stdout=sys.stderr)  # noqa: S603
            metrics = json.loads((folder / "model" / "metrics.json").read_text("utf-8"))
            scores.setdefault(name, {})[seed] = round(metrics["scores"][metrics["preset"]]["jaccard"], 2)
    counts = {name: len(pairs) for name, pairs in parts.items()}
    print(json.dumps({"pairs": counts, "glosses_held_out": len(held_out), "jaccard": scores}, ensure_ascii=False))


def drawn(pairs: Sequence[Pair]) -> set[str]:
    """Return rare glosses such that half of the pairs contain at least one of them."""
    counts = Counter(gloss for pair in pairs for gloss in set(pair.glosses))
    rare = sorted(gloss for gloss, count in counts.items() if count <= RARE)
    random.Random(0).shuffle(rare)  # noqa: S311
    held_out: set[str] = set()
    for gloss in rare:
        held_out.add(gloss)
        if 2 * sum(not held_out.isdisjoint(pair.glosses) for pair in pairs) >= len(pairs):
            break
    return held_out


def written(file: Path, pairs: Sequence[Pair]) -> str:
    rows = ({"text": pair.text, "glosses": list(pair.glosses)} for pair in pairs)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(file)


if __name__ == "__main__":
    main()
