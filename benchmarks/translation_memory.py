"""Measure the memory of a translating process under settings of the C library; print one JSON line per setting.

KGLOSS_DATA=FOLDER python benchmarks/translation_memory.py MODEL [--sentences 20000]

Each setting runs in a separate process, which translates a stream of sentences. It reads its resident memory along the
way, at its peak, and after `malloc_trim`, which returns the free memory that the library kept. Linux with glibc only.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from corpora import clean_sentences

SETTINGS = ({}, {"MALLOC_ARENA_MAX": "2"}, {"MALLOC_TRIM_THRESHOLD_": "131072"})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.model, options.sentences)
        return
    for setting in SETTINGS:
        words = [sys.executable, __file__, options.model, "--sentences", str(options.sentences), "--measure"]
        environment = {**os.environ, **setting}
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        print(json.dumps({"setting": setting} | json.loads(done.stdout)), flush=True)


def measure(model: str, sentences: int) -> None:
    """Translate distinct sentences, and print the memory of this process."""
    from transformers import pipeline

    import kgloss_hf  # noqa: F401

    text_to_gloss = pipeline("text-to-gloss", model=model)
    texts = list(dict.fromkeys(clean_sentences()))[:sentences]
    started = time.perf_counter()
    held = {}
    for number, _ in enumerate(text_to_gloss(iter(texts)), 1):
        if number == 1 or number % (sentences // 4) == 0:
            held[number] = _mib("VmRSS")
    seconds = time.perf_counter() - started
    peak = _mib("VmHWM")
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    print(json.dumps({"mib": held, "peak": peak, "trimmed": _mib("VmRSS"), "seconds": round(seconds, 1)}))


def _mib(field: str) -> int:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("utf-8").splitlines())
    return int(status[field].split()[0]) // 1024


if __name__ == "__main__":
    main()
