"""Compare learning a 10,000-piece vocabulary with KoNLPy in a loop and the stock trainer; print one JSON line.

    KGLOSS_DATA=FOLDER python benchmarks/tokenizer_training.py [--lines N]

Ours is one run over all lines of the public corpora. A user without this package would loop over KoNLPy's `Okt().pos`
and pass the words of one sentence after another to the trainer of `tokenizers`. The loop is timed on 10,000 random
lines, where its words must equal ours, and scaled to all lines.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from itertools import chain, islice

import numpy as np
from corpora import clean_sentences, nsmc_lines
from konlpy.tag import Okt
from tokenizers import Tokenizer, models, trainers

from kgloss_hf.models.vocabulary import RESERVED, count_words, learn_entries, train_tokenizer
from kgloss_hf.runtime.glosses import PLACEHOLDERS
from kgloss_hf.runtime.okt import analyze
from kgloss_hf.runtime.words import DROPPED_TAGS

PIECES = 10_000
SAMPLE = 10_000


def lines(limit: int | None) -> Iterator[str]:
    return islice(chain(clean_sentences(), nsmc_lines()), limit)


def words_in_a_loop(okt: Okt, texts: list[str]) -> list[list[str]]:
    """Return the words of each text, as the tokenizer sees them, from KoNLPy's own output."""
    words = []
    for text in texts:
        morphemes = okt.pos(text, norm=True, stem=True)
        words.append(
            [tag if tag in PLACEHOLDERS else lemma.lower() for lemma, tag in morphemes if tag not in DROPPED_TAGS]
        )
    return words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, help="maximum number of lines to read (default: all)")
    limit = parser.parse_args().lines
    analyze(["불"])  # starts the JVM and loads Okt's dictionaries for both sides

    started = time.perf_counter()
    counted = count_words(lines(limit))
    counting = time.perf_counter() - started
    entries = learn_entries(counted.words, vocab_size=PIECES)
    seconds = time.perf_counter() - started
    # Kilobytes on Linux; includes the JVM.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    counter_bytes = sys.getsizeof(counted.words) + sum(
        sys.getsizeof(word) + sys.getsizeof(n) for word, n in counted.words.items()
    )
    total = counted.sentences + counted.blank
    chosen = set(np.random.default_rng(0).choice(total, min(SAMPLE, total), replace=False).tolist())
    # Ours reads any white space as a space; Okt loses words next to a no-break space.
    sample = [" ".join(line.split()) for number, line in enumerate(lines(limit)) if number in chosen]
    okt = Okt()
    started = time.perf_counter()
    theirs = words_in_a_loop(okt, sample)
    loop = (time.perf_counter() - started) * total / len(sample)
    ours = train_tokenizer([], []).words(sample)
    started = time.perf_counter()
    trainer = trainers.WordPieceTrainer(vocab_size=PIECES, show_progress=False)
    Tokenizer(models.WordPiece(unk_token="[UNK]")).train_from_iterator(theirs, trainer)
    stock_trainer = (time.perf_counter() - started) * total / len(sample)
    different = sum(a != b for a, b in zip(ours, theirs, strict=True))
    result = {
        "lines": total,
        "blank": counted.blank,
        "words": counted.words.total(),
        "different_words": len(counted.words),
        "counter_mib": round(counter_bytes / 2**20, 1),
        "seconds": round(seconds, 1),
        "of_which_reading_and_okt": round(counting, 1),
        "of_which_trainer": round(seconds - counting, 1),
        "peak_resident_mib": round(peak),
        "vocabulary": len(RESERVED) + len(entries),
        "konlpy_loop_seconds_scaled": round(loop, 1),
        "stock_trainer_seconds_scaled": round(stock_trainer, 1),
        "ratio": round((loop + stock_trainer) / seconds, 1),
        "sample": len(sample),
        "different_lines": different,
    }
    print(json.dumps(result))
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
