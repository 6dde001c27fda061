"""Measure peak memory while building corpora of 10,000 and 100,000 sentences; print one JSON line.

    KGLOSS_DATA=FOLDER python benchmarks/back_translation_memory.py [--sentences 10000 100000]

Each corpus is built in a separate process. The engine is a tiny untrained Marian model with 8 new tokens per text, so
that everything except the model is as with a large one. Every pair reaches the search for near duplicates and the
shards.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from back_translation import make_tokenizer
from corpora import clean_sentences
from transformers import MarianConfig, MarianMTModel

from kgloss_hf.back_translation import corpus
from kgloss_hf.back_translation.filters import Thresholds


def tiny_marian(folder: Path, sentences: list[str]) -> None:
    tokenizer = make_tokenizer(folder, sentences)
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    MarianMTModel(config).save_pretrained(folder)


def peak() -> int:
    """Return the peak memory of this process in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # kilobytes on Linux


def build(model: str, texts: str, folder: str) -> None:
    """Build one corpus, and print its pairs, the seconds, and the peak memory before and after selection."""
    select, translated = corpus.select_pairs, []

    def noting(*arguments: Any) -> dict[str, Any]:
        translated.append(peak())
        return select(*arguments)

    corpus.select_pairs = noting
    engine = f"transformers:{model},num_beams=1,max_new_tokens=8,batch_size=256,batch_characters=32768"
    started = time.perf_counter()
    manifest = corpus.build_corpus(
        corpus.BackTranslationArguments([texts], [engine], folder), Thresholds(0, 0, float("inf"), 10**6, 10**6, 0.9)
    )
    result = {
        "sentences": manifest["sentences"]["remain"],
        "pairs": manifest["result"]["pairs"],
        "seconds": round(time.perf_counter() - started),
        "peak_translating_mib": translated[0],
        "peak_mib": peak(),
    }
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--build", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        build(*options.build)
        return
    # Distinct sentences, as the builder uses them.
    sentences = [text for text in dict.fromkeys(clean_sentences()) if text.strip() and len(text) <= 300]
    builds = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "marian")
        model.mkdir()
        tiny_marian(model, sentences[:50_000])
        for number in options.sentences:
            texts = Path(folder, f"{number}.txt")
            texts.write_text("\n".join(sentences[:number]) + "\n", "utf-8")
            command = [sys.executable, __file__, "--build", str(model), str(texts), str(Path(folder, str(number)))]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - this script
            builds.append(json.loads(done.stdout.splitlines()[-1]))
    versions = {name: version(name) for name in ("torch", "transformers", "pyarrow", "datasketch")}
    print(json.dumps({"runs": builds, "versions": versions}))


if __name__ == "__main__":
    main()
