"""A model on one split: predictions, their loss and their measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mimdata.mim.loader import Feed
from mimdata.mim.metrics import Scores, concatenated, task_scores
from mimdata.mim.model import Mim
from mimdata.mim.objective import errors, targets


@dataclass(frozen=True)
class Evaluation:
    """predictions (n, O) and target (n, O) in the dataset's order, on the CPU; loss: that of the fused prediction."""

    clip_ids: tuple[str, ...]
    predictions: Tensor
    target: Tensor
    loss: float | None
    scores: Scores

    def to_json(self) -> dict[str, Any]:
        """Number of utterances, loss and measures; where a measure is null, `reasons` says why."""
        content: dict[str, Any] = {"n": len(self.clip_ids), "loss": self.loss, **self.scores.values}
        return content | ({"reasons": self.scores.reasons} if self.scores.reasons else {})


def evaluate(model: Mim, feed: Feed, device: torch.device | str) -> Evaluation:
    """The labelled utterances of a split through the model without noise. Leaves the model in its mode."""
    training, task, dataset = model.training, model.config.task, feed.dataset
    model.eval()
    ids: list[str] = []
    predictions, target = [], []
    with torch.inference_mode():
        for batch in feed.batches():
            predictions.append(model(batch.to(device)).prediction.cpu())
            target.append(targets(batch, task))
            ids += batch.clip_ids
    model.train(training)
    width = 1 if task == "sentiment" else len(dataset.emotions)
    p, y = concatenated(predictions, width), concatenated(target, width)
    loss = float(errors(p, y, task).mean()) if ids else None
    return Evaluation(tuple(ids), p, y, loss, task_scores(p, y, task, dataset.emotions))
