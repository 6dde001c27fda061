"""The configuration of a model with eight-bit weights."""

from __future__ import annotations

from transformers import EncoderDecoderConfig


class KGlossInt8Config(EncoderDecoderConfig):
    """An EncoderDecoderConfig by another name, so that nothing takes the integers for weights.

    Example:
        >>> KGlossInt8Config.model_type
        'kgloss-int8'
    """

    model_type = "kgloss-int8"
