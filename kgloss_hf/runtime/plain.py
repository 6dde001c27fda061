"""Recognise models that compute exactly what two stock BERTs compute."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import torch
import transformers
from torch import nn

_PLAIN_TYPES = {nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout, nn.ModuleList}
_PLAIN_FILES = {"transformers.models.bert.modeling_bert", "transformers.activations", "torch.nn.modules.activation"}
_INT8_FILES = {"torch.ao.nn.quantized.dynamic.modules.linear", "torch.ao.nn.quantized.modules.linear"}


def is_plain(model: Any, *, int8: bool = False) -> bool:
    """Return whether a model computes exactly what two stock BERTs compute from its parameters, in float32.

    An adapter, a hook, a parametrization, a layer of another class or training mode changes the computation. In half
    precision, the order of operations decides which gloss has the best score.

    Args:
        model: Any model.
        int8: Also accept the layers of `with_int8_weights`, whose answers depend on the other texts of a batch (default
            False).

    Examples:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> is_plain(model), is_plain(model.half())
        (True, False)
    """
    return (
        has_plain_decoder(model, int8=int8)
        and type(model.encoder) is transformers.BertModel
        and not model.encoder.config.is_decoder
        and _are_plain([*model.modules()][1:], int8=int8)
        and not is_altered([*model.modules()])
    )


def has_plain_decoder(model: Any, *, int8: bool = False) -> bool:
    """Return whether everything in a model except its encoder is plain (`is_plain`).

    The encoder may be any, even an altered one.

    Args:
        model: Any model.
        int8: As for `is_plain`.

    Examples:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> _ = model.encoder.register_forward_hook(lambda *call: None)
        >>> has_plain_decoder(model), is_plain(model)
        (True, False)
    """
    if type(model) is not transformers.EncoderDecoderModel and not _is_like_stock(model):
        return False
    decoder = model.decoder
    if type(decoder) is not transformers.BertLMHeadModel:
        return False
    modules = modules_beside_encoder(model)
    projection = decoder.get_output_embeddings()
    return (
        _are_plain(modules[1:], int8=int8)
        and type(projection) is nn.Linear
        and projection.bias is not None
        and decoder.config.is_decoder
        and all(hasattr(layer, "crossattention") for layer in decoder.bert.encoder.layer)
        and not is_altered(modules)
    )


def modules_beside_encoder(model: Any) -> list[nn.Module]:
    """Return a model and the modules of all its parts except the encoder.

    Args:
        model: An encoder-decoder.
    """
    parts = (part for part in model.children() if part is not model.encoder)
    return [model, *chain.from_iterable(map(nn.Module.modules, parts))]


def _are_plain(modules: Sequence[nn.Module], *, int8: bool) -> bool:
    files = _PLAIN_FILES | (_INT8_FILES if int8 else set())
    parameters = [parameter for module in modules for parameter in module.parameters(recurse=False)]
    return (
        all(
            type(module) in _PLAIN_TYPES or type(module).__module__ in files or _is_like_stock(module)
            for module in modules
        )
        # transformers 4 has position embeddings that enter elsewhere
        and all(getattr(module, "position_embedding_type", "absolute") == "absolute" for module in modules)
        and {(type(parameter), parameter.dtype) for parameter in parameters} == {(nn.Parameter, torch.float32)}
    )


def _is_like_stock(module: nn.Module) -> bool:
    """Return whether a class itself, and not a base class, declares that it generates like the stock class."""
    return "generates_like_stock" in vars(type(module))


def is_altered(modules: Sequence[nn.Module]) -> bool:
    """Return whether a model of plain modules computes something else because of, say, a hook or training mode.

    Args:
        modules: Modules of the model, beginning with the model itself.
    """
    model: Any = modules[0]
    # torch has no public interface to query hooks, nor transformers one to query the kind of attention.
    hooks = nn.modules.module._global_forward_hooks or nn.modules.module._global_forward_pre_hooks
    attention = {part.config._attn_implementation for part in (model.encoder, model.decoder)}
    return bool(
        hooks
        or any(map(attrgetter("_forward_hooks"), modules))
        or any(map(attrgetter("_forward_pre_hooks"), modules))
        or any(map(attrgetter("training"), modules))
        or any("forward" in attributes for attributes in map(vars, modules))
        or "generate" in vars(model)
        or not attention <= {"eager", "sdpa"}
        or torch.is_autocast_enabled(model.device.type)
    )


def parts_of(modules: Sequence[nn.Module]) -> list[Any]:
    """Return the classes, children and parameters of modules, to detect a change of parts.

    Args:
        modules: Modules of a model.
    """
    # The public interfaces to children and parameters take ten times as long, at each call.
    held = (map(dict.values, map(attrgetter(name), modules)) for name in ("_modules", "_parameters"))
    return [*map(type, modules), *chain.from_iterable(chain(*held))]
