"""A trained model whose linear layers are eight-bit integers: about half of the size, and faster on a CPU."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

from .configuration_int8 import KGlossInt8Config
from .files import new_folder, save_folder
from .tokenization_kgloss import KGlossTokenizerFast


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
        super().__init__(config, encoder, decoder)
        _replace_linear(self, lambda linear: Int8Linear(linear.in_features, linear.out_features))


def _replace_linear(model: PreTrainedModel, new: Callable[[nn.Linear], nn.Module]) -> None:
    final = model.decoder.get_output_embeddings()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear and child is not final:
                setattr(module, name, new(child))


def export_int8(checkpoint: str, output_dir: str) -> tuple[int, int]:
    """Write a trained model with eight-bit weights: a folder that a pipeline takes like any other.

    Args:
        checkpoint: Folder or Hub repository of a model of two BERTs and its tokenizer.
        output_dir: Folder to make; it gets its name once it is complete.

    Returns:
        The bytes of the weights before and after.

    Raises:
        ValueError: The model is of another kind, or the folder is there.
        OSError: The checkpoint is not there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     before, after = export_int8(getfixture("checkpoint"), f"{folder}/int8")
        >>> after < before
        True
    """
    folder = new_folder(output_dir)
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
    if model.config.model_type != "encoder-decoder":
        raise ValueError(
            f"{checkpoint}: expected a model of type encoder-decoder, found {model.config.model_type}, which has no "
            "eight-bit form; use it as it is"
        )
    tokenizer = KGlossTokenizerFast.from_pretrained(checkpoint)
    before = _bytes(model)
    _replace_linear(model, Int8Linear.of)
    config = KGlossInt8Config(**{key: value for key, value in model.config.to_dict().items() if key != "model_type"})
    made = Int8EncoderDecoderModel(config)
    made.load_state_dict(model.state_dict())
    made.generation_config = model.generation_config

    def write(partial: Path) -> None:
        made.save_pretrained(partial)
        tokenizer.save_pretrained(partial)

    save_folder(folder, write)
    return before, _bytes(made)


def _bytes(model: PreTrainedModel) -> int:
    tensors = {value.data_ptr(): value for value in model.state_dict().values()}
    return sum(value.numel() * value.element_size() for value in tensors.values())
