"""Dropout from random bits: its law, its gradient, and that it repeats."""

from __future__ import annotations

import pytest
import torch

from mimdata.mim.dropout import dropout


@pytest.mark.parametrize("rate", [0.2, 0.3, 0.5, 0.99])
def test_drops_the_asked_share_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    n = 400_003  # no multiple of the four elements that one draw serves
    y = dropout(torch.ones(n), rate, True)
    dropped = (y == 0).double().mean().item()
    assert dropped == pytest.approx(rate, abs=4 * (rate * (1 - rate) / n) ** 0.5)  # four standard errors
    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)))


def test_elements_of_one_draw_are_independent() -> None:
    torch.manual_seed(0)
    dropped = (dropout(torch.ones(400_000), 0.5, True) == 0).double().view(-1, 4)
    correlation = torch.corrcoef(dropped.T) - torch.eye(4)
    assert correlation.abs().max() < 4 / 100_000**0.5


def test_the_gradient_passes_where_the_value_did() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 5, 3, dtype=torch.float64, requires_grad=True)
    y = dropout(x, 0.3, True)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (y / x).detach())
    assert set(x.grad.flatten().tolist()) == {0.0, 1 / 0.7}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_repeats_with_the_seed_and_keeps_the_type(dtype: torch.dtype) -> None:
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(dropout(torch.ones(64, dtype=dtype), 0.5, True))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert found[0].dtype == dtype


def test_nothing_is_drawn_where_nothing_is_dropped() -> None:
    x, before = torch.randn(3), torch.get_rng_state()
    assert dropout(x, 0.5, False) is x
    assert dropout(x, 0.0, True) is x
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(dropout(x, 1.0, True), torch.zeros(3))
