"""Compare ours and stock on a GPU, training and answering, in under ten minutes; print tables and a last line of JSON.

python benchmarks/gpu.py [MODEL]
python benchmarks/gpu.py --small  # checks the script on a CPU, uncompiled; its figures are meaningless

Only the package and the bundled sample are needed, and no network.

- Training: `training_throughput.py --data synthetic --preset paper --compile` in a separate process, with its check of
  losses and gradients. `pretext_hours` is its projection for the paper's pretext task, 10 epochs of 647,000 pairs.
- Answering: batches of 512 through the pipeline, and through the stock tokenizer and `generate`, in float32. The sides
  take turns, and the best round counts. MODEL is a trained model; by default, a model of the same preset is trained on
  the sample until it ends its sequences. Distinct sentences are drawn from the words of the sample (seed 0) and
  analysed in advance. Every answer is compared.

The exit status is 1 if the check of the training fails or an answer differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inference import Stock, restored
from transformers import pipeline

import kgloss_hf  # noqa: F401 - registers the pipeline
from kgloss_hf.data.pairs import load_pairs
from kgloss_hf.reporting import pipe_table

HERE = Path(__file__).parent
SMALL = {"preset": "tiny", "batch_size": 16, "steps": 5, "rounds": 1, "epochs": 20, "sentences": 200, "batch": 64}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="folder of a trained model")
    parser.add_argument("--small", action="store_true", help="use sizes for a CPU")
    parser.add_argument("--preset", choices=("tiny", "small", "paper"), default="paper")
    parser.add_argument("--batch_size", type=int, default=32, help="pairs per step of training")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=30, help="epochs on the sample, for the model that answers")
    parser.add_argument("--sentences", type=int, default=16_384)
    parser.add_argument("--batch", type=int, default=512, help="sentences per step of answering")
    if "--small" in sys.argv:
        parser.set_defaults(**SMALL)
    options = parser.parse_args()
    began = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.small:
        sys.exit("expected a GPU, found none; add --small to check the script on a CPU")

    training = training_of(options)
    sides = training["sides"]
    print(f"\nTraining, {options.preset}, batches of {options.batch_size}, {training['hardware']}\n")
    header = ("side", "pairs/s", "to stock", "TFLOP/s", "MFU", "hours of the paper's pretext")
    shown = ("tflops", "mfu", "pretext_hours")
    rows = (
        (name, side["pairs_per_s"], training["ratio"][name]["pairs_per_s"], *(side[key] for key in shown))
        for name, side in sides.items()
    )
    print(pipe_table(header, (map(str, row) for row in rows)), flush=True)

    with tempfile.TemporaryDirectory() as folder:
        answering = answering_of(options.model or trained(options, folder), device, options)
    print(f"\nAnswering, batches of {options.batch}, {answering['tokens_per_answer']} glosses on average\n")
    rates = answering["sentences_per_s"]
    print(
        pipe_table(
            ("side", "sentences/s", "to stock"), ((n, str(r), f"{r / rates['stock']:.2f}") for n, r in rates.items())
        )
    )
    print(f"{answering['differing']} of {options.sentences} answers differ\n")

    result = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        "small": options.small,
        "pretext_hours": {name: side["pretext_hours"] for name, side in sides.items()},
        "training": training,
        "answering": answering,
        "seconds": round(time.perf_counter() - began),
        "versions": {name: version(name) for name in ("torch", "transformers")},
    }
    print(json.dumps(result))
    sys.exit(not training["alike"] or answering["differing"] > 0)


def training_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the JSON of training_throughput.py, and whether its check passed."""
    words = ["--data", "synthetic", "--preset", options.preset, *["--compile"] * (not options.small)]
    for name in ("batch_size", "steps", "rounds"):
        words += [f"--{name}", str(getattr(options, name))]
    words += ["--warmup", str(min(50, options.steps))]  # all shapes are compiled in the warm-up
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(HERE / "training_throughput.py"), *words], stdout=subprocess.PIPE, text=True
    )
    lines = done.stdout.splitlines()
    if not lines or not lines[-1].startswith("{"):
        sys.exit(f"training_throughput.py ended with {done.returncode}, without a result")
    return {**json.loads(lines[-1]), "alike": done.returncode == 0}


def trained(options: argparse.Namespace, folder: str) -> str:
    """Return the folder of a model that has learnt enough of the sample to end its sequences."""
    words = ["--dataset", "mcksg", "--preset", options.preset, "--num_train_epochs", str(options.epochs)]
    words += ["--learning_rate", "1e-3" if options.preset == "tiny" else "2e-4", "--eval_strategy", "no"]
    words += ["--save_strategy", "no", "--load_best_model_at_end", "false", "--output_dir", f"{folder}/run"]
    script = HERE.parent / "examples" / "run_text2gloss.py"
    subprocess.run([sys.executable, str(script), *words], check=True, stdout=sys.stderr)  # noqa: S603
    return f"{folder}/run/model"


def answering_of(checkpoint: str, device: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the rates of both sides and the number of answers that differ."""
    random = np.random.default_rng(0)
    words = sorted({word for pair in load_pairs("mcksg") for word in pair.text.split()})
    drawn: dict[str, None] = {}
    while len(drawn) < options.sentences:
        drawn[" ".join(random.choice(words, np.clip(random.poisson(6), 2, 20)))] = None
    texts = list(drawn)
    stock = Stock(checkpoint, device)
    text_to_gloss = pipeline("text-to-gloss", model=checkpoint, device=device, batch_size=options.batch)
    text_to_gloss.tokenizer.morphemes(texts)
    sides = {
        "stock": lambda: stock.all(texts, options.batch),
        "pipeline": lambda: [answer["generated_text"] for answer in text_to_gloss(texts)],
    }
    outputs: dict[str, list[str]] = {}
    rates: dict[str, float] = {}
    for number in range(1 + options.rounds):  # the first round warms up
        for name, side in sides.items():
            began = time.perf_counter()
            outputs[name] = side()
            if number:
                rates[name] = max(rates.get(name, 0), len(texts) / (time.perf_counter() - began))
    reference = [restored(text_to_gloss, *both) for both in zip(texts, outputs["stock"], strict=True)]
    return {
        "sentences_per_s": {name: round(rate, 1) for name, rate in rates.items()},
        "differing": sum(a != b for a, b in zip(reference, outputs["pipeline"], strict=True)),
        "tokens_per_answer": round(sum(len(text.split()) for text in outputs["stock"]) / len(texts), 1),
        "parameters": stock.model.num_parameters(),
    }


if __name__ == "__main__":
    main()
