"""Translation with a transformers checkpoint: Marian, NLLB, M2M100 or mBART-50."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...optional import versions
from ...reporting import counted
from .checkpoints import (
    MAX_CHARACTERS,
    Checkpoint,
    CheckpointEngine,
    identity,
    load_tokenizer,
    most_new_tokens,
    name_of,
)
from .engine import EngineError, Limits, is_number
from .languages import Direction

_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(kw_only=True, eq=False, repr=False)
class TransformersEngine(CheckpointEngine):
    """An engine that generates with transformers, on the device that accelerate chooses.

    The options are those of `CheckpointEngine` and the following. `model` is an id on the Hub, or a folder. `num_beams`
    is 4, or 1 with `do_sample`. `batch_size` is 64, or 16 on a CPU, which is faster there. Generation options that are
    not listed here, such as a length penalty, are the checkpoint's own.

    Args:
        revision: Branch, tag or commit of `model` on the Hub (default: main). Only a commit is certain not to change.
        back_revision: The same for `back_model`.
        do_sample: Draw each token from `torch`'s random state instead of taking the most probable one (default
            False).
        temperature: Sampling temperature (default: 1); needs `do_sample`.
        top_p: Draw from the most probable tokens that together have this probability (default: 1); needs `do_sample`.
        max_new_tokens: Maximum number of tokens per translation (default: three times as many as the longest text of
            the batch has, and at least 50, which stops a decoder that repeats itself but no translation).
        dtype: `float32`, `bfloat16` or `float16` (default: `bfloat16` on a CUDA device that supports it, else
            `float32`).

    Examples:
        >>> engine = TransformersEngine(
        ...     model="Helsinki-NLP/opus-mt-ko-en", back_model="Helsinki-NLP/opus-mt-tc-big-en-ko"
        ... )
        >>> engine.name
        'opus-mt-ko-en'
        >>> engine.translate(["그는 책을 읽는다."], "ko", "en")  # doctest: +SKIP
        ['He reads a book.']
    """

    revision: str | None = None
    back_revision: str | None = None
    do_sample: bool = False
    temperature: float | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        for model in filter(None, (self.model, self.back_model)):
            if Path(model).is_dir():
                if not Path(model, "config.json").is_file():
                    raise FileNotFoundError(f"{model}: expected a checkpoint, found a folder without config.json")
            elif model.startswith((".", "~", "/")) or model.count("/") > 1 or "\\" in model:
                raise FileNotFoundError(f"{model}: expected the folder of a checkpoint, found none there")
        super().__post_init__()
        if self.back_revision and not self.back_model:
            raise ValueError(f"back_revision: expected a back_model with it, found only {self.back_revision!r}")
        if not self.do_sample and (self.temperature, self.top_p) != (None, None):
            raise ValueError(
                "temperature and top_p: expected do_sample=true with them, found it false; give it, or leave them out"
            )
        if self.temperature is not None and not (is_number(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature: expected a number above 0, found {self.temperature!r}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: expected a number above 0, at most 1, found {self.top_p!r}")
        if self.dtype not in (None, *_DTYPES):
            raise ValueError(f"dtype: expected {', '.join(_DTYPES)}, found {self.dtype!r}")
        self.limits = self.batch_limits = Limits(self.batch_size or 64, self.batch_characters, MAX_CHARACTERS)
        self.forth = (self.model, self.revision)
        self.back = (self.back_model, self.back_revision) if self.back_model else self.forth
        self._generation: dict[str, Any] = {
            "num_beams": self.num_beams or (1 if self.do_sample else 4),
            "do_sample": self.do_sample,
        }
        if self.do_sample:
            # By default, a checkpoint draws from the 50 likeliest tokens only.
            self._generation |= {"temperature": self.temperature or 1.0, "top_p": self.top_p or 1.0, "top_k": 0}

    def describe(self) -> dict[str, Any]:
        """Return everything besides `limits` that determines the translations."""
        return {
            "kind": "transformers",
            "forth": identity(*self.forth),
            "back": identity(*self.back),
            "max_new_tokens": self.max_new_tokens,
            "dtype": self._dtype,
            **self._generation,
            "versions": versions("transformers", "torch"),
        }

    def seed(self, value: int) -> None:
        """Seed `torch`, whose random state the next translations are drawn from, with a number from 0."""
        import torch

        torch.manual_seed(value)

    def load(self, model: str, other: str | None) -> Checkpoint:
        """Load a checkpoint by its name and revision."""
        import torch
        from accelerate import PartialState

        device = PartialState().device
        if device.type == "cpu":
            self.batch_limits = self.limits._replace(texts=self.batch_size or 16)
        # Loading draws weights before it reads them, which must not change the caller's random state.
        with torch.random.fork_rng(devices=[]):
            loaded = _load_model(model, other, self._dtype)
        loaded.generation_config.max_length = None  # max_new_tokens is always set, and both together cause a warning
        positions = getattr(loaded.config, "max_position_embeddings", None)
        return Checkpoint(loaded.to(device), load_tokenizer(model, other), name_of(model), positions)

    def generate(
        self, checkpoint: Checkpoint, rows: Sequence[list[list[int]]], direction: Direction
    ) -> Iterator[list[list[int]]]:
        """Translate batches of ids to batches of ids, in their order."""
        return (self._generate(checkpoint, batch, direction) for batch in rows)

    @property
    def _dtype(self) -> str:
        if self.dtype:
            return self.dtype
        import torch
        from accelerate import PartialState

        on_cuda = PartialState().device.type == "cuda"
        return "bfloat16" if on_cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"

    def _generate(self, checkpoint: Checkpoint, ids: list[list[int]], direction: Direction) -> list[list[int]]:
        """Translate one batch, or its halves if it needs more memory than the CUDA device has."""
        import torch

        model, tokenizer, name, positions = checkpoint
        most = self.max_new_tokens or most_new_tokens(ids)
        options: dict[str, Any] = {"max_new_tokens": min(most, positions - 1) if positions else most}
        if direction.target:
            options["forced_bos_token_id"] = tokenizer.convert_tokens_to_ids(direction.target)
        try:
            with torch.inference_mode():
                rows = [torch.tensor(row) for row in ids]
                inputs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
                mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
                generated = model.generate(
                    inputs.to(model.device), attention_mask=mask.to(model.device), **self._generation, **options
                )
            # The decoder's start token and the forced language token do not belong to the translation.
            translations: list[list[int]] = generated[:, 2 if direction.target else 1 :].tolist()
            return translations
        except torch.cuda.OutOfMemoryError as error:
            if len(ids) == 1:
                raise EngineError(
                    f"{name}: expected memory for one text of {counted(len(ids[0]), 'token')}, found too little on "
                    f"{model.device}; use fewer beams or dtype=bfloat16"
                ) from error
        # This runs after the except clause, so that nothing keeps the tensors of the failed batch alive.
        torch.cuda.empty_cache()
        half = len(ids) // 2
        return [*self._generate(checkpoint, ids[:half], direction), *self._generate(checkpoint, ids[half:], direction)]


def _load_model(model: str, revision: str | None, dtype: str) -> Any:
    from transformers import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForSeq2SeqLM

    try:
        config = AutoConfig.from_pretrained(model, revision=revision)
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{model}: expected a folder with a checkpoint or the id of one on the Hub, found neither ({error})"
        ) from error
    if type(config) not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
        raise ValueError(
            f"{model}: expected a checkpoint that translates, such as Marian, NLLB, M2M100 or mBART-50, found the "
            f"model type {config.model_type}"
        )
    try:
        return AutoModelForSeq2SeqLM.from_pretrained(model, revision=revision, dtype=dtype).eval()
    except OSError as error:
        raise EngineError(f"{model}: expected a checkpoint with its weights, found no weights ({error})") from error
