"""Measure sentences per second and the latency of one sentence, ours and stock.

KGLOSS_DATA=FOLDER python benchmarks/inference.py [MODEL] [--sentences 1000]

MODEL is a trained model, which both sides search with its own number of beams. By default, a greedy model of the
paper's size is trained for a few minutes on GKSL's original rows and kept in outputs/inference. The sentences are those
of GKSL, each once. The stock side does what the text2text-generation pipeline of transformers 4 did: it calls the
tokenizer and `generate`, for one sentence at a time or for batches in the given order. The sides take turns; the best
round counts, by the clock and, for machines with other work, by processor seconds. Each output is compared with that of
the stock side, sentence by sentence. The last line of output is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from corpora import folder
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, pipeline

import kgloss_hf  # noqa: F401 - registers the pipeline
from kgloss_hf.data.pairs import load_pairs
from kgloss_hf.runtime.penalties import penalty_arguments
from kgloss_hf.runtime.placeholders import restore_placeholders

STOCK_BATCHES = (16, 32, 64, 128, 256)
TRAINED = Path("outputs/inference")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", help="folder of a trained model")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--latency_sentences", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    checkpoint = chosen.model or trained()

    gksl = {"dataset": "gksl", "data_dir": str(folder() / "gksl")}
    texts = sorted({pair.text for part in (None, "augmented") for pair in load_pairs(**gksl, config=part)})
    texts = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))[: chosen.sentences]]

    stock = Stock(checkpoint)
    stock.tokenizer(texts)  # analyses the words for all sides
    few = texts[: chosen.latency_sentences]
    sides: dict[str, Callable[[], list[str]]] = {"stock, one by one": lambda: stock.all(few, 1)}
    sides |= {f"stock, batches of {size}": (lambda size=size: stock.all(texts, size)) for size in STOCK_BATCHES}
    pipelines = {
        name: pipeline("text-to-gloss", model=checkpoint, int8=name == "int8") for name in ("pipeline", "int8")
    }
    for name, text_to_gloss in pipelines.items():
        sides[name] = lambda ours=text_to_gloss: [answer["generated_text"] for answer in ours(texts)]
    rates: dict[str, float] = {}
    rates_of_processor: dict[str, float] = {}
    outputs: dict[str, list[str]] = {}
    for _ in range(chosen.rounds):
        for name, side in sides.items():
            began, used = time.perf_counter(), time.process_time()
            outputs[name] = side()
            took, used = time.perf_counter() - began, time.process_time() - used
            rates[name] = max(rates.get(name, 0), len(outputs[name]) / took)
            rates_of_processor[name] = max(rates_of_processor.get(name, 0), len(outputs[name]) / used)

    batches = [name for name in sides if name.startswith("stock, batches")]
    best = max(batches, key=rates.__getitem__)
    best_of_processor = max(rates_of_processor[name] for name in batches)
    # The stock side leaves placeholders bare, so the pipeline's way of restoring them is applied to its tokens.
    reference = [restored(pipelines["pipeline"], *both) for both in zip(texts, outputs[best], strict=True)]
    differing = {name: sum(a != b for a, b in zip(reference, outputs[name], strict=True)) for name in pipelines}

    latencies: dict[str, list[float]] = {}
    for _ in range(chosen.rounds):
        for name, one in {"stock": stock.one, **pipelines}.items():
            times = [seconds(one, text) for text in few]
            latencies[name] = times if name not in latencies else list(map(min, latencies[name], times))
    cold = {name: cold_start(code, chosen.threads) for name, code in cold_starts(checkpoint).items()}

    for name in sides:
        print(f"{name:24} {rates[name]:8.1f} sentences/s, {rates[name] / rates[best]:.2f} times the best of stock")
    for name, times in latencies.items():
        p50, p95 = np.percentile(times, [50, 95]) * 1000
        start = f"cold start {cold[name]['seconds']:.1f} s, {cold[name]['MiB']:.0f} MiB"
        print(f"{name:24} p50 {p50:6.1f} ms  p95 {p95:6.1f} ms  {start}")
    half = {name: float(np.median(times) / np.median(latencies["stock"])) for name, times in latencies.items()}
    result = {
        "sentences": len(texts),
        "num_beams": stock.model.generation_config.num_beams,
        "threads": chosen.threads,
        "to_one_by_one": {name: rates[name] / rates["stock, one by one"] for name in pipelines},
        "to_best_batch": {name: rates[name] / rates[best] for name in pipelines},
        "to_best_batch_by_processor": {name: rates_of_processor[name] / best_of_processor for name in pipelines},
        "median_latency_to_stock": half,
        "differing_outputs": differing,
        "cold_start": cold,
    }
    print(json.dumps(result))


class Stock:
    """Equivalent of the text2text-generation pipeline of transformers."""

    def __init__(self, checkpoint: str, device: str = "cpu") -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval().to(device)

    def all(self, texts: Sequence[str], size: int) -> list[str]:
        batches = (list(texts[at : at + size]) for at in range(0, len(texts), size))
        return [text for batch in batches for text in self.batch(batch)]

    def batch(self, texts: list[str]) -> list[str]:
        encoded = self.tokenizer(texts, truncation=True, padding=True, return_tensors="pt").to(self.model.device)
        penalty = self.model.generation_config.encoder_repetition_penalty
        with torch.no_grad():  # transformers 4 by itself would weigh the words of other sentences
            rows = self.model.generate(**encoded, **penalty_arguments(penalty, encoded["input_ids"], {}))
        return [" ".join(self.tokenizer.convert_ids_to_tokens(row, skip_special_tokens=True)) for row in rows]

    def one(self, text: str) -> str:
        return self.batch([text])[0]


def restored(text_to_gloss: Any, text: str, tokens: str) -> str:
    return " ".join(restore_placeholders(tokens.split(" "), text_to_gloss.tokenizer.morphemes([text])[0]))


def seconds(one: Callable[[str], Any], text: str) -> float:
    began = time.perf_counter()
    one(text)
    return time.perf_counter() - began


def cold_starts(checkpoint: str) -> dict[str, str]:
    """Return programs that answer one sentence."""
    text = "기차가 곧 도착합니다."
    stock = (
        "import kgloss_hf; from transformers import AutoModelForSeq2SeqLM as M, AutoTokenizer as T; "
        f"t, m = T.from_pretrained({checkpoint!r}), M.from_pretrained({checkpoint!r}); "
        f"t.convert_ids_to_tokens(m.generate(**t({text!r}, return_tensors='pt'))[0])"
    )
    ours = (
        "import kgloss_hf; from transformers import pipeline; "
        f"pipeline('text-to-gloss', {checkpoint!r}, int8={{}})({text!r})"
    )
    return {"stock": stock, "pipeline": ours.format(False), "int8": ours.format(True)}


def cold_start(code: str, threads: int) -> dict[str, float]:
    """Return the seconds from the start of a process to its first answer, and its peak memory."""
    # ru_maxrss would include the peak of this process.
    peak = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    code = f"import torch; torch.set_num_threads({threads}); {code}; {peak}"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    return {"seconds": time.perf_counter() - began, "MiB": int(done.stdout.split()[-1]) / 1024}


def trained() -> str:
    """Return the folder of a model of the paper's size that has learnt enough to end its sequences."""
    if not (TRAINED / "model").exists():
        options = ["--preset", "paper", "--num_train_epochs", "6", "--learning_rate", "2e-4", "--warmup_steps", "100"]
        data = ["--dataset", "gksl", "--data_dir", str(folder() / "gksl"), "--output_dir", str(TRAINED)]
        script = Path(__file__).parent.parent / "examples" / "run_text2gloss.py"
        subprocess.run([sys.executable, str(script), *options, *data], check=True)  # noqa: S603
    return str(TRAINED / "model")


if __name__ == "__main__":
    main()
