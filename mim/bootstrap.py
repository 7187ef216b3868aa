"""Bootstrap intervals of the measures: how far they move when other utterances had been drawn for the split.

Percentile intervals (Efron 1979): the split's n utterances are drawn n times with replacement, over and over, and
every measure is taken of each draw. They cover the sampling of utterances, not of seeds or of training data, and
take utterances as independent, which those of one video are not quite.

Every measure of metrics.py is a function of sums over utterances. So a draw is a vector of counts (n,), R draws
are a matrix (R, n), and its product with the measure's terms (n, k) gives all sums at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mimdata.mim.metrics import EMOTION_MEANS, FLAT

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Interval = tuple[float, float]

RESAMPLES = 1000
LEVEL = 0.95
SEED = 20240229  # any number; equal predictions get equal intervals
ENOUGH = 0.95  # share of the draws that must have the measure, else its interval would be of easier draws
ROUNDING = 1e-12  # variance, in ranges squared, below which a draw's values are all one: differences of sums leave 1e-16
HELD = 4_000_000  # counts held at once, 32 MB


@dataclass(frozen=True)
class Summed:
    """A measure as sums: terms, each (n,), and the measure (R,) of their sums, (R,) each; NaN where undefined."""

    terms: tuple[Float64, ...]
    of: Callable[..., Float64]


Measures = Mapping[str, Summed]


def intervals(
    predictions: Tensor, target: Tensor, task: str, emotions: Sequence[str], resamples: int = RESAMPLES
) -> dict[str, Interval | None]:
    """[low, high] of each measure of `task_scores` at 95%; None where 5% of the draws or more lack the measure.

    predictions (n, O) and target (n, O), NaN where unlabelled. Equal input gives equal intervals.
    """
    drawn = drawn_measures(predictions, target, task, emotions, resamples)
    return {name: _percentiles(values) for name, values in drawn.items()}


def drawn_measures(
    predictions: Tensor, target: Tensor, task: str, emotions: Sequence[str], resamples: int
) -> dict[str, Float64]:
    """Each measure (R,) of each draw, NaN where a draw lacks it."""
    n = len(predictions)
    if not n:
        return {}
    random, size = np.random.default_rng(SEED), max(1, HELD // n)
    measures = summed_measures(predictions, target, task, emotions)
    parts = []
    for first in range(0, resamples, size):
        rows = min(size, resamples - first)
        parts.append(measured(measures, draws(random, n, rows), emotions if task == "emotions" else ()))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def draws(random: np.random.Generator, n: int, resamples: int) -> Float64:
    """(R, n): how often each of n utterances came up in n drawings with replacement; each row sums to n."""
    chosen = random.integers(0, n, size=(resamples, n))
    chosen += np.arange(resamples)[:, None] * n
    counts = np.bincount(chosen.ravel(), minlength=resamples * n)
    return counts.reshape(resamples, n).astype(np.float64)


def measured(measures: Measures, counts: Float64, emotions: Sequence[str] = ()) -> dict[str, Float64]:
    """Each measure (R,) of utterances that count (R, n) times; with the means over the emotions."""
    sums = counts @ np.stack([term for measure in measures.values() for term in measure.terms], axis=1)
    found, at = {}, 0
    with np.errstate(divide="ignore", invalid="ignore"):  # what is undefined becomes NaN
        for name, measure in measures.items():
            end = at + len(measure.terms)
            found[name] = measure.of(*sums[:, at:end].T)
            at = end
        for mean, of in EMOTION_MEANS.items() if emotions else ():
            each = np.stack([found[f"{of}_{name}"] for name in emotions])
            there = ~np.isnan(each)
            found[mean] = np.where(there, each, 0).sum(0) / there.sum(0)
    return found


def summed_measures(predictions: Tensor, target: Tensor, task: str, emotions: Sequence[str]) -> Measures:
    """The measures of `task_scores`, without means over emotions, as sums over utterances."""
    p, y = (x.detach().double().cpu().numpy() for x in (predictions, target))
    if task == "sentiment":
        return _sentiment(p.ravel(), y.ravel())
    measures: dict[str, Summed] = {}
    for i, name in enumerate(emotions):
        known = ~np.isnan(y[:, i])
        predicted, true = p[:, i] > 0, y[:, i] > 0.5
        measures |= {
            f"acc_{name}": _mean(predicted == true, known),
            f"f1_{name}": Summed(_confusion(predicted, true, known), _weighted_f1),
            f"wacc_{name}": Summed(_confusion(predicted, true, known), _mean_recall),
            f"f1pos_{name}": Summed(_confusion(predicted, true, known)[:3], _f1),
        }
    return measures


def _sentiment(p: Float64, y: Float64) -> Measures:
    every, some = np.ones(len(y), np.bool_), y != 0
    measures = {"mae": _mean(np.abs(p - y), every), "corr": _correlation(p, y, every)}
    for limit in (3, 2):
        same = np.round(np.clip(p, -limit, limit)) == np.round(np.clip(y, -limit, limit))
        measures[f"acc{2 * limit + 1}"] = _mean(same, every)
    for prefix, suffix, predicted, true, where in (
        ("", "_has0", p >= 0, y >= 0, every),
        ("", "_non0", p > 0, y > 0, some),
        ("magbert_", "", p >= 0, y >= 0, some),
    ):
        measures[f"{prefix}acc2{suffix}"] = _mean(predicted == true, where)
        measures[f"{prefix}f1{suffix}"] = Summed(_confusion(predicted, true, where), _weighted_f1)
    measures["magbert_mae"] = _mean(np.abs(p - y), some)
    measures["magbert_corr"] = _correlation(p, y, some)
    return measures


def _mean(values: npt.NDArray[np.generic], where: Bool) -> Summed:
    """The mean of (n,) values over the utterances that take part."""
    return Summed((_kept(values, where), where.astype(np.float64)), lambda total, n: total / n)


def _correlation(p: Float64, y: Float64, where: Bool) -> Summed:
    """Pearson's r from sums. Centred and scaled first, so that little is lost by taking differences of squares."""
    a, b = (_standard(x, where) for x in (p, y))
    terms = (where.astype(np.float64), a, b, a * a, b * b, a * b)

    def of(n: Float64, sa: Float64, sb: Float64, aa: Float64, bb: Float64, ab: Float64) -> Float64:
        va, vb = aa - sa * sa / n, bb - sb * sb / n
        defined = (va > ROUNDING * n) & (vb > ROUNDING * n)
        return np.where(defined, ((ab - sa * sb / n) / np.sqrt(va * vb)).clip(-1, 1), np.nan)

    return Summed(terms, of)


def _standard(x: Float64, where: Bool) -> Float64:
    """(n,) with mean 0 and range 1 over the utterances that take part; 0 where these are constant, and elsewhere."""
    inside = x[where]
    spread = inside.max() - inside.min() if len(inside) else 0.0
    if not len(inside) or spread <= FLAT * np.abs(inside).max():
        return np.zeros(len(x))
    return _kept((x - inside.mean()) / spread, where)


def _confusion(predicted: Bool, true: Bool, where: Bool) -> tuple[Float64, ...]:
    """Terms of true positives, false positives, false and true negatives."""
    cells = (predicted & true, predicted & ~true, ~predicted & true, ~predicted & ~true)
    return tuple((cell & where).astype(np.float64) for cell in cells)


def _weighted_f1(tp: Float64, fp: Float64, fn: Float64, tn: Float64) -> Float64:
    """F1 of both classes, weighted by their numbers; a class that does not occur weighs nothing."""
    positive = np.where(tp + fn > 0, (tp + fn) * _f1(tp, fp, fn), 0)
    negative = np.where(tn + fp > 0, (tn + fp) * _f1(tn, fn, fp), 0)
    weighted: Float64 = (positive + negative) / (tp + fp + fn + tn)
    return weighted


def _f1(tp: Float64, fp: Float64, fn: Float64) -> Float64:
    f1: Float64 = 2 * tp / (2 * tp + fp + fn)
    return f1


def _mean_recall(tp: Float64, fp: Float64, fn: Float64, tn: Float64) -> Float64:
    recall: Float64 = (tp / (tp + fn) + tn / (tn + fp)) / 2
    return recall


def _kept(values: npt.NDArray[np.generic], where: Bool) -> Float64:
    kept: Float64 = np.where(where, values, 0).astype(np.float64)
    return kept


def _percentiles(values: Float64) -> Interval | None:
    there = values[~np.isnan(values)]
    if len(there) < ENOUGH * len(values):
        return None
    low, high = np.percentile(there, (50 * (1 - LEVEL), 50 * (1 + LEVEL)))
    return float(low), float(high)
