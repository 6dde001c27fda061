"""Greedy decoding without needless work, and functions of a plain model that beam search uses too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter, is_
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

from .configuration_kgloss import check_ids
from .penalties import Penalty, is_penalised, repetition_penalty, source_penalty
from .plain import has_plain_decoder, is_altered, is_plain, modules_beside_encoder, parts_of

_Attended = tuple[torch.Tensor, ...]  # query, key, value; or key, value

_MOSTLY_DONE = 0.75  # finished rows leave a batch once this share of its rows, or less, is unfinished


def emitted_ids(suppressed: Iterable[int] | None, vocab_size: int) -> torch.Tensor:
    """Return the ids that generation can emit, in order.

    Args:
        suppressed: Ids that it cannot emit: `suppress_tokens` of the generation config.
        vocab_size: Size of the vocabulary.

    Raises:
        ValueError: `suppressed` is not a list of ids of the vocabulary, or contains all of them.

    Examples:
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
            f"suppress_tokens: expected some of the {vocab_size} ids to be left, found all of them suppressed; use "
            "the checkpoint's own generation_config.json"
        )
    return left


def cut_head(model: Any, ids: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that computes a plain model's output projection for some ids only.

    The function computes scores, … × ids, from hidden states, … × width.

    Args:
        model: A plain model (`is_plain`).
        ids: Ids to score.
    """
    head = model.decoder.cls.predictions
    weight, bias = head.decoder.weight[ids], head.decoder.bias[ids]
    return lambda hidden: linear(head.transform(hidden), weight, bias)


def end_ids(config: Any) -> list[int]:
    """Return the ids that end a sequence as a list, whether the configuration holds an integer or a list.

    The trainer of transformers 4 turns an integer into a list.

    Args:
        config: Generation configuration.

    Examples:
        >>> from transformers import GenerationConfig
        >>> end_ids(GenerationConfig(eos_token_id=3))
        [3]
    """
    ends = config.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


class Decoded(NamedTuple):
    """Sequences that a model emits, and their certainty.

    Args:
        rows: Ids of each sequence, including [BOS] and the id that ended it.
        log_probs: As `Explained.log_probs`.
        leads: Lead of each row over an alternative: the smallest difference of scores between one of its ids and the
            second best of that step, or the difference between the row and the second best finished beam. Computed for
            eight-bit weights only.
    """

    rows: list[list[int]]
    log_probs: list[float]
    leads: Sequence[float] = ()


class PlainDecoder:
    """Parts of a plain model as functions, for our own search loops.

    With one sentence, the stock model spends a third of its time on code around its layers. A decoder holds no copy of
    a parameter, so it follows every change of the model's parameters.

    Args:
        model: A model with a plain decoder (`has_plain_decoder`). An encoder that is not plain is called unchanged.
        int8: As for `is_plain`.

    Raises:
        ValueError: The model's decoder is not plain.
    """

    def __init__(self, model: Any, *, int8: bool = False) -> None:
        if not has_plain_decoder(model, int8=int8):
            raise ValueError(
                "model: expected an EncoderDecoderModel whose decoder is a stock BERT in float32 and evaluation mode, "
                f"without adapters or hooks, found a different {type(model).__name__}; call its generate"
            )
        self.model = model
        self.int8 = int8
        self.has_plain_encoder = is_plain(model, int8=int8)
        self.modules = list(model.modules()) if self.has_plain_encoder else modules_beside_encoder(model)
        self.parameters = [one for module in self.modules for one in module.parameters(recurse=False)]
        self.parts = parts_of(self.modules)
        self.emitted: tuple[list[int] | None, torch.Tensor] = (None, torch.tensor([]))
        if self.has_plain_encoder:
            self.encoder = _Embedding(model.encoder.embeddings)
            self.encoder_layers = [_Layer(layer) for layer in model.encoder.encoder.layer]
        # Present if the encoder has another width, as most pre-trained ones do.
        self.projection = _function(model.enc_to_dec_proj) if hasattr(model, "enc_to_dec_proj") else None
        self.decoder = _Embedding(model.decoder.bert.embeddings)
        self.decoder_layers = [_Layer(layer) for layer in model.decoder.bert.encoder.layer]

    def fits(self, model: Any) -> bool:
        """Return whether this decoder was made from the given model, which still has the same parts and is plain.

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

    def forced(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        read: torch.Tensor,
        ids: torch.Tensor,
        attention: bool = True,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores and cross-attention of a decoder that reads the given ids.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is not padding; same shape.
            read: Target ids with [BOS] first, batch × target length.
            ids: Ids to score.
            attention: Also compute the attention weights (default True).

        Returns:
            Scores, batch × target length × ids; and the weight of each source position, mean over layers and heads,
            batch × target length × source length, or an empty tensor.
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
        return cut_head(self.model, ids)(hidden), mean

    def _sources(self, input_ids: torch.Tensor, mask: torch.Tensor) -> list[_Attended]:
        """Return the keys and values to which the cross-attention of each decoder layer attends."""
        if self.has_plain_encoder:
            hidden = self.encoder(input_ids, 0)
            for layer in self.encoder_layers:
                hidden = layer.feed_forward(layer.self_attention(hidden, layer.keys_of_self(hidden), mask))
        else:
            # As generate does: tensors that an encoder keeps from inference mode could not be trained afterwards.
            with torch.inference_mode(False), torch.no_grad():
                seen = mask[:, 0, 0].long()
                hidden = self.model.encoder(input_ids=input_ids, attention_mask=seen, return_dict=True)[0]
        if self.projection is not None:
            hidden = self.projection(hidden)
        return [layer.keys_of_cross(hidden) for layer in self.decoder_layers]

    def _emitted(self, device: torch.device, suppress_tokens: Sequence[int] | None = None) -> torch.Tensor:
        chosen = self.model.generation_config.suppress_tokens if suppress_tokens is None else suppress_tokens
        suppressed = list(chosen or ())
        known, ids = self.emitted  # both at once, as another thread may replace them
        if suppressed != known:
            ids = emitted_ids(suppressed, self.model.decoder.get_output_embeddings().out_features)
            self.emitted = suppressed, ids
        return ids.to(device)


class GreedyDecoder(PlainDecoder):
    """Faster equivalent of `model.generate` with one beam.

    It computes the same results from the same parameters. Rows leave the batch when they end, scores are computed only
    for ids that can be emitted, and layers are called as functions.

    Args:
        model: As for `PlainDecoder`.
        int8: As for `is_plain`.

    Raises:
        ValueError: The model's decoder is not plain.

    Examples:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> decode = GreedyDecoder(model)
        >>> ids = torch.tensor([[2, 9, 8, 3]])
        >>> [row] = decode(ids, torch.ones_like(ids), 6)
        >>> model.generate(ids, max_length=6)[0].tolist() == row
        True
    """

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, max_length: int) -> list[list[int]]:
        """Return each row as `generate` does, without padding.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is not padding; same shape.
            max_length: Maximum number of target ids, including [BOS] and [EOS].
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
        suppress_tokens: Sequence[int] | None = None,
    ) -> Decoded:
        """Return each row as `generate` does, without padding, and its log-probability.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is not padding; same shape.
            max_length: Maximum number of target ids, including [BOS] and [EOS].
            penalty: `encoder_repetition_penalty` (default: the model's).
            repetition: `repetition_penalty` (default: the model's).
            suppress_tokens: Ids that cannot be emitted (default: the model's).
        """
        config = self.model.generation_config
        start, ends = config.decoder_start_token_id, end_ids(config)
        first_end = ends[0] if ends else -1
        ids = self._emitted(input_ids.device, suppress_tokens)
        head = cut_head(self.model, ids)
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
        leads = [float("inf")] * len(input_ids)
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
            if position == max_length - 1:  # no room for the end, but its probability counts
                for end in (ids == first_end).nonzero().flatten().tolist():
                    for place, log_prob in enumerate(scores.log_softmax(dim=-1)[:, end].tolist()):
                        log_probs[rows[place]] += 0.0 if ended[place] else log_prob
                break
            best, places = scores.max(dim=-1)
            token = ids[places].unsqueeze(1)
            if repeated is not None:
                repeated.add(places)
            logarithms = (best - scores.logsumexp(dim=-1)).tolist()
            if self.int8:
                ahead = (best - scores.topk(min(2, len(ids))).values[:, -1]).tolist()
                for place, lead in enumerate(ahead):
                    if not ended[place]:
                        leads[rows[place]] = min(leads[rows[place]], lead)
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
        return Decoded(emitted, log_probs, leads)


class _Embedding:
    """BERT's input: embeddings of words, text type 0 and positions, added in the order of the stock model."""

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
    """A layer of BERT, with cross-attention if the layer has it."""

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
        """Return query, key and value, each batch × heads × length × head size."""
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
        """Return the mean over heads of the cross-attention's weights, which the fused function does not return."""
        return mean_weights(self._by_head(self.query(hidden)), key, mask)

    def feed_forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.output(self.activation(self.widen(hidden)), hidden)


class _Added:
    """The end of a block: projected states added to its input, and normalised."""

    def __init__(self, output: Any) -> None:
        self.dense, self.norm = _function(output.dense), output.LayerNorm

    def __call__(self, states: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return self.norm(self.dense(states) + hidden)


def mean_weights(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return attention weights, mean over heads: batch × queries × keys.

    Args:
        query: Batch × heads × queries × head size.
        key: Batch × heads × keys × head size.
        mask: True where a key is visible; broadcast to batch × heads × queries × keys.

    Examples:
        >>> mean_weights(torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 5, 4), torch.tensor(True))
        tensor([[[0.2000, 0.2000, 0.2000, 0.2000, 0.2000]]])
    """
    energies = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
    return energies.masked_fill(~mask, -torch.inf).softmax(dim=-1).mean(dim=1)
