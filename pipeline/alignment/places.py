"""A place for every word: fills the gaps between words whose times are known, and finds the pauses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.alignment.sanity import suspicions, unheard
from mimdata.pipeline.records import Bool, Words, WordStatus

SHORTEST_PAUSE = 0.1  # seconds; the closure of a plosive inside a word takes up to 0.08
INTERPOLATED_CONFIDENCE = 0.2  # the neighbours are known, the word itself was not heard

Seconds = npt.NDArray[np.float64]


def placed_words(
    words: Sequence[str],
    places: Seconds,
    confidence: npt.NDArray[np.float64],
    audible: Bool,
    duration: float,
    source: str,
    suspect: Sequence[str] = (),
) -> Words:
    """The words of a transcript, of which some have a place, as a complete record.

    places (w, 2) seconds, NaN for a word without; confidence (w,) of those that have one; audible (w,) bool,
    False for punctuation alone. What has no place lies between its neighbours, by its number of letters:
    interpolated if audible, missing (an empty interval) if not. Pauses of SHORTEST_PAUSE and more, up to
    `duration`, are listed. What looks wrong is added to `suspect`.
    """
    known = ~np.isnan(places[:, 0])
    intervals = fill(places, np.where(audible, letters(words), 0), duration)
    status = np.where(
        known, WordStatus.ALIGNED, np.where(audible, WordStatus.INTERPOLATED, WordStatus.MISSING)
    ).astype(np.uint8)
    sure = np.where(known, confidence, np.where(audible, INTERPOLATED_CONFIDENCE, 0.0))
    return Words(
        words=tuple(words),
        intervals=intervals.astype(np.float32),
        confidence=sure.astype(np.float32),
        status=status,
        pauses=pauses_between(intervals, duration).astype(np.float32),
        source=source,
        suspect=(*suspect, *suspicions(words, intervals, status, duration), *unheard(status)),
    )


def letters(words: Sequence[str]) -> npt.NDArray[np.int64]:
    """(w,) letters and digits of each word, at least 1: what an unheard word's duration is reckoned by."""
    return np.array([max(1, sum(map(str.isalnum, word))) for word in words], np.int64).reshape(len(words))


def fill(places: Seconds, sizes: npt.NDArray[np.int64], duration: float) -> Seconds:
    """places (w, 2) with NaN → (w, 2) without: each run of NaN shares the gap between its neighbours by `sizes`.

    A word of size 0 gets an empty interval at its neighbour's end (before all others, at the next one's start).
    """
    filled = places.copy()
    known = np.flatnonzero(~np.isnan(places[:, 0]))
    bounds = [-1, *known.tolist(), len(places)]
    for before, after in pairwise(bounds):
        if after - before < 2:
            continue
        left = float(places[before, 1]) if before >= 0 else 0.0
        right = float(places[after, 0]) if after < len(places) else max(duration, left)
        left = min(left, right)  # given words may overlap
        shares = np.cumsum(sizes[before + 1 : after])
        if before < 0 and after < len(places) and shares[-1] == 0:
            left = right
        edges = left + (right - left) * np.concatenate([[0.0], shares / max(int(shares[-1]), 1)])
        filled[before + 1 : after] = np.stack([edges[:-1], edges[1:]], axis=1)
    return filled


def pauses_between(intervals: Seconds, duration: float, shortest: float = SHORTEST_PAUSE) -> Seconds:
    """intervals (w, 2) with ascending starts → (p, 2): stretches of [0, duration] without a word, in order."""
    spans = intervals[intervals[:, 1] > intervals[:, 0]]
    starts = np.concatenate([[0.0], np.maximum.accumulate(spans[:, 1])])
    ends = np.concatenate([spans[:, 0], [duration]])
    gaps = np.stack([starts, ends], axis=1)
    long_enough: Seconds = gaps[gaps[:, 1] - gaps[:, 0] >= shortest - 1e-9]
    return long_enough
