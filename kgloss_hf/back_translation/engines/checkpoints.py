"""What the engines with a checkpoint of one's own share: options, loading, tokens, lengths of translations."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ...optional import install_command
from .engine import EngineError, Limits, Price, RefusedError, batches
from .languages import Direction, find_direction, into_korean

MAX_CHARACTERS = 1000
"""Characters of one text at most; more is no sentence, and hardly fits the 512 tokens that Marian takes."""

_READ = 2**20


class Checkpoint(NamedTuple):
    """A loaded checkpoint; `positions` are the tokens that it takes at most, where it says so."""

    model: Any
    tokenizer: Any
    name: str
    positions: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class CheckpointEngine(ABC):
    """An engine that puts texts into batches of similar length, and loads its checkpoints when first needed.

    Args:
        model: Checkpoint that translates.
        back_model: Checkpoint for translating into Korean, where `model` is of one direction, as Marian's are (default:
            `model`).
        name: Value of the corpus's column `engine` (default: the last part of `model`).
        num_beams: Beams; 1 is greedy.
        batch_size: Texts in a batch at most.
        batch_characters: Characters in a batch at most, each text counted as long as the longest.

    Raises:
        FileNotFoundError: A checkpoint is written as a folder and is none.
        ValueError: An option has no use, or a value that it cannot have.
    """

    model: str
    back_model: str | None = None
    name: str = ""
    num_beams: int | None = None
    batch_size: int | None = None
    batch_characters: int = 8192

    price: ClassVar[Price | None] = None
    limits: Limits = field(init=False)
    """What the builder gives at a time."""
    batch_limits: Limits = field(init=False)
    """What the model takes at a time."""
    forth: tuple[str, str | None] = field(init=False)
    """What `load` is told, and `back` for translating into Korean."""
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
        """Load a checkpoint by `forth` or `back`."""

    @abstractmethod
    def generate(
        self, checkpoint: Checkpoint, rows: Sequence[list[list[int]]], direction: Direction
    ) -> Iterator[list[list[int]]]:
        """Translate batches of ids to batches of ids, in their order."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate any number of texts, in their order; see `Engine.translate`."""
        if not texts:
            return []
        wanted = self.back if into_korean(target) else self.forth
        if wanted not in self._loaded:
            self._loaded[wanted] = self.load(*wanted)
        checkpoint = self._loaded[wanted]
        tokenizer = checkpoint.tokenizer
        direction = find_direction(tokenizer, source, target, checkpoint.name)
        ids = _encode(tokenizer, texts, direction, checkpoint.positions)
        # Transformers 5 reads Marian's output with the source's SentencePiece model unless told not to.
        options = {"use_source_tokenizer": False} if hasattr(tokenizer, "spm_target") else {}
        divided = batches(texts, self.batch_limits)
        translations = [""] * len(texts)
        made = self.generate(checkpoint, [[ids[index] for index in batch] for batch in divided], direction)
        for batch, rows in zip(divided, made, strict=True):
            decoded = tokenizer.batch_decode(rows, skip_special_tokens=True, **options)
            for index, text in zip(batch, decoded, strict=True):
                translations[index] = text
        return translations


def name_of(model: str) -> str:
    """Return the last part of a checkpoint's id or folder.

    Example:
        >>> name_of("Helsinki-NLP/opus-mt-ko-en")
        'opus-mt-ko-en'
    """
    return Path(model).resolve().name if Path(model).is_dir() else model.rsplit("/", 1)[-1]


def identity(model: str, revision: str | None = None) -> dict[str, Any]:
    """Return what tells a checkpoint from another, as values that JSON takes, without a path of this machine.

    A checkpoint of the Hub is told by id and revision. A folder is told by a SHA-256 of its files' names, sizes, and
    contents, of which the first and the last mebibyte is read, so that it is quick.
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

    Raises:
        EngineError: There is none, or a library that it needs is not installed.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model, revision=revision)
    except (OSError, ValueError, ImportError, TypeError) as error:
        raise EngineError(
            f"{model}: expected a checkpoint with its tokenizer, found none that loads ({error}); Marian's, M2M100's "
            f"and NLLB's need {install_command('back-translation')}"
        ) from error


def _encode(tokenizer: Any, texts: Sequence[str], direction: Direction, positions: int | None) -> list[list[int]]:
    """Turn texts into ids; raise RefusedError where one has more than the tokenizer or the model takes."""
    if direction.source:
        tokenizer.src_lang = direction.source
    ids = tokenizer([direction.prefix + text for text in texts], verbose=False)["input_ids"]
    most = min(tokenizer.model_max_length, positions or tokenizer.model_max_length)
    for text, tokens in zip(texts, ids, strict=True):
        if len(tokens) > most:
            raise RefusedError(
                f"expected texts of at most {most} tokens, found one of {len(tokens)} tokens ({len(text)} characters) "
                f"that begins {text[:40]!r}; split it or leave it out"
            )
    return ids


def most_new_tokens(ids: Sequence[Sequence[int]]) -> int:
    """Return how many tokens translations of a batch may have: three times those of its longest text, and at least 50.

    A sentence and its translation differ by less than that in every pair of languages that we know of; a decoder that
    repeats itself until it is stopped costs no more than three times its share.

    Example:
        >>> most_new_tokens([[7] * 40, [7] * 12]), most_new_tokens([[7, 7]])
        (120, 50)
    """
    return max(50, 3 * max(map(len, ids)))
