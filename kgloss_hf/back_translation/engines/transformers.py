"""Translation with a checkpoint of transformers: Marian, NLLB, M2M100, mBART-50."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from .checkpoints import (
    MAX_CHARACTERS,
    check_folder,
    check_positive,
    decode,
    encode,
    identity,
    load_tokenizer,
    most_new_tokens,
    name_of,
)
from .engine import EngineError, Limits, Price, batches
from .languages import Direction, find_direction, into_korean

DTYPES = ("float32", "bfloat16", "float16")


class _Checkpoint(NamedTuple):
    model: Any
    tokenizer: Any
    name: str


class TransformersEngine:
    """An engine that generates with transformers, on the device that accelerate chooses.

    Texts are put into batches of similar length. The models are loaded when first needed. Options of generation that
    are not listed here, such as a length penalty, are the checkpoint's own.

    Args:
        model: Id on the Hub, or a folder.
        back_model: Checkpoint for translating into Korean, where `model` is of one direction, as Marian's are (default:
            `model`).
        name: Value of the corpus's column `engine` (default: the last part of `model`).
        revision: Branch, tag or commit of `model` on the Hub. A commit makes sure that it is the same tomorrow.
        back_revision: The same of `back_model`.
        num_beams: Beams; 1 is greedy (default: 4, and 1 with `do_sample`).
        do_sample: Draw each token instead of taking the likeliest, from `torch`'s random state.
        temperature: Of drawing (1); needs `do_sample`.
        top_p: Draw from the likeliest tokens that together have this probability (1); needs `do_sample`.
        max_new_tokens: Tokens of a translation at most (default: three times as many as the longest text of the batch
            has, and at least 50, which stops a decoder that repeats itself and no translation).
        batch_size: Texts in a batch at most (default: 64, of which a CPU takes 16 at a time, which is faster there).
        batch_characters: Characters in a batch at most, each text counted as long as the longest.
        dtype: `float32`, `bfloat16` or `float16` (default: `bfloat16` on a CUDA device that has it, else `float32`).

    Raises:
        FileNotFoundError: A checkpoint is written as a folder and is none.
        ValueError: An option has no use, or a value that it cannot have.

    Example:
        >>> engine = TransformersEngine(
        ...     model="Helsinki-NLP/opus-mt-ko-en", back_model="Helsinki-NLP/opus-mt-tc-big-en-ko"
        ... )
        >>> engine.name
        'opus-mt-ko-en'
        >>> engine.translate(["그는 책을 읽는다."], "ko", "en")  # doctest: +SKIP
        ['He reads a book.']
    """

    price: Price | None = None

    def __init__(
        self,
        *,
        model: str,
        back_model: str | None = None,
        name: str | None = None,
        revision: str | None = None,
        back_revision: str | None = None,
        num_beams: int | None = None,
        do_sample: bool = False,
        temperature: float | None = None,
        top_p: float | None = None,
        max_new_tokens: int | None = None,
        batch_size: int | None = None,
        batch_characters: int = 8192,
        dtype: str | None = None,
    ) -> None:
        for checkpoint in filter(None, (model, back_model)):
            check_folder(checkpoint)
        check_positive(
            num_beams=num_beams,
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
            batch_characters=batch_characters,
        )
        if back_revision and not back_model:
            raise ValueError(f"back_revision: expected a back_model that it is of, found only {back_revision!r}")
        if not do_sample and (temperature, top_p) != (None, None):
            raise ValueError(
                "temperature and top_p: expected do_sample=true with them, found it false; give it, or leave them out"
            )
        if temperature is not None and not temperature > 0:
            raise ValueError(f"temperature: expected a number above 0, found {temperature!r}")
        if top_p is not None and not 0 < top_p <= 1:
            raise ValueError(f"top_p: expected a number above 0, at most 1, found {top_p!r}")
        if dtype not in (None, *DTYPES):
            raise ValueError(f"dtype: expected {', '.join(DTYPES)}, found {dtype!r}")
        self.name = name or name_of(model)
        self.limits = Limits(batch_size or 64, batch_characters, MAX_CHARACTERS)
        self._cpu_limits = self.limits._replace(texts=batch_size or 16)
        self._forth = (model, revision)
        self._back = (back_model, back_revision) if back_model else self._forth
        self._generation: dict[str, Any] = {
            "num_beams": num_beams or (1 if do_sample else 4),
            "do_sample": do_sample,
        }
        if do_sample:
            # A checkpoint's own default is to draw from 50 tokens only.
            self._generation |= {"temperature": temperature or 1.0, "top_p": top_p or 1.0, "top_k": 0}
        self._max_new_tokens = max_new_tokens
        self._given_dtype = dtype
        self._loaded: dict[tuple[str, str | None], _Checkpoint] = {}

    def describe(self) -> dict[str, Any]:
        """All that decides what comes out, beside `limits`."""
        return {
            "kind": "transformers",
            "forth": identity(*self._forth),
            "back": identity(*self._back),
            "max_new_tokens": self._max_new_tokens,
            "dtype": self._dtype,
            **self._generation,
            "versions": {name: version(name) for name in ("transformers", "torch")},
        }

    def seed(self, value: int) -> None:
        """Seed `torch`, from whose random state the next translations are drawn.

        Args:
            value: From 0.
        """
        import torch

        torch.manual_seed(value)

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The translations of any number of texts, in their order; see `Engine.translate`."""
        if not texts:
            return []
        checkpoint = self._load(*(self._back if into_korean(target) else self._forth))
        direction = find_direction(checkpoint.tokenizer, source, target, checkpoint.name)
        positions = getattr(checkpoint.model.config, "max_position_embeddings", None)
        ids = encode(checkpoint.tokenizer, texts, direction, positions)
        found = [""] * len(texts)
        on_cpu = checkpoint.model.device.type == "cpu"
        for batch in batches(texts, self._cpu_limits if on_cpu else self.limits):
            translated = self._generate(checkpoint, [ids[index] for index in batch], direction, positions)
            for index, text in zip(batch, translated, strict=True):
                found[index] = text
        return found

    @property
    def _dtype(self) -> str:
        if self._given_dtype:
            return self._given_dtype
        import torch
        from accelerate import PartialState

        on_cuda = PartialState().device.type == "cuda"
        return "bfloat16" if on_cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"

    def _load(self, model: str, revision: str | None) -> _Checkpoint:
        if (model, revision) not in self._loaded:
            import torch
            from accelerate import PartialState

            # Weights are drawn before they are read, which must not change what the caller's seed gives.
            with torch.random.fork_rng(devices=[]):
                loaded = _load_model(model, revision, self._dtype)
            loaded.generation_config.max_length = None  # max_new_tokens is always given, and warns beside it.
            tokenizer = load_tokenizer(model, revision)
            self._loaded[model, revision] = _Checkpoint(loaded.to(PartialState().device), tokenizer, name_of(model))
        return self._loaded[model, revision]

    def _generate(
        self, checkpoint: _Checkpoint, ids: list[list[int]], direction: Direction, positions: int | None
    ) -> list[str]:
        """Translations of one batch, or of its halves where it needs more memory than a CUDA device has."""
        import torch

        model, tokenizer, name = checkpoint
        most = self._max_new_tokens or most_new_tokens(ids)
        options: dict[str, Any] = {"max_new_tokens": min(most, positions - 1) if positions else most}
        if direction.target:
            options["forced_bos_token_id"] = tokenizer.convert_tokens_to_ids(direction.target)
        try:
            with torch.inference_mode():
                rows = [torch.tensor(row) for row in ids]
                inputs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
                mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
                made = model.generate(
                    inputs.to(model.device), attention_mask=mask.to(model.device), **self._generation, **options
                )
            # The decoder's start, and the language it was made to begin with, are no part of the translation.
            return decode(tokenizer, made[:, 2 if direction.target else 1 :].tolist())
        except torch.cuda.OutOfMemoryError as error:
            if len(ids) == 1:
                raise EngineError(
                    f"{name}: expected memory for one text of {len(ids[0])} tokens, found none left on {model.device}; "
                    "give fewer beams, or dtype=bfloat16"
                ) from error
        # After the except clause, so that nothing holds on to the tensors of the failed batch.
        torch.cuda.empty_cache()
        half = len(ids) // 2
        return [
            text for part in (ids[:half], ids[half:]) for text in self._generate(checkpoint, part, direction, positions)
        ]


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
            f"{model}: expected a checkpoint that translates, such as Marian, NLLB, M2M100 or mBART-50, found one of "
            f"the kind {config.model_type}"
        )
    try:
        return AutoModelForSeq2SeqLM.from_pretrained(model, revision=revision, dtype=dtype).eval()
    except OSError as error:
        raise EngineError(f"{model}: expected a checkpoint with its weights, found none ({error})") from error
