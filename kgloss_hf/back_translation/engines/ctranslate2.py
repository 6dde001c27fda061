"""Translation with a checkpoint converted for CTranslate2, which is faster on a CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...optional import require, versions
from .checkpoints import MAX_CHARACTERS, Checkpoint, CheckpointEngine, identity, load_tokenizer, most_new_tokens
from .engine import EngineError, Limits
from .languages import Direction

_BATCHES = 8


@dataclass(kw_only=True, eq=False, repr=False)
class CTranslate2Engine(CheckpointEngine):
    """An engine for checkpoints made by `ct2-transformers-converter`, on a CUDA device or else on the CPU.

    The same texts in the same batches give the same translations. The models are loaded when first needed.

    CTranslate2 starts a Marian model's translations from a zero embedding, as published Marian models do. In a model
    that was trained or fine-tuned with transformers, the embedding of the padding token is often no longer zero, and
    the first words go wrong: keep it zero in training, or use TransformersEngine.

    The options are those of `CheckpointEngine` and the following. `model` and `back_model` are folders, `num_beams` is
    4, and `batch_size` is 16.

    Args:
        tokenizer: Checkpoint that `model` was converted from, for its tokenizer (default: `model`, for a conversion
            with `--copy_files` of the tokenizer's files).
        back_tokenizer: The same for `back_model` (default: `back_model`, or `tokenizer` if no `back_model` is given).
        threads: Batches translated at the same time on a CPU, each by one thread (default: the number of cores that
            this process may use).
        compute_type: CTranslate2's compute type, such as `int8` (`default`: the one the checkpoint was converted with).

    Raises:
        ImportError: ctranslate2 is not installed.

    Examples:
        >>> engine = CTranslate2Engine(
        ...     model="converted/opus-mt-ko-en",
        ...     back_model="converted/opus-mt-tc-big-en-ko",
        ...     tokenizer="Helsinki-NLP/opus-mt-ko-en",
        ...     back_tokenizer="Helsinki-NLP/opus-mt-tc-big-en-ko",
        ... )  # doctest: +SKIP
        >>> engine.translate(["그는 책을 읽는다."], "ko", "en")  # doctest: +SKIP
        ['He reads a book.']
    """

    tokenizer: str | None = None
    back_tokenizer: str | None = None
    num_beams: int = 4
    batch_size: int = 16
    threads: int | None = None
    compute_type: str = "default"

    def __post_init__(self) -> None:
        require("ctranslate2", "ctranslate2", purpose=f"the engine ctranslate2:{self.model}")
        for folder in filter(None, (self.model, self.back_model)):
            if not Path(folder, "model.bin").is_file():
                raise FileNotFoundError(
                    f"{folder}: expected a folder with a converted checkpoint (model.bin), found none; make it with "
                    "ct2-transformers-converter --model CHECKPOINT --output_dir FOLDER"
                )
        super().__post_init__()
        self.batch_limits = Limits(self.batch_size, self.batch_characters, MAX_CHARACTERS)
        # Several batches per call, to keep the threads busy; their number is fixed, since threads differ by machine.
        self.limits = Limits(_BATCHES * self.batch_size, _BATCHES * self.batch_characters, MAX_CHARACTERS)
        tokenizer = self.tokenizer or self.model
        self.forth = (self.model, tokenizer)
        self.back = (self.back_model or self.model, self.back_tokenizer or self.back_model or tokenizer)

    def describe(self) -> dict[str, Any]:
        """Return everything besides `limits` that determines the translations."""
        return {
            "kind": "ctranslate2",
            "forth": [identity(path) for path in self.forth if path],
            "back": [identity(path) for path in self.back if path],
            "num_beams": self.num_beams,
            "compute_type": self.compute_type,
            "versions": versions("ctranslate2", "transformers"),
        }

    def load(self, model: str, other: str | None) -> Checkpoint:
        """Load a converted checkpoint, and the tokenizer of its original."""
        import ctranslate2
        from accelerate import PartialState

        if ctranslate2.get_cuda_device_count():
            device: dict[str, Any] = {"device": "cuda", "device_index": PartialState().local_process_index}
        else:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            device = {"device": "cpu", "inter_threads": self.threads or cores, "intra_threads": 1}
        translator = ctranslate2.Translator(model, compute_type=self.compute_type, **device)
        return Checkpoint(translator, load_tokenizer(other or model), self.name)

    def generate(
        self, checkpoint: Checkpoint, rows: Sequence[list[list[int]]], direction: Direction
    ) -> Iterator[list[list[int]]]:
        """Translate batches of ids to batches of ids, in their order; start them all before waiting for the first."""
        translator, tokenizer = checkpoint.model, checkpoint.tokenizer
        pending = [
            translator.translate_batch(
                [tokenizer.convert_ids_to_tokens(row) for row in batch],
                target_prefix=[[direction.target]] * len(batch) if direction.target else None,
                beam_size=self.num_beams,
                # The tokenizer's limit has been checked; CTranslate2 would truncate silently.
                max_input_length=0,
                max_decoding_length=min(most_new_tokens(batch), tokenizer.model_max_length - 1),
                asynchronous=True,
            )
            for batch in rows
        ]
        for results in pending:
            try:
                hypotheses = [result.result().hypotheses[0] for result in results]
            except RuntimeError as error:
                raise EngineError(
                    f"{self.name}: expected translations, found an error of CTranslate2: {error}"
                ) from error
            skipped = 1 if direction.target else 0
            yield [tokenizer.convert_tokens_to_ids(tokens[skipped:]) for tokens in hypotheses]
