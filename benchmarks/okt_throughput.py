"""Compare Okt on batches with a loop over KoNLPy's `Okt().pos` in one run; print one JSON line.

[KGLOSS_OKT_TABLE=] KGLOSS_DATA=FOLDER python benchmarks/okt_throughput.py [--sentences 200000] [--sample 10000]

The sentences are those of the clean corpora in random order (seed 0). The table of frequent words was not made from
these corpora; `KGLOSS_OKT_TABLE=` leaves it out. The loop is timed on the first `--sample` sentences, after it has seen
others, and scaled. This is done twice: in a separate process, with Java as KoNLPy starts it (`konlpy`), and in ours
(`same_java`). Ours begins with an empty cache and, as in real work, a newly started Java virtual machine. The outputs
must be equal. `in_java` is the share of its time that is spent in Java; `ratio_without_python` is the ratio if nothing
else took time.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from corpora import clean_sentences

from kgloss_hf.runtime import okt

BATCH = 1000  # sentences per call, as from `datasets.map`


LOOP = "import okt_throughput, json, sys; print(json.dumps(okt_throughput.loop(*json.load(sys.stdin))))"


def loop(sample: list[str], others: list[str]) -> tuple[float, list[Any]]:
    """Return the sentences per second of KoNLPy's loop, and its answers."""
    from konlpy.tag import Okt

    stock = Okt()
    for text in others:
        stock.pos(text, norm=True, stem=True)
    started = time.perf_counter()
    answers = [stock.pos(text, norm=True, stem=True) for text in sample]
    return len(sample) / (time.perf_counter() - started), answers


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sentences", type=int, default=200_000)
    parser.add_argument("--sample", type=int, default=10_000, help="sentences for the loop over Okt().pos")
    options = parser.parse_args()
    texts = clean_sentences()[: options.sentences]
    okt.analyze(["불"])  # starts Java and loads Okt's dictionaries for both sides
    in_java, asked = 0.0, okt.analyze_words

    def timed(words: list[str]) -> Iterator[Any]:
        nonlocal in_java
        began = time.perf_counter()
        rows = iter(asked(words))
        first = list(islice(rows, 1))  # by now Java has analysed all of them
        in_java += time.perf_counter() - began
        return chain(first, rows)

    okt.analyze_words = timed
    seconds = {0: 0.0}
    started = time.perf_counter()
    for end in range(BATCH, len(texts) + BATCH, BATCH):
        okt.analyze(texts[end - BATCH : end])
        seconds[min(end, len(texts))] = time.perf_counter() - started
    started = time.perf_counter()
    for start in range(0, len(texts), BATCH):
        okt.analyze(texts[start : start + BATCH])
    warm = len(texts) / (time.perf_counter() - started)

    sample = texts[: options.sample]
    same_java, theirs = loop(sample, texts[-options.sample :])
    child = subprocess.run(  # noqa: S603
        [sys.executable, "-c", LOOP],
        input=json.dumps([sample, texts[-options.sample :]]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    konlpy = json.loads(child.stdout)[0]
    ours = okt.analyze(sample)
    different = sum([(m.lemma, m.tag) for m in a] != b for a, b in zip(ours, theirs, strict=True))
    cold = {n: n / seconds[n] for n in (50_000, 100_000, len(texts)) if n in seconds}
    result = {
        "sentences": len(texts),
        "konlpy_per_s": round(konlpy),
        "same_java_per_s": round(same_java),
        "ours_cold_per_s": {n: round(speed) for n, speed in cold.items()},
        "ratio_cold": {n: round(speed / konlpy, 1) for n, speed in cold.items()},
        "in_java": round(in_java / seconds[len(texts)], 2),
        "ratio_without_python": round(len(texts) / in_java / konlpy, 1),
        "ratio_cold_same_java": {n: round(speed / same_java, 1) for n, speed in cold.items()},
        "ours_warm_per_s": round(warm),
        "ratio_warm": round(warm / konlpy, 1),
        "ratio_warm_same_java": round(warm / same_java, 1),
        "compared": len(sample),
        "different": different,
    }
    print(json.dumps(result))
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
