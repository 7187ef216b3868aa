"""MIM: encoders, purification, one classifier a modality, fusion. Losses are in objective.py.

    u_m = mean_t f(H_m[t])          unpurified, over the valid steps
    p_m = mean_t f(g_t H_m[t])      purified; divided by the valid steps, or (`mean="kept"`) by those kept
    C_m(u_m), C_m(p_m)              one linear map d → O a modality, shared by both
    ŷ = fusion(p_1, …, p_M)

`padding="masked"`: only valid steps take part in anything. `padding="reference"`: every row is T steps long
and all of them attend, are gated and are averaged in, as in the release; an utterance that lacks a modality
altogether still leaves it out. Zeng et al., IEEE TMM 26 (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mimdata.mim.batch import Batch
from mimdata.mim.config import TrainConfig
from mimdata.mim.encoders import Dropouts, TemporalConvolution, TransformerEncoder
from mimdata.mim.fusion import FusionName, fusion
from mimdata.mim.purification import Gates, Purifier
from mimdata.mim.text_encoder import TextEncoder

TEXT = "text"  # the modality whose encoder is a convolution over contextual states
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda x: x,
}


@dataclass(frozen=True)
class Output:
    """What the model makes of a batch; modalities are stacked in the order of the configuration.

    prediction (B, O); unpurified, purified (B, M, d); from_unpurified, from_purified (B, M, O), the
    classifiers' predictions; gates (B, M, L), 0 or 1; steps (B, M, L) bool, which took part; penalties (M,);
    present (B, M) bool, which modalities an utterance has.
    """

    prediction: Tensor
    unpurified: Tensor
    purified: Tensor
    from_unpurified: Tensor
    from_purified: Tensor
    gates: Tensor
    steps: Tensor
    penalties: Tensor
    present: Tensor


class Mim(nn.Module):
    """The model of `config` on features of `dims` {modality: d_in}, with O outputs.

    With a text encoder, the modality "text" comes from token ids, and its d_in from the encoder.
    """

    def __init__(
        self,
        config: TrainConfig,
        dims: Mapping[str, int],
        outputs: int = 1,
        text_encoder: TextEncoder | None = None,
    ) -> None:
        super().__init__()
        self.config, self.modalities = config, config.modalities
        self.text_encoder = text_encoder
        width, sizes = config.width, dict(dims)
        if text_encoder is not None:
            sizes[TEXT] = text_encoder.dim
        self.encoders = nn.ModuleDict({m: _encoder(m, sizes[m], config) for m in self.modalities})
        purified = self.modalities if config.purify else ()
        self.purifiers = nn.ModuleDict({m: Purifier(width, config.steps) for m in purified})
        self.classifiers = nn.ModuleDict({m: nn.Linear(width, outputs) for m in self.modalities})
        self.fusion = fusion(cast(FusionName, config.fusion), width, len(self.modalities), outputs)

    def purifier_parameters(self) -> list[nn.Parameter]:
        """What L_pen + Σ L^p trains."""
        return list(self.purifiers.parameters())

    def text_parameters(self) -> list[nn.Parameter]:
        """The weights of the text encoder, which has a learning rate of its own; none without one."""
        return [] if self.text_encoder is None else list(self.text_encoder.parameters())

    def forward(self, batch: Batch) -> Output:
        values, valid = dict(batch.values), dict(batch.valid)
        if self.text_encoder is not None:
            if batch.tokens is None:
                raise ValueError("a model with a text encoder needs a batch with tokens")
            values[TEXT], valid[TEXT] = self.text_encoder(batch.tokens, batch.valid[TEXT].shape[1])
            valid[TEXT] = valid[TEXT] & batch.valid[TEXT]
        branches = [self._branch(m, values[m], valid[m]) for m in self.modalities]
        columns = {
            name: torch.stack([b[name] for b in branches], dim=1)
            for name in branches[0]
            if name != "penalties"
        }
        penalties = torch.stack([b["penalties"] for b in branches])
        prediction = self.fusion(columns["purified"], columns["present"]).float()
        return Output(prediction=prediction, penalties=penalties, **columns)

    def _branch(self, modality: str, values: Tensor, valid: Tensor) -> dict[str, Tensor]:
        steps, present = valid, valid.any(dim=1)
        if self.config.padding == "reference":
            values, steps = self._whole(values, valid)
        hidden = self.encoders[modality](values, steps)
        gates = self._gates(modality, hidden, steps)
        unpurified, purified = self._means(hidden, steps, gates.open)
        classify = self.classifiers[modality]
        return {
            "unpurified": unpurified,
            "purified": purified,
            "from_unpurified": _wide(classify(unpurified)),
            "from_purified": _wide(classify(purified)),
            "gates": gates.open,
            "steps": steps,
            "penalties": gates.penalty,
            "present": present,
        }

    def _whole(self, values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """T steps for every row, zero where not valid, all of them taking part where the modality is present."""
        clean = torch.where(
            valid.unsqueeze(-1), values, torch.zeros((), dtype=values.dtype, device=values.device)
        )
        padded = functional.pad(clean, (0, 0, 0, self.config.steps - values.shape[1]))
        return padded, valid.any(dim=1, keepdim=True).expand(-1, self.config.steps)

    def _gates(self, modality: str, hidden: Tensor, steps: Tensor) -> Gates:
        if self.config.purify:
            return cast(Gates, self.purifiers[modality](hidden, steps))
        is_open = steps.to(hidden.dtype)
        return Gates(is_open, is_open, hidden.new_zeros(()))

    def _means(self, hidden: Tensor, steps: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
        f = ACTIVATIONS[self.config.activation]
        hidden = _wide(hidden)
        count = steps.sum(dim=1, keepdim=True)
        kept = gates.detach().sum(dim=1, keepdim=True) if self.config.mean == "kept" else count
        # f(0) = 0 for every f on offer, so steps that take no part add nothing.
        unpurified = f(hidden).sum(dim=1) / count.clamp(min=1)
        purified = f(gates.unsqueeze(-1) * hidden).sum(dim=1) / kept.clamp(min=1)
        return unpurified, purified


def _encoder(modality: str, d_in: int, config: TrainConfig) -> nn.Module:
    if modality == TEXT:
        return TemporalConvolution(d_in, config.width)
    dropouts = Dropouts(
        config.attention_dropout, config.relu_dropout, config.residual_dropout, config.embedding_dropout
    )
    return TransformerEncoder(d_in, config.width, config.steps, config.layers, config.heads, dropouts)


def _wide(x: Any) -> Tensor:
    """At least float32: losses and means are not taken in half precision."""
    tensor: Tensor = x
    return tensor if tensor.dtype == torch.float64 else tensor.float()
