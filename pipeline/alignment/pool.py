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

# Frames that are summed along the rows, before `add.reduceat`, which walks down each column, sums the rest.
BLOCK = 8

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
    """p pairs of a word and a frame that belong together, ordered by word: indices and weights, each (p,)."""

    word: _Int
    frame: _Int
    weight: _Float

    def __getitem__(self, chosen: Bool) -> _Pairs:
        return _Pairs(self.word[chosen], self.frame[chosen], self.weight[chosen])


@dataclass(frozen=True)
class _Blocks:
    """The pairs of r words in b blocks of BLOCK, each word's last one filled up with its last frame, weightless.

    frame (b, BLOCK), weight (b, BLOCK); first (r,): each word's first block; count (r,): how many it has.
    """

    frame: _Int
    weight: _Float
    first: _Int
    count: _Int


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
    nearest = np.zeros(len(words), np.bool_)
    if weights == "overlap":
        pairs, nearest = _nearest_for_short(pairs, words, times)
    weight = pairs.weight if weights == "overlap" else np.ones_like(pairs.weight)
    pairs = _Pairs(pairs.word, there[pairs.frame], weight)
    return _reduce(track.values, pairs, len(words), statistics, nearest)


def pool_tokens(tokens: Tokens, n_words: int) -> Pooled:
    """Mean of each word's word pieces → (n_words, d); a word without pieces is not valid and zero."""
    frame = np.flatnonzero((tokens.words >= 0) & (tokens.words < n_words))
    frame = frame[np.argsort(tokens.words[frame], kind="stable")]
    pairs = _Pairs(tokens.words[frame].astype(np.int64), frame, np.ones(len(frame)))
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


def _in_blocks(pairs: _Pairs) -> _Blocks:
    """Each word's pairs in blocks of its own."""
    starts = _starts(pairs.word)
    lengths = np.diff(starts, append=len(pairs.word))
    count = -(-lengths // BLOCK)
    first = np.cumsum(count) - count
    slot = np.arange(len(pairs.word)) + np.repeat(first * BLOCK - starts, lengths)
    frame = np.repeat(pairs.frame[starts + lengths - 1], count * BLOCK)
    weight = np.zeros(len(frame))
    frame[slot], weight[slot] = pairs.frame, pairs.weight
    return _Blocks(frame.reshape(-1, BLOCK), weight.reshape(-1, BLOCK), first, count)


def _reduce(values: Float32, pairs: _Pairs, n_words: int, statistics: Sequence[str], nearest: Bool) -> Pooled:
    frames = np.bincount(pairs.word, minlength=n_words).astype(np.int32)
    valid = frames > 0
    rows = _statistics(values, _in_blocks(pairs), statistics) if len(pairs.word) else {}
    pooled = {name: np.zeros((n_words, values.shape[1]), np.float32) for name in statistics}
    for name, row in rows.items():
        pooled[name][valid] = row
    return Pooled(pooled, frames, valid, nearest)


def _statistics(values: Float32, blocks: _Blocks, statistics: Sequence[str]) -> dict[str, Float32]:
    """The statistics of each word's frames among values (n, d) → (r, d) each.

    Sums are float64, a word at a time: precise however long the track and however far from zero its values.
    The standard deviation is taken about the mean as float32 has it, which a constant equals to the bit.
    """
    found: dict[str, Float32] = {}
    x = values.take(blocks.frame, axis=0)
    mean = _averages(x, blocks)
    if "mean" in statistics:
        found["mean"] = mean.astype(np.float32)
    if "std" in statistics:
        centre = mean.astype(np.float32)
        off = np.subtract(x, np.repeat(centre, blocks.count, axis=0)[:, None], dtype=np.float64)
        variance = _averages(np.square(off, out=off), blocks) - (mean - centre) ** 2
        found["std"] = np.sqrt(np.maximum(variance, 0)).astype(np.float32)
    if "max" in statistics:
        found["max"] = np.maximum.reduceat(x.max(axis=1), blocks.first)
    return found


def _averages(x: Float32 | _Float, blocks: _Blocks) -> _Float:
    """Weighted mean of each word's frames x (b, BLOCK, d) → (r, d)."""
    sums = np.add.reduceat((blocks.weight[:, None] @ x)[:, 0], blocks.first)
    return np.asarray(sums / np.add.reduceat(blocks.weight.sum(axis=1), blocks.first)[:, None])
