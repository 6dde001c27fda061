"""Glosses of Korean text for spoken-to-signed-translation, which turns them into a pose."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..models.loading import load
from ..optional import require
from ..runtime.pipeline_kgloss import Text2GlossPipeline

if TYPE_CHECKING:
    from spoken_to_signed.text_to_gloss.types import Gloss

LANGUAGE = "ko"
"""Korean, as the library and its lexicons name it (ISO 639-1)."""

SIGNED_LANGUAGE = "kvk"
"""Korean Sign Language (ISO 639-3)."""


def text_to_gloss(
    text: str,
    language: str,
    *,
    model: str | os.PathLike[str] | Text2GlossPipeline | None = None,
    signed_language: str = SIGNED_LANGUAGE,
    **options: Any,
) -> list[Gloss]:
    """Return the glosses of a Korean text as GlossItems.

    The function has the interface of the library's own modules in `spoken_to_signed.text_to_gloss`. The library has no
    entry point for other modules, so pass the result to its `gloss_to_pose`, as `examples/text_to_pose.py` does.

    Args:
        text: One sentence per line. Blank lines are skipped.
        language: Must be `ko`.
        model: Folder, Hub repository or pipeline of a trained model (default: the environment variable KGLOSS_MODEL).
            A model given by name is loaded once.
        signed_language: Must be `kvk`, which the library's commands pass too (default `kvk`).
        **options: Arguments of the pipeline, such as `fingerspell=True`.

    Returns:
        One list of GlossItems per line. An item's `word` and `gloss` both hold the gloss, because the library looks up
        the word before the gloss, and a word of the sentence could match another sign of the same name.

    Raises:
        ValueError: A language is not the expected one, no model is given, or a line has several answers.
        ImportError: spoken-to-signed is not installed.

    Examples:
        >>> text_to_gloss(" ", "ko", model=getfixture("checkpoint"))
        []
        >>> text_to_gloss("Guten Tag", "de", model=getfixture("checkpoint"))
        Traceback (most recent call last):
        ...
        ValueError: language: expected ko, found 'de'
    """
    require("pose", "spoken_to_signed", purpose="spoken-to-signed-translation")
    from spoken_to_signed.text_to_gloss.types import GlossItem

    for name, value, expected in (
        ("language", language, LANGUAGE),
        ("signed_language", signed_language, SIGNED_LANGUAGE),
    ):
        if value != expected:
            raise ValueError(f"{name}: expected {expected}, found {value!r:.60}")
    chosen = os.environ.get("KGLOSS_MODEL") if model is None else model
    if not chosen:
        raise ValueError(
            "model: expected a folder, a Hub repository or a pipeline, found none; pass one, or set KGLOSS_MODEL"
        )
    text_to_gloss = chosen if isinstance(chosen, Text2GlossPipeline) else _loaded(os.fspath(chosen))
    answers = text_to_gloss([line for line in text.splitlines() if line.strip()], **options)
    if any(isinstance(answer, list) for answer in answers):
        raise ValueError("num_return_sequences: expected 1, as a line has one list of GlossItems; leave it out")
    return [[GlossItem(word=gloss, gloss=gloss) for gloss in answer.glosses] for answer in answers]


@lru_cache(maxsize=1)
def _loaded(model: str) -> Text2GlossPipeline:
    return load(model)
