"""Make the table of frequent words in the package, with Okt's analysis of each, checked against KoNLPy.

KGLOSS_DATA=FOLDER python benchmarks/okt_table.py [--words 150000] [--output kgloss_hf/runtime/okt_words.bin]

The words are the Hangul words of NSMC (film reviews under CC0) and the punctuation around them, by frequency. No other
corpus is used, so that benchmarks on the others measure text that the table was not made from. Words that Okt's
normalisation changes are left out.
"""

import argparse
import json
import os
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import starmap
from pathlib import Path

from corpora import nsmc_lines

os.environ["KGLOSS_OKT_TABLE"] = os.environ["KGLOSS_OKT_CACHE"] = ""

from kgloss_hf.runtime import java, okt  # must follow the variables that it reads


def encoded(surfaces: Sequence[str], lemmas: Sequence[str], tags: Sequence[str]) -> str:
    """Return the code that `okt.decoded` reads."""

    def one(surface: str, lemma: str, tag: str) -> str:
        kept = next((i for i, pair in enumerate(zip(surface, lemma, strict=False)) if len({*pair}) == 2), None)
        kept = min(len(surface), len(lemma)) if kept is None else kept
        return f"{len(surface)}:{tag}" + (f":{kept}:{lemma[kept:]}" if surface != lemma else "")

    return ",".join(starmap(one, zip(surfaces, lemmas, tags, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--words", type=int, default=150_000)
    parser.add_argument("--output", type=Path, default=Path(okt.__file__).with_name("okt_words.bin"))
    options = parser.parse_args()
    matches = (okt.PARTS.fullmatch(word) for line in nsmc_lines() for word in line.split())
    counts = Counter(part for match in matches if match for part in match.groups() if part)
    words = [word for word, _ in counts.most_common(options.words)]
    java.start_jvm()
    from konlpy.tag import Okt

    stock = Okt()
    groups: dict[str, list[str]] = defaultdict(list)
    for word, columns in zip(words, java.analyze_words(words), strict=True):
        surfaces, lemmas, tags, *_ = columns
        if surfaces and okt.decoded(word, code := encoded(surfaces, lemmas, tags)) == tuple(map(tuple, columns)):
            if list(zip(lemmas, tags, strict=True)) != (theirs := stock.pos(word, norm=True, stem=True)):
                sys.exit(f"{word}: expected KoNLPy's {theirs}, found {columns}; nothing was written")
            groups[code].append(word)
    lines = [okt.okt_digest(), *(" ".join([code, *sorted(group)]) for code, group in sorted(groups.items()))]
    options.output.write_bytes(zlib.compress("\n".join(lines).encode(), 9))
    kept = sum(map(len, groups.values()))
    least = counts[words[-1]]
    size = options.output.stat().st_size
    print(json.dumps({"words": kept, "least_count": least, "codes": len(groups), "bytes": size}))


if __name__ == "__main__":
    main()
