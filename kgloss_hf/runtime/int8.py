"""Give a model eight-bit weights."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from .plain import is_plain


def with_int8_weights(model: Any) -> Any:
    """Return a copy of a model with eight-bit weights in each linear layer but the output projection.

    The layers round their inputs too, to seven bits, by the range of each call: sums of eight-bit products overflow on
    processors without VNNI. The copy generates on a CPU; it cannot be trained or saved.

    Args:
        model: A plain model (`is_plain`) on a CPU.

    Raises:
        ValueError: The model is another, or on another device.
        ImportError: torch has no dynamic quantisation, or no quantised kernels for the processor.

    Example:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> small = with_int8_weights(model)
        >>> type(small.encoder.encoder.layer[0].output.dense)
        <class 'torch.ao.nn.quantized.dynamic.modules.linear.Linear'>
    """
    if not is_plain(model) or model.device.type != "cpu":
        raise ValueError(
            "int8: expected an encoder-decoder of two BERTs in float32 on a CPU, without adapters or hooks, found "
            f"{type(model).__name__} in {model.dtype} on {model.device}; leave out int8, or merge the adapter first"
        )
    if torch.backends.quantized.engine == "none":
        raise ImportError("int8: expected a build of torch with quantised kernels, found none; leave out int8")
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    final = model.get_output_embeddings()
    names = [name for name, part in model.named_modules() if type(part) is nn.Linear and part is not final]
    with warnings.catch_warnings():  # torch announces that a later release will do this in another library
        warnings.simplefilter("ignore")
        return quantize_dynamic(model, dict.fromkeys(names, per_channel_dynamic_qconfig)).eval()
