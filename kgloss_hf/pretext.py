"""The pretext task: pairs of sentences that mean the same, as ids, in a share for training and one for validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, load_dataset

from .tokenization_kgloss import KGlossTokenizerFast
from .training import TrainingArguments

_ROWS_AT_ONCE = 1_000


@dataclass
class PretextTrainingArguments(TrainingArguments):
    """Training arguments of the pretext: the checkpoint with the lowest validation loss is kept, nothing is generated.

    Defaults are the paper's where it states them (section IV.1): AdamW, 1e-4 with warm-up, batches of 32, 10 epochs.
    """

    output_dir: str = field(default="outputs/pretext", metadata={"help": "Folder for checkpoints and the result."})
    learning_rate: float = field(default=1e-4, metadata={"help": "Peak learning rate of AdamW (paper: 1e-4)."})
    num_train_epochs: float = field(default=10.0, metadata={"help": "Passes over the training pairs (paper: 10)."})
    warmup_steps: float = field(default=1000, metadata={"help": "Steps of linear warm-up."})
    label_smoothing_factor: float = field(default=0.0, metadata={"help": "Label smoothing (paper: 0)."})
    metric_for_best_model: str | None = field(default="loss", metadata={"help": "What best means."})
    greater_is_better: bool | None = field(default=False, metadata={"help": "Whether more of it is better."})
    loss_over: str = field(
        default="vocabulary", metadata={"help": "What a word piece is compared with.", "choices": ("vocabulary",)}
    )
    predict_with_generate: bool = field(default=False, metadata={"help": "Evaluate by generation."})


def load_pretext(data_dir: str, *, pairs: str = "backtranslation", corpus: str = "all") -> Dataset:
    """Pairs with the columns `source`, `target` and `origin` (the corpus), memory-mapped.

    Args:
        data_dir: Folder of `kgloss back-translate`, or with copies of the public corpora.
        pairs: `backtranslation`, or `paraphrase` for human paraphrases.
        corpus: Configuration of `ko_backtranslation`, such as `parakqc`; `all` of them by default.

    Raises:
        ValueError: An unknown name, or a file that is not as published.
        FileNotFoundError: The folder holds no such pairs.
    """
    dataset = load_dataset("ko_backtranslation", corpus, data_dir=data_dir, pairs=pairs, split="train")
    return dataset.select_columns(["source", "target", "origin"])


def sentences(dataset: Dataset) -> Iterator[str]:
    """Every sentence of the pairs, sources and targets, of which a part is in memory at a time.

    Args:
        dataset: With the columns `source` and `target`.

    Example:
        >>> list(sentences(Dataset.from_dict({"source": ["불이 났어요."], "target": ["화재입니다."]})))
        ['불이 났어요.', '화재입니다.']
    """
    for batch in dataset.iter(_ROWS_AT_ONCE):
        yield from batch["source"]
        yield from batch["target"]


def encode_pretext(tokenizer: KGlossTokenizerFast, dataset: Dataset) -> Dataset:
    """Pairs as `input_ids` and `labels`, on disk and cached by `datasets`, so that memory does not grow with them.

    The target is what the tokenizer makes of a sentence, without [BOS], which the model prepends.

    Args:
        tokenizer: The model's tokenizer.
        dataset: With the columns `source` and `target`.

    Example:
        >>> pairs = Dataset.from_dict({"source": ["몸의 형태"], "target": ["몸의 모양"]})
        >>> tokenizer = getfixture("tokenizer")
        >>> tokenizer.convert_ids_to_tokens(encode_pretext(tokenizer, pairs)[0]["labels"])
        ['몸', '모양', '[EOS]']
    """
    return dataset.map(
        _encode,
        batched=True,
        batch_size=_ROWS_AT_ONCE,
        remove_columns=dataset.column_names,
        fn_kwargs={"tokenizer": tokenizer},
        desc="Tokenizing",
    )


def _encode(batch: dict[str, Any], tokenizer: KGlossTokenizerFast) -> dict[str, list[np.ndarray]]:
    source, target = (tokenizer(batch[name], truncation=True)["input_ids"] for name in ("source", "target"))
    return {
        "input_ids": [np.array(ids, dtype=np.int32) for ids in source],
        "labels": [np.array(ids[1:], dtype=np.int32) for ids in target],
    }


def split_pretext(
    dataset: Dataset, share: float = 0.3, *, by: str = "group", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows for training and for validation.

    Args:
        dataset: With the columns `source` and `target`.
        share: Of the rows, for validation (paper: 0.3).
        by: `group` keeps pairs that share a sentence, directly or through others, on one side. `row` is the paper's.
        seed: Of the shuffle.

    Raises:
        ValueError: `by` is not known, or a side stays empty.

    Example:
        >>> pairs = Dataset.from_dict({"source": ["가", "나", "다", "라"], "target": ["나", "가", "라", "다"]})
        >>> [sorted(rows.tolist()) for rows in split_pretext(pairs, 0.5)]
        [[0, 1], [2, 3]]
    """
    if by not in ("group", "row"):
        raise ValueError(f"unknown split {by!r}; choose 'group' or 'row'")
    label = _linked(dataset) if by == "group" else np.arange(len(dataset))
    groups, sizes = np.unique(label, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(groups))
    held_out = groups[order[np.cumsum(sizes[order]) - sizes[order] < share * len(dataset)]]
    validation = np.isin(label, held_out)
    if validation.all() or not validation.any():
        raise ValueError(
            f"{len(dataset)} pairs in {len(groups)} groups are too few, or too alike, to hold out {share:.0%} of them"
        )
    return np.flatnonzero(~validation), np.flatnonzero(validation)


def _linked(dataset: Dataset) -> np.ndarray:
    """A label for each row, equal where rows are linked. In memory are hashes of sentences, 16 bytes a pair."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    def hashes(texts: Iterable[str]) -> np.ndarray:
        return pd.util.hash_array(np.array(list(texts), dtype=object))

    keys = [hashes(batch[name]) for batch in dataset.iter(_ROWS_AT_ONCE) for name in ("source", "target")]
    if not keys:
        return np.empty(0, dtype=np.int64)
    source, target = np.concatenate(keys[::2]), np.concatenate(keys[1::2])
    sentence, number = np.unique(np.concatenate([source, target]), return_inverse=True)
    first, second = number[: len(source)], number[len(source) :]
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(len(sentence), len(sentence)))
    return connected_components(graph, directed=False)[1][first]
