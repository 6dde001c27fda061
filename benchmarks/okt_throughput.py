"""Okt on batches against a loop over KoNLPy's `Okt().pos`, in one run, with equal output: prints one JSON line.

KGLOSS_DATA=FOLDER python benchmarks/okt_throughput.py [--sentences 200000] [--sample 10000]

The sentences are all of the clean corpora in random order (seed 0). The loop is timed on the first `--sample` of them,
after it has seen others, and scaled; ours begins with an empty cache and, as in real work, a Java virtual machine that
has just started.
"""

import argparse
import json
import sys
import time

from corpora import clean_sentences

from kgloss_hf.runtime import okt

BATCH = 1000  # sentences a call, as `datasets.map` gives them


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sentences", type=int, default=200_000)
    parser.add_argument("--sample", type=int, default=10_000, help="sentences for the loop over Okt().pos")
    options = parser.parse_args()
    texts = clean_sentences()[: options.sentences]
    okt.analyze(["불"])  # starts Java and loads Okt's dictionaries, for both
    seconds = {0: 0.0}
    started = time.perf_counter()
    for end in range(BATCH, len(texts) + BATCH, BATCH):
        okt.analyze(texts[end - BATCH : end])
        seconds[min(end, len(texts))] = time.perf_counter() - started
    started = time.perf_counter()
    for start in range(0, len(texts), BATCH):
        okt.analyze(texts[start : start + BATCH])
    warm = len(texts) / (time.perf_counter() - started)

    from konlpy.tag import Okt

    stock = Okt()
    sample = texts[: options.sample]
    for text in texts[-1000:]:
        stock.pos(text, norm=True, stem=True)
    started = time.perf_counter()
    theirs = [stock.pos(text, norm=True, stem=True) for text in sample]
    loop = len(sample) / (time.perf_counter() - started)
    ours = okt.analyze(sample)
    different = sum([(m.lemma, m.tag) for m in a] != b for a, b in zip(ours, theirs, strict=True))
    cold = {n: n / seconds[n] for n in (50_000, 100_000, len(texts)) if n in seconds}
    result = {
        "sentences": len(texts),
        "konlpy_per_s": round(loop),
        "ours_cold_per_s": {n: round(speed) for n, speed in cold.items()},
        "ratio_cold": {n: round(speed / loop, 1) for n, speed in cold.items()},
        "ours_warm_per_s": round(warm),
        "ratio_warm": round(warm / loop, 1),
        "compared": len(sample),
        "different": different,
    }
    print(json.dumps(result))
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
