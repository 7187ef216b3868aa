"""A model on one split: predictions, their loss and their measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mimdata.mim.batch import Batch, TokenBatch
from mimdata.mim.bootstrap import intervals as bootstrapped
from mimdata.mim.loader import Feed
from mimdata.mim.metrics import Scores, concatenated, task_scores
from mimdata.mim.model import TEXT, Mim
from mimdata.mim.objective import errors, targets
from mimdata.pipeline.errors import MimdataError


@dataclass(frozen=True)
class Evaluation:
    """predictions (n, O) and target (n, O) in the dataset's order, on the CPU; loss: that of the fused prediction.

    unimodal (n, M, O): each classifier's prediction from its purified representation, NaN where an utterance
    lacks the modality. outputs: the names of the O outputs. Emotions are logits.
    """

    clip_ids: tuple[str, ...]
    predictions: Tensor
    target: Tensor
    loss: float | None
    scores: Scores
    unimodal: Tensor
    modalities: tuple[str, ...]
    task: str
    outputs: tuple[str, ...]

    @property
    def without_any(self) -> int:
        """Utterances that none of the modalities says anything of: their prediction is the model's constant."""
        return int(self.unimodal.isnan().all(dim=2).all(dim=1).sum())

    def to_json(self, *, intervals: bool = False) -> dict[str, Any]:
        """Number of utterances, loss and measures; where a measure is null, `reasons` says why.

        With `intervals`, also {measure: [low, high]} as bootstrap.py has them, null where there is none.
        """
        content: dict[str, Any] = {"n": len(self.clip_ids), "loss": self.loss, **self.scores.values}
        if intervals:
            found = bootstrapped(self.predictions, self.target, self.task, self.outputs)
            content["intervals"] = {name: pair and list(pair) for name, pair in found.items()}
        return content | ({"reasons": self.scores.reasons} if self.scores.reasons else {})


def evaluate(
    model: Mim, feed: Feed, device: torch.device | str, absent: Mapping[str, int] | None = None
) -> Evaluation:
    """The labelled utterances of a split through the model without noise. Leaves the model in its mode.

    absent: modalities of the model that the feed does not read, and their dims; no utterance then has them.
    Raises MimdataError where a prediction is not finite.
    """
    training, task, dataset = model.training, model.config.task, feed.dataset
    model.eval()
    ids: list[str] = []
    predictions, unimodal, target = [], [], []
    with torch.inference_mode():
        for batch in feed.batches():
            output = model(without(batch, absent or {}).to(device))
            predictions.append(output.prediction.cpu())
            alone = output.from_purified.masked_fill(~output.present.unsqueeze(-1), torch.nan)
            unimodal.append(alone.cpu())
            target.append(targets(batch, task))
            ids += batch.clip_ids
    model.train(training)
    outputs = ("sentiment",) if task == "sentiment" else dataset.emotions
    shape = len(ids), len(model.modalities), len(outputs)
    p, y = concatenated(predictions, len(outputs)), concatenated(target, len(outputs))
    if not p.isfinite().all():
        first = ids[int((~p.isfinite()).any(dim=1).nonzero()[0])]
        raise MimdataError(
            f"the model's predictions are not finite, first that of {first} in the {feed.split} split: its weights or "
            "its features are damaged; train again with a lower lr, or align again"
        )
    return Evaluation(
        clip_ids=tuple(ids),
        predictions=p,
        target=y,
        loss=float(errors(p, y, task).mean()) if ids else None,
        scores=task_scores(p, y, task, dataset.emotions),
        unimodal=concatenated([u.flatten(1) for u in unimodal], shape[1] * shape[2]).reshape(shape),
        modalities=model.modalities,
        task=task,
        outputs=outputs,
    )


def without(batch: Batch, absent: Mapping[str, int]) -> Batch:
    """The batch with modalities that no utterance has, of the given dims."""
    if not absent:
        return batch
    shape = next(iter(batch.valid.values())).shape
    values = {m: torch.zeros(*shape, dim) for m, dim in absent.items()}
    valid = {m: torch.zeros(shape, dtype=torch.bool) for m in absent}
    tokens = batch.tokens
    if (
        TEXT in absent and tokens is None
    ):  # a text encoder reads one token of padding, which belongs to no word
        one = len(batch), 1
        tokens = TokenBatch(
            torch.zeros(one, dtype=torch.int64),
            torch.ones(one, dtype=torch.bool),
            torch.full(one, -1),
        )
    return replace(batch, values={**batch.values, **values}, valid={**batch.valid, **valid}, tokens=tokens)
