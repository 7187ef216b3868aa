"""The losses of one batch, in the two sets that are optimised apart.

    L_m^u = |C_m(u_m) − y|,  L_m^p = |C_m(p_m) − y|,  L_cls = |ŷ − y|          (emotions: cross entropy)
    the purifier:  0.1 · Σ_m P_m + Σ_m L_m^p
    everything:    Σ_m L_m^u + L_inter + L_intra + L_cls

A modality's losses are means over the utterances that have it. Zeng et al. 2024; guidance.py has L_inter, L_intra.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from mimdata.mim.batch import Batch
from mimdata.mim.config import TrainConfig
from mimdata.mim.guidance import Distillation, Granularity, inter_modal, intra_modal, mean_where
from mimdata.mim.model import Output


@dataclass(frozen=True)
class Losses:
    """Scalars: Σ L^u, Σ L^p, L_pen (weighted), L_intra, L_inter, L_cls."""

    unpurified: Tensor
    purified: Tensor
    penalty: Tensor
    intra: Tensor
    inter: Tensor
    fused: Tensor

    @property
    def purifier(self) -> Tensor:
        """What the purifier alone learns from."""
        return self.penalty + self.purified

    @property
    def everything(self) -> Tensor:
        """What all weights learn from, the purifier's included."""
        return self.unpurified + self.inter + self.intra + self.fused

    def named(self) -> dict[str, Tensor]:
        """Each part by its name, without gradients."""
        return {name: part.detach() for name, part in vars(self).items()}


def targets(batch: Batch, task: str) -> Tensor:
    """(B, O): the sentiment, or for each emotion 1 where it is felt (intensity > 0) else 0; NaN unlabelled."""
    if task == "sentiment":
        return batch.sentiment.unsqueeze(-1)
    felt = (batch.emotions > 0).to(batch.emotions.dtype)
    return torch.where(batch.emotions.isnan(), batch.emotions, felt)


def errors(predictions: Tensor, target: Tensor, task: str) -> Tensor:
    """Error of each sample, (B, …) from predictions (B, …, O) and target (B, …, O), mean over known labels.

    sentiment: |ŷ − y|. emotions: binary cross entropy of the logit. Zero where no label is known.
    """
    known = ~target.isnan()
    y = torch.where(known, target, torch.zeros_like(target)).expand_as(predictions)
    if task == "sentiment":
        each = (predictions - y).abs()
    else:
        each = functional.binary_cross_entropy_with_logits(predictions, y, reduction="none")
    return mean_where(each, known.expand_as(each), dim=-1)


def losses(output: Output, target: Tensor, config: TrainConfig) -> Losses:
    """All losses of a batch: what the model made of it and target (B, O)."""
    per_modality = target.unsqueeze(1)
    u = errors(output.from_unpurified, per_modality, config.task)
    p = errors(output.from_purified, per_modality, config.task)
    nothing = output.prediction.new_zeros(())
    granularity = cast(Granularity, config.granularity)
    intra = (
        intra_modal(output.from_unpurified, output.from_purified, u, p, output.present, granularity)
        if config.intra
        else nothing
    )
    inter = (
        inter_modal(output.purified, p, output.present, granularity, cast(Distillation, config.distillation))
        if config.inter
        else nothing
    )
    return Losses(
        unpurified=mean_where(u, output.present).sum(),
        purified=mean_where(p, output.present).sum(),
        penalty=config.penalty * output.penalties.sum(),
        intra=intra,
        inter=inter,
        fused=errors(output.prediction, target, config.task).mean(),
    )
