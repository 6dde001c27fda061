"""Compare Okt on batches with `Okt().pos` on all public corpora; print how many sentences were compared and differ.

KGLOSS_DATA=FOLDER python benchmarks/okt_equality.py [--corpus clean|nsmc] [--skip N] [--lines N]

The run takes as long as `Okt().pos`: more than half an hour for all 868,337 lines.
"""

import argparse
import json
import sys
from itertools import chain, islice

from corpora import clean_sentences, nsmc_lines
from tqdm import tqdm

from kgloss_hf.runtime import java, okt


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", choices=("clean", "nsmc"), help="NSMC, or all others (default: both)")
    parser.add_argument("--skip", type=int, default=0, help="number of lines to skip at the beginning (default: 0)")
    parser.add_argument("--lines", type=int, default=10**9, help="maximum number of lines to compare (default: all)")
    options = parser.parse_args()
    clean = clean_sentences() if options.corpus != "nsmc" else []
    nsmc = nsmc_lines() if options.corpus != "clean" else ()
    lines = islice(chain(clean, nsmc), options.skip, options.skip + options.lines)
    java.start_jvm()
    from konlpy.tag import Okt

    stock = Okt()
    compared = different = 0
    progress = tqdm(unit=" lines")
    while batch := list(islice(lines, 5000)):
        for text, morphemes in zip(batch, okt.analyze(batch), strict=True):
            theirs = stock.pos(text, norm=True, stem=True)
            compared += 1
            if [(m.lemma, m.tag) for m in morphemes] != theirs:
                different += 1
                tqdm.write(f"{text}\n  {theirs}\n  {[(m.lemma, m.tag) for m in morphemes]}")
            progress.update()
    print(json.dumps({"compared": compared, "different": different}))
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
