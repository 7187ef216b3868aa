"""What a trained model made of an utterance: gates of each word, predictions of each modality, who taught."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from mimdata.mim.batch import Batch
from mimdata.mim.guidance import adjuster, teachers
from mimdata.mim.model import Mim
from mimdata.mim.objective import errors, targets
from mimdata.mim.purification import GAMMA, ZETA, Gates

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class WordGate:
    """A modality's gate on a word. gate: 0 or 1; openness: clip(σ(α)(ζ−γ)+γ, 0, 1); both last None unpurified."""

    gate: int
    openness: float | None
    alpha: float | None


@dataclass(frozen=True)
class Branch:
    """One modality: a gate a word, None where it has no value; O predictions each, none where it is absent.

    loss is L^p, weight is α_m, within is what taught within it ("purified", "unpurified" or "neither", when
    both err alike); these need a label and a modality that is present, else they are None.
    """

    gates: tuple[WordGate | None, ...]
    unpurified: Numbers | None
    purified: Numbers | None
    loss: float | None
    weight: float | None
    within: str | None


@dataclass(frozen=True)
class Explanation:
    """One utterance: prediction and label of O outputs (emotions: logits, and 0 or 1; NaN labels are None).

    teacher: the modality with the smallest L^p; None without a label. Losses are those of this utterance,
    whatever granularity the model was trained with.
    """

    clip_id: str
    prediction: Numbers
    label: tuple[float | None, ...] | None
    teacher: str | None
    modalities: Mapping[str, Branch]

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)


def explain(model: Mim, batch: Batch) -> list[Explanation]:
    """B explanations of a batch of B utterances; each has `lengths[i]` words. Draws no noise, keeps the mode."""
    training = model.training
    model.eval()
    with torch.inference_mode(), _locations(model) as alphas:
        output = model(batch)
    model.train(training)
    target = targets(batch, model.config.task)
    u = errors(output.from_unpurified, target.unsqueeze(1), model.config.task)
    p = errors(output.from_purified, target.unsqueeze(1), model.config.task)
    teacher, _ = teachers(p, output.present)
    weights = adjuster(p, output.present)
    known = ~target.isnan()
    found = []
    for i, clip_id in enumerate(batch.clip_ids):
        labelled = bool(known[i].any())
        branches = {}
        for k, m in enumerate(model.modalities):
            present = bool(output.present[i, k])
            taught = labelled and present
            n = int(batch.lengths[i])
            has = batch.valid[m][i, :n] & output.steps[i, k, :n]
            alpha = alphas[m][i, :n] if m in alphas else None
            branches[m] = Branch(
                _gates(output.gates[i, k, :n], has, alpha),
                _numbers(output.from_unpurified[i, k]) if present else None,
                _numbers(output.from_purified[i, k]) if present else None,
                float(p[i, k]) if taught else None,
                float(weights[i, k]) if taught else None,
                _within(float(u[i, k]), float(p[i, k])) if taught else None,
            )
        who = model.modalities[int(teacher[i])] if labelled and bool(output.present[i].any()) else None
        label = tuple(None if v != v else v for v in _numbers(target[i])) if labelled else None
        found.append(Explanation(clip_id, _numbers(output.prediction[i]), label, who, branches))
    return found


@contextmanager
def _locations(model: Mim) -> Iterator[dict[str, Tensor]]:
    """Collects each purifier's α (B, L) while the model runs."""
    alphas: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, gates: Gates) -> None:
            alphas[name] = gates.alpha

        return hook

    handles = [model.purifiers[m].register_forward_hook(keep(m)) for m in model.purifiers]
    try:
        yield alphas
    finally:
        for handle in handles:
            handle.remove()


def _gates(gates: Tensor, has: Tensor, alpha: Tensor | None) -> tuple[WordGate | None, ...]:
    """(n,) gates, whether there is a value, α or None."""
    if alpha is None:
        return tuple(WordGate(int(g), None, None) if h else None for g, h in zip(gates, has, strict=True))
    soft = (torch.sigmoid(alpha) * (ZETA - GAMMA) + GAMMA).clamp(0, 1)
    columns = zip(gates.tolist(), soft.tolist(), alpha.tolist(), has.tolist(), strict=True)
    return tuple(WordGate(int(g), s, a) if h else None for g, s, a, h in columns)


def _within(unpurified: float, purified: float) -> str:
    if unpurified == purified:
        return "neither"
    return "purified" if purified < unpurified else "unpurified"


def _numbers(values: Tensor) -> Numbers:
    return tuple(float(v) for v in values)
