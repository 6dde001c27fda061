"""Greedy decoding without needless work, and what a model thinks of a sequence: log-probability and attention."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from operator import attrgetter, is_
from typing import Any, NamedTuple

import torch
import transformers
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence

_Attended = tuple[torch.Tensor, ...]  # query, key, value; or key, value

_MOSTLY_DONE = 0.75  # where this share of a batch's rows, or less, is unfinished, the others are taken out

_PLAIN_TYPES = {nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout, nn.ModuleList}
_PLAIN_FILES = {"transformers.models.bert.modeling_bert", "transformers.activations", "torch.nn.modules.activation"}
_INT8_FILES = {"torch.ao.nn.quantized.dynamic.modules.linear", "torch.ao.nn.quantized.modules.linear"}


def is_plain(model: Any, *, int8: bool = False) -> bool:
    """Return whether a model computes exactly what two stock BERTs compute from its parameters, in float32.

    An adapter, a hook, a parametrization, a layer of another class and training mode all change what is computed. In
    half precision, the order of operations decides which gloss has the best score.

    Args:
        model: Any model.
        int8: Let layers be those of `with_int8_weights` too, whose answers depend on what else is in a batch.

    Example:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> is_plain(model), is_plain(model.half())
        (True, False)
    """
    if type(model) is not transformers.EncoderDecoderModel and not _is_like_stock(model):
        return False
    encoder, decoder = model.encoder, model.decoder
    if type(encoder) is not transformers.BertModel or type(decoder) is not transformers.BertLMHeadModel:
        return False
    _, *modules = model.modules()
    projection = decoder.get_output_embeddings()
    files = _PLAIN_FILES | (_INT8_FILES if int8 else set())
    return (
        all(
            type(module) in _PLAIN_TYPES or type(module).__module__ in files or _is_like_stock(module)
            for module in modules
        )
        # transformers 4 has kinds of positions that enter elsewhere
        and all(getattr(module, "position_embedding_type", "absolute") == "absolute" for module in modules)
        and {(type(parameter), parameter.dtype) for parameter in model.parameters()} == {(nn.Parameter, torch.float32)}
        and type(projection) is nn.Linear
        and projection.bias is not None
        and not encoder.config.is_decoder
        and decoder.config.is_decoder
        and all(hasattr(layer, "crossattention") for layer in decoder.bert.encoder.layer)
        and not hasattr(model, "enc_to_dec_proj")
        and not _is_altered([model, *modules])
    )


def _is_like_stock(module: nn.Module) -> bool:
    """Return whether a class itself, and not one that it is made of, says that it generates like the stock one."""
    return "generates_like_stock" in vars(type(module))


def _is_altered(modules: Sequence[nn.Module]) -> bool:
    """Return whether a model of plain modules, itself the first of them, is set to compute something else."""
    model: Any = modules[0]
    # torch has no public way to ask for hooks, nor transformers for the kind of attention.
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


def _parts(modules: Sequence[nn.Module]) -> list[Any]:
    """Return the classes, children and parameters of modules. The public ways to the latter take ten times as long."""
    held = (map(dict.values, map(attrgetter(name), modules)) for name in ("_modules", "_parameters"))
    return [*map(type, modules), *chain.from_iterable(chain(*held))]


def with_int8_weights(model: Any) -> Any:
    """Return a copy of a model with eight-bit weights in each linear layer but the output projection.

    Inputs of these layers are rounded to eight bits too, by the range of each call. It generates on a CPU; it cannot be
    trained or saved.

    Args:
        model: A plain model (`is_plain`) on a CPU.

    Raises:
        ValueError: The model is another, or on another device.
        ImportError: This version of torch has no dynamic quantisation.

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
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    final = model.get_output_embeddings()
    names = [name for name, part in model.named_modules() if type(part) is nn.Linear and part is not final]
    with warnings.catch_warnings():  # torch announces that a later release will do this in another library
        warnings.simplefilter("ignore")
        return quantize_dynamic(model, dict.fromkeys(names, per_channel_dynamic_qconfig)).eval()


def emitted_ids(suppressed: Iterable[int] | None, vocab_size: int) -> torch.Tensor:
    """Return the ids that generation can emit, in order.

    Args:
        suppressed: Ids that it cannot emit: `suppress_tokens` of the generation config.
        vocab_size: All ids.

    Example:
        >>> emitted_ids([0, 2], 4).tolist()
        [1, 3]
    """
    emitted = torch.ones(vocab_size, dtype=torch.bool)
    emitted[torch.tensor(list(suppressed or ()), dtype=torch.long)] = False
    return emitted.nonzero().squeeze(1)


def _cut_head(model: Any, ids: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a plain model's output projection cut to these ids: scores, … × ids, of hidden states, … × width."""
    head = model.decoder.cls.predictions
    weight, bias = head.decoder.weight[ids], head.decoder.bias[ids]
    return lambda hidden: linear(head.transform(hidden), weight, bias)


def _ends(model: Any) -> list[int]:
    """Return the ids that end a sequence, of which the trainer of transformers 4 makes a list."""
    ends = model.generation_config.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


class GreedyDecoder:
    """What `model.generate` gives with one beam, sooner.

    It computes the same from the same parameters. Rows leave the batch when they end, scores are computed only for ids
    that can come out, and layers are called as functions: with one sentence, a third of the stock model's time goes
    into what is around them. It holds no copy of a parameter, so that it follows each change of its values.

    Args:
        model: A plain model (`is_plain`).
        int8: As for `is_plain`.

    Raises:
        ValueError: The model is not plain.

    Example:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> decode = GreedyDecoder(model)
        >>> ids = torch.tensor([[2, 9, 8, 3]])
        >>> [row] = decode(ids, torch.ones_like(ids), 6)
        >>> model.generate(ids, max_length=6)[0].tolist() == row
        True
    """

    def __init__(self, model: Any, *, int8: bool = False) -> None:
        if not is_plain(model, int8=int8):
            raise ValueError(
                "model: expected an EncoderDecoderModel of two stock BERTs in float32 and evaluation mode, without "
                f"adapters or hooks; found another {type(model).__name__}; call its generate"
            )
        self.model = model
        self.modules = list(model.modules())
        self.parameters = list(model.parameters())
        self.parts = _parts(self.modules)
        self.suppressed: list[int] | None = None
        self.ids = torch.tensor([])
        self.encoder = _Embedding(model.encoder.embeddings)
        self.encoder_layers = [_Layer(layer) for layer in model.encoder.encoder.layer]
        self.decoder = _Embedding(model.decoder.bert.embeddings)
        self.decoder_layers = [_Layer(layer) for layer in model.decoder.bert.encoder.layer]

    def fits(self, model: Any) -> bool:
        """Return whether a model is the one that this was made of, with the same parts, and still plain.

        Args:
            model: Any model.
        """
        parts = _parts(self.modules)
        return (
            model is self.model
            and len(parts) == len(self.parts)
            and all(map(is_, parts, self.parts))
            and not _is_altered(self.modules)
            and set(map(attrgetter("dtype"), self.parameters)) == {torch.float32}
        )

    @torch.inference_mode()
    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, max_length: int) -> list[list[int]]:
        """Return each row as `generate` does, without the padding.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is no padding; same shape.
            max_length: Target ids at most, with [BOS] and [EOS].
        """
        start, ends = self.model.generation_config.decoder_start_token_id, set(_ends(self.model))
        ids = self._emitted(input_ids.device)
        head = _cut_head(self.model, ids)
        mask = attention_mask[:, None, None].bool()
        hidden = self.encoder(input_ids, 0)
        for layer in self.encoder_layers:
            hidden = layer.feed_forward(layer.self_attention(hidden, layer.keys_of_self(hidden), mask))
        sources = [layer.keys_of_cross(hidden) for layer in self.decoder_layers]
        pasts: list[Any] = [None] * len(self.decoder_layers)
        token = input_ids.new_full((len(input_ids), 1), start)
        emitted = [[start] for _ in range(len(input_ids))]
        rows = list(range(len(input_ids)))
        ended = [False] * len(rows)
        for position in range(max_length - 1):
            hidden = self.decoder(token, position)
            for index, layer in enumerate(self.decoder_layers):
                query, key, value = layer.keys_of_self(hidden)
                if position:
                    key, value = (torch.cat(both, dim=2) for both in zip(pasts[index], (key, value), strict=True))
                pasts[index] = (key, value)
                hidden = layer.self_attention(hidden, (query, key, value), None)
                hidden = layer.feed_forward(layer.cross_attention(hidden, sources[index], mask))
            token = ids[head(hidden[:, -1]).argmax(dim=-1)].unsqueeze(1)
            for place, best in enumerate(token.squeeze(1).tolist()):
                if not ended[place]:
                    emitted[rows[place]].append(best)
                    ended[place] = best in ends
            left = [place for place, over in enumerate(ended) if not over]
            if not left:
                break
            if len(left) <= _MOSTLY_DONE * len(rows):
                kept = torch.tensor(left, device=token.device)
                token, mask = token[kept], mask[kept]
                pasts, sources = ([tuple(t[kept] for t in pair) for pair in pairs] for pairs in (pasts, sources))
                rows, ended = [rows[place] for place in left], [False] * len(left)
        return emitted

    def _emitted(self, device: torch.device) -> torch.Tensor:
        suppressed = list(self.model.generation_config.suppress_tokens or ())
        if suppressed != self.suppressed:
            self.suppressed = suppressed
            self.ids = emitted_ids(suppressed, self.model.decoder.get_output_embeddings().out_features)
        return self.ids.to(device)


class _Embedding:
    """BERT's input: words, the one type of text, and positions, added in the order of the stock model."""

    def __init__(self, embeddings: Any) -> None:
        self.words = embeddings.word_embeddings
        self.types = embeddings.token_type_embeddings.weight
        self.positions = embeddings.position_embeddings.weight
        self.norm = embeddings.LayerNorm

    def __call__(self, ids: torch.Tensor, first: int) -> torch.Tensor:
        return self.norm(self.words(ids) + self.types[0] + self.positions.narrow(0, first, ids.shape[1]))


def _function(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    return partial(linear, weight=layer.weight, bias=layer.bias) if type(layer) is nn.Linear else layer


class _Layer:
    """A layer of BERT, with cross-attention where the layer has one."""

    def __init__(self, layer: Any) -> None:
        own = layer.attention.self
        self.size = own.attention_head_size
        self.own = [_function(part) for part in (own.query, own.key, own.value)]
        self.own_output = _Added(layer.attention.output)
        if hasattr(layer, "crossattention"):
            cross = layer.crossattention.self
            self.query = _function(cross.query)
            self.key_value = [_function(part) for part in (cross.key, cross.value)]
            self.cross_output = _Added(layer.crossattention.output)
        self.widen, self.activation = _function(layer.intermediate.dense), layer.intermediate.intermediate_act_fn
        self.output = _Added(layer.output)

    def keys_of_self(self, hidden: torch.Tensor) -> _Attended:
        """Return query, key and value, each batch × heads × length × size of a head."""
        return tuple(self._by_head(part(hidden)) for part in self.own)

    def keys_of_cross(self, encoded: torch.Tensor) -> _Attended:
        """Return key and value, in the same shape."""
        return tuple(self._by_head(part(encoded)) for part in self.key_value)

    def _by_head(self, states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(-1, (-1, self.size)).transpose(1, 2)

    def self_attention(self, hidden: torch.Tensor, attended: _Attended, mask: torch.Tensor | None) -> torch.Tensor:
        query, key, value = attended
        states = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.own_output(states.transpose(1, 2).flatten(2), hidden)

    def cross_attention(self, hidden: torch.Tensor, source: _Attended, mask: torch.Tensor) -> torch.Tensor:
        key, value = source
        states = scaled_dot_product_attention(self._by_head(self.query(hidden)), key, value, attn_mask=mask)
        return self.cross_output(states.transpose(1, 2).flatten(2), hidden)

    def feed_forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.output(self.activation(self.widen(hidden)), hidden)


class _Added:
    """The end of a block: projected states added to its input, and normalised."""

    def __init__(self, output: Any) -> None:
        self.dense, self.norm = _function(output.dense), output.LayerNorm

    def __call__(self, states: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return self.norm(self.dense(states) + hidden)


class Explained(NamedTuple):
    """What a model thinks of sequences.

    Args:
        log_probs: For each sequence the natural logarithm of the probability of its ids and of ending after them, among
            the ids that can be emitted.
        attention: Weight of each source position for each target id, mean over layers and heads, sequences × target
            length × source length; what follows a sequence's last id means nothing.
    """

    log_probs: list[float]
    attention: torch.Tensor


def explain(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    sequences: Sequence[Sequence[int]],
    suppressed: Iterable[int] | None = None,
) -> Explained:
    """Return log-probability and cross-attention of given sequences, from one pass by teacher forcing.

    Args:
        model: An encoder-decoder of two BERTs or of their like, or the RNN.
        input_ids: Source ids, one row per sequence.
        attention_mask: 1 where a source id is no padding; same shape.
        sequences: Ids without [BOS] and [EOS].
        suppressed: Ids that cannot be emitted (default: `suppress_tokens` of the model's generation config).

    Raises:
        ValueError: A sequence holds an id that the model cannot emit, or the model has no cross-attention to look at.

    Example:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model, ids = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint")), torch.tensor([[2, 9, 8, 3]])
        >>> emitted = emitted_ids(model.generation_config.suppress_tokens, model.config.vocab_size)
        >>> explained = explain(model, ids, torch.ones_like(ids), [emitted[-2:].tolist()])
        >>> explained.log_probs[0] < 0, explained.attention.shape
        (True, torch.Size([1, 3, 4]))
    """
    config = model.generation_config
    start = config.bos_token_id if config.decoder_start_token_id is None else config.decoder_start_token_id
    ends = _ends(model)
    # A sequence may hold what has ended it, where that is a gloss.
    whole = [[*ids, *([] if {*ids[-1:]} & {*ends} else ends[:1])] for ids in sequences]
    wanted = pad_sequence([input_ids.new_tensor(ids) for ids in whole], batch_first=True, padding_value=start)
    source = {"input_ids": input_ids, "attention_mask": attention_mask}
    read = torch.cat([torch.full_like(wanted[:, :1], start), wanted[:, :-1]], dim=1)
    suppressed = config.suppress_tokens if suppressed is None else suppressed
    plain = is_plain(model)
    with _recorded(model, attention_mask) as weights:
        if plain:
            ids = emitted_ids(suppressed, model.decoder.get_output_embeddings().out_features).to(read.device)
            encoded = {"encoder_hidden_states": model.encoder(**source)[0], "encoder_attention_mask": attention_mask}
            scores = _cut_head(model, ids)(model.decoder.bert(read, **encoded, use_cache=False)[0])
        else:
            scores = model(**source, decoder_input_ids=read, use_cache=False).logits
            ids = emitted_ids(suppressed, scores.shape[-1]).to(read.device)
            scores = scores[..., ids]
    if not {*ids.tolist()}.issuperset(chain(*whole)):
        raise ValueError("sequences: expected ids that the model can emit, found others")
    places = torch.searchsorted(ids, wanted).clamp(max=len(ids) - 1)
    log_probs = scores.float().log_softmax(dim=-1).gather(2, places.unsqueeze(2)).squeeze(2)
    sums = [row[: len(ids)].sum().item() for row, ids in zip(log_probs, whole, strict=True)]
    return Explained(sums, weights())


@contextmanager
def _recorded(model: Any, attention_mask: torch.Tensor) -> Iterator[Callable[[], torch.Tensor]]:
    """Give the cross-attention of what is computed within, once it is: mean over layers and heads.

    BERT's weights are computed here once more, from the queries and keys, because fused attention does not give them.
    """
    outputs: dict[nn.Module, list[torch.Tensor]] = {}

    def record(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        outputs.setdefault(module, []).append(output)

    def of_bert(attention: Any) -> torch.Tensor:
        size = attention.attention_head_size
        query, key = (
            outputs[layer][0].unflatten(-1, (-1, size)).transpose(1, 2) for layer in (attention.query, attention.key)
        )
        energies = query @ key.transpose(2, 3) / size**0.5
        energies = energies.masked_fill(attention_mask[:, None, None] == 0, -torch.inf)
        return energies.softmax(dim=-1).mean(dim=1)

    berts = [layer.crossattention.self for layer in model.modules() if hasattr(layer, "crossattention")]
    rnn: Any = getattr(getattr(model, "decoder", None), "attention", None)
    if not berts and rnn is None:
        raise ValueError(
            f"model: expected cross-attention like BERT's or our RNN's, found {type(model).__name__}, for which no "
            "alignment can be given; leave out return_alignment, fingerspell and num_return_sequences"
        )
    recorded = [part for attention in berts for part in (attention.query, attention.key)] or [rnn]
    handles = [module.register_forward_hook(record) for module in recorded]
    try:
        if berts:
            yield lambda: torch.stack([of_bert(attention) for attention in berts]).mean(dim=0)
        else:
            yield lambda: torch.stack(outputs[rnn], dim=1)
    finally:
        for handle in handles:
            handle.remove()
