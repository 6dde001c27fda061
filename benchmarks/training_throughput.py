"""Compare training pairs per second with those of the plain Seq2SeqTrainer; print one JSON line.

OMP_NUM_THREADS=1 KGLOSS_DATA=FOLDER taskset -c 0 python benchmarks/training_throughput.py [--ablate]
python benchmarks/training_throughput.py --data synthetic --preset paper --compile  # on a GPU

All sides begin with the same parameters and train on the same pairs, in batches of the same size, with the same dropout
and label smoothing (0, the default of transformers and the value in the paper), each in the loop of its own trainer:

- `stock`: EncoderDecoderModel of transformers, Seq2SeqTrainer with its defaults, DataCollatorForSeq2Seq.
- `ours`: `kgloss_hf.training.trainer.build_trainer` with the defaults of its TrainingArguments.
- `compiled`: the same with torch_compile.
- `--ablate` adds our measures to `stock` one after another. `ours` adds the collator and shared embeddings to the last
  of them. Measures without effect on this machine are left out.

The number of pairs is that of the measured steps. They are drawn at random (seed 0), so that these steps are about one
epoch whatever the order. A round is timed from the end of the warm-up to the end of the last step; with `--compile`,
the warm-up must include all shapes. The sides take turns; the best round counts. `padding` is the share of padding
tokens.

The FLOPs of a step count only real tokens, 2 per multiplication and addition, and 3 times the forward pass. With s
source and t target tokens per pair, L layers, width h, inner width i and vocabulary V, they are the sum over pairs of
three terms: 6 s (L (4hh + 2hi) + 2Lhh) for the encoder and the decoder's keys and values of its output, 6 t (L (6hh +
2hi) + hh + hV) for the decoder and its head, and 12 L h (ss + tt/2 + st) for the attention weights. `mfu` is their
share of the device's dense bfloat16 peak, for float32 sides too. `pretext_hours` is the time for the paper's pretext
task at the measured rate: 10 epochs of 647,000 pairs. It is meaningful with `--data pretext` or `synthetic`, which has
the paper's vocabulary. The exit status is 1 if, in float32 without dropout, losses differ by more than 1e-5 or
gradients by 1e-3.
"""

import argparse
import copy
import json
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import fields
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from corpora import folder
from datasets import Dataset
from torch import nn
from transformers import (
    DataCollatorForSeq2Seq,
    PrinterCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)

import kgloss_hf  # noqa: F401 - registers gksl and ko_backtranslation
from kgloss_hf.data.pairs import Pair, load_pairs, marked_glosses, split_pairs
from kgloss_hf.models.modeling import EncoderDecoderModel, build_model
from kgloss_hf.models.presets import PRESETS, Preset
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.runtime.layers import FastDropout
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.batching import PairCollator
from kgloss_hf.training.encoding import encode_pairs, encode_pretext
from kgloss_hf.training.pretext import load_pretext, sentences
from kgloss_hf.training.run import hardware
from kgloss_hf.training.trainer import GlossTrainer, TrainingArguments, build_trainer

RUNGS = ("stock", "by_length", "target_positions", "fast_dropout", "bf16", "fused_adamw", "ours", "compiled")
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "L4": 121.0}  # NVIDIA's data sheets; H100 SXM
# The stock loss is over the whole vocabulary.
SAME_LOSS = {field.name: "vocabulary" for field in fields(TrainingArguments) if field.name == "loss_over"}
VOCABULARY, SOURCE_TOKENS, TARGET_TOKENS = 12_078, 24, 20
PRETEXT_PAIRS, PRETEXT_EPOCHS = 647_000, 10


class Job(NamedTuple):
    tokenizer: KGlossTokenizerFast
    pairs: Dataset
    model: EncoderDecoderModel
    options: argparse.Namespace


def load(data: str, count: int) -> tuple[KGlossTokenizerFast, Dataset]:
    """Return a tokenizer, and at most `count` encoded pairs in random order."""
    if data == "synthetic":
        random = np.random.default_rng(0)
        words = [[f"낱말{index}" for index in range(VOCABULARY - 7)]]
        tokenizer = train_tokenizer([], words, model="wordlevel")
        rows = {
            name: [random.integers(7, VOCABULARY, length) for length in np.clip(random.poisson(mean, count), 2, 128)]
            for name, mean in (("input_ids", SOURCE_TOKENS), ("labels", TARGET_TOKENS))
        }
        return tokenizer, Dataset.from_dict(rows)
    if data == "pretext":
        pairs = load_pretext(str(folder()), pairs="paraphrase").shuffle(seed=0)
        pairs = pairs.select(range(min(len(pairs), max(count, 20_000))))
        tokenizer = train_tokenizer(sentences(pairs), marked_glosses(load_pairs("mcksg")))
        return tokenizer, encode_pretext(tokenizer, pairs.select(range(min(len(pairs), count))))
    gksl = {"dataset": "gksl", "data_dir": str(folder() / "gksl")}
    original, more = (load_pairs(config=config, **gksl) for config in (None, "augmented"))
    train: list[Pair] = split_pairs(original, more, by="group", seed=0).train
    tokenizer = train_tokenizer((pair.text for pair in train), marked_glosses(train))
    order = np.random.default_rng(0).permutation(len(train))[:count]
    return tokenizer, encode_pairs(tokenizer, [train[index] for index in order])


class ByLength(Seq2SeqTrainer):
    _get_train_sampler = GlossTrainer._get_train_sampler


class Counted:
    """Collator that records the lengths and the number of positions of each batch."""

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self.collate = collate
        self.batches: list[tuple[torch.Tensor, torch.Tensor, int]] = []

    def __call__(self, rows: Any) -> Any:
        batch = self.collate(rows)
        mask, labels = batch["attention_mask"], batch["labels"]
        self.batches.append((mask.sum(1), (labels != -100).sum(1), mask.numel() + labels.numel()))
        return batch


class Clock(TrainerCallback):
    def __init__(self, warmup: int) -> None:
        self.warmup = warmup

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step in (self.warmup, args.max_steps):
            if args.device.type == "cuda":
                torch.cuda.synchronize()
            now = np.array([time.perf_counter(), time.process_time()])
            self.seconds = now if state.global_step == self.warmup else now - self.seconds


def model_for(name: str, job: Job) -> Any:
    kind = EncoderDecoderModel if RUNGS.index(name) >= RUNGS.index("target_positions") else None
    model = (kind or transformers.EncoderDecoderModel)(copy.deepcopy(job.model.config))
    model.load_state_dict(job.model.state_dict())
    model.generation_config = copy.deepcopy(job.model.generation_config)
    if name == "target_positions":
        for module in model.modules():
            for place, child in module.named_children():
                if type(child) is FastDropout:
                    setattr(module, place, nn.Dropout(child.p))
    return model


def trainer_for(name: str, job: Job, output_dir: str) -> Seq2SeqTrainer:
    options, level = job.options, RUNGS.index(name)
    common = {
        "output_dir": output_dir,
        "max_steps": options.warmup + options.steps,
        "per_device_train_batch_size": options.batch_size,
        "label_smoothing_factor": options.label_smoothing,
        "seed": 0,
        "eval_strategy": "no",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    model, pairs = model_for(name, job), job.pairs
    ours = TrainingArguments(**common, **SAME_LOSS, load_best_model_at_end=False, torch_compile=name == "compiled")
    if level >= RUNGS.index("ours"):
        share = PRESETS[options.preset].share_embeddings
        trainer = build_trainer(model, job.tokenizer, ours, pairs, pairs, None, share_embeddings=share)
    else:
        if level >= RUNGS.index("bf16"):
            common |= {"bf16": ours.bf16, "use_cpu": ours.use_cpu}
        if level >= RUNGS.index("fused_adamw"):
            common["optim"] = "adamw_torch_fused"
        trainer = (ByLength if level >= RUNGS.index("by_length") else Seq2SeqTrainer)(
            model=model,
            args=Seq2SeqTrainingArguments(**common),
            train_dataset=pairs,
            data_collator=DataCollatorForSeq2Seq(job.tokenizer),
            processing_class=job.tokenizer,
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


def train(name: str, job: Job) -> tuple[np.ndarray, Counted]:
    """Train for one round, and return wall and processor seconds of the measured steps, and their batches."""
    with tempfile.TemporaryDirectory() as output_dir:
        trainer = trainer_for(name, job, output_dir)
        trainer.data_collator = counted = Counted(trainer.data_collator)
        clock = Clock(job.options.warmup)
        trainer.add_callback(clock)
        trainer.train()
    counted.batches = counted.batches[job.options.warmup : trainer.args.max_steps]  # one more may have been read ahead
    return clock.seconds, counted


def step_flops(shape: Preset, vocabulary: int, source: np.ndarray, target: np.ndarray) -> float:
    """Return the FLOPs of the steps, as defined at the top of this file."""
    layers, h, inner = shape.num_hidden_layers, shape.hidden_size, shape.intermediate_size
    s, t = source.astype(float), target.astype(float)
    of_source = layers * (4 * h * h + 2 * h * inner) + layers * 2 * h * h
    of_target = layers * (6 * h * h + 2 * h * inner) + h * h + h * vocabulary
    attention = 12 * layers * h * (s * s + t * t / 2 + s * t)
    return float((6 * s * of_source + 6 * t * of_target + attention).sum())


def differences(job: Job, device: torch.device) -> dict[str, float]:
    """Return the largest relative differences of losses and of gradients over three batches."""
    collators = {"stock": DataCollatorForSeq2Seq(job.tokenizer), "ours": PairCollator(job.tokenizer.pad_token_id, 8)}
    models = {name: model_for(name, job).to(device).eval() for name in collators}
    differences = {"loss": 0.0, "gradient": 0.0}
    for start in range(0, 3 * job.options.batch_size, job.options.batch_size):
        rows = job.pairs.select(range(start, start + job.options.batch_size)).to_list()
        losses = []
        for name, model in models.items():
            model.zero_grad()
            batch = {key: value.to(device) for key, value in collators[name](copy.deepcopy(rows)).items()}
            losses.append(model(**batch).loss)
            losses[-1].backward()
        differences["loss"] = max(differences["loss"], abs(1 - (losses[1] / losses[0]).item()))
        ours = dict(models["ours"].named_parameters())
        for name, parameter in models["stock"].named_parameters():
            if name.endswith("key.bias"):
                continue  # its gradient is only rounding error, since it shifts all weights of a softmax equally
            there, here = parameter.grad, ours[name].grad
            if there is None or here is None:
                differences["gradient"] = max(differences["gradient"], 0.0 if there is here else float("inf"))
            else:
                differences["gradient"] = max(differences["gradient"], ((here - there).norm() / there.norm()).item())
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=("tiny", "small", "paper"), default="small")
    parser.add_argument("--data", choices=("gksl", "pretext", "synthetic"), default="gksl")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--warmup", type=int, default=10, help="number of steps before the measured ones, at least 1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--label_smoothing", type=float, default=0.0, help="label smoothing of all sides")
    parser.add_argument("--ablate", action="store_true", help="add our measures one after another")
    parser.add_argument("--compile", action="store_true", help="also measure ours with torch_compile")
    parser.add_argument("--peak_tflops", type=float, help="peak of the device; known by name for some GPUs")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning)  # the stock model warns about its labels at each step
    tokenizer, pairs = load(options.data, max(3, options.steps) * options.batch_size)
    torch.manual_seed(0)
    job = Job(tokenizer, pairs, build_model(options.preset, tokenizer), options)
    args = TrainingArguments(output_dir="outputs", eval_strategy="no", save_strategy="no", load_best_model_at_end=False)
    on_cpu = args.device.type == "cpu"
    default_optimizer = next(field.default for field in fields(Seq2SeqTrainingArguments) if field.name == "optim")
    idle = {
        "target_positions": not on_cpu,
        "fast_dropout": not on_cpu,
        "bf16": not args.bf16,
        "fused_adamw": default_optimizer == "adamw_torch_fused",
        "compiled": not options.compile,
    }
    sides = [name for name in RUNGS if not idle.get(name) and (options.ablate or name in ("stock", "ours", "compiled"))]

    seconds: dict[str, list[np.ndarray]] = {name: [] for name in sides}
    counts: dict[str, Counted] = {}
    for _ in range(options.rounds):
        for name in sides:
            spent, counts[name] = train(name, job)
            seconds[name].append(spent)
    difference = differences(job, args.device)

    peak = options.peak_tflops
    if peak is None and not on_cpu:
        device = torch.cuda.get_device_name()
        peak = next((value for name, value in PEAK_TFLOPS.items() if re.search(rf"\b{name}\b", device)), None)
    measured: dict[str, dict[str, Any]] = {}
    for name in sides:
        source, target, places = zip(*counts[name].batches, strict=True)
        source, target = torch.cat(source).numpy(), torch.cat(target).numpy()
        wall, cpu = np.array(seconds[name]).T
        tokens, best = int(source.sum() + target.sum()), wall.min()
        tflops = step_flops(PRESETS[options.preset], len(tokenizer), source, target) / best / 1e12
        measured[name] = {
            "pairs_per_s": round(len(source) / best, 1),
            "tokens_per_s": round(tokens / best),
            "pairs_per_cpu_s": round(len(source) / cpu.min(), 1),
            "tokens_a_pair": round(tokens / len(source), 1),
            "padding": round(1 - tokens / sum(places), 3),
            "tflops": float(f"{tflops:.3g}"),
            "mfu": peak and float(f"{tflops / peak:.3g}"),
            "pretext_hours": round(PRETEXT_EPOCHS * PRETEXT_PAIRS * best / len(source) / 3600, 1),
            "rounds_pairs_per_s": [round(len(source) / second, 1) for second in wall],
        }
    stock = measured["stock"]
    rates = [measured[name]["pairs_per_s"] for name in sides]
    result = {
        **{name: getattr(options, name) for name in ("preset", "data", "batch_size", "steps", "warmup", "rounds")},
        "pairs": len(pairs),
        "vocabulary": len(tokenizer),
        "parameters": job.model.num_parameters(),
        "sides": measured,
        "ratio": {
            name: {key: round(side[key] / stock[key], 2) for key in ("pairs_per_s", "tokens_per_s", "pairs_per_cpu_s")}
            for name, side in measured.items()
        },
        "gain_of_each": {name: round(b / a, 2) for name, a, b in zip(sides[1:], rates, rates[1:], strict=False)},
        "relative_difference": {name: float(f"{value:.2g}") for name, value in difference.items()},
        "peak_tflops": peak,
        "hardware": hardware(args),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: version(name) for name in ("torch", "transformers", "accelerate", "datasets")},
    }
    print(json.dumps(result))
    sys.exit(difference["loss"] > 1e-5 or difference["gradient"] > 1e-3)


if __name__ == "__main__":
    main()
