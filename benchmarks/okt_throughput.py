"""Okt on a batch against a loop over KoNLPy's `Okt().pos`, in one run, with equal output: prints one JSON line.

KGLOSS_DATA=FOLDER python benchmarks/okt_throughput.py
"""

import json
import os
import sys
import time
from pathlib import Path

from kgloss_hf.data import load_pairs
from kgloss_hf.okt import analyze


def main() -> None:
    if "KGLOSS_DATA" not in os.environ:
        sys.exit("set KGLOSS_DATA to the folder that holds gksl/")
    folder = str(Path(os.environ["KGLOSS_DATA"]) / "gksl")
    texts = [pair.text for pair in load_pairs("gksl", extra="augmented", data_dir=folder)]
    from konlpy.tag import Okt

    analyze(["불"])  # starts the JVM and loads Okt's dictionaries, for both
    stock = Okt()
    started = time.perf_counter()
    ours = analyze(texts)
    cold = time.perf_counter() - started
    started = time.perf_counter()
    analyze(texts)
    warm = time.perf_counter() - started
    started = time.perf_counter()
    theirs = [stock.pos(text, norm=True, stem=True) for text in texts]
    loop = time.perf_counter() - started
    different = sum([(m.lemma, m.tag) for m in a] != b for a, b in zip(ours, theirs, strict=True))
    result = {
        "sentences": len(texts),
        "ours_cold_per_s": round(len(texts) / cold),
        "ours_warm_per_s": round(len(texts) / warm),
        "konlpy_per_s": round(len(texts) / loop),
        "ratio_cold": round(loop / cold, 2),
        "ratio_warm": round(loop / warm, 1),
        "different": different,
    }
    print(json.dumps(result))
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
