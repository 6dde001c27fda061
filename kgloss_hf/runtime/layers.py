"""Layers for training in addition to those of the models: the loss of an optimiser step, and dropout for CPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear

_POSITIONS_AT_ONCE = 32


class TokenLoss(nn.Module):
    """Cross-entropy summed over target tokens and divided by the number of target tokens of the whole optimiser step.

    If the forward method of a model has `**kwargs`, Trainer assumes that its loss is divided by `num_items_in_batch`,
    the number of target tokens over all accumulation steps and processes. Otherwise, gradients would be multiplied by
    the numbers of both.

    Examples:
        >>> projection = nn.Linear(2, 4)
        >>> _ = nn.init.zeros_(projection.weight), nn.init.zeros_(projection.bias)
        >>> loss = TokenLoss()
        >>> hidden, labels = torch.ones(1, 2, 2), torch.tensor([[3, -100]])
        >>> torch.exp(loss(hidden, labels, projection)).item()
        4.0
        >>> loss.restrict([0, 1], vocab_size=4)
        >>> torch.exp(loss(hidden, labels, projection)).item()
        2.0
    """

    ids: torch.Tensor | None
    vocab_size: int
    generates_like_stock = True  # for `plain.is_plain`, as generation does not use it

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ids", None, persistent=False)

    def restrict(self, suppressed: Sequence[int], vocab_size: int) -> None:
        """Compare each gloss only with what generation can emit, and not with word pieces.

        A label that generation cannot emit ([UNK]) is left out of the sum.

        Args:
            suppressed: Ids that generation cannot emit: `suppress_tokens` of the generation config.
            vocab_size: Size of the vocabulary.
        """
        self.vocab_size = vocab_size
        emitted = torch.ones(vocab_size, dtype=torch.bool)
        emitted[torch.tensor(suppressed, dtype=torch.long)] = False
        self.ids = emitted.nonzero().squeeze(1)

    def forward(
        self,
        hidden: torch.Tensor,
        labels: torch.Tensor,
        projection: nn.Linear,
        num_items_in_batch: torch.Tensor | int | None = None,
        smoothing: float = 0.0,
        transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Return the loss of one batch.

        Args:
            hidden: Decoder states, batch × length × width.
            labels: Target ids, batch × length, -100 where padded.
            projection: Layer from states to logits over the vocabulary.
            num_items_in_batch: Divisor of the sum (default: the number of target tokens in this batch).
            smoothing: Probability mass spread over the ids compared (default 0).
            transform: Layer between states and projection (default: none).
        """
        hidden, labels = hidden.flatten(0, 1), labels.flatten()
        items = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
        if hidden.device.type == "cpu":  # here, finding the positions costs less than projecting padding
            kept = (labels != -100).nonzero().squeeze(1)
            # Round up, so that few shapes occur: oneDNN builds, and keeps, a kernel for each shape.
            filler = kept.new_zeros(-len(kept) % _POSITIONS_AT_ONCE)
            hidden = hidden[torch.cat([kept, filler])]
            labels = torch.cat([labels[kept], torch.full_like(filler, -100)])
        if transform is not None:
            hidden = transform(hidden)
        vocabulary: torch.Tensor | slice = slice(None)
        if self.ids is not None:
            vocabulary = ids = self.ids.to(labels.device)
            place = labels.new_full((self.vocab_size,), -100)
            place[ids] = torch.arange(len(ids), device=labels.device)
            labels = torch.where(labels == -100, labels, place[labels.clamp(min=0)])
        if type(projection) is nn.Linear:
            logits = linear(hidden, projection.weight[vocabulary], projection.bias[vocabulary])
        else:  # for example, an adapter, which computes more than its weight shows
            logits = projection(hidden)[..., vocabulary]
        logits = logits.float()
        return cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing) / items


class FastDropout(nn.Dropout):
    """Dropout that draws one random byte per element on a CPU, where stock dropout is slower than a linear layer.

    The probability is rounded to a multiple of 1/256, and the elements kept are scaled accordingly. On other devices,
    this is stock dropout.

    Examples:
        >>> dropout = FastDropout(0.5)
        >>> sorted(dropout(torch.ones(100)).unique().tolist())
        [0.0, 2.0]
    """

    generates_like_stock = True  # for `plain.is_plain`

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input, in training mode with elements dropped at random."""
        threshold = round(256 * self.p)
        if not self.training or input.device.type != "cpu" or threshold in (0, 256) or torch.compiler.is_compiling():
            return super().forward(input)
        words = torch.empty((input.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), 2**63 - 1)
        kept = words.view(torch.uint8)[: input.numel()].view(input.shape) >= threshold
        return input * (kept.to(input.dtype) * (256 / (256 - threshold)))


def use_fast_dropout(model: nn.Module) -> None:
    """Replace each stock dropout module with a `FastDropout`.

    Args:
        model: Model to change in place.

    Examples:
        >>> model = nn.Sequential(nn.Dropout(0.1))
        >>> use_fast_dropout(model)
        >>> model[0]
        FastDropout(p=0.1, inplace=False)
    """
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, FastDropout(child.p))
