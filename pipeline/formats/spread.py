"""Frames without times shared out among words: for files of published features that hold no alignment.

Nobody knows when the words of such a file were said. Each is given a part of the utterance as long as it has letters, and
the frames are taken to fill the utterance evenly, so a value stands near its word at best. What is made this way
says so: the alignment of its rows is SPREAD.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mimdata.pipeline.alignment.pool import pool
from mimdata.pipeline.records import Float32, Reason, Track

SPREAD = "spread"  # the alignment of such rows


def spread(frames: Float32, words: Sequence[str]) -> Float32:
    """The mean (w, d) of the frames (n, d) in each word's part; frames of zeros and such as are not finite do not count."""
    n = len(frames)
    there = np.isfinite(frames).all(axis=1) & (frames != 0).any(axis=1)
    edges = np.arange(n + 1, dtype=np.float32)
    track = Track(
        times=np.stack([edges[:-1], edges[1:]], axis=1),
        values=np.where(there[:, None], frames, np.float32(0)),
        reason=np.where(there, Reason.VALID, Reason.NOT_FINITE).astype(np.uint8),
    )
    letters = np.array([max(1, len(word)) for word in words], np.float64)
    ends = np.concatenate([[0.0], np.cumsum(letters)]) * (n / max(letters.sum(), 1.0))
    intervals = np.stack([ends[:-1], ends[1:]], axis=1).astype(np.float32)
    return pool(track, intervals, ("mean",)).statistics["mean"]


def without_padding(frames: Float32, length: int | None) -> Float32:
    """The first `length` of the frames (n, d); where the file does not say, those before the zeros at the end."""
    if length is not None:
        return frames[: max(0, length)]
    there = np.flatnonzero((frames != 0).any(axis=1))
    return frames[: there[-1] + 1] if len(there) else frames[:0]
