"""A training step of an encoder-decoder with a decoder of BERT's kind that is right and does no wasted work."""

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
"""Names of one parameter: of transformers 5, which computes with it in both generations, and of transformers 4."""


class StepLoss:
    """What is put in front of a stock model's class, so that with `labels` forward returns `loss_of_step` alone."""

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
        """Run the stock forward, or with `labels` compute the loss alone.

        Args:
            input_ids: Source ids, batch × source length.
            attention_mask: 1 where a source id is no padding; same shape.
            labels: Target ids, batch × target length, -100 where padded.
            num_items_in_batch: What the summed loss is divided by; default the target tokens of this batch.
            smoothing: Probability mass spread over the vocabulary (default 0, as in the paper).
            **kwargs: The stock model's other arguments, used without labels.
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
        """Return the loss; `read` are the labels as the decoder reads them, the others are arguments of forward."""
        raise NotImplementedError


class WholeStep(StepLoss):
    """What is put in front of an encoder-decoder's class, so that with `labels` its loss is that of a whole step.

    `kgloss_hf.models.modeling.EncoderDecoderModel` says what differs from the stock model.
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
        """Return what the decoder reads. An encoder with frozen parts, which takes most of a step, reads a row once."""
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
            mode: False for evaluation (default True).
        """
        stock: Any = super()
        stock.train(mode)
        for module in getattr(self, "frozen", ()):
            module.eval()
        return self

    def save_pretrained(self, *args: Any, state_dict: Mapping[str, torch.Tensor] | None = None, **kwargs: Any) -> None:
        """Save as the stock method does, for both generations (`with_both_biases`)."""
        stock: Any = super()
        parameters = stock.state_dict() if state_dict is None else state_dict
        stock.save_pretrained(*args, state_dict=with_both_biases(parameters), **kwargs)


def with_both_biases(parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return parameters as both generations of transformers load them: they name the output bias differently.

    Where the output projection is not tied, transformers 4 saves and 5 uses another of the two names; each alone would
    lose the bias in the other.

    Args:
        parameters: From `state_dict`.

    Example:
        >>> from kgloss_hf.models.modeling import build_model
        >>> model = build_model("tiny", getfixture("tokenizer"))
        >>> saved = with_both_biases(model.state_dict())
        >>> saved["decoder.cls.predictions.bias"] is saved["decoder.cls.predictions.decoder.bias"]
        False
    """
    used = parameters[OUTPUT_BIASES[0]]
    return {**parameters, **{name: used.clone() for name in OUTPUT_BIASES}}
