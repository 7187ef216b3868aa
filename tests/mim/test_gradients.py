"""Gradients of each part by itself: against finite differences, and against the formula where there is a short one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mimdata.mim.batch import Batch
from mimdata.mim.config import TrainConfig
from mimdata.mim.encoders import Dropouts, TemporalConvolution, TransformerEncoder
from mimdata.mim.fusion import FUSIONS, fusion
from mimdata.mim.guidance import inter_modal, intra_modal, teachers
from mimdata.mim.model import Mim
from mimdata.mim.objective import errors
from mimdata.mim.purification import (
    BETA,
    Gates,
    MaskedBiLstm,
    Purifier,
    hard_concrete,
    openness,
    straight_through,
)
from mimdata.mim.text_encoder import word_means

NONE = Dropouts(0, 0, 0, 0)
MASK = torch.tensor([[True, True, True, False], [True, False, True, True]])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def of_weights(module: nn.Module, run: Callable[[nn.Module], Tensor]) -> bool:
    """gradcheck in every weight of a module."""
    names, weights = zip(*module.named_parameters(), strict=True)

    def call(*given: Tensor) -> Tensor:
        return run(_Bound(module, dict(zip(names, given, strict=True))))

    return bool(gradcheck(call, weights))


class _Bound(nn.Module):
    """A module that runs with other weights."""

    def __init__(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self._call = lambda *x: torch.func.functional_call(module, weights, x)

    def forward(self, *arguments: Tensor) -> Tensor:
        return self._call(*arguments)


def test_of_the_convolution() -> None:
    encoder, values = TemporalConvolution(2, 3).double(), double(2, 4, 2)
    assert gradcheck(lambda x: encoder(x, MASK), (values,))
    assert of_weights(encoder, lambda e: e(values.detach(), MASK))
    (gradient,) = torch.autograd.grad(encoder(values, MASK).sum(), values)
    assert (gradient[~MASK] == 0).all()
    # dΣH/dx[t] = Σ over the kernel's places whose step is there; the last row of row 0 is not.
    kernel = encoder.convolution.weight.detach().sum(0)  # (d_in, 3)
    torch.testing.assert_close(gradient[0, 0], kernel[:, 0] + kernel[:, 1])
    torch.testing.assert_close(gradient[0, 1], kernel.sum(1))
    torch.testing.assert_close(gradient[0, 2], kernel[:, 1] + kernel[:, 2])


def test_of_the_transformers_weights() -> None:
    encoder = TransformerEncoder(2, width=4, heads=2, steps=5, layers=1, dropouts=NONE).double()
    values = torch.randn(2, 4, 2, dtype=torch.float64)
    assert of_weights(encoder, lambda e: e(values, MASK))


def test_of_the_masked_lstm_are_those_of_torchs_packed_one() -> None:
    ours, theirs = MaskedBiLstm(4, 3), nn.LSTM(4, 3, batch_first=True, bidirectional=True)
    pairs = []
    for name, weight in theirs.named_parameters():
        source = getattr(
            ours.back if name.endswith("_reverse") else ours.ahead, name.removesuffix("_reverse")
        )
        weight.data.copy_(source.data)
        pairs.append((source, weight))
    lengths, x, y = torch.tensor([5, 2, 4]), torch.randn(3, 5, 4), torch.randn(3, 5, 6)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    (ours(mine, torch.arange(5) < lengths[:, None]) * y).sum().backward()
    packed = pack_padded_sequence(other, lengths, batch_first=True, enforce_sorted=False)
    (pad_packed_sequence(theirs(packed)[0], batch_first=True)[0] * y).sum().backward()
    torch.testing.assert_close(mine.grad, other.grad)
    for source, weight in pairs:
        torch.testing.assert_close(source.grad, weight.grad)


def lively() -> Purifier:
    """A purifier none of whose relus is shut, so that all of it has a gradient."""
    purifier = Purifier(4, steps=6).double().eval()
    with torch.no_grad():
        for layer in (purifier.w1, purifier.w2, purifier.w3):
            layer.bias.fill_(1.5)
    return purifier


def test_of_the_locations_in_hidden_states_and_weights() -> None:
    purifier, hidden = lively(), double(2, 4, 4)
    assert gradcheck(lambda h: purifier.locations(h, MASK), (hidden,))
    (gradient,) = torch.autograd.grad(purifier.locations(hidden, MASK).sum(), hidden)
    assert ((gradient != 0).any(-1) == MASK).all()
    shown = copy.deepcopy(purifier)
    shown.forward = shown.locations  # type: ignore[method-assign, assignment]
    assert of_weights(shown, lambda p: p(hidden.detach(), MASK))


def test_of_the_penalty() -> None:
    """P(g > 0) = σ(z), so dP/dα = σ(z)(1 − σ(z)); in a purifier it is averaged over the valid steps."""
    alpha = double(7)
    (gradient,) = torch.autograd.grad(openness(alpha).sum(), alpha)
    at = expit(alpha.detach().numpy() - BETA * np.log(0.2))
    np.testing.assert_allclose(gradient, at * (1 - at), rtol=1e-12)
    purifier, hidden = lively(), double(2, 4, 4)
    assert purifier(hidden, MASK).penalty.requires_grad
    assert gradcheck(lambda h: purifier(h, MASK).penalty, (hidden,))


def test_of_the_gate_is_zero_where_it_is_clipped() -> None:
    alpha = torch.tensor([-3.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    soft = hard_concrete(alpha, torch.full((3,), 0.5, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(soft.sum(), alpha)
    assert soft[0] == 0
    assert gradient[0] == 0
    assert gradient[1].item() == pytest.approx(1.2 * 3 / 4)  # σ'(0) = ¼
    s = expit(9.0)
    assert gradient[2].item() == pytest.approx(1.2 * 3 * s * (1 - s))


def test_of_the_purified_mean_through_a_straight_through_gate(
    random_batch: Callable[..., Batch],
) -> None:
    """p = Σ tanh(g_t H_t) / n, so dp/dα_t = (1 − tanh²(g_t H_t)) H_t g'(α_t) / n, with g_t of 0 or 1."""
    config = TrainConfig(modalities=("audio",), width=10, steps=12, layers=0)
    model = Mim(config, {"audio": 4}).double()
    batch = random_batch([6, 4], dtype=torch.float64)
    alpha = torch.linspace(-0.6, 0.9, 12, dtype=torch.float64).view(2, 6).requires_grad_()
    soft = hard_concrete(alpha, torch.full((2, 6), 0.5, dtype=torch.float64))
    valid = batch.valid["audio"]
    gates = Gates(alpha, straight_through(soft) * valid, soft.sum())
    model.purifiers["audio"].register_forward_hook(lambda *_: gates)
    (gradient,) = torch.autograd.grad(model.eval()(batch).purified.sum(), alpha)
    hidden = model.encoders["audio"](batch.values["audio"], valid).detach()
    s = torch.sigmoid(3 * alpha.detach())
    slope = torch.where((soft > 0) & (soft < 1), 1.2 * 3 * s * (1 - s), 0) * valid
    opened = (soft.detach() > 0.6).double().unsqueeze(-1)
    along = ((1 - torch.tanh(opened * hidden) ** 2) * hidden).sum(-1)
    expected = along * slope / valid.sum(1, keepdim=True)
    torch.testing.assert_close(gradient, expected)
    assert 0 < opened.mean() < 1
    assert (gradient[(opened.squeeze(-1) == 0) & (slope > 0)] != 0).all()  # shut gates learn too


@pytest.mark.parametrize("modality_missing", [False, True])
@pytest.mark.parametrize("name", list(FUSIONS))
def test_of_the_fusions_weights_and_representations(name: str, modality_missing: bool) -> None:
    module, p = fusion(name, 3, 3, outputs=2).double(), double(2, 3, 3)  # type: ignore[arg-type]
    present = torch.ones(2, 3, dtype=torch.bool)
    present[0, 1] = not modality_missing
    assert gradcheck(lambda x: module(x, present), (p,))
    assert of_weights(module, lambda f: f(p.detach(), present))
    (gradient,) = torch.autograd.grad(module(p, present).sum(), p)
    assert bool((gradient[0, 1] == 0).all()) == modality_missing


def test_of_guidance_within_a_modality() -> None:
    """Teachers are constants of the loss: held fixed, the students' gradient is that of finite differences."""
    u, p = double(4, 2, 1), double(4, 2, 1)
    error_u, error_p = torch.rand(2, 4, 2, dtype=torch.float64)
    present = torch.tensor([[True, True], [True, False], [True, True], [True, True]])
    purified_teaches = (error_p < error_u).unsqueeze(-1)
    fixed_u, fixed_p = u.detach().clone(), p.detach().clone()

    def of_students(a: Tensor, b: Tensor) -> Tensor:
        a = torch.where(purified_teaches, a, fixed_u)
        b = torch.where(purified_teaches, fixed_p, b)
        return intra_modal(a, b, error_u, error_p, present)

    assert gradcheck(of_students, (u, p))
    gradients = torch.autograd.grad(intra_modal(u, p, error_u, error_p, present), (u, p))
    for got, expected in zip(gradients, torch.autograd.grad(of_students(u, p), (u, p)), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("distillation", ["scaled", "tempered"])
def test_of_guidance_between_modalities(distillation: str) -> None:
    """d/dp_s ½τ² KL(q_t ‖ q_s) = ½τ² (q_s − q_t), by softmax's own derivative; tempered: a τ less."""
    p, losses = double(2, 3, 5), torch.tensor([[0.5, 0.1, 0.9], [0.2, 0.8, 0.7]], dtype=torch.float64)
    everywhere = torch.ones(2, 3, dtype=torch.bool)
    loss = inter_modal(p, losses, everywhere, "sample", distillation)  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(loss, p)
    teacher, alpha = (x.numpy() for x in teachers(losses, everywhere))
    for b in range(2):
        tau = 10 * alpha[b]
        divisor = tau if distillation == "tempered" else 1.0
        q = softmax(p[b].detach().numpy() / divisor, axis=-1)
        for m in range(3):
            expected = 0.5 * tau**2 / divisor * (q[m] - q[teacher[b]]) / 2  # of a batch of 2
            np.testing.assert_allclose(gradient[b, m], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("task", ["sentiment", "emotions"])
def test_of_the_errors(task: str) -> None:
    predictions, nan = double(2, 2), torch.nan
    target = torch.tensor([[1.0, nan], [0.0, 1.0]], dtype=torch.float64)
    assert gradcheck(lambda x: errors(x, target, task), (predictions,))
    (gradient,) = torch.autograd.grad(errors(predictions, target, task).sum(), predictions)
    y, x = np.nan_to_num(target.numpy()), predictions.detach().numpy()
    each = np.sign(x - y) if task == "sentiment" else expit(x) - y
    np.testing.assert_allclose(gradient, each * [[1, 0], [0.5, 0.5]], rtol=1e-9)


def test_of_the_means_of_word_pieces() -> None:
    states, steps = double(2, 5, 3), torch.tensor([[-1, 2, 0, 2, -1], [0, 0, 0, -1, -1]])
    assert gradcheck(lambda s: word_means(s, steps, 4)[0], (states,))
    found, there = word_means(states.detach(), steps, 4)
    torch.testing.assert_close(found[0, 2], (states[0, 1] + states[0, 3]).detach() / 2)
    torch.testing.assert_close(found[0, 0], states[0, 2].detach())
    torch.testing.assert_close(found[1, 0], states[1, :3].detach().mean(0))
    assert there.tolist() == [[True, False, True, False], [True, False, False, False]]
    assert (found[~there] == 0).all()


def test_of_the_whole_branches_at_rest(random_batch: Callable[..., Batch]) -> None:
    """Gates at rest are constants, so both means are smooth functions of what the model reads."""
    model = Mim(TrainConfig(width=4, heads=2, steps=6, layers=1), {"text": 6, "audio": 4, "vision": 3})
    model.double().eval()
    with torch.no_grad():
        for purifier in model.purifiers.values():
            purifier.w4.bias.copy_(torch.tensor([-3.0, 0, -3, 0, -3, 0]))  # every second gate is shut
    batch = random_batch([4, 2], dtype=torch.float64)
    for i, modality in enumerate(model.modalities):

        def means(values: Tensor, i: int = i, modality: str = modality) -> Tensor:
            output = model(replace(batch, values={**batch.values, modality: values}))
            assert 0 < output.gates[:, i].sum() < output.steps[:, i].sum()
            return torch.stack([output.unpurified[:, i], output.purified[:, i]])

        values = batch.values[modality].clone().requires_grad_()
        assert gradcheck(means, (values,))
        (gradient,) = torch.autograd.grad(means(values).sum(), values)
        assert (gradient[1, 2:] == 0).all()  # padding
