"""UPN, the unimodal purification network: which time steps of a modality to keep.

    h = BiLSTM(H)                       d → d/2 each way, over the valid steps alone
    w_t = relu(W₂ relu(W₁ h_t))         a scalar a step; W₁: d → d/2, W₂: d/2 → 1
    a = W₄ relu(W₃ w)                   over the whole sequence, W₃: T → ⌊T/5⌋, W₄ back
    α = a + 3                           starts the gates open

Hard Concrete gate (Louizos, Welling, Kingma 2018), β = 1/3, γ = −0.2, ζ = 1.0:

    training:    u ~ U(1e-6, 1 − 1e-6),  s = σ((log u − log(1−u) + α)/β),  g = clip(s(ζ−γ)+γ, 0, 1)
                 straight-through: the value is 1[g > 0.6], the gradient that of g
    evaluation:  1[clip(σ(α)(ζ−γ)+γ, 0, 1) > 0.6], which is α > ln 2; no noise
    penalty:     P(g > 0) = σ(α − β log(−γ/ζ)), averaged over the valid steps

The release draws noise at evaluation too, so that two evaluations differ; ours are equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BETA, GAMMA, ZETA = 1 / 3, -0.2, 1.0  # temperature and stretch limits of the release
LOCATION = 3.0  # starts the gates open; Zeng et al. 2024
THRESHOLD = 0.6  # a gate above it is open
NOISE_MARGIN = 1e-6  # keeps the logarithms finite
BOTTLENECK = 5  # W₃ maps T steps to ⌊T/5⌋


def noise_like(alpha: Tensor) -> Tensor:
    """Uniform noise in (1e-6, 1 − 1e-6) of alpha's shape."""
    return torch.rand_like(alpha) * (1 - 2 * NOISE_MARGIN) + NOISE_MARGIN


def hard_concrete(alpha: Tensor, noise: Tensor) -> Tensor:
    """g = clip(σ((log u − log(1−u) + α)/β)(ζ−γ)+γ, 0, 1), elementwise: the soft gate of training."""
    s = torch.sigmoid((torch.log(noise) - torch.log1p(-noise) + alpha) / BETA)
    return (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def straight_through(soft: Tensor) -> Tensor:
    """The value 1[g > 0.6] with the gradient of g."""
    return (soft > THRESHOLD).to(soft.dtype) + soft - soft.detach()


def resting_gate(alpha: Tensor) -> Tensor:
    """1[clip(σ(α)(ζ−γ)+γ, 0, 1) > 0.6] as a float: the gate of evaluation, without noise or gradient."""
    stretched = (torch.sigmoid(alpha) * (ZETA - GAMMA) + GAMMA).clamp(0, 1)
    return (stretched > THRESHOLD).to(alpha.dtype)


def openness(alpha: Tensor) -> Tensor:
    """P(g > 0) = σ(α − β log(−γ/ζ)), elementwise: the chance that a gate is not shut."""
    return torch.sigmoid(alpha - BETA * math.log(-GAMMA / ZETA))


class MaskedBiLstm(nn.Module):
    """A bidirectional LSTM over the valid steps of each row: (B, L, d), mask (B, L) → (B, L, 2·hidden).

    Steps that are not valid are left out, as if the row were shorter: each direction reads the row's valid
    steps moved to the front, the backward one in reverse. Equal to a packed sequence, without its copy of
    the lengths to the host. Zero where not valid.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.ahead = nn.LSTM(width, hidden, batch_first=True)
        self.back = nn.LSTM(width, hidden, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        order = torch.argsort((~mask).to(torch.uint8), dim=1, stable=True)
        place, count = torch.arange(mask.shape[1], device=mask.device), mask.sum(dim=1, keepdim=True)
        reverse = order.gather(1, torch.where(place < count, count - 1 - place, place))
        both = [self._run(lstm, x, o) for lstm, o in ((self.ahead, order), (self.back, reverse))]
        return torch.cat(both, dim=-1) * mask.unsqueeze(-1)

    def _run(self, lstm: nn.LSTM, x: Tensor, order: Tensor) -> Tensor:
        states: Tensor = lstm(x.gather(1, order.unsqueeze(-1).expand_as(x)))[0]
        inverse = torch.argsort(order, dim=1).unsqueeze(-1)
        return states.gather(1, inverse.expand_as(states))


@dataclass(frozen=True)
class Gates:
    """Of each step: alpha (B, L), the location; open (B, L), 0 or 1, zero where not valid.

    penalty: the mean openness over all valid steps, a scalar; zero when there is none.
    """

    alpha: Tensor
    open: Tensor
    penalty: Tensor


class Purifier(nn.Module):
    """H (B, L, d) with L ≤ T and mask (B, L) → the gates of its steps."""

    def __init__(self, width: int = 80, steps: int = 50) -> None:
        super().__init__()
        if width % 2 or steps < BOTTLENECK:
            raise ValueError(f"width must be even and steps at least {BOTTLENECK}, found {width} and {steps}")
        self.steps = steps
        self.lstm = MaskedBiLstm(width, width // 2)
        self.w1, self.w2 = nn.Linear(width, width // 2), nn.Linear(width // 2, 1)
        self.w3, self.w4 = nn.Linear(steps, steps // BOTTLENECK), nn.Linear(steps // BOTTLENECK, steps)

    def forward(self, hidden: Tensor, mask: Tensor) -> Gates:
        """Draws noise from torch's generator in training; draws none in evaluation."""
        alpha = self.locations(hidden, mask)
        gate = (
            straight_through(hard_concrete(alpha, noise_like(alpha)))
            if self.training
            else resting_gate(alpha)
        )
        weights = mask.to(alpha.dtype)
        penalty = (openness(alpha) * weights).sum() / weights.sum().clamp(min=1)
        return Gates(alpha, gate * weights, penalty)

    def locations(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """α (B, L) float32 (float64 for float64 input)."""
        length = hidden.shape[1]
        scalar = (
            functional.relu(self.w2(functional.relu(self.w1(self.lstm(hidden, mask))))).squeeze(-1) * mask
        )
        whole = functional.pad(scalar, (0, self.steps - length))
        a: Tensor = self.w4(functional.relu(self.w3(whole)))[:, :length]
        return (a if a.dtype == torch.float64 else a.float()) + LOCATION
