"""An encoder-decoder whose decoder reads several joined hidden states of a pre-trained encoder.

The states of the lowest layers represent words, and those of the highest represent the sentence. A frozen encoder
cannot learn to pass on the former. Joining them lets the decoder find a gloss by its name.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn
from transformers import BertConfig
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.bert.modeling_bert import BertLayer, BertPreTrainedModel

from .configuration_kgloss import KGlossJoinedConfig

_SHAPE = (
    *("hidden_size", "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range"),
)
"""Settings that the layers reading the joined states share with those of the decoder."""


class _Head(nn.Module):
    """Projection of the states of several layers to the decoder's width, followed by some layers of BERT."""

    def __init__(self, width: int, config: BertConfig) -> None:
        super().__init__()
        self.projection = nn.Linear(width, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, states: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Return states, batch × length × decoder width."""
        states = self.dropout(self.norm(self.projection(states)))
        mask = None
        if attention_mask is not None:
            hidden = attention_mask[:, None, None, :] == 0
            mask = torch.zeros_like(hidden, dtype=states.dtype).masked_fill(hidden, torch.finfo(states.dtype).min)
        for layer in self.layers:
            states = layer(states, mask)
            states = states[0] if isinstance(states, tuple) else states  # as in transformers 4
        return states


class JoinedEncoder(BertPreTrainedModel):
    """A pre-trained encoder, and layers that join its hidden states.

    Args:
        base: The pre-trained encoder.
        joined_layers: Hidden states to join; 0 is the state of the embeddings.
        config: Shape of the layers that read them.
    """

    def __init__(self, base: Any, joined_layers: list[int], config: BertConfig) -> None:
        super().__init__(config)
        self.joined_layers = joined_layers
        self.base = base
        self.head = _Head(len(joined_layers) * base.config.hidden_size, config)
        self.head.apply(self._init_weights)  # the encoder keeps its weights

    def get_input_embeddings(self) -> nn.Module:
        """Return the encoder's embeddings of pieces."""
        embeddings: nn.Module = self.base.get_input_embeddings()
        return embeddings

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **others: Any,  # if named kwargs, generate of transformers 4 would pass on arguments meant for training
    ) -> Any:
        """Return the states that the decoder reads; hidden states and attentions are those of the pre-trained encoder.

        Args:
            input_ids: Source ids, batch × length.
            attention_mask: 1 where a source id is not padding; same shape.
            inputs_embeds: Embeddings instead of `input_ids`.
            output_attentions: Also return the encoder's attentions.
            output_hidden_states: Also return the encoder's hidden states.
            return_dict: False to return a tuple.
            **others: Other arguments of the encoder.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "inputs_embeds": inputs_embeds, **others}
        outputs = {"output_attentions": output_attentions, "output_hidden_states": True, "return_dict": True}
        encoded = self.base(**inputs, **outputs)
        states = torch.cat([encoded.hidden_states[layer] for layer in self.joined_layers], dim=-1)
        output = BaseModelOutput(
            last_hidden_state=self.head(states, attention_mask),
            hidden_states=encoded.hidden_states if output_hidden_states else None,
            attentions=encoded.get("attentions"),
        )
        return output.to_tuple() if return_dict is False else output


class JoinedEncoderDecoderModel(transformers.EncoderDecoderModel):
    """An EncoderDecoderModel of transformers with a `JoinedEncoder`, saved, loaded and searched in the same way.

    Build one for a tokenizer with `kgloss_hf.models.warm_start.build_warm_model(…, joined_layers=[0, 4, 8, 12])`.

    Args:
        config: Configuration of the model.
        encoder: The pre-trained encoder (default: a new one).
        decoder: The decoder (default: a new one).

    Examples:
        >>> shape = {"model_type": "bert", "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 9}
        >>> config = KGlossJoinedConfig({**shape, "hidden_size": 16}, {**shape, "hidden_size": 32}, [0, 2])
        >>> JoinedEncoderDecoderModel(config).encoder(torch.tensor([[1, 2]])).last_hidden_state.shape
        torch.Size([1, 2, 32])
    """

    config_class = KGlossJoinedConfig
    encoder: Any
    generates_like_stock = True  # for `plain`

    def __init__(self, config: KGlossJoinedConfig, encoder: Any = None, decoder: Any = None) -> None:
        # transformers may import the configuration's class twice from the code in a folder.
        self.config_class = type(config)
        super().__init__(config, encoder, decoder)
        if hasattr(self, "enc_to_dec_proj"):
            del self.enc_to_dec_proj
        of_decoder = self.decoder.config
        head = BertConfig(**{name: getattr(of_decoder, name) for name in _SHAPE}, num_hidden_layers=config.fresh_layers)
        # Other attention implementations need other masks.
        head._attn_implementation = "eager" if of_decoder._attn_implementation == "eager" else "sdpa"
        self.encoder = JoinedEncoder(self.encoder, config.joined_layers, head)
