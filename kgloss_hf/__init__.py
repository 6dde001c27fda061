"""Korean text to Korean Sign Language glosses, as a plug-in for the Hugging Face libraries.

Importing this package registers the data sets `mcksg`, `gksl` and `ko_backtranslation` with `datasets`, and the
tokenizer, the models and the pipeline `text2text-generation` (also as `text-to-gloss`) with `transformers`. It starts
and downloads nothing. The public names below import their modules at first use.

In docstrings, "the paper" is Dang et al., "Korean Text to Gloss: Self-Supervised Learning approach", and "the script
era" is transformers 4.57 with datasets 3.6, which the package supports besides the current generation.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .plugin import register
from .version import __version__

if TYPE_CHECKING:
    from .data.lexicon import load_lexicon
    from .data.sample import SampleWarning
    from .evaluation.metrics import jaccard
    from .models.loading import load
    from .models.modeling import build_model
    from .models.vocabulary import train_tokenizer
    from .runtime.answers import GlossSequence
    from .runtime.lexicon import Lexicon
    from .runtime.okt import analyze
    from .runtime.pipeline_kgloss import Text2GlossPipeline
    from .runtime.tokenization_kgloss import KGlossTokenizerFast

__all__ = [
    "GlossSequence",
    "KGlossTokenizerFast",
    "Lexicon",
    "SampleWarning",
    "Text2GlossPipeline",
    "__version__",
    "analyze",
    "build_model",
    "jaccard",
    "load",
    "load_lexicon",
    "register",
    "train_tokenizer",
]

_MODULES = {
    "GlossSequence": ".runtime.answers",
    "KGlossTokenizerFast": ".runtime.tokenization_kgloss",
    "Lexicon": ".runtime.lexicon",
    "SampleWarning": ".data.sample",
    "Text2GlossPipeline": ".runtime.pipeline_kgloss",
    "analyze": ".runtime.okt",
    "build_model": ".models.modeling",
    "jaccard": ".evaluation.metrics",
    "load": ".models.loading",
    "load_lexicon": ".data.lexicon",
    "train_tokenizer": ".models.vocabulary",
}

register()


if not TYPE_CHECKING:  # __getattr__ would hide misspelt names from type checkers

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
