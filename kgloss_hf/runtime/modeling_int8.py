"""A trained model whose linear layers are eight-bit integers: about half of the size, and faster on a CPU."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers
from torch import nn
from transformers import PreTrainedModel

from .configuration_int8 import KGlossInt8Config


class Int8Linear(nn.Module):
    """A linear layer whose weights are integers of eight bits, one scale an output.

    Inputs are turned to eight bits too, by the range of each call (dynamic quantisation of torch). On a CPU only.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.

    Example:
        >>> linear = nn.Linear(8, 2)
        >>> found = Int8Linear.of(linear)(torch.ones(1, 8))
        >>> torch.allclose(found, linear(torch.ones(1, 8)), atol=0.05)
        True
    """

    weight: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(out_features))
        self.register_buffer("bias", torch.zeros(out_features))

    @classmethod
    def of(cls, linear: nn.Linear) -> Int8Linear:
        """The same layer, rounded: the largest weight of each output becomes 127."""
        made = cls(linear.in_features, linear.out_features)
        weight = linear.weight.detach().float()
        made.scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
        made.weight = (weight / made.scale.unsqueeze(1)).round().to(torch.int8)
        if linear.bias is not None:
            made.bias = linear.bias.detach().float().clone()
        return made

    @staticmethod
    def joined(layers: Sequence[Int8Linear]) -> Int8Linear:
        """Layers of one input as one, whose output is theirs one after another."""
        made = Int8Linear(layers[0].weight.shape[1], sum(len(layer.weight) for layer in layers))
        for name in ("weight", "scale", "bias"):
            setattr(made, name, torch.cat([getattr(layer, name) for layer in layers]))
        return made

    @functools.cached_property
    def _packed(self) -> Any:
        zeros = torch.zeros(len(self.scale), dtype=torch.int64)
        with warnings.catch_warnings():  # torch says that a later release will not have this type of tensor
            warnings.simplefilter("ignore", UserWarning)
            weight = torch._make_per_channel_quantized_tensor(self.weight, self.scale.double(), zeros, 0)
        engine = torch.backends.quantized.engine
        if "onednn" in torch.backends.quantized.supported_engines:
            torch.backends.quantized.engine = "onednn"  # the one that uses AMX
        try:
            return torch.ops.quantized.linear_prepack(weight, self.bias)
        finally:
            torch.backends.quantized.engine = engine

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The outputs, … × `out_features`, of inputs … × `in_features`, in float32."""
        return torch.ops.quantized.linear_dynamic(input, self._packed)


class Int8EncoderDecoderModel(transformers.EncoderDecoderModel):
    """`EncoderDecoderModel` with an `Int8Linear` for each linear layer but the output projection.

    It generates; it cannot be trained.

    Args:
        config: Shape of the model it was made of.
        encoder: As for `EncoderDecoderModel`.
        decoder: As for `EncoderDecoderModel`.
    """

    config_class = KGlossInt8Config

    def __init__(self, config: Any = None, encoder: Any = None, decoder: Any = None) -> None:
        if config is not None and not isinstance(config, KGlossInt8Config):
            # transformers 5 gives each file of a local folder's remote code its own copy of what it imports.
            config = KGlossInt8Config.from_dict(config.to_dict())
        super().__init__(config, encoder, decoder)
        replace_linear(self, lambda linear: Int8Linear(linear.in_features, linear.out_features))


def replace_linear(model: PreTrainedModel, new: Callable[[nn.Linear], nn.Module]) -> None:
    """Put `new` of it in the place of each linear layer of a model of two BERTs, but of the output projection.

    Args:
        model: Changed in place.
        new: Makes the layer that replaces one.
    """
    final = model.decoder.get_output_embeddings()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear and child is not final:
                setattr(module, name, new(child))
