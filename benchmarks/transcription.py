"""MIM's step written down plainly, as the release means it: what our own step is measured against.

From the paper's mathematics, in the layout of the release: sequences padded to T steps that all take part, attention
by explicit products and a softmax, three separate projections, a bidirectional LSTM, losses and teachers by batch
means, and a sequential update: the purifier's loss is back-propagated and its optimizer steps, then a second
forward pass gives everything's loss. No Python loop runs over time. The only inputs are (B, T, d) arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, STEPS, LAYERS, HEADS = 80, 50, 3, 5
ATTENTION_DROPOUT, RELU_DROPOUT, RESIDUAL_DROPOUT, EMBEDDING_DROPOUT = 0.5, 0.3, 0.3, 0.2
BETA, GAMMA, ZETA, LOCATION, OPEN = 1 / 3, -0.2, 1.0, 3.0, 0.6
MARGIN = 1e-6
TEXT = "text"

Draw = Callable[[Tensor], Tensor]


class PlainAttention(nn.Module):
    """softmax(Q Kᵀ / √(d/h)) V, each product written out."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.drop = nn.Dropout(ATTENTION_DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = (
            f(x).view(b, t, HEADS, d // HEADS).transpose(1, 2).reshape(b * HEADS, t, d // HEADS)
            for f in (self.q, self.k, self.v)
        )
        weights = torch.softmax(torch.bmm(q / math.sqrt(d // HEADS), k.transpose(1, 2)), dim=-1)
        mixed = torch.bmm(self.drop(weights), v)
        found: Tensor = self.out(mixed.view(b, HEADS, t, d // HEADS).transpose(1, 2).reshape(b, t, d))
        return found


class PlainLayer(nn.Module):
    """z + attention(norm z), then z + W_b relu(W_a norm z), with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = PlainAttention()
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.relu_drop, self.drop = nn.Dropout(RELU_DROPOUT), nn.Dropout(RESIDUAL_DROPOUT)

    def forward(self, z: Tensor) -> Tensor:
        z = z + self.drop(self.attention(self.norm1(z)))
        inner = self.relu_drop(torch.relu(self.up(self.norm2(z))))
        return z + self.drop(self.down(inner))


class PlainEncoder(nn.Module):
    """conv1d; for voice and face also positions, layers and a norm: (B, T, d_in) → (B, T, d)."""

    def __init__(self, d_in: int, layers: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(d_in, WIDTH, 3, padding=1, bias=False)
        self.layers = nn.ModuleList(PlainLayer() for _ in range(layers))
        self.norm, self.drop = nn.LayerNorm(WIDTH), nn.Dropout(EMBEDDING_DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv(x.transpose(1, 2)).transpose(1, 2)
        if not len(self.layers):
            return h
        half = WIDTH // 2
        rate = torch.exp(torch.arange(half, device=x.device) * (-math.log(10_000) / (half - 1)))
        angle = torch.arange(x.shape[1], device=x.device)[:, None] * rate
        h = self.drop(math.sqrt(WIDTH) * h + torch.cat([angle.sin(), angle.cos()], dim=1))
        for layer in self.layers:
            h = layer(h)
        normed: Tensor = self.norm(h)
        return normed


class PlainPurifier(nn.Module):
    """BiLSTM, a scalar a step, the bottleneck over T, the Hard Concrete gate: (B, T, d) → gates (B, T), penalty."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.draw = draw
        self.lstm = nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
        self.w1, self.w2 = nn.Linear(WIDTH, WIDTH // 2), nn.Linear(WIDTH // 2, 1)
        self.w3, self.w4 = nn.Linear(STEPS, STEPS // 5), nn.Linear(STEPS // 5, STEPS)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        states, _ = self.lstm(h)
        w = torch.relu(self.w2(torch.relu(self.w1(states)))).squeeze(-1)
        alpha = self.w4(torch.relu(self.w3(w))) + LOCATION
        u = self.draw(alpha) * (1 - 2 * MARGIN) + MARGIN
        s = torch.sigmoid((torch.log(u) - torch.log(1 - u) + alpha) / BETA)
        soft = (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)
        hard = (soft > OPEN).float()
        penalty = torch.sigmoid(alpha - BETA * math.log(-GAMMA / ZETA)).mean()
        return hard + soft - soft.detach(), penalty


@dataclass(frozen=True)
class PlainOutput:
    """By modality: p (B, d), C(u) and C(p) (B, 1), penalty; and the fused prediction (B, 1)."""

    purified: dict[str, Tensor]
    from_unpurified: dict[str, Tensor]
    from_purified: dict[str, Tensor]
    penalty: dict[str, Tensor]
    prediction: Tensor


class PlainMim(nn.Module):
    """MIM with concatenation, on features of `dims` {modality: d_in}; `draw` makes the gates' uniform noise."""

    def __init__(self, dims: Mapping[str, int], draw: Draw = torch.rand_like) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(
            {m: PlainEncoder(d, 0 if m == TEXT else LAYERS) for m, d in dims.items()}
        )
        self.purifiers = nn.ModuleDict({m: PlainPurifier(draw) for m in dims})
        self.classifiers = nn.ModuleDict({m: nn.Linear(WIDTH, 1) for m in dims})
        self.mix, self.head = nn.Linear(WIDTH * len(dims), WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, values: Mapping[str, Tensor]) -> PlainOutput:
        """values {modality: (B, T, d_in)}."""
        p, from_u, from_p, penalty = {}, {}, {}, {}
        for m, encoder in self.encoders.items():
            h = encoder(values[m])
            gate, penalty[m] = self.purifiers[m](h)
            u = torch.tanh(h).mean(dim=1)
            p[m] = torch.tanh(gate.unsqueeze(-1) * h).mean(dim=1)
            from_u[m], from_p[m] = self.classifiers[m](u), self.classifiers[m](p[m])
        prediction = self.head(torch.tanh(self.mix(torch.cat(list(p.values()), dim=1))))
        return PlainOutput(p, from_u, from_p, penalty, prediction)


def plain_losses(output: PlainOutput, y: Tensor) -> tuple[Tensor, Tensor]:
    """(the purifier's loss, everything's loss) of a batch; y (B, 1)."""
    u = {m: functional.l1_loss(c, y) for m, c in output.from_unpurified.items()}
    p = {m: functional.l1_loss(c, y) for m, c in output.from_purified.items()}
    of_purifier = 0.1 * sum(output.penalty.values(), y.new_zeros(())) + sum(p.values())
    of_all = sum(u.values()) + functional.l1_loss(output.prediction, y)
    return of_purifier, of_all + _intra(output, u, p) + _inter(output, p)


def _intra(output: PlainOutput, u: Mapping[str, Tensor], p: Mapping[str, Tensor]) -> Tensor:
    loss = output.prediction.new_zeros(())
    for m in u:
        if p[m] < u[m]:
            loss = loss + functional.mse_loss(output.from_unpurified[m], output.from_purified[m].detach())
        elif p[m] > u[m]:
            loss = loss + functional.mse_loss(output.from_purified[m], output.from_unpurified[m].detach())
    return loss


def _inter(output: PlainOutput, p: Mapping[str, Tensor]) -> Tensor:
    names = list(p)
    best = min(names, key=lambda m: float(p[m].detach()))
    with torch.no_grad():
        shares = {m: p[m] / torch.stack(list(p.values())).sum() for m in names}
        products = {m: torch.stack([1 + shares[k] for k in names if k != m]).prod() for m in names}
        tau = 10 * len(names) * products[best] / torch.stack(list(products.values())).sum()
    taught = torch.softmax(output.purified[best].detach(), dim=-1)
    loss = output.prediction.new_zeros(())
    for m in names:
        if m != best:
            logs = torch.log_softmax(output.purified[m], dim=-1)
            loss = loss + functional.kl_div(logs, taught, reduction="batchmean")
    return 0.5 * tau**2 * loss


class PlainStep:
    """One sequential update of a model, and of a text encoder where one is given."""

    def __init__(self, model: PlainMim, encoder: Any = None, lr: float = 1e-3, text_lr: float = 1e-5) -> None:
        self.model, self.encoder = model, encoder
        groups = [{"params": list(model.parameters()), "lr": lr}]
        if encoder is not None:
            groups.append({"params": list(encoder.parameters()), "lr": text_lr})
        self.purifier = torch.optim.Adam(model.purifiers.parameters(), lr=lr)
        self.everything = torch.optim.Adam(groups)

    def __call__(self, values: Mapping[str, Tensor], y: Tensor, tokens: tuple[Tensor, Tensor] | None) -> None:
        """values {modality: (B, T, d)}, y (B, 1), tokens: ids and mask (B, T) where the encoder learns too."""
        self.everything.zero_grad()
        self._losses(values, y, tokens)[0].backward()
        self.purifier.step()
        self.everything.zero_grad()
        self._losses(values, y, tokens)[1].backward()
        self.everything.step()

    def _losses(
        self, values: Mapping[str, Tensor], y: Tensor, tokens: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        if self.encoder is not None and tokens is not None:
            ids, mask = tokens
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            values = {**values, TEXT: states}
        return plain_losses(self.model(values), y)
