"""Measure the gain of correcting the least certain sentences first; print a table and JSON.

    python benchmarks/review.py OUTPUT_DIR [--data_dir GKSL] [--corrections 500 1000 2000] [--seeds 0 1] [--jobs 2]

For each seed, a base model learns a share of the training set (whole groups of equal sentences or gloss strings). The
rest is a pool with hidden glosses. `kgloss review` orders the pool by the certainty of the base model. N of its
sentences are corrected, with their own glosses as the correction: the first N, or N at random. A model then learns the
base and the corrected sheet from scratch. The output is the Jaccard score on the test set, and the post-edit gloss
error rate of the corrected sentences. Runs stay in OUTPUT_DIR; repeat the command to continue after an interruption.
For a quick trial: --dataset mcksg --extra_train "" --corrections 20 --epochs 1 --seeds 0.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean

from kgloss_hf.commands.review import review
from kgloss_hf.data.arguments import CorpusArguments
from kgloss_hf.data.pairs import Pair
from kgloss_hf.data.parts import load_corpus
from kgloss_hf.data.review import HEADERS, gloss_cell, unescaped
from kgloss_hf.data.splitting import keys_of_pair, split_rows
from kgloss_hf.evaluation.scores import evaluate_files

SCRIPT = Path(__file__).parent.parent / "examples" / "run_text2gloss.py"
ORDERS = ("uncertain", "random")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output_dir", type=Path, help="folder for the sets, the sheets and the models")
    parser.add_argument("--dataset", default="gksl")
    parser.add_argument(
        "--extra_train", default="augmented", help="additional training pairs; an empty string for none"
    )
    parser.add_argument("--data_dir", help="folder with your copy of the data set (default: KGLOSS_DATA/gksl for gksl)")
    parser.add_argument("--base_share", type=float, default=0.2, help="share of the training set for the base model")
    parser.add_argument("--corrections", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1], help="seeds of the base, the order, the weights and the batches"
    )
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=2, help="number of runs at a time, with one thread each")
    options = parser.parse_args()
    if options.dataset == "gksl" and options.data_dir is None:
        options.data_dir = str(Path(os.environ["KGLOSS_DATA"], "gksl"))
    corpus = CorpusArguments(
        dataset=options.dataset, extra_train=options.extra_train or None, data_dir=options.data_dir
    )
    split = load_corpus(corpus).split
    folder = options.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: written(folder / f"{name}.jsonl", getattr(split, name)) for name in ("validation", "test")}
    results = []
    for seed in options.seeds:
        keys = [keys_of_pair(*pair) for pair in split.train]
        parts = split_rows(keys, (options.base_share, 1 - options.base_share), seed=seed)
        base, pool = ([split.train[i] for i in part] for part in parts)
        base_file, pool_file = (
            written(folder / f"base_{seed}.jsonl", base),
            written(folder / f"pool_{seed}.jsonl", pool),
        )
        base_score = trained(folder / f"base_{seed}", base_file, files, options, seed)
        sheet = folder / f"sheet_{seed}.csv"
        if not sheet.exists():
            review(str(folder / f"base_{seed}" / "model"), pool_file, output=str(sheet), n_best=1)
        rows = list(csv.DictReader(sheet.read_text("utf-8-sig").splitlines()))
        random_rows = random.Random(seed).sample(rows, len(rows))  # noqa: S311
        gold = {pair.text: gloss_cell(pair.glosses) for pair in reversed(pool)}
        row = {"seed": seed, "base_pairs": len(base), "pool_sentences": len(rows), "base": base_score}
        runs = []
        for count in options.corrections:
            if count > len(rows):
                parser.error(f"--corrections: expected at most {len(rows):,}, the size of the pool, found {count:,}")
            for order, ordered in zip(ORDERS, (rows, random_rows), strict=True):
                name = f"{order}_{count}_{seed}"
                runs.append((order, count, name, corrected(folder / f"{name}.csv", ordered[:count], gold)))
        with ThreadPoolExecutor(options.jobs) as pool_of_runs:
            waiting = [
                pool_of_runs.submit(trained, folder / name, f"{base_file},{file}", files, options, seed)
                for *_, name, file in runs
            ]
            for (order, count, _, file), run in zip(runs, waiting, strict=True):
                score = run.result()
                rate = evaluate_files(file, trials=1)["review"]["gloss_error_rate"]
                results.append(
                    row | {"order": order, "corrections": count, "jaccard": score, "error_rate": round(rate, 1)}
                )
    print_table(results)
    print(json.dumps({"settings": {**vars(options), "output_dir": str(folder)}, "runs": results}, ensure_ascii=False))


def trained(folder: Path, train: str, files: dict[str, str], options: argparse.Namespace, seed: int) -> float:
    """Train a model unless it exists already, and return its Jaccard score on the test set."""
    metrics = folder / "model" / "metrics.json"
    if not metrics.exists():
        words = ["--train", train, "--validation", files["validation"], "--test", files["test"]]
        words += ["--preset", options.preset, "--num_train_epochs", str(options.epochs)]
        words += ["--per_device_train_batch_size", "32", "--seed", str(seed), "--output_dir", str(folder), "--resume"]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(SCRIPT), *words]
        subprocess.run(command, check=True, stdout=sys.stderr, env=one_thread)  # noqa: S603
    facts = json.loads(metrics.read_text("utf-8"))
    return round(facts["scores"][facts["preset"]]["jaccard"], 2)


def corrected(file: Path, rows: Sequence[dict[str, str]], gold: dict[str, str]) -> str:
    """Write a review sheet with the gold glosses as corrections."""
    done = {HEADERS["reviewer"]: "gold"}
    with file.open("w", encoding="utf-8", newline="") as lines:
        table = csv.DictWriter(lines, list(rows[0]))
        table.writeheader()
        table.writerows({**row, **done, HEADERS["correction"]: gold[unescaped(row[HEADERS["text"]])]} for row in rows)
    return str(file)


def written(file: Path, pairs: Sequence[Pair]) -> str:
    rows = ({"text": pair.text, "glosses": list(pair.glosses)} for pair in pairs)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(file)


def print_table(results: Sequence[dict]) -> None:
    seeds = {row["seed"]: row["base"] for row in results}
    print(f"corrections 0: JC {mean(seeds.values()):.2f} (seeds: {', '.join(map(str, seeds.values()))})")
    for count in dict.fromkeys(row["corrections"] for row in results):
        for order in ORDERS:
            rows = [row for row in results if (row["corrections"], row["order"]) == (count, order)]
            scores = [row["jaccard"] for row in rows]
            print(
                f"corrections {count:,}, {order}: JC {mean(scores):.2f} (seeds: {', '.join(map(str, scores))}), "
                f"post-edit gloss error rate {mean(row['error_rate'] for row in rows):.1f}"
            )


if __name__ == "__main__":
    main()
