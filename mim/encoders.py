"""Encoders of one modality: a convolution over time, and a pre-norm transformer for voice and face.

    H_l = conv1d(x_l)                                    text: d_in → d, kernel 3, padding 1, no bias
    z_0 = dropout(√d · conv1d(x_m) + positions)          voice, face
    z  ← z + dropout(attention(norm(z)))
    z  ← z + dropout(W_b dropout(relu(W_a norm(z))))     W_a: d → 4d, W_b back; three layers
    H_m = norm(z)

Steps that are not valid are zero before the convolution, are no keys of the attention, and are zero in the
result, so no step that is real depends on what lies in them. Zeng et al. 2024; the layer is Tsai et al.'s
(MulT, 2019), which the release copies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mimdata.mim.dropout import dropout


@dataclass(frozen=True)
class Dropouts:
    """Rates of dropping: attention weights, hidden units after relu, residual branches, the embedding."""

    attention: float = 0.5
    relu: float = 0.3
    residual: float = 0.3
    embedding: float = 0.2


class TemporalConvolution(nn.Module):
    """conv1d over time, (B, L, d_in) and mask (B, L) → (B, L, d): kernel 3, padding 1, no bias."""

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(d_in, width, kernel_size=3, padding=1, bias=False)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        kept = mask.unsqueeze(-1)
        # where, not a product: padding may hold anything, NaN included.
        clean = torch.where(kept, values, torch.zeros((), dtype=values.dtype, device=values.device))
        hidden: Tensor = self.convolution(clean.transpose(1, 2)).transpose(1, 2)
        return hidden * kept


def sinusoids(steps: int, width: int) -> Tensor:
    """(steps, width) positions of Vaswani et al. 2017: sines in the first half of the columns, cosines in the second.

    Position t, column i: sin(t · 10000^(−i/(width/2 − 1))), as tensor2tensor and fairseq arrange them.
    """
    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float32) * (-math.log(10_000) / max(half - 1, 1)))
    angles = torch.arange(steps, dtype=torch.float32).unsqueeze(1) * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class AttentionLayer(nn.Module):
    """One pre-norm layer: self-attention over the valid steps, then two linear maps with relu between."""

    def __init__(self, width: int, heads: int, dropouts: Dropouts) -> None:
        super().__init__()
        self.heads, self.dropouts = heads, dropouts
        self.norm_attention, self.norm_hidden = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.gather = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, z: Tensor, keys: Tensor) -> Tensor:
        """z (B, L, d), keys (B, 1, 1, L) bool, at least one True a row → (B, L, d)."""
        z = z + self._drop(self._attention(self.norm_attention(z), keys), self.dropouts.residual)
        hidden = self._drop(functional.relu(self.widen(self.norm_hidden(z))), self.dropouts.relu)
        return z + self._drop(self.narrow(hidden), self.dropouts.residual)

    def _attention(self, z: Tensor, keys: Tensor) -> Tensor:
        b, length, d = z.shape
        split = self.queries_keys_values(z).view(b, length, 3, self.heads, d // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # each (B, heads, L, d / heads)
        dropout = self.dropouts.attention if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=keys, dropout_p=dropout)
        gathered: Tensor = self.gather(mixed.transpose(1, 2).reshape(b, length, d))
        return gathered

    def _drop(self, x: Tensor, rate: float) -> Tensor:
        return dropout(x, rate, self.training)


class TransformerEncoder(nn.Module):
    """Convolution and transformer: (B, L, d_in) and mask (B, L) → H (B, L, d), zero where not valid."""

    positions: Tensor

    def __init__(
        self,
        d_in: int,
        width: int = 80,
        steps: int = 50,
        layers: int = 3,
        heads: int = 5,
        dropouts: Dropouts = Dropouts(),
    ) -> None:
        super().__init__()
        if width % heads or width % 2:
            raise ValueError(f"width must be even and a multiple of the {heads} heads, found {width}")
        self.dropouts, self.scale = dropouts, math.sqrt(width)
        self.convolution = TemporalConvolution(d_in, width)
        self.layers = nn.ModuleList(AttentionLayer(width, heads, dropouts) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.register_buffer("positions", sinusoids(steps, width), persistent=False)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        z = self.scale * self.convolution(values, mask) + self.positions[: values.shape[1]]
        z = dropout(z, self.dropouts.embedding, self.training)
        # A row without any valid step attends to all instead of to none, where some kernels give NaN; its
        # result is zeroed below.
        keys = (mask | ~mask.any(dim=1, keepdim=True))[:, None, None, :]
        for layer in self.layers:
            z = layer(z, keys)
        hidden: Tensor = self.norm(z)
        return hidden * mask.unsqueeze(-1)
