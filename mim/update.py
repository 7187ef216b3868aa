"""One update of the weights: two sets of gradients, two optimizers, the purifier's first.

`simultaneous`: both sets from one forward pass, then both steps. `sequential`: the purifier steps, then the
batch goes through the changed model again, with the same noise, for everything's step. The release means the
latter but back-propagates through weights that it has changed, which current PyTorch refuses.

An update may be cut into pieces, one forward pass each, in this process and in others: a piece's gradients
count by its share of the utterances. Losses are means within a piece, so that pieces equal the whole where
every utterance has all modalities and as many valid steps; guidance by batch compares within a piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from mimdata.mim.batch import Batch
from mimdata.mim.config import TrainConfig
from mimdata.mim.device import Place
from mimdata.mim.loader import Update
from mimdata.mim.model import Mim, Output
from mimdata.mim.objective import Losses, losses, targets

Gradients = list[Tensor | None]


@dataclass(frozen=True)
class Optimizers:
    """The purifier's, None where there is no purifier, and everything's (purifier included)."""

    purifier: torch.optim.Optimizer | None
    everything: torch.optim.Optimizer

    def named(self) -> dict[str, torch.optim.Optimizer]:
        """Those that there are, by name."""
        both = {"purifier": self.purifier, "everything": self.everything}
        return {name: optimizer for name, optimizer in both.items() if optimizer is not None}

    def scale_rates(self, factor: float) -> None:
        """Set every learning rate to `factor` of its own."""
        for optimizer in self.named().values():
            for group in optimizer.param_groups:
                group["lr"] = factor * group["full_lr"]


def optimizers(model: Mim, config: TrainConfig) -> Optimizers:
    """One for each set. The text encoder has a learning rate of its own; vectors (biases, norms) do not decay."""
    text = {id(parameter) for parameter in model.text_parameters()}
    purifier = model.purifier_parameters()
    return Optimizers(
        _optimizer(_groups(purifier, config.lr, config), config) if purifier else None,
        _optimizer(
            [
                *_groups([p for p in model.parameters() if id(p) not in text], config.lr, config),
                *_groups(model.text_parameters(), config.text_lr, config),
            ],
            config,
        ),
    )


def _groups(parameters: Sequence[nn.Parameter], lr: float, config: TrainConfig) -> list[dict[str, Any]]:
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    groups = [
        {"params": matrices, "lr": lr, "full_lr": lr, "weight_decay": config.weight_decay},
        {"params": vectors, "lr": lr, "full_lr": lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _optimizer(groups: list[dict[str, Any]], config: TrainConfig) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, fused=True)


@dataclass(frozen=True)
class Updated:
    """What the first forward pass of a piece gave, and its number of utterances."""

    losses: Losses
    output: Output
    count: int


def update(
    model: Mim, part: Update, both: Optimizers, config: TrainConfig, place: Place | None = None
) -> list[Updated]:
    """Learn from one update's pieces; what each gave. Changes the model and the optimizers."""
    device = next(model.parameters()).device
    steps = _Steps(both, config, place)
    noise = _noise_state(device)
    found: list[Updated] = []
    for batch in part.pieces:
        piece = _forward(model, batch, config)
        share = piece.count / part.whole
        at_once = config.update == "simultaneous" or both.purifier is None
        if both.purifier is not None:
            steps.add("purifier", piece.losses.purifier, share, keep=at_once)
        if at_once:
            steps.add("everything", piece.losses.everything, share)
        found.append(piece)
    if both.purifier is not None:
        steps.take("purifier")
        if config.update == "sequential":
            _replay(noise, device)
            for batch in part.pieces:
                piece = _forward(model, batch, config)
                steps.add("everything", piece.losses.everything, piece.count / part.whole)
    steps.take("everything")
    steps.end()
    return found


def _forward(model: Mim, batch: Batch, config: TrainConfig) -> Updated:
    output: Output = model(batch)
    return Updated(losses(output, targets(batch, config.task), config), output, len(batch))


class _Steps:
    """Gradients of both sets as they add up over pieces and processes, and the optimizers' steps with them."""

    def __init__(self, both: Optimizers, config: TrainConfig, place: Place | None) -> None:
        self.optimizers, self.config, self.place = both.named(), config, place
        self.scaler = place.scaler if place else None
        self.weights = {
            name: [p for group in optimizer.param_groups for p in group["params"]]
            for name, optimizer in self.optimizers.items()
        }
        self.sums: dict[str, Gradients] = {name: [None] * len(w) for name, w in self.weights.items()}

    def add(self, name: str, loss: Tensor, share: float, *, keep: bool = False) -> None:
        """Add the gradients of a piece's loss."""
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        # Some weights have no part in a batch (a pooler that nothing reads): their gradient is None, and Adam skips them.
        gradients = torch.autograd.grad(scaled, self.weights[name], retain_graph=keep, allow_unused=True)
        sums = self.sums[name]
        for i, gradient in enumerate(gradients):
            if gradient is not None:
                part, before = gradient * share, sums[i]
                sums[i] = part if before is None else before + part

    def take(self, name: str) -> None:
        """Step with what was added."""
        optimizer, weights = self.optimizers[name], self.weights[name]
        for weight, gradient in zip(weights, self._over_processes(name), strict=True):
            weight.grad = gradient
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)
        if self.config.clip_norm:
            clip_grad_norm_(weights, self.config.clip_norm)
        if self.scaler is None:
            optimizer.step()
        else:
            self.scaler.step(optimizer)  # skips a step whose gradients overflowed
        optimizer.zero_grad(set_to_none=True)

    def end(self) -> None:
        """Let the scale of fp16 follow what happened."""
        if self.scaler is not None:
            self.scaler.update()

    def _over_processes(self, name: str) -> Gradients:
        sums = self.sums[name]
        if self.place is None or self.place.processes == 1:
            return sums
        # A weight may have a gradient in one process alone: all send all.
        whole = [
            torch.zeros_like(w) if g is None else g for w, g in zip(self.weights[name], sums, strict=True)
        ]
        return list(self.place.add_up(whole))


def _noise_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _replay(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
