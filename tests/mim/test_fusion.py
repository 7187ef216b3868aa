"""Each fusion against its formula written out, and the neutral element of an absent modality."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mimdata.mim.fusion import (
    FUSIONS,
    AddFusion,
    ConcatenationFusion,
    MultiplicationFusion,
    TensorFusion,
    fusion,
)

P = torch.randn(4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
ALL = torch.ones(4, 3, dtype=torch.bool)


def equal(got: torch.Tensor, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(got.detach(), expected.detach(), rtol=1e-10, atol=1e-12)


def test_add() -> None:
    f = AddFusion(5, 3).double()
    equal(f(P, ALL), f.head(P[:, 0] + P[:, 1] + P[:, 2]))


def test_multiplication() -> None:
    f = MultiplicationFusion(5, 3).double()
    equal(f(P, ALL), f.head(torch.tanh(f.mix(P[:, 0] * P[:, 1] * P[:, 2]))))


def test_concatenation() -> None:
    f = ConcatenationFusion(5, 3).double()
    equal(f(P, ALL), f.head(torch.tanh(f.mix(torch.cat([P[:, 0], P[:, 1], P[:, 2]], dim=-1)))))


def test_tensor_is_a_linear_map_of_the_outer_product() -> None:
    f = TensorFusion(5, 3, outputs=2).double()
    one = torch.ones(4, 1, dtype=torch.float64)
    a, b, c = (torch.cat([one, P[:, m]], dim=-1) for m in range(3))
    outer = torch.einsum("bi,bj,bk->bijk", a, b, c)
    equal(f(P, ALL), torch.einsum("bijk,oijk->bo", outer, f.weight) + f.bias)


def test_each_by_numbers() -> None:
    """Two modalities of two numbers, (1, 2) and (3, 4); all maps the identity, or written out."""
    p, present = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.ones(1, 2, dtype=torch.bool)
    add, product, joined = AddFusion(2, 2), MultiplicationFusion(2, 2), ConcatenationFusion(2, 2)
    with torch.no_grad():
        for f in (add, product, joined):
            f.head.weight.copy_(torch.tensor([[1.0, 10.0]]))
            f.head.bias.fill_(0.5)
        product.mix.weight.copy_(torch.eye(2) / 8)
        product.mix.bias.copy_(torch.tensor([0.0, -1.0]))
        joined.mix.weight.copy_(torch.tensor([[0.1, 0, 0, 0.2], [0, 0.1, -0.1, 0]]))
        joined.mix.bias.zero_()
    assert add(p, present).item() == pytest.approx(4 + 60 + 0.5)
    assert product(p, present).item() == pytest.approx(math.tanh(3 / 8) + 10 * math.tanh(0) + 0.5)
    assert joined(p, present).item() == pytest.approx(math.tanh(0.9) + 10 * math.tanh(-0.1) + 0.5)
    tensor = TensorFusion(1, 2)
    with torch.no_grad():
        tensor.weight.copy_(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
        tensor.bias.fill_(0.5)
    # ŷ = 1 + 2b + 3a + 4ab + ½ for a = 2, b = 5
    assert tensor(torch.tensor([[[2.0], [5.0]]]), present).item() == pytest.approx(1 + 10 + 6 + 40 + 0.5)


@pytest.mark.parametrize("modalities", [1, 2])
def test_tensor_of_fewer_modalities(modalities: int) -> None:
    f = TensorFusion(5, modalities, outputs=2).double()
    one = torch.ones(4, 1, dtype=torch.float64)
    outer = torch.cat([one, P[:, 0]], dim=-1)
    if modalities == 2:
        outer = torch.einsum("bi,bj->bij", outer, torch.cat([one, P[:, 1]], dim=-1))
    expected = outer.flatten(1) @ f.weight.flatten(1).T + f.bias
    equal(f(P[:, :modalities], ALL[:, :modalities]), expected)


@pytest.mark.parametrize(
    ("name", "neutral"), [("add", 0.0), ("multiplication", 1.0), ("concatenation", 0.0), ("tensor", 0.0)]
)
def test_an_absent_modality_contributes_its_neutral_element(name: str, neutral: float) -> None:
    f = FUSIONS[name](5, 3).double()
    present, replaced = ALL.clone(), P.clone()
    present[:, 1] = False
    replaced[:, 1] = neutral
    equal(f(P, present), f(replaced, ALL))
    other = P.clone()
    other[:, 1] = torch.nan
    equal(f(other, present), f(P, present))


@pytest.mark.parametrize("name", list(FUSIONS))
def test_gradcheck(name: str) -> None:
    f = fusion(name, 5, 3).double()  # type: ignore[arg-type]
    assert torch.autograd.gradcheck(lambda x: f(x, ALL), (P.clone().requires_grad_(),))


def test_tensor_fusion_of_four_modalities_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 3"):
        TensorFusion(5, 4)
