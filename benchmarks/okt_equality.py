"""Okt on batches and `Okt().pos` on every sentence of the public corpora: prints how many were compared and differ.

KGLOSS_DATA=FOLDER python benchmarks/okt_equality.py [--lines N]

Takes as long as `Okt().pos` does: about half an hour for all 868,337 lines.
"""

import argparse
import json
import sys
from itertools import chain, islice

from corpora import clean_sentences, nsmc_lines
from tqdm import tqdm

from kgloss_hf import okt


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, help="only the first so many (default: all)")
    lines = islice(chain(clean_sentences(), nsmc_lines()), parser.parse_args().lines)
    okt.start_jvm()
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
