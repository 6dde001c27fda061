from __future__ import annotations

import pytest
import torch

from kgloss_hf.runtime.layers import FastDropout, TokenLoss


@pytest.fixture
def identity() -> torch.nn.Linear:
    projection = torch.nn.Linear(5, 5)
    projection.load_state_dict({"weight": torch.eye(5), "bias": torch.zeros(5)})
    return projection


LOGITS = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([[1, 2, -100], [3, -100, -100]])


def test_loss_is_the_mean_over_the_target_tokens_of_a_step(identity: torch.nn.Linear) -> None:
    chosen = [LOGITS[0, 0].log_softmax(-1)[1], LOGITS[0, 1].log_softmax(-1)[2], LOGITS[1, 0].log_softmax(-1)[3]]
    expected = -sum(chosen) / 3
    loss = TokenLoss()
    torch.testing.assert_close(loss(LOGITS, LABELS, identity), expected)
    torch.testing.assert_close(loss(LOGITS, LABELS, identity, num_items_in_batch=6), expected / 2)
    spread = -LOGITS[LABELS != -100].log_softmax(-1).mean()
    torch.testing.assert_close(loss(LOGITS, LABELS, identity, smoothing=0.1), 0.9 * expected + 0.1 * spread)
    transformed = loss(LOGITS / 2, LABELS, identity, transform=lambda states: 2 * states)
    torch.testing.assert_close(transformed, expected)


def test_restricted_loss_compares_what_can_be_emitted(identity: torch.nn.Linear) -> None:
    loss = TokenLoss()
    loss.restrict([0, 3], vocab_size=5)  # label 3 cannot be emitted
    emitted = LOGITS[..., [1, 2, 4]].log_softmax(-1)
    expected = -(emitted[0, 0, 0] + emitted[0, 1, 1]) / 3
    torch.testing.assert_close(loss(LOGITS, LABELS, identity), expected)
    assert loss.state_dict() == {}


@pytest.mark.parametrize("suppressed", [None, [0, 3]])
def test_loss_follows_what_a_projection_computes_beside_its_weight(
    identity: torch.nn.Linear, suppressed: list[int] | None
) -> None:
    class Adapted(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) + input.flip(-1)

    adapted, plain = Adapted(5, 5), torch.nn.Linear(5, 5)
    adapted.load_state_dict(identity.state_dict())
    plain.load_state_dict({"weight": torch.eye(5) + torch.eye(5).flip(0), "bias": torch.zeros(5)})
    loss = TokenLoss()
    if suppressed:
        loss.restrict(suppressed, vocab_size=5)
    torch.testing.assert_close(loss(LOGITS, LABELS, adapted), loss(LOGITS, LABELS, plain))


def test_padding_has_no_gradient(identity: torch.nn.Linear) -> None:
    hidden = LOGITS.clone().requires_grad_()
    TokenLoss()(hidden, LABELS, identity).backward()
    assert torch.equal(hidden.grad.abs().sum(-1) > 0, LABELS != -100)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fast_dropout_keeps_the_expected_share(dtype: torch.dtype) -> None:
    dropout = FastDropout(0.2)
    ones = torch.ones(250, 401, dtype=dtype, requires_grad=True)
    dropped = dropout(ones)
    kept = dropped != 0
    share = 51 / 256  # 0.2, rounded
    assert abs((~kept).float().mean().item() - share) < 0.005  # four standard deviations
    assert dropped[kept].unique().tolist() == pytest.approx([1 / (1 - share)], rel=1e-2)
    dropped.sum().backward()
    assert torch.equal(ones.grad, dropped.detach())
    assert not torch.equal(dropout(ones), dropped)
    assert dropout.eval()(ones) is ones
