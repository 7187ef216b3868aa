"""The last resort: spread a transcript's words over what sounds like speech, or over the whole clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.alignment.places import Seconds, letters, pauses_between
from mimdata.pipeline.alignment.sanity import suspicions
from mimdata.pipeline.records import Bool, Float32, Words, WordStatus

RATE = 16_000  # samples a second
WINDOW, HOP = 400, 160  # samples: 25 ms every 10 ms, as speech recognisers analyse
QUIETEST = -70.0  # dB below full scale; quieter is never speech
ABOVE_FLOOR = 0.35  # where between noise floor and speech level the threshold lies, in dB
SMALLEST_RANGE = 6.0  # dB from floor to level; within less, nothing tells speech from the rest
BELOW_LEVEL = 25.0  # dB; weaker than that below the speech level is a pause
LONGEST_GAP = 0.2  # seconds; shorter silences belong to the speech around them
SHORTEST_SPEECH = 0.1  # seconds; a click is shorter

SPEECH_CONFIDENCE = 0.2  # the word lies somewhere in the speech
SPAN_CONFIDENCE = 0.1  # the word lies somewhere in the clip


def spread(
    words: Sequence[str], audible: Bool, audio: Float32 | None, duration: float, suspect: Sequence[str]
) -> Words:
    """Words over detected speech (`source` "speech"), or over the clip where there is none ("span").

    audio (n,) mono at 16 kHz or None; audible (w,) bool, False for punctuation alone. Each audible word gets
    time in proportion to its letters and is interpolated; the others are missing. `suspect` says why.
    """
    found = detect_speech(audio) if audio is not None else np.zeros((0, 2))
    found = found[found[:, 0] < duration].clip(max=duration)
    source, confidence = ("speech", SPEECH_CONFIDENCE) if len(found) else ("span", SPAN_CONFIDENCE)
    stretches = found if len(found) else np.array([[0.0, duration]])
    intervals = _along(stretches, np.where(audible, letters(words), 0))
    status = np.where(audible, WordStatus.INTERPOLATED, WordStatus.MISSING).astype(np.uint8)
    return Words(
        words=tuple(words),
        intervals=intervals.astype(np.float32),
        confidence=np.where(audible, confidence, 0).astype(np.float32),
        status=status,
        pauses=pauses_between(intervals, duration).astype(np.float32),
        source=source,
        suspect=(*suspect, *suspicions(words, intervals, status, duration)),
    )


def detect_speech(audio: Float32) -> Seconds:
    """audio (n,) mono at 16 kHz in [−1, 1] → (s, 2) seconds of speech, in order.

    A window is speech when its level exceeds a threshold between the clip's noise floor (the 10th percentile of
    levels) and its speech level (the 95th), and is no more than BELOW_LEVEL under the latter. Short gaps are
    closed, then short stretches dropped. Uniform sound above QUIETEST is all speech.
    """
    level = _levels(audio)
    if not len(level):
        return np.zeros((0, 2))
    floor, high = np.percentile(level, [10, 95])
    between = floor + ABOVE_FLOOR * (high - floor) if high - floor >= SMALLEST_RANGE else -np.inf
    threshold = max(between, high - BELOW_LEVEL, QUIETEST)
    runs = _runs(level >= threshold)
    if len(runs):
        apart = runs[1:, 0] - runs[:-1, 1] > LONGEST_GAP * RATE / HOP
        runs = np.stack([runs[np.r_[True, apart], 0], runs[np.r_[apart, True], 1]], axis=1)
    runs = runs[(runs[:, 1] - runs[:, 0]) * HOP >= SHORTEST_SPEECH * RATE]
    # Window k is centred half a window after its start; it speaks for one hop around the centre.
    centred = (runs * HOP + (WINDOW - HOP) / 2) / RATE
    within: Seconds = np.minimum(centred, len(audio) / RATE)
    return within


def _levels(audio: Float32) -> npt.NDArray[np.float64]:
    """(k,) level of each window in dB below full scale, −120 for digital silence."""
    if len(audio) < WINDOW:
        return np.zeros(0)
    energy = np.concatenate([[0.0], np.cumsum(audio.astype(np.float64) ** 2)])
    starts = np.arange(0, len(audio) - WINDOW + 1, HOP)
    power = (energy[starts + WINDOW] - energy[starts]) / WINDOW
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


def _runs(mask: Bool) -> npt.NDArray[np.int64]:
    """(r, 2) first and past-the-last index of each run of True."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return change.reshape(-1, 2)


def _along(stretches: Seconds, sizes: npt.NDArray[np.int64]) -> Seconds:
    """Lay words of these sizes end to end along stretches of time (s, 2) → (w, 2) seconds.

    A word that begins where one stretch ends begins with the next; a word that ends there ends there.
    """
    lengths = stretches[:, 1] - stretches[:, 0]
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    edges = np.concatenate([[0], np.cumsum(sizes)]) / max(int(sizes.sum()), 1) * reached[-1]
    begin, end = edges[:-1], edges[1:]
    # Rounding must not begin a word a hair before the end of a stretch, or it would hold the pause.
    at = np.clip(np.searchsorted(reached, begin + 1e-9, side="right") - 1, 0, len(lengths) - 1)
    until = np.clip(np.searchsorted(reached, end - 1e-9, side="left") - 1, 0, len(lengths) - 1)
    starts = stretches[at, 0] + (begin - reached[at])
    ends = stretches[until, 0] + (end - reached[until])
    empty = sizes == 0
    # Silent words close the word before them; at the very beginning they open the first stretch.
    ends[~empty] = np.maximum(ends, starts)[~empty]
    starts[empty] = ends[empty] = np.maximum.accumulate(np.where(empty, starts[0], ends))[empty]
    return np.stack([starts, ends], axis=1)
