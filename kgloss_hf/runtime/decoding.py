"""Greedy decoding without needless work, and what a model thinks of a sequence: log-probability and attention."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter, is_
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence

from .configuration_kgloss import check_ids
from .penalties import Penalty, is_penalised, repetition_penalty, source_penalty
from .plain import is_altered, is_plain, parts_of

_Attended = tuple[torch.Tensor, ...]  # query, key, value; or key, value

_MOSTLY_DONE = 0.75  # where this share of a batch's rows, or less, is unfinished, the others are taken out


def emitted_ids(suppressed: Iterable[int] | None, vocab_size: int) -> torch.Tensor:
    """Return the ids that generation can emit, in order.

    Args:
        suppressed: Ids that it cannot emit: `suppress_tokens` of the generation config.
        vocab_size: All ids.

    Raises:
        ValueError: `suppressed` is no list of ids of the vocabulary, or leaves none.

    Example:
        >>> emitted_ids([0, 2], 4).tolist()
        [1, 3]
    """
    ids = suppressed.tolist() if isinstance(suppressed, torch.Tensor) else suppressed or ()
    check_ids("suppress_tokens", ids, vocab_size)
    emitted = torch.ones(vocab_size, dtype=torch.bool)
    emitted[torch.tensor(list(ids), dtype=torch.long)] = False
    left = emitted.nonzero().squeeze(1)
    if not len(left):
        raise ValueError(
            f"suppress_tokens: expected some of the {vocab_size} ids to be left, found all of them suppressed; take "
            "the checkpoint's own generation_config.json"
        )
    return left


def _cut_head(model: Any, ids: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a plain model's output projection cut to these ids: scores, … × ids, of hidden states, … × width."""
    head = model.decoder.cls.predictions
    weight, bias = head.decoder.weight[ids], head.decoder.bias[ids]
    return lambda hidden: linear(head.transform(hidden), weight, bias)


def _ends(config: Any) -> list[int]:
    """Return the ids that end a sequence, of which the trainer of transformers 4 makes a list."""
    ends = config.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


class Decoded(NamedTuple):
    """What a model emits, and how sure it is.

    Args:
        rows: Ids of each sequence, with [BOS] and the id that ended it.
        log_probs: As `Explained.log_probs`.
    """

    rows: list[list[int]]
    log_probs: list[float]


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
        self.parts = parts_of(self.modules)
        self.emitted: tuple[list[int] | None, torch.Tensor] = (None, torch.tensor([]))
        self.encoder = _Embedding(model.encoder.embeddings)
        # Where the encoder is of another width, as a pre-trained one mostly is.
        self.projection = _function(model.enc_to_dec_proj) if hasattr(model, "enc_to_dec_proj") else None
        self.encoder_layers = [_Layer(layer) for layer in model.encoder.encoder.layer]
        self.decoder = _Embedding(model.decoder.bert.embeddings)
        self.decoder_layers = [_Layer(layer) for layer in model.decoder.bert.encoder.layer]

    def fits(self, model: Any) -> bool:
        """Return whether a model is the one that this was made of, with the same parts, and still plain.

        Args:
            model: Any model.
        """
        parts = parts_of(self.modules)
        return (
            model is self.model
            and len(parts) == len(self.parts)
            and all(map(is_, parts, self.parts))
            and not is_altered(self.modules)
            and set(map(attrgetter("dtype"), self.parameters)) == {torch.float32}
        )

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, max_length: int) -> list[list[int]]:
        """Return each row as `generate` does, without the padding.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is no padding; same shape.
            max_length: Target ids at most, with [BOS] and [EOS].
        """
        return self.decode(input_ids, attention_mask, max_length).rows

    @torch.inference_mode()
    def decode(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        max_length: int,
        penalty: float | None = None,
        repetition: float | None = None,
    ) -> Decoded:
        """Return each row as `generate` does, without the padding, and its log-probability.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is no padding; same shape.
            max_length: Target ids at most, with [BOS] and [EOS].
            penalty: `encoder_repetition_penalty` (default: the model's).
            repetition: `repetition_penalty` (default: the model's).
        """
        config = self.model.generation_config
        start, ends = config.decoder_start_token_id, _ends(config)
        first_end = ends[0] if ends else -1
        ids = self._emitted(input_ids.device)
        head = _cut_head(self.model, ids)
        penalty = config.encoder_repetition_penalty if penalty is None else penalty
        repetition = config.repetition_penalty if repetition is None else repetition
        size = self.model.decoder.get_output_embeddings().out_features
        penalties: list[Penalty] = []
        repeated: Penalty | None = None
        if is_penalised(penalty):
            penalties.append(source_penalty(penalty, input_ids, ids, size))
        if is_penalised(repetition):
            read = input_ids.new_full((len(input_ids), 1), start)
            repeated = repetition_penalty(repetition, read, ids, size).at_first()
            penalties.append(repeated)
        mask = attention_mask[:, None, None].bool()
        sources = self._sources(input_ids, mask)
        pasts: list[Any] = [None] * len(self.decoder_layers)
        token = input_ids.new_full((len(input_ids), 1), start)
        emitted = [[start] for _ in range(len(input_ids))]
        log_probs = [0.0] * len(input_ids)
        rows = list(range(len(input_ids)))
        ended = [False] * len(rows)
        for position in range(min(max_length, len(self.decoder.positions))):
            hidden = self.decoder(token, position)
            for index, layer in enumerate(self.decoder_layers):
                query, key, value = layer.keys_of_self(hidden)
                if position:
                    key, value = (torch.cat(both, dim=2) for both in zip(pasts[index], (key, value), strict=True))
                pasts[index] = (key, value)
                hidden = layer.self_attention(hidden, (query, key, value), None)
                hidden = layer.feed_forward(layer.cross_attention(hidden, sources[index], mask))
            scores = head(hidden[:, -1])
            for penalise in penalties:
                scores = penalise(scores)
            if position == max_length - 1:  # there is no room for the end, which has a probability all the same
                for end in (ids == first_end).nonzero().flatten().tolist():
                    for place, log_prob in enumerate(scores.log_softmax(dim=-1)[:, end].tolist()):
                        log_probs[rows[place]] += 0.0 if ended[place] else log_prob
                break
            best, places = scores.max(dim=-1)
            token = ids[places].unsqueeze(1)
            if repeated is not None:
                repeated.add(places)
            logarithms = (best - scores.logsumexp(dim=-1)).tolist()
            for place, (index, log_prob) in enumerate(zip(token.squeeze(1).tolist(), logarithms, strict=True)):
                if not ended[place]:
                    emitted[rows[place]].append(index)
                    log_probs[rows[place]] += log_prob
                    ended[place] = index in ends
            left = [place for place, over in enumerate(ended) if not over]
            if not left:
                break
            if len(left) <= _MOSTLY_DONE * len(rows):
                kept = torch.tensor(left, device=token.device)
                token, mask = token[kept], mask[kept]
                pasts, sources = ([tuple(t[kept] for t in pair) for pair in pairs] for pairs in (pasts, sources))
                rows, ended = [rows[place] for place in left], [False] * len(left)
                for penalise in penalties:
                    penalise.keep(kept)
        return Decoded(emitted, log_probs)

    def forced(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        read: torch.Tensor,
        ids: torch.Tensor,
        attention: bool = True,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores and cross-attention where the decoder reads given ids.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is no padding; same shape.
            read: Target ids with [BOS] first, batch × target length.
            ids: Ids to score.
            attention: Compute the weights too (default True).

        Returns:
            Scores, batch × target length × ids; and the weight of each source position, mean over layers and heads,
            batch × target length × source length, or nothing.
        """
        mask = attention_mask[:, None, None].bool()
        causal = torch.ones(read.shape[1], read.shape[1], dtype=torch.bool, device=read.device).tril()
        hidden = self.decoder(read, 0)
        weights = []
        for layer, source in zip(self.decoder_layers, self._sources(input_ids, mask), strict=True):
            hidden = layer.self_attention(hidden, layer.keys_of_self(hidden), causal)
            if attention:
                weights.append(layer.cross_weights(hidden, source[0], mask))
            hidden = layer.feed_forward(layer.cross_attention(hidden, source, mask))
        mean = torch.stack(weights).mean(dim=0) if attention else hidden.new_empty(0)
        return _cut_head(self.model, ids)(hidden), mean

    def _sources(self, input_ids: torch.Tensor, mask: torch.Tensor) -> list[_Attended]:
        """Return what the cross-attention of each layer of the decoder looks at."""
        hidden = self.encoder(input_ids, 0)
        for layer in self.encoder_layers:
            hidden = layer.feed_forward(layer.self_attention(hidden, layer.keys_of_self(hidden), mask))
        if self.projection is not None:
            hidden = self.projection(hidden)
        return [layer.keys_of_cross(hidden) for layer in self.decoder_layers]

    def _emitted(self, device: torch.device) -> torch.Tensor:
        suppressed = list(self.model.generation_config.suppress_tokens or ())
        known, ids = self.emitted  # both at once: another thread may put others in their place
        if suppressed != known:
            ids = emitted_ids(suppressed, self.model.decoder.get_output_embeddings().out_features)
            self.emitted = suppressed, ids
        return ids.to(device)


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

    def cross_weights(self, hidden: torch.Tensor, key: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the mean over heads of the cross-attention's weights, which the fused function does not give."""
        return _mean_weights(self._by_head(self.query(hidden)), key, mask)

    def feed_forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.output(self.activation(self.widen(hidden)), hidden)


class _Added:
    """The end of a block: projected states added to its input, and normalised."""

    def __init__(self, output: Any) -> None:
        self.dense, self.norm = _function(output.dense), output.LayerNorm

    def __call__(self, states: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return self.norm(self.dense(states) + hidden)


def _mean_weights(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    energies = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
    return energies.masked_fill(~mask, -torch.inf).softmax(dim=-1).mean(dim=1)


class Explained(NamedTuple):
    """What a model thinks of sequences.

    Args:
        log_probs: For each sequence the natural logarithm of the probability of its ids and of ending after them, among
            the ids that can be emitted. Where the model cannot end, or has no position left, the end does not count.
        attention: Weight of each source position for each target id, mean over layers and heads, sequences × target
            length × source length; what follows a sequence's last id means nothing. Empty where it is not asked for.
    """

    log_probs: list[float]
    attention: torch.Tensor


def explain(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    sequences: Sequence[Sequence[int]],
    config: Any = None,
    attention: bool = True,
) -> Explained:
    """Return log-probability and cross-attention of given sequences, from one pass by teacher forcing.

    The probabilities are those that the search weighs: `encoder_repetition_penalty` and `repetition_penalty` count,
    on the model's raw scores for one beam, and on its log-probabilities for several. The model is left as it is, so
    that other threads can use it at the same time.

    Args:
        model: An encoder-decoder of two BERTs or of their like, or the RNN.
        input_ids: Source ids, one row per sequence.
        attention_mask: 1 where a source id is no padding; same shape.
        sequences: Ids without [BOS] and [EOS].
        config: Generation configuration, for the ids that begin and end a sequence, those that cannot be emitted, the
            penalties and the beams (default: the model's).
        attention: Return the attention too (default True).

    Raises:
        ValueError: A sequence holds an id that the model cannot emit, or attention is asked for and the model has no
            cross-attention to look at.

    Example:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model, ids = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint")), torch.tensor([[2, 9, 8, 3]])
        >>> emitted = emitted_ids(model.generation_config.suppress_tokens, model.config.vocab_size)
        >>> explained = explain(model, ids, torch.ones_like(ids), [emitted[-2:].tolist()])
        >>> explained.log_probs[0] < 0, explained.attention.shape
        (True, torch.Size([1, 3, 4]))
    """
    config = model.generation_config if config is None else config
    start = config.bos_token_id if config.decoder_start_token_id is None else config.decoder_start_token_id
    ends = _ends(config)
    positions = getattr(getattr(model.config, "decoder", model.config), "max_position_embeddings", None)
    end = [index for index in ends[:1] if index not in (config.suppress_tokens or ())]
    # A sequence may hold what has ended it, where that is a gloss.
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
        greedy = GreedyDecoder(model, int8=True)
        scores, weights = greedy.forced(input_ids, attention_mask, read, scored, attention)
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
    sums = [row[: len(ids)].sum().item() for row, ids in zip(log_probs, whole, strict=True)]
    return Explained(sums, weights)


def _recording(model: Any, attention_mask: torch.Tensor) -> tuple[Any, Callable[[], torch.Tensor]]:
    """Return a model of the same parts, and the cross-attention of its last call: mean over layers and heads.

    Only modules that hold an attention are copied, without their parameters: hooks on the model itself would be seen
    by other threads. BERT's weights are computed from the queries and keys, which fused attention does not give.
    """
    model = getattr(model, "_orig_mod", model)  # torch.compile calls what it was made of, not its own parts
    attentions = list(_cross_attentions(model))
    rnn: Any = getattr(getattr(model, "decoder", None), "attention", None)
    if not attentions and rnn is None:
        raise ValueError(
            f"model: expected cross-attention like that of BERT, BART, T5 or our RNN, found {type(model).__name__}, "
            "for which no alignment can be given; leave out return_alignment, fingerspell and num_return_sequences"
        )
    recorded = [part for query, key, *_ in attentions for part in (query, key)] or [rnn]
    outputs: list[list[torch.Tensor]] = [[] for _ in recorded]
    twins: dict[nn.Module, nn.Module] = {}
    for part, found in zip(recorded, outputs, strict=True):
        twins[part] = _twin(part, {})
        vars(twins[part])["_forward_hooks"] = OrderedDict(part._forward_hooks)
        twins[part].register_forward_hook(lambda _, __, output, found=found: found.append(output))

    def weights() -> torch.Tensor:
        if not attentions:
            return torch.stack(outputs[0], dim=1)
        mask = attention_mask[:, None, None].bool()
        sizes = [size for *_, size, _ in attentions for _ in range(2)]
        parts = [found[0].unflatten(-1, (-1, size)).transpose(1, 2) for found, size in zip(outputs, sizes, strict=True)]
        scaled = [query * scale for query, (*_, scale) in zip(parts[::2], attentions, strict=True)]
        pairs = zip(scaled, parts[1::2], strict=True)
        return torch.stack([_mean_weights(query, key, mask) for query, key in pairs]).mean(dim=0)

    return _with_parts(model, twins), weights


def _cross_attentions(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Module, int, float]]:
    """Yield query, key, size of a head, and a scale of the queries, of each layer of BERT, of BART's like and of T5."""
    for layer in model.modules():
        if (found := getattr(getattr(layer, "crossattention", None), "self", None)) is not None:
            yield found.query, found.key, found.attention_head_size, 1.0
        elif (found := getattr(layer, "encoder_attn", None)) is not None:
            yield found.q_proj, found.k_proj, found.head_dim, 1.0
        elif (found := getattr(layer, "EncDecAttention", None)) is not None:
            # T5 does not divide its products by the root of the size.
            yield found.q, found.k, found.key_value_proj_dim, found.key_value_proj_dim**0.5


def _with_parts(module: nn.Module, twins: dict[nn.Module, nn.Module]) -> nn.Module:
    """Return a module with others in the place of some of its parts; itself where it holds none of them."""
    if module not in twins:
        children = {name: child and _with_parts(child, twins) for name, child in module._modules.items()}
        same = all(map(is_, children.values(), module._modules.values()))
        twins[module] = module if same else _twin(module, {"_modules": children})
    return twins[module]


def _twin(module: nn.Module, changed: dict[str, Any]) -> nn.Module:
    """Return a module with the same attributes, but for some. `copy.copy` would ask classes that refuse."""
    twin: nn.Module = object.__new__(type(module))
    for name, value in vars(module).items():
        if isinstance(value, MethodType) and value.__self__ is module:  # as accelerate puts in the place of forward
            value = MethodType(value.__func__, twin)
        elif isinstance(value, partial) and value.args and value.args[0] is module:
            value = partial(value.func, twin, *value.args[1:], **value.keywords)
        vars(twin)[name] = value
    vars(twin).update(changed, _compiled_call_impl=None)  # which would call the module that it was compiled for
    return twin
