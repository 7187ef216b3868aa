"""Guidance within and between modalities, and the adjuster, against hand-computed numbers and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from mimdata.mim.guidance import adjuster, inter_modal, intra_modal, teachers

ALL = torch.ones(2, 3, dtype=torch.bool)


def test_adjuster_is_the_papers_formula() -> None:
    errors = torch.tensor([0.9, 0.4, 0.7], dtype=torch.float64)
    l, a, v = (errors / errors.sum()).tolist()  # noqa: E741  # λ of text, voice, face
    d = (1 + a) * (1 + l) + (1 + v) * (1 + l) + (1 + a) * (1 + v)
    expected = [3 * (1 + a) * (1 + v) / d, 3 * (1 + l) * (1 + v) / d, 3 * (1 + l) * (1 + a) / d]
    got = adjuster(errors, torch.ones(3, dtype=torch.bool))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert got.sum().item() == pytest.approx(3)
    assert got.argmax().item() == 1  # the smallest loss


def test_adjuster_without_losses_or_modalities() -> None:
    present = torch.tensor([[True, True, True], [True, False, True], [False, False, False]])
    got = adjuster(torch.tensor([[0.0, 0, 0], [1, 9, 1], [1, 2, 3]]), present)
    assert got[0].tolist() == pytest.approx([1, 1, 1])
    assert got[1].tolist() == pytest.approx([1, 0, 1])
    assert got[2].tolist() == [0, 0, 0]


def test_adjuster_has_no_gradient() -> None:
    assert not adjuster(torch.rand(2, 3, requires_grad=True), ALL).requires_grad


def test_intra_by_hand_per_sample_and_per_batch() -> None:
    u = torch.tensor([[[1.0]], [[0.0]]])  # C(u), two utterances of one modality
    p = torch.tensor([[[3.0]], [[0.5]]])  # C(p)
    present = torch.ones(2, 1, dtype=torch.bool)
    u = u.requires_grad_()
    p = p.requires_grad_()
    error_u, error_p = torch.tensor([[1.0], [0.3]]), torch.tensor([[0.2], [0.4]])
    loss = intra_modal(u, p, error_u, error_p, present, "sample")
    assert loss.item() == pytest.approx((4 + 0.25) / 2)
    of_u, of_p = torch.autograd.grad(loss, (u, p))
    # The first utterance's purified teaches, the second's unpurified: 2(C(u) − C(p))/B, 2(C(p) − C(u))/B.
    assert of_u.flatten().tolist() == pytest.approx([-2, 0])
    assert of_p.flatten().tolist() == pytest.approx([0, 0.5])
    # By batch means (0.65 against 0.3) the purified teaches both.
    of_u, of_p = torch.autograd.grad(
        intra_modal(u, p, error_u, error_p, present, "batch"), (u, p), allow_unused=True
    )
    assert of_u.flatten().tolist() == pytest.approx([-2, -0.5])
    assert of_p is None or of_p.abs().sum() == 0


def test_intra_with_equal_errors_teaches_nothing() -> None:
    same = torch.rand(2, 3)
    assert intra_modal(torch.rand(2, 3, 1), torch.rand(2, 3, 1), same, same, ALL).item() == 0


@pytest.mark.parametrize("distillation", ["scaled", "tempered"])
def test_inter_against_scipy(distillation: str) -> None:
    p = torch.randn(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    errors = torch.tensor([[0.5, 0.1, 0.9], [0.2, 0.8, 0.7]], dtype=torch.float64)
    expected = 0.0
    for b in range(2):
        e = errors[b].numpy()
        inverse = 1 / (1 + e / e.sum())
        t = int(e.argmin())
        tau = 10 * 3 * inverse[t] / inverse.sum()
        q = softmax(p[b].numpy() / (tau if distillation == "tempered" else 1), axis=-1)
        expected += 0.5 * tau**2 * sum(rel_entr(q[t], q[m]).sum() for m in range(3) if m != t) / 2
    got = inter_modal(p, errors, ALL, "sample", distillation)  # type: ignore[arg-type]
    assert got.item() == pytest.approx(expected, rel=1e-10)


def test_inter_teaches_the_students_alone() -> None:
    p = torch.randn(2, 3, 5, requires_grad=True)
    errors = torch.tensor([[0.5, 0.1, 0.9], [0.2, 0.8, 0.7]])
    (gradient,) = torch.autograd.grad(inter_modal(p, errors, ALL), p)
    moved = gradient.abs().sum(-1) > 0
    assert moved.tolist() == [[True, False, True], [False, True, True]]


def test_the_batchs_teacher_is_one_for_all() -> None:
    errors = torch.tensor([[0.5, 0.1, 0.9], [0.2, 0.8, 0.7]])
    assert teachers(errors, ALL, "sample")[0].tolist() == [1, 0]
    assert teachers(errors, ALL, "batch")[0].tolist() == [0, 0]  # means 0.35, 0.45, 0.8


@pytest.mark.parametrize("granularity", ["sample", "batch"])
def test_an_absent_modality_neither_teaches_nor_learns(granularity: str) -> None:
    p = torch.randn(2, 3, 5, requires_grad=True)
    errors = torch.tensor([[0.5, 0.0, 0.9], [0.2, 0.8, 0.7]])
    present = torch.tensor([[True, False, True], [True, True, True]])
    loss = inter_modal(p, errors, present, granularity)  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(loss, p)
    assert gradient[0, 1].abs().sum() == 0
    if granularity == "sample":
        assert gradient[0, 2].abs().sum() > 0  # text teaches face in its place
    lone = torch.tensor([[True, False, False], [False, False, False]])
    assert inter_modal(p, errors, lone, granularity).item() == 0  # type: ignore[arg-type]


def test_gradcheck_of_both() -> None:
    p = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    errors = torch.rand(2, 3, dtype=torch.float64)
    # The teacher is a constant of the loss, so its own slot has no derivative: hold it fixed.
    teacher = teachers(errors, ALL)[0]
    fixed = p.detach().clone()

    def of_students(x: torch.Tensor) -> torch.Tensor:
        is_teacher = (torch.arange(3) == teacher[:, None]).unsqueeze(-1)
        return inter_modal(torch.where(is_teacher, fixed, x), errors, ALL)

    assert torch.autograd.gradcheck(of_students, (p,))
