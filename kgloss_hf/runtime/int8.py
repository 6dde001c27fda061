"""Give a model eight-bit weights, and use the full ones wherever rounding may change the answer."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from .decoding import Decoded
from .plain import is_plain

IN_DOUBT = 0.015
"""Rounding to eight bits may swap scores that are closer together than this. Chosen on GKSL."""


def with_int8_weights(model: Any) -> Any:
    """Return a copy of a model with eight-bit weights in each linear layer except the two of the output head.

    The layers also round their inputs, to seven bits, scaled by the range of each call: sums of eight-bit products
    overflow on processors without VNNI. The copy generates on a CPU; it cannot be trained or saved.

    Args:
        model: A plain model (`is_plain`) on a CPU.

    Raises:
        ValueError: The model is not plain, or is on another device.
        ImportError: torch has no dynamic quantisation, or no quantised kernels for the processor.

    Examples:
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

    # The head's layers are a hundredth of the work, but account for a fifth of the answers that change.
    head = set(model.decoder.cls.modules())
    names = [name for name, part in model.named_modules() if type(part) is nn.Linear and part not in head]
    with warnings.catch_warnings():  # torch announces that a later release will do this in another library
        warnings.simplefilter("ignore")
        return quantize_dynamic(model, dict.fromkeys(names, per_channel_dynamic_qconfig)).eval()


def settled(
    decoded: Decoded, exact: Any, ids: torch.Tensor, mask: torch.Tensor, *arguments: Any, **settings: Any
) -> Decoded:
    """Return the rows of eight-bit weights, with those in doubt (`IN_DOUBT`) replaced by the rows of the full weights.

    Args:
        decoded: Result of a `GreedyDecoder` or `BeamDecoder` with eight-bit weights.
        exact: The same kind of decoder for the model before rounding.
        ids: Source ids, batch × source length.
        mask: 1 where a source id is not padding; same shape.
        *arguments: Further positional arguments of `decode`.
        **settings: Keyword arguments of `decode`.

    Examples:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> from kgloss_hf.runtime.decoding import GreedyDecoder
        >>> exact = GreedyDecoder(AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint")))
        >>> ids = torch.tensor([[2, 9, 8, 3]])
        >>> settled(Decoded([[2, 5]], [-1.0], [0.0]), exact, ids, torch.ones_like(ids), 6).rows[0] == [2, 5]
        False
    """
    doubtful = [place for place, lead in enumerate(decoded.leads) if lead < IN_DOUBT]
    if not doubtful:
        return decoded
    again = exact.decode(ids[doubtful], mask[doubtful], *arguments, **settings)
    rows, log_probs = decoded.rows.copy(), decoded.log_probs.copy()
    for place, row, log_prob in zip(doubtful, again.rows, again.log_probs, strict=True):
        rows[place], log_probs[place] = row, log_prob
    return Decoded(rows, log_probs, decoded.leads)
