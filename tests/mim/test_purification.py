"""The purification network: Hard Concrete gates, their penalty, and the recurrence over valid steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mimdata.mim.purification import (
    MaskedBiLstm,
    Purifier,
    hard_concrete,
    noise_like,
    openness,
    resting_gate,
    straight_through,
)


def test_hard_concrete_by_hand() -> None:
    # u = ½ has no noise: s = σ(3α), g = clip(1.2 s − 0.2, 0, 1)
    alpha = torch.tensor([-3.0, 0.0, 0.2, 3.0])
    expected = [min(max(1.2 / (1 + math.exp(-3 * a)) - 0.2, 0), 1) for a in alpha.tolist()]
    assert hard_concrete(alpha, torch.full((4,), 0.5)).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("alpha", [-2.0, -0.5, 0.0, 1.0, 3.0])
def test_openness_is_what_monte_carlo_finds(alpha: float) -> None:
    torch.manual_seed(0)
    at = torch.full((400_000,), alpha, dtype=torch.float64)
    drawn = (hard_concrete(at, noise_like(at)) > 0).double().mean().item()
    # Five standard errors of the simulation.
    expected = openness(at[:1]).item()
    assert drawn == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / 400_000))


@pytest.mark.parametrize("alpha", [-2.0, -0.5, 0.0, 0.7, 3.0])
def test_share_of_open_gates_in_training_is_what_monte_carlo_finds(alpha: float) -> None:
    """g > 0.6 where s > ⅔, which is where the noise's logit exceeds β ln 2 − α; the penalty bounds it from above."""
    torch.manual_seed(1)
    at = torch.full((400_000,), alpha, dtype=torch.float64)
    drawn = straight_through(hard_concrete(at, noise_like(at))).round().mean().item()
    expected = 1 / (1 + math.exp(math.log(2) / 3 - alpha))
    assert drawn == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / 400_000))
    assert expected < openness(at[:1]).item()


def test_noise_leaves_the_gate_and_its_gradient_finite() -> None:
    torch.manual_seed(0)
    drawn = noise_like(torch.empty(100_000))
    assert drawn.min() >= 1e-6
    assert drawn.max() < 1
    assert drawn.mean().item() == pytest.approx(0.5, abs=5 / math.sqrt(12 * 100_000))
    alpha = torch.tensor([-20.0, 3.0, 20.0]).repeat_interleave(2).requires_grad_()
    gates = hard_concrete(alpha, torch.tensor([1e-6, 1 - 1e-6]).repeat(3))
    (gradient,) = torch.autograd.grad(gates.sum(), alpha)
    assert gates.isfinite().all()
    assert gradient.isfinite().all()
    assert gates[[0, 5]].tolist() == [0, 1]


def test_locations_and_penalty_by_numbers() -> None:
    """The LSTM's states in numpy; W₁ to W₄ all a half, biases chosen; six steps, the last two of them padding."""
    torch.manual_seed(0)
    purifier, hidden = Purifier(4, steps=6).double().eval(), torch.randn(1, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        for layer, bias in ((purifier.w1, 0.2), (purifier.w2, 0.1), (purifier.w3, -0.3), (purifier.w4, -4.0)):
            layer.weight.fill_(0.5)
            layer.bias.fill_(bias)
        purifier.w4.bias += torch.arange(6)
    states = purifier.lstm(hidden, torch.ones(1, 4, dtype=torch.bool)).detach().numpy()[0]
    w1 = np.maximum(0.5 * states.sum(1) + 0.2, 0)  # both of its units
    w = np.maximum(0.5 * 2 * w1 + 0.1, 0)
    a = 0.5 * max(0.5 * w.sum() - 0.3, 0) - 4 + np.arange(4)  # one unit of W₃: ⌊6/5⌋
    gates = purifier(hidden, torch.ones(1, 4, dtype=torch.bool))
    np.testing.assert_allclose(gates.alpha[0].detach(), a + 3, rtol=1e-9)
    assert w.sum() > 0.6
    assert gates.open[0].tolist() == (a + 3 > math.log(2)).astype(float).tolist()
    assert set(gates.open[0].tolist()) == {0.0, 1.0}
    expected = (1 / (1 + np.exp(-(a + 3 - math.log(0.2) / 3)))).mean()
    assert gates.penalty.item() == pytest.approx(expected)


def test_straight_through_has_the_value_of_the_step_and_the_gradient_of_the_gate() -> None:
    alpha = torch.tensor([-0.4, 0.1, 0.4], dtype=torch.float64, requires_grad=True)
    noise = torch.full((3,), 0.5, dtype=torch.float64)
    hard = straight_through(hard_concrete(alpha, noise))
    assert hard.tolist() == pytest.approx([float(g > 0.6) for g in hard_concrete(alpha, noise)])
    (gradient,) = torch.autograd.grad(hard.sum(), alpha)
    s = torch.sigmoid(3 * alpha.detach())
    np.testing.assert_allclose(gradient, 1.2 * 3 * s * (1 - s), rtol=1e-9)


def test_gradcheck_of_the_gate() -> None:
    alpha = torch.tensor([-0.3, 0.0, 0.25], dtype=torch.float64, requires_grad=True)
    noise = torch.tensor([0.4, 0.5, 0.6], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: hard_concrete(a, noise), (alpha,))


def test_resting_gate_opens_above_ln_2() -> None:
    threshold = math.log(2)
    alpha = torch.tensor([threshold - 1e-4, threshold + 1e-4, -5.0, 5.0])
    assert resting_gate(alpha).tolist() == [0, 1, 0, 1]


def test_masked_lstm_equals_torchs_packed_one() -> None:
    torch.manual_seed(0)
    ours = MaskedBiLstm(4, 3)
    theirs = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            source = ours.back if name.endswith("_reverse") else ours.ahead
            weight.copy_(getattr(source, name.removesuffix("_reverse")))
    lengths = torch.tensor([5, 2, 4])
    mask = torch.arange(5) < lengths[:, None]
    x = torch.randn(3, 5, 4)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    np.testing.assert_allclose(ours(x, mask).detach(), expected.detach(), atol=1e-6)


def test_masked_lstm_leaves_out_steps_in_the_middle() -> None:
    torch.manual_seed(0)
    lstm, x = MaskedBiLstm(4, 3), torch.randn(1, 4, 4)
    mask = torch.tensor([[True, False, True, True]])
    without = lstm(x[:, [0, 2, 3]], torch.ones(1, 3, dtype=torch.bool))
    np.testing.assert_allclose(lstm(x, mask)[:, [0, 2, 3]].detach(), without.detach(), atol=1e-6)


def test_gates_of_a_short_row_are_those_of_the_same_row_padded() -> None:
    torch.manual_seed(0)
    purifier = Purifier(8, steps=20).eval()
    hidden = torch.randn(2, 6, 8)
    short = purifier(hidden, torch.ones(2, 6, dtype=torch.bool))
    padded = torch.cat([hidden, torch.randn(2, 14, 8)], dim=1)
    long = purifier(padded, torch.arange(20)[None].expand(2, -1) < 6)
    np.testing.assert_allclose(long.alpha[:, :6].detach(), short.alpha.detach(), atol=1e-6)
    assert long.penalty.item() == pytest.approx(short.penalty.item(), abs=1e-6)
    assert long.open[:, 6:].sum() == 0


def test_two_evaluations_are_equal_and_two_trainings_differ() -> None:
    torch.manual_seed(0)
    purifier = Purifier(8, steps=40)
    with torch.no_grad():
        purifier.w4.bias.sub_(3)  # α near 0, where noise decides
    hidden, mask = torch.randn(4, 40, 8), torch.ones(4, 40, dtype=torch.bool)
    assert not torch.equal(purifier(hidden, mask).open, purifier(hidden, mask).open)
    purifier.eval()
    assert torch.equal(purifier(hidden, mask).open, purifier(hidden, mask).open)


def test_gates_start_open_and_the_penalty_says_so() -> None:
    torch.manual_seed(0)
    gates = Purifier(8, steps=50).eval()(torch.randn(4, 50, 8), torch.ones(4, 50, dtype=torch.bool))
    assert gates.open.mean() == 1
    assert 0.9 < gates.penalty.item() < 1


def test_penalty_without_any_valid_step_is_zero() -> None:
    gates = Purifier(8, steps=10)(torch.randn(1, 4, 8), torch.zeros(1, 4, dtype=torch.bool))
    assert gates.penalty.item() == 0
    assert gates.open.sum() == 0
