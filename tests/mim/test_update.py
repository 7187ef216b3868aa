"""Updates: whose gradient goes where, and simultaneous against sequential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from mimdata.mim.batch import Batch
from mimdata.mim.config import TrainConfig
from mimdata.mim.loader import Update
from mimdata.mim.model import Mim
from mimdata.mim.objective import losses, targets
from mimdata.mim.update import optimizers, update

DIMS = {"text": 6, "audio": 4, "vision": 3}
SMALL = TrainConfig(width=10, steps=12, layers=1, lr=1e-2)
BuildBatch = Callable[..., Batch]


def build(config: TrainConfig = SMALL) -> Mim:
    torch.manual_seed(0)
    model = Mim(config, DIMS)
    with torch.no_grad():
        for purifier in model.purifiers.values():
            purifier.w4.bias.normal_(-2.5, 0.5)  # gates near their threshold, where gradients are large
    return model


def whole(batch: Batch) -> Update:
    return Update((batch,), len(batch))


def weights(model: Mim) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def step(model: Mim, batch: Batch, config: TrainConfig) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    update(model, whole(batch), optimizers(model, config), config)
    return weights(model)


def test_the_first_set_moves_the_purifier_alone(random_batch: BuildBatch) -> None:
    model, batch = build(), random_batch([12, 8, 5])
    both = optimizers(model, SMALL)
    assert both.purifier is not None
    for group in both.everything.param_groups:
        group["lr"] = 0.0
    before = weights(model)
    update(model, whole(batch), both, SMALL)
    moved = {name for name, w in weights(model).items() if not torch.equal(w, before[name])}
    assert moved
    assert all(name.startswith("purifiers.") for name in moved)


def test_the_purifier_gets_both_gradients_and_the_rest_only_the_second(random_batch: BuildBatch) -> None:
    """Adam's first step is lr·g/(|g|+ε), so each set's gradient shows in the step of its optimizer."""
    config, batch = SMALL, random_batch([12, 8, 5])
    model = build()
    torch.manual_seed(1)
    found = losses(model(batch), targets(batch, "sentiment"), config)
    parameters = dict(model.named_parameters())
    of_all = torch.autograd.grad(found.everything, list(parameters.values()), retain_graph=True)
    own = torch.autograd.grad(found.purifier, model.purifier_parameters())
    expected = {n: p.detach() - _adam(g) for (n, p), g in zip(parameters.items(), of_all, strict=True)}
    names = [name for name in parameters if name.startswith("purifiers.")]
    for name, gradient in zip(names, own, strict=True):
        expected[name] = expected[name] - _adam(gradient)
    after = step(model, batch, config)
    for name, weight in after.items():
        torch.testing.assert_close(weight, expected[name], msg=name, atol=1e-6, rtol=1e-4)
    assert any(not torch.allclose(_adam(g), torch.zeros(())) for g in own)


def _adam(gradient: torch.Tensor) -> torch.Tensor:
    return SMALL.lr * gradient / (gradient.abs() + 1e-8)


def test_sequential_equals_simultaneous_when_the_purifiers_step_changes_nothing(
    random_batch: BuildBatch,
) -> None:
    batch, results = random_batch([12, 8, 5]), []
    for order in ("simultaneous", "sequential"):
        config = replace(SMALL, update=order)
        model = build(config)
        both = optimizers(model, config)
        assert both.purifier is not None
        for group in both.purifier.param_groups:
            group["lr"] = 0.0
        torch.manual_seed(1)
        update(model, whole(batch), both, config)
        results.append(weights(model))
    for name in results[0]:
        torch.testing.assert_close(results[0][name], results[1][name], msg=name)


def test_sequential_goes_through_the_changed_purifier(random_batch: BuildBatch) -> None:
    batch = random_batch([12, 8, 5])
    simultaneous, sequential = (
        step(build(c), batch, c) for c in (SMALL, replace(SMALL, update="sequential"))
    )
    assert any(not torch.equal(simultaneous[name], sequential[name]) for name in simultaneous)


def test_losses_reported_are_those_before_the_update(random_batch: BuildBatch) -> None:
    batch = random_batch([12, 8, 5])
    model = build()
    torch.manual_seed(1)
    expected = losses(model(batch), targets(batch, "sentiment"), SMALL).named()
    torch.manual_seed(1)
    got = update(model, whole(batch), optimizers(model, SMALL), SMALL)[0].losses.named()
    assert {n: v.item() for n, v in got.items()} == pytest.approx({n: v.item() for n, v in expected.items()})


def test_without_a_purifier_everything_still_learns(random_batch: BuildBatch) -> None:
    config = replace(SMALL, purify=False)
    model = build(config)
    before = weights(model)
    after = step(model, random_batch([5, 3]), config)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert optimizers(model, config).purifier is None


def test_clipping_bounds_each_sets_gradient(random_batch: BuildBatch) -> None:
    config = replace(SMALL, clip_norm=0.01)
    model, norms = build(config), []
    both = optimizers(model, config)
    assert both.purifier is not None
    for optimizer in (both.purifier, both.everything):
        parameters = optimizer.param_groups[0]["params"]
        optimizer.register_step_pre_hook(
            lambda *_, ps=parameters: norms.append(torch.stack([p.grad.norm() for p in ps]).norm().item())
        )
    update(model, whole(random_batch([12, 8, 5])), both, config)
    assert len(norms) == 2
    assert all(norm <= 0.01 * 1.001 for norm in norms)
