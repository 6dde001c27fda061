"""Measure lines per second of `kgloss translate` from subtitles to each format, and from plain lines.

KGLOSS_DATA=FOLDER python benchmarks/subtitles.py [--cues 10000] [--rounds 3] MODEL [-- --num_beams 1 --threads 1]

A film is made of distinct sentences of the public corpora, one per cue of three seconds. The sentences of its cues are
also the plain lines, so that the model has the same work. Plain lines are translated to text, and to JSON Lines with
the types, alignment and confidence that a timeline needs. The sides take turns, each in a separate process that is
timed from start to end, including start-up; the median counts. All words are in an Okt cache file that is filled in
advance. The output is one line per side, with its time relative to plain lines with the same options, and one line of
JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpora import clean_sentences

from kgloss_hf.data.signs import Notes
from kgloss_hf.data.speech import sentences_of
from kgloss_hf.data.subtitles import read_subtitles, write_subtitles

LENGTH = 3_000  # length of a cue in milliseconds
LINES = "lines to jsonl, as for a timeline"
SIDES = {
    "lines to text": ["lines.txt", "--format", "text"],
    LINES: ["lines.txt", "--format", "jsonl", "--types", "--alignment", "--confidence"],
    "subtitles to timeline": ["film.srt", "--format", "timeline"],
    "subtitles to srt": ["film.srt", "--format", "srt"],
    "subtitles to eaf": ["film.srt", "--format", "eaf"],
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--cues", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("more", nargs="*", help="options of kgloss translate, at the end, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        texts = list(dict.fromkeys(" ".join(text.split()) for text in clean_sentences() if text.strip()))
        rows = [(at * LENGTH, (at + 1) * LENGTH, text) for at, text in enumerate(texts[: options.cues])]
        film = Path(folder, "film.srt")
        film.write_text(write_subtitles("srt", rows), "utf-8")
        sentences = [sentence.text for sentence in sentences_of(read_subtitles(film).cues, Notes())]
        Path(folder, "lines.txt").write_text("\n".join(sentences) + "\n", "utf-8")
        environment = {**os.environ, "KGLOSS_OKT_CACHE": f"{folder}/okt.cache"}
        seconds_of(SIDES[LINES], options, folder, environment)  # fills the cache
        seconds: dict[str, list[float]] = {name: [] for name in SIDES}
        for _ in range(options.rounds):
            for name, words in SIDES.items():
                seconds[name].append(seconds_of(words, options, folder, environment))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        more = (median / medians[LINES] - 1) * 100
        rate = len(sentences) / median
        print(f"{name}: {median:.1f} s, {rate:,.0f} lines/s, {more:+.1f}% against {LINES}")
    print(json.dumps({"cues": len(rows), "lines": len(sentences), "seconds": seconds}))


def seconds_of(words: list[str], options: argparse.Namespace, folder: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-m", "kgloss_hf.cli", "translate", options.model, "--input", f"{folder}/{words[0]}"]
    start = time.perf_counter()
    subprocess.run(  # noqa: S603
        [*command, *words[1:], *options.more],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
