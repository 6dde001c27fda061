"""The configuration class under which AutoTokenizer knows our tokenizer."""

from __future__ import annotations

from transformers import EncoderDecoderConfig


class KGlossConfig(EncoderDecoderConfig):
    """An EncoderDecoderConfig by another name: checkpoints keep the stock one, this one only marks the tokenizer."""
