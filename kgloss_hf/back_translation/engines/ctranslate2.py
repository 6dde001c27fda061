"""Translation with a checkpoint converted for CTranslate2, the faster engine on a CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from .checkpoints import (
    MAX_CHARACTERS,
    check_positive,
    decode,
    encode,
    identity,
    load_tokenizer,
    most_new_tokens,
    name_of,
)
from .engine import EngineError, Limits, Price, batches
from .languages import find_direction, into_korean

_BATCHES = 8


class _Checkpoint(NamedTuple):
    translator: Any
    tokenizer: Any


class CTranslate2Engine:
    """An engine of checkpoints that `ct2-transformers-converter` made, on a CUDA device or else on the CPU.

    The same texts in the same batches give the same translations. The models are loaded when first needed.

    CTranslate2 starts a Marian's translations with zero, as published ones do. In one that transformers trained or
    fine-tuned, the embedding of the padding token is often no longer zero, and first words go wrong: keep it zero in
    training, or use TransformersEngine.

    Args:
        model: Folder of the converted checkpoint.
        back_model: Folder of the one for translating into Korean, where `model` is of one direction (default: `model`).
        tokenizer: Checkpoint that `model` was converted from, for its tokenizer (default: `model`, for a conversion
            with `--copy_files` of the tokenizer's files).
        back_tokenizer: The same of `back_model` (default: `back_model`, or `tokenizer` where there is none).
        name: Value of the corpus's column `engine` (default: the last part of `model`).
        num_beams: Beams; 1 is greedy.
        batch_size: Texts in a batch at most.
        batch_characters: Characters in a batch at most, each text counted as long as the longest.
        threads: Batches translated at the same time on a CPU, each by one thread (default: the cores that this process
            may use).
        compute_type: CTranslate2's, such as `int8` (`default` is how the checkpoint was converted).

    Raises:
        ImportError: ctranslate2 is not installed.
        FileNotFoundError: A folder holds no converted checkpoint.
        ValueError: An option has a value that it cannot have.

    Example:
        >>> engine = CTranslate2Engine(
        ...     model="converted/opus-mt-ko-en",
        ...     back_model="converted/opus-mt-tc-big-en-ko",
        ...     tokenizer="Helsinki-NLP/opus-mt-ko-en",
        ...     back_tokenizer="Helsinki-NLP/opus-mt-tc-big-en-ko",
        ... )  # doctest: +SKIP
        >>> engine.translate(["그는 책을 읽는다."], "ko", "en")  # doctest: +SKIP
        ['He reads a book.']
    """

    price: Price | None = None

    def __init__(
        self,
        *,
        model: str,
        back_model: str | None = None,
        tokenizer: str | None = None,
        back_tokenizer: str | None = None,
        name: str | None = None,
        num_beams: int = 4,
        batch_size: int = 16,
        batch_characters: int = 8192,
        threads: int | None = None,
        compute_type: str = "default",
    ) -> None:
        if not find_spec("ctranslate2"):
            raise ImportError('ctranslate2 is not installed; pip install "kgloss-hf[ctranslate2]"')
        for folder in filter(None, (model, back_model)):
            if not Path(folder, "model.bin").is_file():
                raise FileNotFoundError(
                    f"{folder}: expected a folder with a converted checkpoint (model.bin), found none; make it with "
                    "ct2-transformers-converter --model CHECKPOINT --output_dir FOLDER"
                )
        check_positive(num_beams=num_beams, batch_size=batch_size, batch_characters=batch_characters, threads=threads)
        self.name = name or name_of(model)
        self._batch = Limits(batch_size, batch_characters, MAX_CHARACTERS)
        # Several batches at a time, so that each thread has one; not as many as threads, which differ by machine.
        self.limits = Limits(_BATCHES * batch_size, _BATCHES * batch_characters, MAX_CHARACTERS)
        self._forth = (model, tokenizer or model)
        self._back = (
            (back_model, back_tokenizer or back_model) if back_model else (model, back_tokenizer or self._forth[1])
        )
        self._num_beams = num_beams
        self._threads = threads
        self._compute_type = compute_type
        self._loaded: dict[tuple[str, str], _Checkpoint] = {}

    def describe(self) -> dict[str, Any]:
        """All that decides what comes out, beside `limits`."""
        return {
            "kind": "ctranslate2",
            "forth": [identity(path) for path in self._forth],
            "back": [identity(path) for path in self._back],
            "num_beams": self._num_beams,
            "compute_type": self._compute_type,
            "versions": {name: version(name) for name in ("ctranslate2", "transformers")},
        }

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations of any number of texts, in their order; see `Engine.translate`."""
        translator, tokenizer = self._load(*(self._back if into_korean(target) else self._forth))
        direction = find_direction(tokenizer, source, target, self.name)
        ids = encode(tokenizer, texts, direction, None) if texts else []
        begun = []
        for batch in batches(texts, self._batch):
            rows = [ids[index] for index in batch]
            options: dict[str, Any] = {"target_prefix": [[direction.target]] * len(rows)} if direction.target else {}
            made = translator.translate_batch(
                [tokenizer.convert_ids_to_tokens(row) for row in rows],
                beam_size=self._num_beams,
                # The tokenizer's limit has been looked at; CTranslate2 would cut in silence.
                max_input_length=0,
                max_decoding_length=min(most_new_tokens(rows), tokenizer.model_max_length - 1),
                asynchronous=True,
                **options,
            )
            begun.append((batch, made))
        found = [""] * len(texts)
        for batch, made in begun:
            try:
                hypotheses = [result.result().hypotheses[0] for result in made]
            except RuntimeError as error:
                raise EngineError(
                    f"{self.name}: expected translations, found that CTranslate2 stopped: {error}"
                ) from error
            skipped = 1 if direction.target else 0
            rows = [tokenizer.convert_tokens_to_ids(tokens[skipped:]) for tokens in hypotheses]
            for index, text in zip(batch, decode(tokenizer, rows), strict=True):
                found[index] = text
        return found

    def _load(self, model: str, tokenizer: str) -> _Checkpoint:
        if (model, tokenizer) not in self._loaded:
            import ctranslate2
            from accelerate import PartialState

            if ctranslate2.get_cuda_device_count():
                device: dict[str, Any] = {"device": "cuda", "device_index": PartialState().local_process_index}
            else:
                threads = self._threads or _cores()
                device = {"device": "cpu", "inter_threads": threads, "intra_threads": 1}
            translator = ctranslate2.Translator(model, compute_type=self._compute_type, **device)
            self._loaded[model, tokenizer] = _Checkpoint(translator, load_tokenizer(tokenizer))
        return self._loaded[model, tokenizer]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
