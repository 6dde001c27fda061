"""Korean text to Korean Sign Language glosses, as a plug-in for the Hugging Face libraries.

Importing this package registers the data sets `mcksg` and `gksl` with `datasets`, and the tokenizer and the pipeline
`text2text-generation` (also as `text-to-gloss`) with `transformers`. It starts and downloads nothing.
"""

from .plugin import register

__version__ = "0.1.0"
__all__ = ["__version__", "register"]

register()
