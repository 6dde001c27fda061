"""What the engines with a checkpoint of one's own have in common: its identity, its tokens, how long it may go on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .engine import EngineError, RefusedError
from .languages import Direction

MAX_CHARACTERS = 1000
"""Characters of one text at most; more is no sentence, and hardly fits the 512 tokens that Marian takes."""

_READ = 2**20


def check_folder(model: str, file: str = "config.json") -> None:
    """Check that a checkpoint that is written as a folder is one.

    Args:
        model: Folder, or id of the Hub, about which nothing is said.
        file: What the folder must hold.

    Raises:
        FileNotFoundError: It is no folder, or holds no such file.
    """
    if Path(model).is_dir():
        if not Path(model, file).is_file():
            raise FileNotFoundError(f"{model}: expected a checkpoint, found a folder without {file}")
    elif model.startswith((".", "~", "/")) or model.count("/") > 1 or "\\" in model:
        raise FileNotFoundError(f"{model}: expected the folder of a checkpoint, found none there")


def name_of(model: str) -> str:
    """The last part of a checkpoint's id or folder.

    Example:
        >>> name_of("Helsinki-NLP/opus-mt-ko-en")
        'opus-mt-ko-en'
    """
    return Path(model).resolve().name if Path(model).is_dir() else model.rsplit("/", 1)[-1]


def identity(model: str, revision: str | None = None) -> dict[str, Any]:
    """What tells a checkpoint from another, as values that JSON takes, without a path of this machine.

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


def check_positive(**options: int | None) -> None:
    """Check that options are whole numbers from 1, or left out.

    Raises:
        ValueError: One is not.

    Example:
        >>> check_positive(batch_size=0)
        Traceback (most recent call last):
        ValueError: batch_size: expected a whole number from 1, found 0
    """
    for name, value in options.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"{name}: expected a whole number from 1, found {value!r}")


def load_tokenizer(model: str, revision: str | None = None) -> Any:
    """The tokenizer of a checkpoint.

    Raises:
        EngineError: There is none, or a library that it needs is not installed.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model, revision=revision)
    except (OSError, ValueError, ImportError, TypeError) as error:
        raise EngineError(
            f"{model}: expected a checkpoint with its tokenizer, found none that loads ({error}); Marian's, M2M100's "
            'and NLLB\'s need pip install "kgloss-hf[back-translation]"'
        ) from error


def encode(tokenizer: Any, texts: Sequence[str], direction: Direction, positions: int | None) -> list[list[int]]:
    """Ids of texts, of which none is cut.

    Args:
        tokenizer: Of the checkpoint.
        texts: To translate.
        direction: From `find_direction`.
        positions: Tokens that the model takes at most; None if it has no such limit of its own.

    Raises:
        RefusedError: A text has more tokens than the tokenizer's or the model's limit.
    """
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
    """Tokens that the translations of a batch may have: three times those of its longest text, and at least 50.

    A sentence and its translation differ by less than that in every pair of languages that we know of; a decoder that
    repeats itself until it is stopped costs no more than three times its share.

    Example:
        >>> most_new_tokens([[7] * 40, [7] * 12]), most_new_tokens([[7, 7]])
        (120, 50)
    """
    return max(50, 3 * max(map(len, ids)))


def decode(tokenizer: Any, ids: Sequence[Sequence[int]]) -> list[str]:
    """Texts of generated ids, without special tokens."""
    # Transformers 5 reads Marian's output with the source's SentencePiece model unless told not to.
    options = {"use_source_tokenizer": False} if hasattr(tokenizer, "spm_target") else {}
    return tokenizer.batch_decode(ids, skip_special_tokens=True, **options)
