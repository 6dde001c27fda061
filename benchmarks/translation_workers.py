"""Measure lines per second of `kgloss translate` with several threads, with one, and with workers of one thread each.

KGLOSS_DATA=FOLDER python benchmarks/translation_workers.py [--sentences 20000] [--workers 2] MODEL [-- --num_beams 1]

The sides take turns, each in a separate process that is timed from start to end, including start-up; the median counts.
The sentences are distinct sentences of the public corpora. All words are in an Okt cache file that is filled in
advance, unless `--cold` makes each process analyse its own. Outputs in JSON Lines are compared byte for byte: those of
one thread must be equal, those of several threads may differ in the last digits of `log_prob`. The output is one line
per side, and one line of JSON.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpora import clean_sentences


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="use no Okt cache file")
    parser.add_argument("more", nargs="*", help="options of kgloss translate, at the end, after --")
    options = parser.parse_args()
    sides = {
        f"1 process, {options.workers} threads": ["--threads", str(options.workers)],
        "1 process, 1 thread": ["--threads", "1"],
        f"{options.workers} workers, 1 thread each": ["--threads", "1", "--workers", str(options.workers)],
    }
    with tempfile.TemporaryDirectory() as folder:
        texts = list(dict.fromkeys(" ".join(text.split()) for text in clean_sentences() if text.strip()))
        Path(folder, "input.txt").write_text("\n".join(texts[: options.sentences]) + "\n", "utf-8")
        environment = {**os.environ, "KGLOSS_OKT_CACHE": f"{folder}/okt.cache"}
        if options.cold:
            environment.pop("KGLOSS_OKT_CACHE")
        else:
            side("fill", [], options, folder, environment)
        wall: dict[str, list[float]] = {name: [] for name in sides}
        cpu: dict[str, list[float]] = {name: [] for name in sides}
        outputs = {}
        for _ in range(options.rounds):
            for name, words in sides.items():
                *seconds, outputs[name] = side(name, words, options, folder, environment)
                wall[name].append(seconds[0])
                cpu[name].append(seconds[1])
    first, alone, workers = sides
    medians = {name: statistics.median(times) for name, times in wall.items()}
    for name, seconds in medians.items():
        rate = options.sentences / seconds
        busy = statistics.median(cpu[name])
        print(
            f"{name:28} {seconds:7.1f} s  {busy:7.1f} processor s  {rate:7.1f} lines/s  {medians[first] / seconds:.2f}"
        )
    result = {
        "sentences": options.sentences,
        "seconds": medians,
        "to_one_process": medians[first] / medians[workers],
        "to_one_thread": medians[alone] / medians[workers],
        "equal_to_one_thread": outputs[workers] == outputs[alone],
        "answers_unlike_one_process": sum(
            json.loads(a)["glosses"] != json.loads(b)["glosses"]
            for a, b in zip(outputs[workers].splitlines(), outputs[first].splitlines(), strict=True)
        ),
    }
    print(json.dumps(result))
    sys.exit(not result["equal_to_one_thread"])


def side(
    name: str, words: list[str], options: argparse.Namespace, folder: str, environment: dict[str, str]
) -> tuple[float, float, bytes]:
    """Return seconds, processor seconds including all children, and the output of a run."""
    command = [sys.executable, "-m", "kgloss_hf.cli", "translate", options.model, "--input", f"{folder}/input.txt"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(  # noqa: S603
        [*command, "--format", "jsonl", *options.more, *words], env=environment, stdout=subprocess.PIPE, check=True
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{name}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


if __name__ == "__main__":
    main()
