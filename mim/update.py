"""One batch's update: two sets of gradients, two Adam optimizers, the purifier's first.

`simultaneous`: both sets from one forward pass, then both steps. `sequential`: the purifier steps, then the
batch goes through the changed model again, with the same noise, for everything's step. The release means the
latter but back-propagates through weights that it has changed, which current PyTorch refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from mimdata.mim.batch import Batch
from mimdata.mim.config import TrainConfig
from mimdata.mim.model import Mim, Output
from mimdata.mim.objective import Losses, losses, targets


@dataclass(frozen=True)
class Optimizers:
    """The purifier's, None where there is no purifier, and everything's (purifier included)."""

    purifier: torch.optim.Adam | None
    everything: torch.optim.Adam


def optimizers(model: Mim, config: TrainConfig) -> Optimizers:
    """Adam for each set; the text encoder has a learning rate of its own."""
    text = model.text_parameters()
    slow = {id(parameter) for parameter in text}
    groups = [{"params": [p for p in model.parameters() if id(p) not in slow], "lr": config.lr}]
    if text:
        groups.append({"params": text, "lr": config.text_lr})
    purifier = model.purifier_parameters()
    return Optimizers(
        torch.optim.Adam(purifier, lr=config.lr, fused=True) if purifier else None,
        torch.optim.Adam(groups, fused=True),
    )


@dataclass(frozen=True)
class Updated:
    """What the first forward pass of an update gave."""

    losses: Losses
    output: Output


def update(model: Mim, batch: Batch, both: Optimizers, config: TrainConfig) -> Updated:
    """Learn from one batch. Changes the model and the optimizers."""
    noise = _noise_state(batch.lengths.device) if config.update == "sequential" else None
    first = _forward(model, batch, config)
    if both.purifier is None:
        _step(both.everything, _gradients(first.losses.everything, both.everything), config)
        return first
    of_purifier = _gradients(first.losses.purifier, both.purifier, keep=noise is None)
    if noise is None:
        of_everything = _gradients(first.losses.everything, both.everything)
        _step(both.purifier, of_purifier, config)
    else:
        _step(both.purifier, of_purifier, config)
        _replay(noise, batch.lengths.device)
        of_everything = _gradients(_forward(model, batch, config).losses.everything, both.everything)
    _step(both.everything, of_everything, config)
    return first


def _forward(model: Mim, batch: Batch, config: TrainConfig) -> Updated:
    output: Output = model(batch)
    return Updated(losses(output, targets(batch, config.task), config), output)


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _gradients(
    loss: Tensor, optimizer: torch.optim.Optimizer, *, keep: bool = False
) -> Sequence[Tensor | None]:
    # Some weights have no part in a batch (a pooler that nothing reads): their gradient is None and Adam skips them.
    return torch.autograd.grad(loss, _parameters(optimizer), retain_graph=keep, allow_unused=True)


def _step(optimizer: torch.optim.Optimizer, gradients: Sequence[Tensor | None], config: TrainConfig) -> None:
    parameters = _parameters(optimizer)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    if config.clip_norm:
        clip_grad_norm_(parameters, config.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _noise_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _replay(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
