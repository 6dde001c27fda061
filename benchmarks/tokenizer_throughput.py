"""Compare `tokenizer(batch)` with the plain backend on words already split; print one JSON line.

KGLOSS_DATA=FOLDER taskset -c 0 python benchmarks/tokenizer_throughput.py [--sentences 20000]

The words of each sentence are in the cache, as from the second epoch on. The difference between the two is the added
layer: Okt's cache, the choice of words, and counting the tokens that truncation drops. The best of five rounds counts,
with one thread.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from corpora import clean_sentences
from transformers import PreTrainedTokenizerFast

from kgloss_hf.models.vocabulary import train_tokenizer

BATCH = 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sentences", type=int, default=20_000)
    texts = clean_sentences()[: parser.parse_args().sentences]
    ours = train_tokenizer(texts, [])
    words = ours.words(texts)
    plain = PreTrainedTokenizerFast(tokenizer_object=ours.backend_tokenizer, unk_token="[UNK]")
    calls: dict[str, Callable[[int], Any]] = {
        "plain": lambda i: plain(words[i : i + BATCH], is_split_into_words=True, return_token_type_ids=False),
        "words": lambda i: ours.words(texts[i : i + BATCH]),
        "ours": lambda i: ours(texts[i : i + BATCH]),
        "ours_with_offsets": lambda i: ours(texts[i : i + BATCH], return_offsets_mapping=True),
    }
    rounds = {name: min(_seconds(call, len(texts)) for _ in range(5)) for name, call in calls.items()}
    different = sum(
        calls["plain"](i)["input_ids"] != calls["ours"](i)["input_ids"] for i in range(0, len(texts), BATCH)
    )
    result = {
        "sentences": len(texts),
        "per_s": {name: round(len(texts) / seconds) for name, seconds in rounds.items()},
        "ours_to_plain": round(rounds["plain"] / rounds["ours"], 2),
        "different_batches": different,
    }
    print(json.dumps(result))
    sys.exit(different > 0)


def _seconds(call: Callable[[int], Any], sentences: int) -> float:
    started = time.perf_counter()
    for i in range(0, sentences, BATCH):
        call(i)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
