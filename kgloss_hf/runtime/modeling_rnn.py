"""RNN with attention, the baseline of the paper (section IV.2, Table 5).

The paper names the model and its score, 67.56, but does not describe its parts. This one follows Bahdanau et al. 2015,
"Neural machine translation by jointly learning to align and translate": a bidirectional GRU as encoder, a GRU as
decoder, and additive attention. It is simpler in one respect: the layer before the output projection is a tanh, not a
maxout.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

from .configuration_kgloss import KGlossRnnConfig
from .layers import TokenLoss, use_fast_dropout


class _RnnEncoder(nn.Module):
    """A bidirectional GRU whose states do not depend on padding."""

    main_input_name = "input_ids"  # generate of transformers 4 asks for it

    def __init__(self, config: KGlossRnnConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.dropout = nn.Dropout(config.dropout)
        self.rightwards = nn.GRU(config.embedding_size, config.hidden_size, batch_first=True)
        self.leftwards = nn.GRU(config.embedding_size, config.hidden_size, batch_first=True)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> BaseModelOutput:
        """Return states of both directions, batch × length × twice the width; those at padding are meaningless."""
        turned = _reversal(input_ids, attention_mask).unsqueeze(2)
        embedded = self.dropout(self.embedding(input_ids))
        # Each row is reversed within its length, so that both directions read padding last. This allows plain GRUs,
        # which are a third faster than one over a packed sequence.
        backwards = self.leftwards(embedded.gather(1, turned.expand_as(embedded)))[0]
        forwards = self.rightwards(embedded)[0]
        return BaseModelOutput(torch.cat([forwards, backwards.gather(1, turned.expand_as(backwards))], dim=2))


def _reversal(input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """Return, for each position, the index of the token placed there when each row is reversed and padding stays."""
    real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask != 0
    positions = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    lengths = real.sum(dim=1, keepdim=True)
    if not (lengths.all() and torch.equal(real, positions < lengths)):
        raise ValueError("attention_mask: expected ones, then zeros, in each row; pad with padding_side='right'")
    return torch.where(real, lengths - 1 - positions, positions)


class _AdditiveAttention(nn.Module):
    """Additive attention: the energy of source state h for decoder state s is v · tanh(W s + U h) (Bahdanau 2015)."""

    def __init__(self, query_size: int, key_size: int, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, hidden_size)
        self.key = nn.Linear(key_size, hidden_size, bias=False)
        self.energy = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, state: torch.Tensor, keys: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Return the weights of the source positions, batch × source length."""
        energies = self.energy(torch.tanh(keys + self.query(state).unsqueeze(1))).squeeze(2)
        if padding is not None:
            energies = energies.masked_fill(padding, -torch.inf)
        return energies.softmax(dim=1)


class _DecoderState:
    """State of the decoder after a step, which `generate` keeps like a transformer's cache."""

    is_croppable = False

    def __init__(self, hidden: torch.Tensor, keys: torch.Tensor) -> None:
        self.hidden = hidden
        self.keys = keys

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Continue beam search from these rows. Keys stay, because the beams of a sentence share their source."""
        self.hidden = self.hidden.index_select(0, beam_idx)


class _RnnDecoder(nn.Module):
    """A GRU that reads the last token and the context that attention computes from the last state."""

    def __init__(self, config: KGlossRnnConfig) -> None:
        super().__init__()
        width, embedding = config.hidden_size, config.embedding_size
        self.embedding = nn.Embedding(config.vocab_size, embedding)
        self.dropout = nn.Dropout(config.dropout)
        self.start = nn.Linear(width, width)
        self.attention = _AdditiveAttention(width, 2 * width, width)
        self.gru = nn.GRUCell(embedding + 2 * width, width)
        self.readout = nn.Linear(width + embedding + 2 * width, embedding)

    def forward(
        self,
        input_ids: torch.Tensor,
        encoded: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past: _DecoderState | None = None,
    ) -> tuple[torch.Tensor, _DecoderState]:
        """Return the input of the output projection, batch × target length × embedding width, and the final state."""
        if past is None:
            whole_source = encoded[:, 0, encoded.shape[2] // 2 :]  # the last state of the leftward direction
            past = _DecoderState(torch.tanh(self.start(whole_source)), self.attention.key(encoded))
        padding = None if attention_mask is None else attention_mask == 0
        embedded = self.dropout(self.embedding(input_ids))
        hidden, states, inputs = past.hidden, [], []
        for token in embedded.unbind(1):
            weights = self.attention(hidden, past.keys, padding)
            context = torch.bmm(weights.unsqueeze(1).to(encoded.dtype), encoded).squeeze(1)
            inputs.append(torch.cat([token, context], dim=1))
            hidden = self.gru(inputs[-1], hidden)
            states.append(hidden)
        read = torch.cat([torch.stack(states, dim=1), torch.stack(inputs, dim=1)], dim=2)
        return self.dropout(torch.tanh(self.readout(read))), _DecoderState(hidden, past.keys)


class RnnEncoderDecoderModel(PreTrainedModel, GenerationMixin):
    """RNN baseline as a model of transformers, trained, saved, loaded and searched like `EncoderDecoderModel`.

    Build one for a tokenizer with `kgloss_hf.models.modeling.build_model("rnn", tokenizer)`.

    Args:
        config: Configuration with shape and special ids.

    Examples:
        >>> from kgloss_hf.models.modeling import build_model
        >>> tokenizer = getfixture("tokenizer")
        >>> model = build_model("rnn", tokenizer)
        >>> batch = tokenizer(["몸의 형태"], text_target=[["몸", "모습"]], return_tensors="pt")
        >>> round(model(**batch).loss.item())  # three tokens, as good as at random
        5
        >>> model.generate(batch["input_ids"], max_new_tokens=3).shape
        torch.Size([1, 4])
    """

    config_class = KGlossRnnConfig
    config: KGlossRnnConfig

    def __init__(self, config: KGlossRnnConfig) -> None:
        super().__init__(config)
        self.encoder = _RnnEncoder(config)
        self.decoder = _RnnDecoder(config)
        self.output = nn.Linear(config.embedding_size, config.vocab_size)
        self.token_loss = TokenLoss()
        use_fast_dropout(self)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        # The library's N(0, 0.02) suits layers with normalised input; GRUs initialised with it would start near zero.
        if isinstance(module, (nn.Embedding, nn.Linear, nn.RNNBase, nn.RNNCellBase)):
            module.reset_parameters()

    def get_encoder(self, modality: str | None = None) -> _RnnEncoder:
        """Return the encoder, which `generate` calls once per batch."""
        return self.encoder

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the token embeddings of the encoder."""
        return self.encoder.embedding

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        smoothing: float = 0.0,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: _DecoderState | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """Return logits for `decoder_input_ids` or, with `labels`, only the loss, by teacher forcing.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is not padding; same shape (default: everywhere).
            labels: Target ids, batch × target length, -100 where padded.
            num_items_in_batch: Divisor of the summed loss (default: the number of target tokens in this batch).
            smoothing: Probability mass spread over the vocabulary (default 0, as in the paper).
            decoder_input_ids: Without labels: target ids with [BOS] first, batch × target length.
            encoder_outputs: Outputs of the encoder, instead of `input_ids`.
            past_key_values: Without labels: the state that an earlier call returned, before `decoder_input_ids`.
            use_cache: Without labels: return the state (default False).
            **kwargs: Further arguments that `generate` passes to any model; ignored.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask)
        encoded = encoder_outputs[0]
        if labels is not None:
            hidden, _ = self.decoder(self._shifted(labels), encoded, attention_mask)
            return Seq2SeqLMOutput(loss=self.token_loss(hidden, labels, self.output, num_items_in_batch, smoothing))
        hidden, state = self.decoder(decoder_input_ids, encoded, attention_mask, past_key_values)
        return Seq2SeqLMOutput(logits=self.output(hidden), past_key_values=state if use_cache else None)

    def _shifted(self, labels: torch.Tensor) -> torch.Tensor:
        start = labels.new_full((len(labels), 1), self.config.decoder_start_token_id)
        return torch.cat([start, labels[:, :-1].masked_fill(labels[:, :-1] == -100, self.config.pad_token_id)], dim=1)

    def prepare_inputs_for_generation(
        self, input_ids: torch.Tensor, past_key_values: _DecoderState | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the arguments of `forward` for the next step; with a state, only the last id is read.

        Args:
            input_ids: Target ids so far, batch × length.
            past_key_values: The state that the last step returned.
            **kwargs: `attention_mask`, `encoder_outputs` and `use_cache`; others are ignored.
        """
        names = ("attention_mask", "encoder_outputs", "use_cache")
        return {
            "decoder_input_ids": input_ids if past_key_values is None else input_ids[:, -1:],
            "past_key_values": past_key_values,
            **{name: kwargs.get(name) for name in names},
        }

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # the first step creates the state
