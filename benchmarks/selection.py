"""Compare the selection of back-translated pairs with a loop over datasketch's MinHashLSH; print one JSON line.

KGLOSS_DATA=FOLDER taskset -c 0 python benchmarks/selection.py [--sizes 10000 100000 300000]

The pairs are the paraphrases of the public corpora in random order (seed 0). Beyond their number, the same sources are
paired with other targets. Both methods apply the same filters and bands, and compare candidates exactly. Their hash
functions differ, and so do the few near duplicates that each misses; `different` counts these verdicts. Each method and
size runs in a separate process, which streams the pairs from a file; `grown_mib` is the growth of its peak memory
(Linux).
"""

import argparse
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from datasketch import MinHash, MinHashLSH

from kgloss_hf.back_translation import near_duplicates
from kgloss_hf.back_translation.filters import Thresholds, reason
from kgloss_hf.back_translation.near_duplicates import NearDuplicates

BATCH = 10_000
THRESHOLDS = Thresholds()
SIMILAR = 0.9

Pairs = list[tuple[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 300_000])
    sizes = parser.parse_args().sizes
    results = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pairs.jsonl"
        real = _write(file, max(sizes), folder)
        for size in sizes:
            ways = {way: _alone(way, file, size) for way in ("ours", "datasketch")}
            verdicts = [result.pop("dropped") for result in ways.values()]
            different = sum(a != b for a, b in zip(*verdicts, strict=True))
            results.append({"pairs": size, **ways, "different": different})
    print(json.dumps({"real_pairs": real, "sizes": results}))


def _write(file: Path, count: int, cache: str) -> int:
    import numpy as np
    from corpora import folder
    from datasets import load_dataset

    import kgloss_hf  # noqa: F401 - registers ko_backtranslation

    pairs = load_dataset("ko_backtranslation", "all", data_dir=str(folder()), pairs="paraphrase", cache_dir=cache)[
        "train"
    ]
    sources, targets = list(pairs["source"]), list(pairs["target"])
    order = np.random.default_rng(0).permutation(len(sources)).tolist()
    with file.open("w", encoding="utf-8") as lines:
        for number in range(count):
            turn, place = divmod(number, len(order))
            pair = sources[order[place]], targets[order[(place + turn) % len(order)]]
            lines.write(json.dumps(pair) + "\n")
    return len(order)


def _alone(way: str, file: Path, size: int) -> dict:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_measure, way, file, size).result()


def _measure(way: str, file: Path, size: int) -> dict:
    select = {"ours": _ours, "datasketch": _datasketch}[way]
    for _ in select(iter([[("집", "불")]]), file.with_suffix(".warm")):
        pass
    before = _peak_mib()
    started = time.perf_counter()
    dropped = [why for batch in select(_batches(file, size), file.with_suffix(".scratch")) for why in batch]
    seconds = time.perf_counter() - started
    grown = _peak_mib() - before
    return {"per_s": round(size / seconds), "grown_mib": round(grown), "kept": dropped.count(""), "dropped": dropped}


def _batches(file: Path, size: int) -> Iterator[Pairs]:
    with file.open(encoding="utf-8") as lines:
        rest = islice(lines, size)
        while batch := [tuple(json.loads(line)) for line in islice(rest, BATCH)]:
            yield batch


def _ours(batches: Iterator[Pairs], scratch: Path) -> Iterator[list[str]]:
    with NearDuplicates(scratch, SIMILAR) as earlier:
        for batch in batches:
            why = [reason(*pair, None, THRESHOLDS) for pair in batch]
            left = [number for number, dropped in enumerate(why) if not dropped]
            for number, seen in zip(left, earlier.seen_many([batch[number] for number in left]), strict=True):
                if seen:
                    why[number] = "near_duplicate"
            yield why


def _datasketch(batches: Iterator[Pairs], scratch: Path) -> Iterator[list[str]]:
    ours = NearDuplicates(scratch, SIMILAR)
    permutations = ours.bands * ours.rows
    index = MinHashLSH(num_perm=permutations, params=(ours.bands, ours.rows))
    texts: Pairs = []
    for batch in batches:
        why = [reason(*pair, None, THRESHOLDS) for pair in batch]
        left = [number for number, dropped in enumerate(why) if not dropped]
        compared = [tuple(map(near_duplicates._comparable, batch[number])) for number in left]
        encoded = ([shingle.encode() for shingle in near_duplicates._shingles(pair)] for pair in compared)
        for number, pair, signature in zip(
            left, compared, MinHash.generator(encoded, num_perm=permutations), strict=True
        ):
            candidates = index.query(signature)
            if candidates and near_duplicates._any_near(pair, (texts[c] for c in candidates), SIMILAR):
                why[number] = "near_duplicate"
            else:
                index.insert(len(texts), signature, check_duplication=False)
                texts.append(pair)
        yield why


def _peak_mib() -> float:
    # ru_maxrss would include the peak of the parent process.
    (kib,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(kib) / 1024


if __name__ == "__main__":
    sys.exit(main())
