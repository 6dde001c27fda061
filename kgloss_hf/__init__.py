"""Korean text to Korean Sign Language glosses, as a plug-in for the Hugging Face libraries.

Importing this package registers the data sets `mcksg`, `gksl` and `ko_backtranslation` with `datasets`, and tokenizer,
models and the pipeline `text2text-generation` (also as `text-to-gloss`) with `transformers`. It starts and downloads
nothing; the public names below import their modules at first use.
"""

from __future__ import annotations

import importlib
from typing import Any

from .plugin import register

__version__ = "0.1.0"

_MODULES = {
    "KGlossTokenizerFast": "tokenization_kgloss",
    "Text2GlossPipeline": "pipeline_kgloss",
    "analyze": "okt",
    "build_model": "modeling",
    "jaccard": "metrics",
    "train_tokenizer": "tokenizer_training",
}

__all__ = ["__version__", "register", *_MODULES]

register()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
