"""The field's measures of sentiment in [−3, 3], each convention under its own name; and of emotions.

    mae, corr             mean absolute error, Pearson's correlation, all utterances
    acc7, acc5            clipped to ±3 (±2) and rounded half to even, equal
    acc2_has0, f1_has0    negative / non-negative: all utterances, ≥ 0; accuracy and weighted F1
    acc2_non0, f1_non0    negative / positive: zero labels dropped, > 0
    magbert_*             zero labels dropped before everything, ≥ 0: mae, corr, acc2, f1, as MAG-BERT, MIB
                          and MIM report; not comparable with the others (22% of MOSEI's test labels are zero)

Emotions: accuracy and weighted F1 of presence (logit > 0) for each emotion, and their means. A number that
cannot be had (no utterances, constant predictions) is None, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

EMPTY = "no utterances"
CONSTANT = "constant predictions or labels have no correlation"


@dataclass
class Scores:
    """values: each measure, None where there is none; reasons: why, by measure."""

    values: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: float | None, reason: str = "") -> None:
        """Note a measure, or why there is none."""
        self.values[name] = value
        if value is None:
            self.reasons[name] = reason


def sentiment_scores(predictions: Tensor, labels: Tensor) -> Scores:
    """All measures of predictions (n,) and labels (n,), in float64."""
    p, y = predictions.detach().double().cpu(), labels.detach().double().cpu()
    scores, nonzero = Scores(), y != 0
    _distance(scores, "", p, y)
    for limit in (3, 2):
        same = _levels(p, limit) == _levels(y, limit)
        scores.put(f"acc{2 * limit + 1}", _fraction(same), EMPTY)
    _binary(scores, "_has0", p >= 0, y >= 0)
    _binary(scores, "_non0", p[nonzero] > 0, y[nonzero] > 0)
    _distance(scores, "magbert_", p[nonzero], y[nonzero])
    accuracy, f1 = _accuracy_f1(p[nonzero] >= 0, y[nonzero] >= 0)
    scores.put("magbert_acc2", accuracy, EMPTY)
    scores.put("magbert_f1", f1, EMPTY)
    return scores


def emotion_scores(logits: Tensor, felt: Tensor, emotions: Sequence[str]) -> Scores:
    """Accuracy and weighted F1 of each emotion; logits (n, E), felt (n, E) in {0, 1}, NaN where unlabelled."""
    scores = Scores()
    pairs = []
    for i, name in enumerate(emotions):
        known = ~felt[:, i].isnan()
        accuracy, f1 = _accuracy_f1(logits[known, i].cpu() > 0, felt[known, i].cpu() > 0.5)
        scores.put(f"acc_{name}", accuracy, EMPTY)
        scores.put(f"f1_{name}", f1, EMPTY)
        pairs += [(accuracy, f1)] if accuracy is not None and f1 is not None else []
    for k, name in enumerate(("acc", "f1")):
        scores.put(name, sum(pair[k] for pair in pairs) / len(pairs) if pairs else None, EMPTY)
    return scores


def _levels(x: Tensor, limit: int) -> Tensor:
    return x.clamp(-limit, limit).round()  # torch rounds half to even, as numpy does


def _fraction(same: Tensor) -> float | None:
    return float(same.double().mean()) if len(same) else None


def _distance(scores: Scores, prefix: str, p: Tensor, y: Tensor) -> None:
    from torchmetrics.functional import mean_absolute_error, pearson_corrcoef

    scores.put(f"{prefix}mae", float(mean_absolute_error(p, y)) if len(y) else None, EMPTY)
    constant = len(y) < 2 or float(p.max() - p.min()) == 0 or float(y.max() - y.min()) == 0
    scores.put(
        f"{prefix}corr", None if constant else float(pearson_corrcoef(p, y)), CONSTANT if len(y) else EMPTY
    )


def _binary(scores: Scores, suffix: str, predicted: Tensor, true: Tensor) -> None:
    accuracy, f1 = _accuracy_f1(predicted, true)
    scores.put(f"acc2{suffix}", accuracy, EMPTY)
    scores.put(f"f1{suffix}", f1, EMPTY)


def _accuracy_f1(predicted: Tensor, true: Tensor) -> tuple[float | None, float | None]:
    if not len(true):
        return None, None
    from torchmetrics.functional.classification import multiclass_f1_score

    f1 = multiclass_f1_score(predicted.long(), true.long(), num_classes=2, average="weighted")
    return _fraction(predicted == true), float(f1)


def task_scores(predictions: Tensor, target: Tensor, task: str, emotions: Sequence[str]) -> Scores:
    """The measures of a task from predictions (n, O) and target (n, O)."""
    if task == "sentiment":
        return sentiment_scores(predictions.flatten(), target.flatten())
    return emotion_scores(predictions, target, emotions)


def concatenated(parts: Sequence[Tensor], width: int) -> Tensor:
    """Batches' tensors as one (n, width), also when there is none."""
    return torch.cat(list(parts)) if parts else torch.zeros(0, width)
