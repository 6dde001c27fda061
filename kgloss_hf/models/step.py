"""Correct training step, without wasted work, for encoder-decoders whose decoder is a BERT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

import numpy as np
import torch
from torch import nn
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.models.encoder_decoder.modeling_encoder_decoder import shift_tokens_right

from ..runtime.layers import TokenLoss, use_fast_dropout

OUTPUT_BIASES = ("decoder.cls.predictions.decoder.bias", "decoder.cls.predictions.bias")
"""Names of one parameter: in transformers 5, with which both generations compute, and in transformers 4."""


class StepLoss:
    """Mixin for a stock model class whose forward returns only `loss_of_step` when `labels` are given."""

    config: Any
    token_loss: TokenLoss

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        smoothing: float = 0.0,
        **kwargs: Any,
    ) -> Any:
        """Run the stock forward, or compute only the loss if `labels` are given.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 for source ids that are not padding; same shape.
            labels: Target ids, batch × target length, -100 for padding.
            num_items_in_batch: Divisor of the summed loss (default: the target tokens of this batch).
            smoothing: Probability mass spread over the vocabulary (default: 0, as in the paper).
            **kwargs: Other arguments of the stock model, used only without labels.
        """
        stock: Any = super()
        if labels is None:
            return stock.forward(input_ids=input_ids, attention_mask=attention_mask, **kwargs)
        read = shift_tokens_right(labels, self.config.pad_token_id, self.config.decoder_start_token_id)
        return Seq2SeqLMOutput(
            loss=self.loss_of_step(read, labels, num_items_in_batch, smoothing, input_ids, attention_mask)
        )

    def loss_of_step(
        self,
        read: torch.Tensor,
        labels: torch.Tensor,
        items: torch.Tensor | int | None,
        smoothing: float,
        input_ids: Any,
        attention_mask: Any,
    ) -> torch.Tensor:
        """Return the loss; `read` holds the labels as the decoder reads them, other arguments are those of forward."""
        raise NotImplementedError


class WholeStep(StepLoss):
    """Mixin for an encoder-decoder class that computes the loss of a whole step when `labels` are given.

    `kgloss_hf.models.modeling.EncoderDecoderModel` lists the differences from the stock model.
    """

    encoder: Any
    decoder: Any
    training: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        use_fast_dropout(cast(nn.Module, self))
        self.token_loss = TokenLoss()
        self.frozen: tuple[nn.Module, ...] = ()

    def loss_of_step(
        self,
        read: torch.Tensor,
        labels: torch.Tensor,
        items: torch.Tensor | int | None,
        smoothing: float,
        input_ids: Any,
        attention_mask: Any,
    ) -> torch.Tensor:
        """Return the loss without the stock model's needless work."""
        encoded = self._encoded(input_ids, attention_mask)
        # A target's padding comes after it, so the causal mask hides it from every position that counts.
        hidden = self.decoder.bert(
            input_ids=read,
            encoder_hidden_states=encoded,
            encoder_attention_mask=attention_mask,
            use_cache=False,
        )[0]
        head = self.decoder.cls.predictions
        loss: torch.Tensor = self.token_loss(hidden, labels, head.decoder, items, smoothing, head.transform)
        return loss

    def _encoded(self, input_ids: Any, attention_mask: Any) -> torch.Tensor:
        """Return the states that the decoder reads. A partly frozen encoder, most of the work, reads a row once."""
        shared = None
        if self.frozen and self.training:
            _, shared = torch.unique(input_ids, dim=0, return_inverse=True)
            first = torch.from_numpy(np.unique(shared.cpu().numpy(), return_index=True)[1]).to(input_ids.device)
            input_ids, attention_mask = input_ids[first], attention_mask[first]
        encoded: torch.Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        if hasattr(self, "enc_to_dec_proj"):
            encoded = self.enc_to_dec_proj(encoded)
        return encoded if shared is None else encoded[shared]

    def train(self, mode: bool = True) -> Self:
        """Set training mode, in which frozen parts stay without dropout.

        Args:
            mode: False for evaluation (default: True).
        """
        stock: Any = super()
        stock.train(mode)
        for module in getattr(self, "frozen", ()):
            module.eval()
        return self

    def save_pretrained(self, *args: Any, state_dict: Mapping[str, torch.Tensor] | None = None, **kwargs: Any) -> None:
        """Save like the stock method, but for both generations of transformers (`with_both_biases`)."""
        stock: Any = super()
        parameters = stock.state_dict() if state_dict is None else state_dict
        stock.save_pretrained(*args, state_dict=with_both_biases(parameters), **kwargs)


def with_both_biases(parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return parameters with the output bias under the names of both generations of transformers.

    Where the output projection is not tied, transformers 4 saves one of the two names and transformers 5 uses the
    other. With only one name, the other generation would lose the bias.

    Args:
        parameters: Parameters from `state_dict`.

    Examples:
        >>> from kgloss_hf.models.modeling import build_model
        >>> model = build_model("tiny", getfixture("tokenizer"))
        >>> saved = with_both_biases(model.state_dict())
        >>> saved["decoder.cls.predictions.bias"] is saved["decoder.cls.predictions.decoder.bias"]
        False
    """
    used = parameters[OUTPUT_BIASES[0]]
    return {**parameters, **{name: used.clone() for name in OUTPUT_BIASES}}
