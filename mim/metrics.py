"""The field's measures of sentiment in [−3, 3], each convention under its own name; and of emotions.

    mae, corr             mean absolute error, Pearson's correlation, all utterances
    acc7, acc5            clipped to ±3 (±2) and rounded half to even, equal
    acc2_has0, f1_has0    negative / non-negative: all utterances, ≥ 0; accuracy and weighted F1
    acc2_non0, f1_non0    negative / positive: zero labels dropped, > 0
    magbert_*             zero labels dropped before everything, ≥ 0: mae, corr, acc2, f1, as MAG-BERT, MIB
                          and MIM report; not comparable with the others (22% of MOSEI's test labels are zero)

Emotions, each one felt (1) or not (0), predicted to be felt where the logit is positive:

    acc_E, f1_E           accuracy, F1 of felt and of not felt weighted by their numbers
    wacc_E                weighted accuracy: the mean of the recalls of felt and of not felt, as MOSEI has it
                          (Zadeh et al. 2018, after Tong et al. 2017)
    f1pos_E               F1 of felt alone
    acc, wacc, f1         means over the emotions; f1_macro: that of f1pos

A number that cannot be had (no utterances, constant predictions, one class) is None, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

EMPTY = "no utterances"
SINGLE = "a correlation needs two utterances"
CONSTANT = "constant predictions or labels have no correlation"
ONE_CLASS = "the labels are of one class, so the other has no recall"
UNFELT = "neither labelled nor predicted"
NOWHERE = "no emotion has it"
# Predictions are float32, which tells numbers apart that differ by 1e-7 of themselves.
FLAT = 1e-9
EMOTION_MEANS = {"acc": "acc", "wacc": "wacc", "f1": "f1", "f1_macro": "f1pos"}  # name → the mean of what


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
    """The measures of each emotion and their means; logits (n, E), felt (n, E) in {0, 1}, NaN where unlabelled."""
    scores = Scores()
    for i, name in enumerate(emotions):
        known = ~felt[:, i].isnan()
        _presence(scores, name, logits[known, i].cpu() > 0, felt[known, i].cpu() > 0.5)
    for mean, of in EMOTION_MEANS.items():
        found = [value for name in emotions if (value := scores.values[f"{of}_{name}"]) is not None]
        scores.put(mean, sum(found) / len(found) if found else None, NOWHERE)
    return scores


def _presence(scores: Scores, emotion: str, predicted: Tensor, true: Tensor) -> None:
    from torchmetrics.functional.classification import binary_f1_score, multiclass_accuracy

    accuracy, f1 = _accuracy_f1(predicted, true)
    scores.put(f"acc_{emotion}", accuracy, EMPTY)
    scores.put(f"f1_{emotion}", f1, EMPTY)
    both = len(true) and bool(true.any()) and not bool(true.all())
    recalls = multiclass_accuracy(predicted.long(), true.long(), 2, average="macro") if both else None
    scores.put(f"wacc_{emotion}", _number(recalls), ONE_CLASS if len(true) else EMPTY)
    somewhere = len(true) and bool((predicted | true).any())
    positive = binary_f1_score(predicted.long(), true.long()) if somewhere else None
    scores.put(f"f1pos_{emotion}", _number(positive), UNFELT if len(true) else EMPTY)


def _number(found: Tensor | None) -> float | None:
    return None if found is None else float(found)


def _levels(x: Tensor, limit: int) -> Tensor:
    return x.clamp(-limit, limit).round()  # torch rounds half to even, as numpy does


def _fraction(same: Tensor) -> float | None:
    return float(same.double().mean()) if len(same) else None


def _distance(scores: Scores, prefix: str, p: Tensor, y: Tensor) -> None:
    from torchmetrics.functional import mean_absolute_error, pearson_corrcoef

    scores.put(f"{prefix}mae", float(mean_absolute_error(p, y)) if len(y) else None, EMPTY)
    reason = _no_correlation(p, y)
    # Scaled first: torchmetrics warns of small variances, and they are none of a correlation's business.
    corr = None if reason else float(pearson_corrcoef(_scaled(p), _scaled(y)))
    scores.put(f"{prefix}corr", corr, reason)


def _no_correlation(p: Tensor, y: Tensor) -> str:
    """Why there is no correlation; empty where there is one."""
    if len(y) < 2:
        return SINGLE if len(y) else EMPTY
    return CONSTANT if _constant(p) or _constant(y) else ""


def _scaled(x: Tensor) -> Tensor:
    return (x - x.mean()) / (x.max() - x.min())


def _constant(x: Tensor) -> bool:
    return bool(x.max() - x.min() <= FLAT * x.abs().max())


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
