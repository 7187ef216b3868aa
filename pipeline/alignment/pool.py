"""Frames to words: average each track over each word's interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.records import Bool, Float32, Int32, Tokens, Track

Weights = Literal["overlap", "mean"]
Statistic = Literal["mean", "std", "max"]

# A shorter overlap is rounding, not sound: float32 seconds are 4 µs apart at one minute.
SLIVER = 1e-5
SDK_SLIVER = 1e-3  # what the CMU Multimodal SDK takes for no overlap ("epsilon" in its dataset.py)

_Int = npt.NDArray[np.int64]
_Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pooled:
    """Features of w words.

    statistics maps "mean", "std" or "max" to (w, d) float32, zero where not valid. frames (w,) int32: the
    frames (or word pieces) that were pooled. valid (w,) bool: at least one was. nearest (w,) bool: the word is
    shorter than a frame and took the nearest one.
    """

    statistics: Mapping[str, Float32]
    frames: Int32
    valid: Bool
    nearest: Bool


@dataclass(frozen=True)
class _Pairs:
    """p pairs of a word and a frame that belong together, ordered by word: indices and weights, each (p,).

    No weights where all pairs count alike.
    """

    word: _Int
    frame: _Int
    weight: _Float | None

    def __getitem__(self, chosen: Bool) -> _Pairs:
        weight = None if self.weight is None else self.weight[chosen]
        return _Pairs(self.word[chosen], self.frame[chosen], weight)


def pool(
    track: Track,
    intervals: Float32,
    statistics: Sequence[Statistic] = ("mean", "std", "max"),
    weights: Weights = "overlap",
) -> Pooled:
    """Statistics of the valid frames that overlap each word.

    track.values (n, d), intervals (w, 2) in seconds, in any order → each statistic (w, d). With
    `weights="overlap"` a frame counts by the time that it shares with the word, and a word shorter than a
    frame takes the overlapping frame whose centre is nearest to its own. With "mean" every frame that shares
    more than a millisecond with the word counts alike, as in the CMU Multimodal SDK. The standard deviation is
    that of the population. A word that overlaps no valid frame, or whose interval is empty, is not valid and
    zero. A constant track gives exactly that constant, with standard deviation 0. Raises ValueError for an
    unknown statistic or weighting.
    """
    _check(statistics, weights)
    words = np.asarray(intervals, np.float64).reshape(-1, 2)
    there = np.flatnonzero(track.valid)
    times = track.times[there].astype(np.float64)
    pairs = _overlaps(words, times, SLIVER if weights == "overlap" else SDK_SLIVER)
    weight, nearest = None, np.zeros(len(words), np.bool_)
    if weights == "overlap":
        pairs, nearest = _nearest_for_short(pairs, words, times)
        weight = pairs.weight
    pairs = _Pairs(pairs.word, there[pairs.frame], weight)
    return _reduce(track.values, pairs, len(words), statistics, nearest)


def pool_tokens(tokens: Tokens, n_words: int) -> Pooled:
    """Mean of each word's word pieces → (n_words, d); a word without pieces is not valid and zero."""
    frame = np.flatnonzero((tokens.words >= 0) & (tokens.words < n_words))
    frame = frame[np.argsort(tokens.words[frame], kind="stable")]
    pairs = _Pairs(tokens.words[frame].astype(np.int64), frame, None)
    return _reduce(tokens.values, pairs, n_words, ("mean",), np.zeros(n_words, np.bool_))


def _check(statistics: Sequence[str], weights: str) -> None:
    unknown = sorted({*statistics} - {"mean", "std", "max"})
    if unknown:
        raise ValueError(f"unknown statistic {unknown[0]!r}: there are mean, std and max")
    if weights not in ("overlap", "mean"):
        raise ValueError(f"unknown weighting {weights!r}: there are overlap and mean")


def _overlaps(words: _Float, times: _Float, sliver: float) -> _Pairs:
    """Every word with every frame that shares more than `sliver` seconds with it, weighted by what they share."""
    # Frames may overlap each other and end in any order: the running maximum of their ends is ascending.
    reach = np.maximum.accumulate(times[:, 1])
    first = np.searchsorted(reach, words[:, 0], side="right")
    last = np.searchsorted(times[:, 0], words[:, 1], side="left")
    counts = np.maximum(last - first, 0)
    word = np.repeat(np.arange(len(words)), counts)
    before = np.cumsum(counts) - counts
    frame = np.arange(len(word)) + np.repeat(first - before, counts)
    shared = np.minimum(words[word, 1], times[frame, 1]) - np.maximum(words[word, 0], times[frame, 0])
    return _Pairs(word, frame, shared)[shared > sliver]


def _nearest_for_short(pairs: _Pairs, words: _Float, times: _Float) -> tuple[_Pairs, Bool]:
    """Leave a word that is shorter than each of its frames only the nearest; says which words those are."""
    length, frame_length = words[:, 1] - words[:, 0], times[:, 1] - times[:, 0]
    short = np.zeros(len(words), np.bool_)
    short[pairs.word] = True
    short[pairs.word[length[pairs.word] > frame_length[pairs.frame] - SLIVER]] = False
    of_short = short[pairs.word]
    few = pairs[of_short]
    distance = np.abs(times[few.frame].mean(axis=1) - words[few.word].mean(axis=1))
    order = np.lexsort((few.frame, distance, few.word))  # of equal distances the earlier frame
    chosen = ~of_short
    chosen[np.flatnonzero(of_short)[order[_starts(few.word[order])]]] = True
    return pairs[chosen], short


def _starts(sorted_words: _Int) -> _Int:
    """Where each word's run of pairs begins."""
    return np.flatnonzero(np.diff(sorted_words, prepend=-1))


def _reduce(values: Float32, pairs: _Pairs, n_words: int, statistics: Sequence[str], nearest: Bool) -> Pooled:
    starts = _starts(pairs.word)
    frames = np.bincount(pairs.word, minlength=n_words).astype(np.int32)
    valid = frames > 0
    rows = _statistics(values[pairs.frame], pairs.weight, starts, statistics) if len(starts) else {}
    pooled = {name: np.zeros((n_words, values.shape[1]), np.float32) for name in statistics}
    for name, row in rows.items():
        pooled[name][valid] = row
    return Pooled(pooled, frames, valid, nearest)


def _statistics(
    values: Float32, weight: _Float | None, starts: _Int, statistics: Sequence[str]
) -> dict[str, Float32]:
    """The statistics of each run of values (p, d) that begins at `starts` (r,) → (r, d) each.

    Sums are float64, one run at a time: precise however long the track and however far from zero its values.
    The standard deviation is taken about the mean as float32 has it, which a constant run equals to the bit.
    """
    found: dict[str, Float32] = {}
    if "mean" in statistics or "std" in statistics:
        mean = _average(values, weight, starts)
        centre = mean.astype(np.float32)
        if "mean" in statistics:
            found["mean"] = centre
        if "std" in statistics:
            around = np.repeat(centre, np.diff(starts, append=len(values)), axis=0)
            off = np.subtract(values, around, dtype=np.float64)
            variance = _average(np.square(off, out=off), weight, starts) - (mean - centre) ** 2
            found["std"] = np.sqrt(np.maximum(variance, 0)).astype(np.float32)
    if "max" in statistics:
        found["max"] = np.maximum.reduceat(values, starts)
    return found


def _average(values: Float32 | _Float, weight: _Float | None, starts: _Int) -> _Float:
    """Weighted mean of each run of values (p, d) → (r, d)."""
    if weight is None:
        counts = np.diff(starts, append=len(values))[:, None]
        return np.add.reduceat(values, starts, dtype=np.float64) / counts
    return np.add.reduceat(values * weight[:, None], starts) / np.add.reduceat(weight, starts)[:, None]
