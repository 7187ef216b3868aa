"""What looks wrong in an alignment: words too long, too many words a second, times outside the clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.records import UInt8, WordStatus

LONGEST_WORD = 3.0  # seconds
FASTEST_SPEECH = 15  # words within one second; fast English has about 7
OUTSIDE = 0.05  # seconds past the clip that rounding explains
FEWEST_ALIGNED = 0.5  # share of the audible words


def suspicions(
    words: Sequence[str], intervals: npt.NDArray[np.float64], status: UInt8, duration: float | None
) -> tuple[str, ...]:
    """One phrase for each kind of oddity; empty when there is none.

    intervals (w, 2) seconds, starts ascending; status (w,) of WordStatus; duration of the clip in seconds, None
    where it is not known. Each phrase begins with a fixed text, so that equal oddities group.
    """
    audible = status != WordStatus.MISSING
    if not audible.any():
        return ()
    found = [
        _long_words(words, intervals),
        _fast_speech(intervals[audible]),
        _outside(intervals, duration),
    ]
    return tuple(phrase for phrase in found if phrase)


def _long_words(words: Sequence[str], intervals: npt.NDArray[np.float64]) -> str:
    lengths = intervals[:, 1] - intervals[:, 0]
    longest = int(lengths.argmax())
    if lengths[longest] < LONGEST_WORD:
        return ""
    return f"word too long: {words[longest]!r} lasts {lengths[longest]:.1f} s"


def _fast_speech(intervals: npt.NDArray[np.float64]) -> str:
    starts = intervals[:, 0]
    within = np.searchsorted(starts, starts + 1.0, side="left") - np.arange(len(starts))
    if within.max() <= FASTEST_SPEECH:
        return ""
    return f"speech too fast: {within.max()} words within one second, at {starts[within.argmax()]:.1f} s"


def _outside(intervals: npt.NDArray[np.float64], duration: float | None) -> str:
    first, last = float(intervals[:, 0].min()), float(intervals[:, 1].max())
    if duration is None or (first >= -OUTSIDE and last <= duration + OUTSIDE):
        return ""
    return f"words outside the clip: from {first:.2f} to {last:.2f} s of {duration:.2f} s"


def unheard(status: UInt8) -> tuple[str, ...]:
    """A phrase when fewer than FEWEST_ALIGNED of the audible words were aligned; else nothing."""
    aligned = np.count_nonzero(status == WordStatus.ALIGNED)
    audible = np.count_nonzero(status != WordStatus.MISSING)
    if aligned >= FEWEST_ALIGNED * audible:
        return ()
    return (f"few words aligned: {aligned} of {audible}",)
