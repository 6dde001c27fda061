"""Greedy decoding without needless work, and what a model thinks of a sequence: log-probability and attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

_Attended = tuple[torch.Tensor, ...]  # query, key, value; or key, value

MOSTLY_DONE = 0.75
"""Where this part of a batch's rows, or less, is left unfinished, the others are taken out."""


class GlossHead:
    """A model's output projection cut to the ids that its generation can emit.

    Scores of these ids are the whole projection's own, so the best of them is the same.

    Args:
        model: An encoder-decoder of two BERTs, or the RNN; `generation_config.suppress_tokens` says which ids are out.

    Example:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> head = GlossHead(model)
        >>> len(head.ids) + len(model.generation_config.suppress_tokens) == model.config.vocab_size
        True
    """

    def __init__(self, model: PreTrainedModel) -> None:
        out = set(model.generation_config.suppress_tokens or ())
        self.bert = hasattr(model.decoder, "cls")
        projection = model.decoder.cls.predictions.decoder if self.bert else model.output
        self.transform = model.decoder.cls.predictions.transform if self.bert else torch.nn.Identity()
        ids = [index for index in range(projection.out_features) if index not in out]
        self.ids = torch.tensor(ids, device=projection.bias.device)
        self.weight, self.bias = projection.weight.detach()[self.ids], projection.bias.detach()[self.ids]

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores, … × emitted ids, of hidden states, … × width."""
        return linear(self.transform(hidden), self.weight, self.bias)


def _end(model: PreTrainedModel) -> int:
    """[EOS], of which the trainer of transformers 4 makes a list."""
    found = model.generation_config.eos_token_id
    return found if isinstance(found, int) else found[0]


def joined(layers: Sequence[Any]) -> Any:
    """Linear layers of one input as one layer, whose output is theirs one after another.

    Args:
        layers: `nn.Linear`, or layers of a class that has a `joined` of its own.

    Example:
        >>> layers = [torch.nn.Linear(4, 2), torch.nn.Linear(4, 3)]
        >>> joined(layers)(torch.ones(4)).shape
        torch.Size([5])
    """
    if hasattr(layers[0], "joined"):
        return layers[0].joined(layers)
    weight, bias = (torch.cat([getattr(layer, name).detach() for layer in layers]) for name in ("weight", "bias"))
    return lambda hidden: linear(hidden, weight, bias)


class GreedyDecoder:
    """What `model.generate` gives with one beam, sooner.

    It computes the same from the same parameters. Rows leave the batch when they end, scores are computed for ids that
    can come out alone, and layers are called as functions, query, key and value as one: with one sentence, a third of
    the stock model's time goes into what is around them.

    Args:
        model: An encoder-decoder of two BERTs, as it is now: later changes of its parameters may go unseen.
        head: Made of this model.

    Example:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> decode = GreedyDecoder(model, GlossHead(model))
        >>> ids = torch.tensor([[2, 9, 8, 3]])
        >>> found = decode(ids, torch.ones_like(ids), 6)[0]
        >>> model.generate(ids, max_length=6)[0, 1 : len(found) + 1].tolist() == found
        True
    """

    def __init__(self, model: PreTrainedModel, head: GlossHead) -> None:
        self.head = head
        self.start = model.generation_config.decoder_start_token_id
        self.end = _end(model)
        self.encoder = _Embedding(model.encoder.embeddings)
        self.encoder_layers = [_Layer(layer) for layer in model.encoder.encoder.layer]
        self.decoder = _Embedding(model.decoder.bert.embeddings)
        self.decoder_layers = [_Layer(layer) for layer in model.decoder.bert.encoder.layer]

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, max_length: int) -> list[list[int]]:
        """For each row its ids, without [BOS] and [EOS].

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is no padding; same shape.
            max_length: Target ids at most, with [BOS] and [EOS].
        """
        mask = attention_mask[:, None, None].bool()
        hidden = self.encoder(input_ids, slice(input_ids.shape[1]))
        for layer in self.encoder_layers:
            hidden = layer.feed_forward(layer.self_attention(hidden, layer.keys_of_self(hidden), mask))
        sources = [layer.keys_of_cross(hidden) for layer in self.decoder_layers]
        pasts: list[Any] = [None] * len(self.decoder_layers)
        token = input_ids.new_full((len(input_ids), 1), self.start)
        found: list[list[int]] = [[] for _ in range(len(input_ids))]
        rows = list(range(len(input_ids)))
        ended = [False] * len(rows)
        for position in range(max_length - 1):
            hidden = self.decoder(token, slice(position, position + 1))
            for index, layer in enumerate(self.decoder_layers):
                query, key, value = layer.keys_of_self(hidden)
                if position:
                    key, value = (torch.cat(both, dim=2) for both in zip(pasts[index], (key, value), strict=True))
                pasts[index] = (key, value)
                hidden = layer.self_attention(hidden, (query, key, value), None)
                hidden = layer.feed_forward(layer.cross_attention(hidden, sources[index], mask))
            token = self.head.ids[self.head(hidden[:, -1]).argmax(dim=-1)].unsqueeze(1)
            for place, emitted in enumerate(token.squeeze(1).tolist()):
                ended[place] = ended[place] or emitted == self.end
                if not ended[place]:
                    found[rows[place]].append(emitted)
            left = [place for place, over in enumerate(ended) if not over]
            if not left:
                break
            if len(left) <= MOSTLY_DONE * len(rows):
                kept = torch.tensor(left, device=token.device)
                token, mask = token[kept], mask[kept]
                pasts, sources = ([tuple(t[kept] for t in pair) for pair in pairs] for pairs in (pasts, sources))
                rows, ended = [rows[place] for place in left], [False] * len(left)
        return found


class _Embedding:
    """BERT's input: words, positions, and the one type of text there is."""

    def __init__(self, embeddings: Any) -> None:
        self.words = embeddings.word_embeddings
        self.others = (embeddings.position_embeddings.weight + embeddings.token_type_embeddings.weight[0]).detach()
        self.norm = embeddings.LayerNorm

    def __call__(self, ids: torch.Tensor, positions: slice) -> torch.Tensor:
        return self.norm(self.words(ids) + self.others[positions])


class _Layer:
    """A layer of BERT, with cross-attention where the layer has one."""

    def __init__(self, layer: Any) -> None:
        own = layer.attention.self
        self.size = own.attention_head_size
        self.query_key_value = joined([own.query, own.key, own.value])
        self.own_output = layer.attention.output
        if hasattr(layer, "crossattention"):
            cross = layer.crossattention.self
            self.query = cross.query
            self.key_value = joined([cross.key, cross.value])
            self.cross_output = layer.crossattention.output
        self.widen, self.activation = layer.intermediate.dense, layer.intermediate.intermediate_act_fn
        self.output = layer.output

    def keys_of_self(self, hidden: torch.Tensor) -> _Attended:
        """Query, key and value, each batch × heads × length × size of a head."""
        return self._by_head(self.query_key_value(hidden), 3)

    def keys_of_cross(self, encoded: torch.Tensor) -> _Attended:
        """Key and value, in the same shape."""
        return self._by_head(self.key_value(encoded), 2)

    def _by_head(self, states: torch.Tensor, parts: int) -> _Attended:
        return tuple(part.unflatten(-1, (-1, self.size)).transpose(1, 2) for part in states.chunk(parts, dim=-1))

    def self_attention(self, hidden: torch.Tensor, attended: _Attended, mask: torch.Tensor | None) -> torch.Tensor:
        query, key, value = attended
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return _added(self.own_output, found.transpose(1, 2).flatten(2), hidden)

    def cross_attention(self, hidden: torch.Tensor, source: _Attended, mask: torch.Tensor) -> torch.Tensor:
        (query,) = self._by_head(self.query(hidden), 1)
        key, value = source
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return _added(self.cross_output, found.transpose(1, 2).flatten(2), hidden)

    def feed_forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return _added(self.output, self.activation(self.widen(hidden)), hidden)


def _added(output: Any, found: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    return output.LayerNorm(output.dense(found) + hidden)


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
    model: PreTrainedModel,
    head: GlossHead,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    sequences: Sequence[Sequence[int]],
) -> Explained:
    """Log-probability and cross-attention of given sequences, in one pass by teacher forcing.

    Args:
        model: An encoder-decoder of two BERTs, or the RNN.
        head: Made of this model.
        input_ids: Source ids, one row a sequence.
        attention_mask: 1 where a source id is no padding; same shape.
        sequences: Ids without [BOS] and [EOS].

    Raises:
        ValueError: A sequence holds an id that the model cannot emit.

    Example:
        >>> from transformers import AutoModelForSeq2SeqLM
        >>> model = AutoModelForSeq2SeqLM.from_pretrained(getfixture("checkpoint"))
        >>> head, ids = GlossHead(model), torch.tensor([[2, 9, 8, 3]])
        >>> found = explain(model, head, ids, torch.ones_like(ids), [head.ids[-2:].tolist()])
        >>> found.log_probs[0] < 0, found.attention.shape
        (True, torch.Size([1, 3, 4]))
    """
    start, end = model.generation_config.decoder_start_token_id, _end(model)
    rows = [input_ids.new_tensor([start, *sequence, end]) for sequence in sequences]
    padded = pad_sequence(rows, batch_first=True, padding_value=end)
    read, wanted = padded[:, :-1], padded[:, 1:].contiguous()
    places = torch.searchsorted(head.ids, wanted).clamp(max=len(head.ids) - 1)
    if not torch.equal(head.ids[places], wanted):
        raise ValueError("sequences: expected ids that the model can emit, found others")
    encoded = model.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
    with _recorded(model, encoded, attention_mask) as weights:
        if head.bert:
            hidden = model.decoder.bert(
                input_ids=read, encoder_hidden_states=encoded, encoder_attention_mask=attention_mask, use_cache=False
            )[0]
        else:
            hidden = model.decoder(read, encoded, attention_mask)[0]
    log_probs = head(hidden).float().log_softmax(dim=-1).gather(2, places.unsqueeze(2)).squeeze(2)
    sums = [row[: len(sequence) + 1].sum().item() for row, sequence in zip(log_probs, sequences, strict=True)]
    return Explained(sums, torch.stack(weights).mean(dim=0) if head.bert else torch.stack(weights, dim=1))


@contextmanager
def _recorded(model: PreTrainedModel, encoded: torch.Tensor, attention_mask: torch.Tensor) -> Iterator[list[Any]]:
    """The cross-attention of what is computed within: one tensor a layer of BERT, or one a step of the RNN.

    The weights are computed here once more, because fused attention does not give them.
    """
    weights: list[torch.Tensor] = []

    def of_bert(module: Any, arguments: Any, options: Any, _: Any) -> None:
        hidden = arguments[0] if arguments else options["hidden_states"]
        size = module.attention_head_size
        query, key = (
            layer(states).unflatten(-1, (-1, size)).transpose(1, 2)
            for layer, states in ((module.query, hidden), (module.key, encoded))
        )
        energies = query @ key.transpose(2, 3) / size**0.5
        energies = energies.masked_fill(attention_mask[:, None, None] == 0, -torch.inf)
        weights.append(energies.softmax(dim=-1).mean(dim=1))

    if hasattr(model.decoder, "bert"):
        attentions = [layer.crossattention.self for layer in model.decoder.bert.encoder.layer]
        handles = [attention.register_forward_hook(of_bert, with_kwargs=True) for attention in attentions]
    else:
        handles = [model.decoder.attention.register_forward_hook(lambda *call: weights.append(call[-1]))]
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()
