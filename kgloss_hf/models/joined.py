"""Training class of an encoder-decoder that reads several hidden states of a pre-trained encoder."""

from __future__ import annotations

from ..runtime import modeling_joined
from .step import WholeStep


class JoinedEncoderDecoderModel(WholeStep, modeling_joined.JoinedEncoderDecoderModel):
    """Model of `kgloss_hf.runtime.modeling_joined` with the training step of `kgloss_hf.models.step`."""
