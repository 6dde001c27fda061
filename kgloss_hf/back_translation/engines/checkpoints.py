"""Options, loading, tokens and lengths of translations, shared by the engines that run a local checkpoint."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ...optional import install_command
from ...reporting import counted
from .engine import EngineError, Limits, Price, RefusedError, batches
from .languages import Direction, find_direction, into_korean

MAX_CHARACTERS = 1000
"""Maximum number of characters per text; a longer text is not one sentence and hardly fits Marian's 512 tokens."""

_READ = 2**20


class Checkpoint(NamedTuple):
    """A loaded checkpoint; `positions` is the maximum number of tokens that it takes, if it states one."""

    model: Any
    tokenizer: Any
    name: str
    positions: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class CheckpointEngine(ABC):
    """An engine that groups texts of similar length into batches, and loads its checkpoints when first needed.

    Args:
        model: Checkpoint that translates.
        back_model: Checkpoint that translates into Korean, needed if `model` translates in one direction only, as
            Marian's do (default: `model`).
        name: Value of the corpus's column `engine` (default: the last part of `model`).
        num_beams: Number of beams; 1 is greedy.
        batch_size: Maximum number of texts per batch.
        batch_characters: Maximum number of characters per batch, with each text counted as long as the longest (default
            8,192).

    Raises:
        FileNotFoundError: A checkpoint is given as a path that is not the folder of a checkpoint.
        ValueError: An option has no effect, or its value is not allowed.
    """

    model: str
    back_model: str | None = None
    name: str = ""
    num_beams: int | None = None
    batch_size: int | None = None
    batch_characters: int = 8192

    price: ClassVar[Price | None] = None
    limits: Limits = field(init=False)
    """Limits of the texts that the builder passes per call."""
    batch_limits: Limits = field(init=False)
    """Limits of the texts that the model takes per batch."""
    forth: tuple[str, str | None] = field(init=False)
    """Arguments of `load` for translating from Korean; `back` holds those for translating into Korean."""
    back: tuple[str, str | None] = field(init=False)

    def __post_init__(self) -> None:
        for option in ("num_beams", "batch_size", "batch_characters", "max_new_tokens", "threads"):
            value = getattr(self, option, None)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"{option}: expected a whole number from 1, found {value!r}")
        self.name = self.name or name_of(self.model)
        self._loaded: dict[tuple[str, str | None], Checkpoint] = {}

    @abstractmethod
    def load(self, model: str, other: str | None) -> Checkpoint:
        """Load the checkpoint that `forth` or `back` names."""

    @abstractmethod
    def generate(
        self, checkpoint: Checkpoint, rows: Sequence[list[list[int]]], direction: Direction
    ) -> Iterator[list[list[int]]]:
        """Translate batches of ids to batches of ids, in their order."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate any number of texts, in their order; see `Engine.translate`."""
        if not texts:
            return []
        names = self.back if into_korean(target) else self.forth
        if names not in self._loaded:
            self._loaded[names] = self.load(*names)
        checkpoint = self._loaded[names]
        tokenizer = checkpoint.tokenizer
        direction = find_direction(tokenizer, source, target, checkpoint.name)
        ids = _encode(tokenizer, texts, direction, checkpoint.positions)
        # Transformers 5 reads Marian's output with the source's SentencePiece model unless told not to.
        options = {"use_source_tokenizer": False} if hasattr(tokenizer, "spm_target") else {}
        divided = batches(texts, self.batch_limits)
        translations = [""] * len(texts)
        generated = self.generate(checkpoint, [[ids[index] for index in batch] for batch in divided], direction)
        for batch, rows in zip(divided, generated, strict=True):
            decoded = tokenizer.batch_decode(rows, skip_special_tokens=True, **options)
            for index, text in zip(batch, decoded, strict=True):
                translations[index] = text
        return translations


def name_of(model: str) -> str:
    """Return the last part of a checkpoint's id or folder.

    Args:
        model: Id on the Hub, or folder.

    Examples:
        >>> name_of("Helsinki-NLP/opus-mt-ko-en")
        'opus-mt-ko-en'
    """
    return Path(model).resolve().name if Path(model).is_dir() else model.rsplit("/", 1)[-1]


def identity(model: str, revision: str | None = None) -> dict[str, Any]:
    """Return the facts that identify a checkpoint, as JSON values, without a path of this machine.

    A checkpoint of the Hub is identified by its id and revision. A folder is identified by a SHA-256 of its files'
    names, sizes and contents; to be quick, only the first and the last mebibyte of each file are read.

    Args:
        model: Id on the Hub, or folder.
        revision: Branch, tag or commit on the Hub (default: the repository's own).
    """
    if not Path(model).is_dir():
        return {"model": model, "revision": revision}
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(model).iterdir() if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.name}\n{size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(_READ))
            file.seek(max(_READ, size - _READ))
            digest.update(file.read())
    return {"model": name_of(model), "sha256": digest.hexdigest()}


def load_tokenizer(model: str, revision: str | None = None) -> Any:
    """Load the tokenizer of a checkpoint.

    Args:
        model: Id on the Hub, or folder.
        revision: Branch, tag or commit on the Hub (default: the repository's own).

    Raises:
        EngineError: The checkpoint has no tokenizer that loads, or a library that it needs is not installed.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model, revision=revision)
    except (OSError, ValueError, ImportError, TypeError) as error:
        raise EngineError(
            f"{model}: expected a checkpoint with its tokenizer, found none that loads ({error}); the tokenizers of "
            f"Marian, M2M100 and NLLB need {install_command('back-translation')}"
        ) from error


def _encode(tokenizer: Any, texts: Sequence[str], direction: Direction, positions: int | None) -> list[list[int]]:
    """Turn texts into ids; raise RefusedError if one has more tokens than the tokenizer or the model takes."""
    if direction.source:
        tokenizer.src_lang = direction.source
    ids = tokenizer([direction.prefix + text for text in texts], verbose=False)["input_ids"]
    most = min(tokenizer.model_max_length, positions or tokenizer.model_max_length)
    for text, tokens in zip(texts, ids, strict=True):
        if len(tokens) > most:
            raise RefusedError(
                f"expected texts of at most {most} tokens, found one of {counted(len(tokens), 'token')} and "
                f"{counted(len(text), 'character')} that begins {text[:40]!r}; split it or leave it out"
            )
    return ids


def most_new_tokens(ids: Sequence[Sequence[int]]) -> int:
    """Return the maximum number of tokens per translation of a batch: three times its longest text, and at least 50.

    A sentence and its translation differ by less than that in every language pair that we know of; a decoder that
    repeats itself until it is stopped costs no more than three times its share.

    Args:
        ids: Ids of each text of the batch.

    Examples:
        >>> most_new_tokens([[7] * 40, [7] * 12]), most_new_tokens([[7, 7]])
        (120, 50)
    """
    return max(50, 3 * max(map(len, ids)))
