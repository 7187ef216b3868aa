"""KGS, knowledge guidance: the better representation teaches, within a modality and between modalities.

    intra:     Σ_m 1[L_m^p < L_m^u]·(C(u_m) − sg C(p_m))² + 1[L_m^p > L_m^u]·(C(p_m) − sg C(u_m))²
    adjuster:  λ_m = L_m^p / Σ_k L_k^p,   α_m = M (1+λ_m)⁻¹ / Σ_k (1+λ_k)⁻¹      no gradient; M = 3 in the paper
    inter:     ½ τ² Σ_students KL(softmax(sg p_teacher) ‖ softmax(p_student)),  τ = 10·α_teacher

The teacher between modalities is the one with the smallest L^p. `granularity="sample"` compares the losses
of each utterance, as the paper's words ask; `"batch"` compares batch means, as the release does.
`distillation="scaled"` uses τ as a scale alone, as the release does; `"tempered"` also divides by τ inside
both softmaxes (Hinton et al. 2015). Tensors are stacked by modality: errors (B, M), representations
(B, M, d), `present` (B, M) bool. A modality that an utterance lacks neither teaches nor learns there, and
M counts the modalities that are present.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Granularity = Literal["sample", "batch"]
Distillation = Literal["scaled", "tempered"]
TEMPERATURE = 10.0  # τ = 10·α_teacher; Zeng et al. 2024


def mean_where(values: Tensor, mask: Tensor, dim: int = 0) -> Tensor:
    """Mean of the values along `dim` where the mask is True; zero where it is nowhere."""
    weights = mask.to(values.dtype)
    return (values * weights).sum(dim) / weights.sum(dim).clamp(min=1)


def adjuster(errors: Tensor, present: Tensor) -> Tensor:
    """α (…, M) from errors (…, M) ≥ 0: the smaller a modality's loss, the larger its α; they add up to M.

    Without gradient. Zero for absent modalities. When all losses are zero all λ are equal.
    """
    with torch.no_grad():
        weights = present.to(errors.dtype)
        count = weights.sum(-1, keepdim=True)
        total = (errors * weights).sum(-1, keepdim=True)
        even = weights / count.clamp(min=1)
        tiny = torch.finfo(errors.dtype).tiny
        share = torch.where(total > 0, errors * weights / total.clamp(min=tiny), even)
        inverse = weights / (1 + share)
        return count * inverse / inverse.sum(-1, keepdim=True).clamp(min=tiny)


def intra_modal(
    from_unpurified: Tensor,
    from_purified: Tensor,
    error_unpurified: Tensor,
    error_purified: Tensor,
    present: Tensor,
    granularity: Granularity = "sample",
) -> Tensor:
    """The scalar loss within modalities: predictions (B, M, O), their errors (B, M), present (B, M).

    Sum over modalities of the mean over the utterances that have it. Equal errors teach nothing.
    """
    u, p = error_unpurified.detach(), error_purified.detach()
    if granularity == "batch":
        u, p = mean_where(u, present).expand_as(u), mean_where(p, present).expand_as(p)
    learn_u = (from_unpurified - from_purified.detach()).square().mean(-1)
    learn_p = (from_purified - from_unpurified.detach()).square().mean(-1)
    return mean_where((p < u) * learn_u + (p > u) * learn_p, present).sum()


def teachers(errors: Tensor, present: Tensor, granularity: Granularity = "sample") -> tuple[Tensor, Tensor]:
    """Who teaches in each utterance, (B,) index of a modality, and its α, (B,).

    The first of equal ones. By `"batch"` it is the same for all, and an utterance may lack it.
    """
    losses, there = errors.detach(), present
    if granularity == "batch":
        losses, there = mean_where(losses, present).unsqueeze(0), present.any(0, keepdim=True)
    best = losses.masked_fill(~there, torch.inf).argmin(-1, keepdim=True)
    alpha = adjuster(losses, there).gather(-1, best)
    return best.squeeze(-1).expand(len(errors)), alpha.squeeze(-1).expand(len(errors))


def inter_modal(
    purified: Tensor,
    errors: Tensor,
    present: Tensor,
    granularity: Granularity = "sample",
    distillation: Distillation = "scaled",
) -> Tensor:
    """The scalar loss between modalities: p (B, M, d), L^p (B, M), present (B, M).

    Mean over the utterances in which there is a teacher and somebody to teach; zero when there is none.
    """
    teacher, alpha = teachers(errors, present, granularity)
    tau = TEMPERATURE * alpha
    divisor = tau[:, None, None] if distillation == "tempered" else 1.0
    logs = torch.log_softmax(purified / divisor, dim=-1)
    at = teacher[:, None, None].expand(-1, 1, purified.shape[-1])
    taught = logs.detach().gather(1, at)
    divergence = (taught.exp() * (taught - logs)).sum(-1)
    index = torch.arange(present.shape[1], device=present.device)
    students = present & (index != teacher[:, None]) & present.gather(1, teacher[:, None])
    each = 0.5 * tau.square() * (divergence * students).sum(-1)
    return mean_where(each, students.any(-1))
