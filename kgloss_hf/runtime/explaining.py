"""Explain sequences by a model: their log-probabilities, and their attention to the sentence."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from operator import is_
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from .decoding import PlainDecoder, emitted_ids, end_ids, mean_weights
from .penalties import is_penalised, repetition_penalty, source_penalty
from .plain import is_plain


class Explained(NamedTuple):
    """Log-probabilities of sequences, and their attention to the source.

    Args:
        log_probs: For each sequence, the natural logarithm of the probability of its ids and of ending after them,
            among the ids that can be emitted. If the model cannot end, or has no position left, the end is not counted.
        attention: Weight of each source position for each target id, mean over layers and heads, sequences × target
            length × source length; values after a sequence's last id are meaningless. Empty if not requested.
        steps: For each sequence, the logarithm of the probability of each id given those before it, including the end.
    """

    log_probs: list[float]
    attention: torch.Tensor
    steps: list[list[float]]


def explain(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    sequences: Sequence[Sequence[int]],
    config: Any = None,
    attention: bool = True,
) -> Explained:
    """Return the log-probabilities and the cross-attention of sequences, computed in one pass by teacher forcing.

    The probabilities are those that the search weighs: `encoder_repetition_penalty` and `repetition_penalty` are
    applied, to the model's raw scores for one beam, and to its log-probabilities for several. The model is not changed,
    so other threads can use it at the same time.

    Args:
        model: An encoder-decoder of two BERTs or similar models, or the RNN.
        input_ids: Source ids, one row per sequence.
        attention_mask: 1 where a source id is not padding; same shape.
        sequences: Ids without [BOS] and [EOS].
        config: Generation configuration, for the ids that begin and end a sequence, those that cannot be emitted, the
            penalties and the beams (default: the model's).
        attention: Also return the attention (default True).

    Raises:
        ValueError: A sequence contains an id that the model cannot emit, or attention is requested and the model has no
            cross-attention that can be read.

    Examples:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model, ids = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint")), torch.tensor([[2, 9, 8, 3]])
        >>> emitted = emitted_ids(model.generation_config.suppress_tokens, model.config.vocab_size)
        >>> explained = explain(model, ids, torch.ones_like(ids), [emitted[-2:].tolist()])
        >>> explained.log_probs[0] < 0, explained.attention.shape
        (True, torch.Size([1, 3, 4]))
    """
    config = model.generation_config if config is None else config
    start = config.bos_token_id if config.decoder_start_token_id is None else config.decoder_start_token_id
    ends = end_ids(config)
    positions = getattr(getattr(model.config, "decoder", model.config), "max_position_embeddings", None)
    end = [index for index in ends[:1] if index not in (config.suppress_tokens or ())]
    # A sequence contains the id that ended it if that is a gloss.
    whole = [[*ids, *([] if {*ids[-1:]} & {*ends} else end)][:positions] for ids in sequences]
    wanted = pad_sequence([input_ids.new_tensor(ids) for ids in whole], batch_first=True, padding_value=start)
    read = torch.cat([torch.full_like(wanted[:, :1], start), wanted[:, :-1]], dim=1)
    penalty: float | None = config.encoder_repetition_penalty
    repetition: float | None = config.repetition_penalty
    by_beams = (is_penalised(penalty) or is_penalised(repetition)) and (config.num_beams or 1) > 1
    weights = input_ids.new_empty(0)
    if is_plain(model, int8=True):
        size = model.decoder.get_output_embeddings().out_features
        ids = emitted_ids(config.suppress_tokens, size).to(read.device)
        scored = torch.arange(size, device=ids.device) if by_beams else ids
        scores, weights = PlainDecoder(model, int8=True).forced(input_ids, attention_mask, read, scored, attention)
    else:
        twin, weights_of = _recording(model, attention_mask) if attention else (model, lambda: weights)
        source = {"input_ids": input_ids, "attention_mask": attention_mask}
        scores = twin(**source, decoder_input_ids=read, use_cache=False).logits
        weights = weights_of()
        size = scores.shape[-1]
        ids = emitted_ids(config.suppress_tokens, size).to(read.device)
    scores = scores.float()
    if by_beams:
        scores = scores - scores.logsumexp(dim=-1, keepdim=True)
    if scores.shape[-1] != len(ids):
        scores = scores[..., ids]
    if is_penalised(penalty):
        scores = source_penalty(penalty, input_ids, ids, size)(scores)
    if is_penalised(repetition):
        scores = repetition_penalty(repetition, read, ids, size)(scores)
    if not {*ids.tolist()}.issuperset(chain(*whole)):
        raise ValueError("sequences: expected ids that the model can emit, found others")
    places = torch.searchsorted(ids, wanted).clamp(max=len(ids) - 1)
    log_probs = scores.log_softmax(dim=-1).gather(2, places.unsqueeze(2)).squeeze(2)
    steps = [row[: len(ids)] for row, ids in zip(log_probs, whole, strict=True)]
    return Explained([row.sum().item() for row in steps], weights, [row.tolist() for row in steps])


def _recording(model: Any, attention_mask: torch.Tensor) -> tuple[Any, Callable[[], torch.Tensor]]:
    """Return a model with the same parts, and a function for the cross-attention of its last call.

    The attention is the mean over layers and heads. Only modules that contain an attention are copied, without their
    parameters, because other threads would see hooks on the model itself. BERT's weights are computed from the queries
    and keys, because fused attention does not return them.
    """
    model = getattr(model, "_orig_mod", model)  # a compiled model calls the original, not its own parts
    attentions = list(_cross_attentions(model))
    rnn: Any = getattr(getattr(model, "decoder", None), "attention", None)
    if not attentions and rnn is None:
        raise ValueError(
            f"model: expected cross-attention like that of BERT, BART, T5 or our RNN, found {type(model).__name__}, "
            "which gives no alignment; leave out return_alignment, fingerspell and num_return_sequences"
        )
    recorded = [part for query, key, *_ in attentions for part in (query, key)] or [rnn]
    outputs: list[list[torch.Tensor]] = [[] for _ in recorded]
    twins: dict[nn.Module, nn.Module] = {}
    for part, of_part in zip(recorded, outputs, strict=True):
        twins[part] = _twin(part, {})
        vars(twins[part])["_forward_hooks"] = OrderedDict(part._forward_hooks)
        twins[part].register_forward_hook(lambda _, __, output, of_part=of_part: of_part.append(output))

    def weights() -> torch.Tensor:
        if not attentions:
            return torch.stack(outputs[0], dim=1)
        mask = attention_mask[:, None, None].bool()
        sizes = [size for *_, size, _ in attentions for _ in range(2)]
        states = [output for output, *_ in outputs]
        parts = [state.unflatten(-1, (-1, size)).transpose(1, 2) for state, size in zip(states, sizes, strict=True)]
        scaled = [query * scale for query, (*_, scale) in zip(parts[::2], attentions, strict=True)]
        pairs = zip(scaled, parts[1::2], strict=True)
        return torch.stack([mean_weights(query, key, mask) for query, key in pairs]).mean(dim=0)

    return _with_parts(model, twins), weights


def _cross_attentions(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Module, int, float]]:
    """Yield query, key, head size and scale of the queries for each layer of BERT, of models like BART, and of T5."""
    for layer in model.modules():
        if (cross := getattr(getattr(layer, "crossattention", None), "self", None)) is not None:
            yield cross.query, cross.key, cross.attention_head_size, 1.0
        elif (cross := getattr(layer, "encoder_attn", None)) is not None:
            yield cross.q_proj, cross.k_proj, cross.head_dim, 1.0
        elif (cross := getattr(layer, "EncDecAttention", None)) is not None:
            # T5 does not divide its products by the square root of the size.
            yield cross.q, cross.k, cross.key_value_proj_dim, cross.key_value_proj_dim**0.5


def _with_parts(module: nn.Module, twins: dict[nn.Module, nn.Module]) -> nn.Module:
    """Return a copy of a module in which some parts are replaced, or the module itself if it contains none of them."""
    if module not in twins:
        children = {name: child and _with_parts(child, twins) for name, child in module._modules.items()}
        same = all(map(is_, children.values(), module._modules.values()))
        twins[module] = module if same else _twin(module, {"_modules": children})
    return twins[module]


def _twin(module: nn.Module, changed: dict[str, Any]) -> nn.Module:
    """Return a module with the same attributes, except those changed. Some classes refuse `copy.copy`."""
    twin: nn.Module = object.__new__(type(module))
    for name, value in vars(module).items():
        if isinstance(value, MethodType) and value.__self__ is module:  # accelerate replaces forward by one
            value = MethodType(value.__func__, twin)
        elif isinstance(value, partial) and value.args and value.args[0] is module:
            value = partial(value.func, twin, *value.args[1:], **value.keywords)
        vars(twin)[name] = value
    vars(twin).update(changed, _compiled_call_impl=None)  # it would call the original module
    return twin
