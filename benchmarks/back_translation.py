"""Compare the engines that use a checkpoint with plain `generate`; print one JSON line.

KGLOSS_DATA=FOLDER taskset -c 0,1 python benchmarks/back_translation.py [--sentences 1000]

No translation model is available without a network, and random weights never end a sentence. A small Marian model is
therefore trained to repeat Korean sentences (kept in outputs/). Its translations are as long as its sources, which is
roughly true of a real model too. All sides use this checkpoint, the same sentences, 4 beams, at most 256 new tokens
(CTranslate2: the engine's own limit) and two threads:

- `one`: one call of `generate` per sentence, for the first `--one_by_one` sentences.
- `order_16`: batches of 16 sentences in the given order.
- `easynmt_16`: batches of 16 sentences by length, as in EasyNMT.
- `ours`: TransformersEngine.
- `ctranslate2`, `ctranslate2_int8`: CTranslate2Engine.

The sides take turns, and the best of `--rounds` counts, because other work on the machine slows them down. `per_cpu_s`,
sentences per second of processor time, is affected less. `different` counts outputs that differ from those of `one` or,
for the remaining sentences, of `ours`.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from corpora import clean_sentences
from ctranslate2.converters import TransformersConverter
from transformers import AutoTokenizer, MarianConfig, MarianMTModel, MarianTokenizer, get_inverse_sqrt_schedule
from transformers.utils import logging

from kgloss_hf.back_translation.engines.ctranslate2 import CTranslate2Engine
from kgloss_hf.back_translation.engines.engine import Limits, batches
from kgloss_hf.back_translation.engines.transformers import TransformersEngine

BEAMS, NEW_TOKENS = 4, 256
TRAINING = Limits(texts=32, characters=1200, text=300)  # always within the 512 positions


def make_tokenizer(folder: Path, sentences: Sequence[str]) -> MarianTokenizer:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_prefix=str(folder / "source"),
        vocab_size=4000,
        character_coverage=0.9995,
        minloglevel=2,
    )
    model = (folder / "source.model").rename(folder / "source.spm")
    (folder / "target.spm").write_bytes(model.read_bytes())
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    pieces = ["</s>", "<unk>", *(processor.id_to_piece(index) for index in range(3, len(processor))), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: index for index, piece in enumerate(pieces)}), "utf-8")
    files = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    tokenizer = MarianTokenizer(*files, model_max_length=512)
    tokenizer.save_pretrained(folder)
    return tokenizer


def train_copier(folder: Path, sentences: Sequence[str], steps: int) -> None:
    """Train a Marian model to repeat its input, with seed 0, and save it."""
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(folder, sentences[:100_000])
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        d_model=256,
        encoder_layers=3,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=1024,
        decoder_ffn_dim=1024,
        activation_function="swish",
        scale_embedding=True,
        dropout=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    model = MarianMTModel(config).train()
    model.generation_config.bad_words_ids = [[tokenizer.pad_token_id]]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98))
    schedule = get_inverse_sqrt_schedule(optimizer, num_warmup_steps=100)
    parts = batches(sentences, TRAINING)
    for step, part in enumerate(torch.randperm(len(parts))[:steps].tolist()):
        inputs = tokenizer([sentences[index] for index in parts[part]], padding=True, return_tensors="pt")
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            # Marian decoders start with a zero embedding; CTranslate2 assumes it whatever the checkpoint holds.
            model.get_input_embeddings().weight[tokenizer.pad_token_id] = 0
        schedule.step()
        optimizer.zero_grad()
        if step % 100 == 0:
            print(json.dumps({"step": step, "of": min(steps, len(parts)), "loss": round(loss.item(), 3)}), flush=True)
    model.eval().save_pretrained(folder)


def generate(model: Any, tokenizer: Any, texts: Sequence[str], size: int) -> list[str]:
    """Translate batches of equal size in the given order, as in the documentation of transformers."""
    translations = []
    for start in range(0, len(texts), size):
        inputs = tokenizer(list(texts[start : start + size]), padding=True, return_tensors="pt")
        with torch.inference_mode():
            made = model.generate(**inputs, num_beams=BEAMS, max_new_tokens=NEW_TOKENS)
        translations += tokenizer.batch_decode(made, skip_special_tokens=True)
    return translations


def by_length(texts: Sequence[str], call: Callable[[list[str]], list[str]]) -> list[str]:
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    by_index = dict(zip(order, call([texts[index] for index in order]), strict=True))
    return [by_index[index] for index in range(len(texts))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--one_by_one", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train_steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    sentences = [text for text in clean_sentences() if text.strip() and len(text) <= TRAINING.text]
    texts, rest = sentences[: options.sentences], sentences[options.sentences :]
    folder = Path("outputs", f"copying_marian_{options.train_steps}")
    converted = Path("outputs", f"{folder.name}_ctranslate2")
    if not (folder / "model.safetensors").exists():
        train_copier(folder, rest, options.train_steps)
    if not converted.exists():
        TransformersConverter(str(folder)).convert(str(converted))

    model, tokenizer = MarianMTModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    ours = TransformersEngine(model=str(folder), num_beams=BEAMS, max_new_tokens=NEW_TOKENS)
    fast, faster = (
        CTranslate2Engine(
            model=str(converted),
            tokenizer=str(folder),
            num_beams=BEAMS,
            threads=options.threads,
            compute_type=compute_type,
        )
        for compute_type in ("default", "int8")
    )
    first = texts[: options.one_by_one]
    sides: dict[str, Callable[[], list[str]]] = {
        "one": lambda: generate(model, tokenizer, first, 1),
        "order_16": lambda: generate(model, tokenizer, texts, 16),
        "easynmt_16": lambda: by_length(texts, lambda ordered: generate(model, tokenizer, ordered, 16)),
        "ours": lambda: ours.translate(texts, "ko", "en"),
        "ctranslate2": lambda: fast.translate(texts, "ko", "en"),
        "ctranslate2_int8": lambda: faster.translate(texts, "ko", "en"),
    }
    for engine in (ours, fast, faster):
        engine.translate(texts[:2], "ko", "en")  # loads it
    outputs: dict[str, list[str]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            started, cpu = time.perf_counter(), time.process_time()
            outputs[name] = side()
            seconds[name].append(time.perf_counter() - started)
            cpu_seconds[name].append(time.process_time() - cpu)
    rates = {name: len(outputs[name]) / min(times) for name, times in seconds.items()}
    expected = outputs["one"] + outputs["ours"][len(first) :]
    lengths = [len(tokens) for tokens in tokenizer(texts)["input_ids"]]
    result = {
        "sentences": len(texts),
        "one_by_one": len(first),
        "tokens": {"mean": round(sum(lengths) / len(lengths), 1), "longest": max(lengths)},
        "characters_out_to_in": round(sum(map(len, outputs["ours"])) / sum(map(len, texts)), 2),
        "per_cpu_s": {name: round(len(outputs[name]) / min(times), 2) for name, times in cpu_seconds.items()},
        "per_s": {name: round(rate, 2) for name, rate in rates.items()},
        "to_one": {name: round(rate / rates["one"], 2) for name, rate in rates.items()},
        "to_order_16": {name: round(rate / rates["order_16"], 2) for name, rate in rates.items()},
        "different": {
            name: sum(a != b for a, b in zip(answers, expected, strict=False)) for name, answers in outputs.items()
        },
        "seconds": {name: [round(second, 1) for second in times] for name, times in seconds.items()},
        "batch": ours.limits[:2],
        "cores": len(os.sched_getaffinity(0)),
        "threads": options.threads,
        "versions": {name: version(name) for name in ("torch", "transformers", "ctranslate2", "sentencepiece")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
