"""Fusions: purified representations of all modalities to one prediction.

    add              W_o Σ_m p_m + b                               an absent modality adds 0
    multiplication   W_o tanh(W (p_1 ⊙ … ⊙ p_M) + c) + b           an absent modality is a factor of 1
    concatenation    W_o tanh(W [p_1; …; p_M] + c) + b             an absent modality is a block of 0
    tensor           ⟨W_o, [1; p_1] ⊗ … ⊗ [1; p_M]⟩ + b            an absent modality is [1; 0]

All take representations (B, M, d) and present (B, M) bool and give (B, O). An absent modality contributes
its neutral element whatever its slot holds. Zeng et al. 2024; tensor fusion is Zadeh et al. 2017, contracted
one modality at a time, so that the outer product of (d+1)^M numbers a sample is never laid out.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

FusionName = Literal["add", "multiplication", "concatenation", "tensor"]
TENSOR_LIMIT = 3  # (d+1)^M weights: half a million at d = 80, M = 3; forty-three million at M = 4


def neutralised(representations: Tensor, present: Tensor, neutral: float) -> Tensor:
    """(B, M, d) with the neutral number in place of absent modalities."""
    return torch.where(
        present.unsqueeze(-1), representations, torch.full_like(representations[:1, :1, :1], neutral)
    )


class AddFusion(nn.Module):
    """W_o Σ_m p_m + b."""

    def __init__(self, width: int, modalities: int, outputs: int = 1) -> None:
        super().__init__()
        self.head = nn.Linear(width, outputs)

    def forward(self, representations: Tensor, present: Tensor) -> Tensor:
        prediction: Tensor = self.head(neutralised(representations, present, 0).sum(1))
        return prediction


class MultiplicationFusion(nn.Module):
    """W_o tanh(W (p_1 ⊙ … ⊙ p_M) + c) + b."""

    def __init__(self, width: int, modalities: int, outputs: int = 1) -> None:
        super().__init__()
        self.mix, self.head = nn.Linear(width, width), nn.Linear(width, outputs)

    def forward(self, representations: Tensor, present: Tensor) -> Tensor:
        product = neutralised(representations, present, 1).prod(1)
        prediction: Tensor = self.head(torch.tanh(self.mix(product)))
        return prediction


class ConcatenationFusion(nn.Module):
    """W_o tanh(W [p_1; …; p_M] + c) + b."""

    def __init__(self, width: int, modalities: int, outputs: int = 1) -> None:
        super().__init__()
        self.mix, self.head = nn.Linear(width * modalities, width), nn.Linear(width, outputs)

    def forward(self, representations: Tensor, present: Tensor) -> Tensor:
        joined = neutralised(representations, present, 0).flatten(1)
        prediction: Tensor = self.head(torch.tanh(self.mix(joined)))
        return prediction


class TensorFusion(nn.Module):
    """⟨W_o, [1; p_1] ⊗ … ⊗ [1; p_M]⟩ + b, with weight (O, d+1, …, d+1)."""

    def __init__(self, width: int, modalities: int, outputs: int = 1) -> None:
        super().__init__()
        if modalities > TENSOR_LIMIT:
            raise ValueError(f"tensor fusion takes at most {TENSOR_LIMIT} modalities, found {modalities}")
        side, total = width + 1, (width + 1) ** modalities
        bound = 1 / math.sqrt(total)  # what nn.Linear draws from
        self.weight = nn.Parameter(torch.empty(outputs, *(side,) * modalities).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))

    def forward(self, representations: Tensor, present: Tensor) -> Tensor:
        clean = neutralised(representations, present, 0)
        extended = torch.cat([torch.ones_like(clean[..., :1]), clean], dim=-1)  # (B, M, d+1)
        b, modalities, side = extended.shape
        last = self.weight.reshape(-1, side) @ extended[:, -1].T  # one product for the whole batch
        partial = last.T.reshape(b, -1, side) if modalities > 1 else last.T.reshape(b, -1, 1)
        for m in range(modalities - 2, -1, -1):
            partial = partial @ extended[:, m].unsqueeze(-1)
            partial = partial.reshape(b, -1, side) if m else partial
        return partial.reshape(b, -1) + self.bias


FUSIONS: dict[str, type[nn.Module]] = {
    "add": AddFusion,
    "multiplication": MultiplicationFusion,
    "concatenation": ConcatenationFusion,
    "tensor": TensorFusion,
}


def fusion(name: FusionName, width: int, modalities: int, outputs: int = 1) -> nn.Module:
    """The fusion of this name."""
    return FUSIONS[name](width, modalities, outputs)
