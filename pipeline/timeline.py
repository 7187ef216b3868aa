"""Decoded media put in their place in time: pictures on sampling grids, sound as 16 kHz mono without gaps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.records import Float32

SAMPLE_RATE = 16_000
LEAD = 0.1  # seconds of sound before the span that only settle the resampler; a whole number of samples
GAP = 0.05  # seconds: a jump of time stamps below this is jitter, above it silence or overlap
LINGER = 0.05  # seconds that a last picture stays up beyond its own: sound and pictures seldom end together
HOLD = 1.0  # seconds that a last picture stays up at most, where that is a guess from the pictures before it


@dataclass(frozen=True)
class Picture:
    """Interval `number` of the sampling grid of `fps`, and the picture shown in its middle (None for none)."""

    fps: float
    number: int
    image: npt.NDArray[np.uint8] | None


class Pictures:
    """Puts the pictures of one stream on the sampling grids of a span [start, end)."""

    def __init__(self, span: tuple[float, float], rates: Sequence[float], stream: Any) -> None:
        self._middles = {rate: middles(span, rate) for rate in rates}
        self._next = dict.fromkeys(rates, 0)
        self._to_rgb: Any = None
        self._shown: Any = None
        self._since = math.inf  # when that picture appeared
        self.reached = 0.0
        rate = stream.average_rate or stream.guessed_rate
        self._hold = min(HOLD, 1 / float(rate)) if rate else 0.0

    @property
    def done(self) -> bool:
        """Whether every interval has got its picture."""
        return all(self._next[rate] == len(middles) for rate, middles in self._middles.items())

    def take(self, time: float, frame: Any) -> Iterator[Picture]:
        """The next picture, shown from `time` on: emit every interval whose middle lies before it."""
        yield from self._emit(time)
        own = float(frame.duration * frame.time_base) if frame.duration else self._hold
        # Most containers give every picture the length of a declared rate, also where far fewer come: a picture
        # then stays up as long as the one before it.
        self.reached = time + max(own, min(HOLD, time - self._since))
        self._shown, self._since = frame, time

    def finish(self) -> Iterator[Picture]:
        """The intervals after the last picture, which stays up for its own length and a little longer."""
        yield from self._emit(self.reached + LINGER)
        self._shown = None
        yield from self._emit(math.inf)

    def _emit(self, before: float) -> Iterator[Picture]:
        image: npt.NDArray[np.uint8] | None = None
        for rate, middles in self._middles.items():
            while self._next[rate] < len(middles) and middles[self._next[rate]] < before:
                if image is None and self._shown is not None:
                    image = upright(self._rgb(self._shown), self._shown.rotation)
                yield Picture(rate, self._next[rate], image)
                self._next[rate] += 1

    def _rgb(self, frame: Any) -> npt.NDArray[np.uint8]:
        """(h, w, 3) uint8, converted in this thread: left alone, FFmpeg starts one a core for every picture."""
        from av.video.reformatter import VideoReformatter

        if self._to_rgb is None:
            self._to_rgb = VideoReformatter()
        image: npt.NDArray[np.uint8] = self._to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return image


class Sound:
    """Puts the sound of one stream in its place in a span [start, end), mixes it to mono, and resamples it."""

    def __init__(self, span: tuple[float, float]) -> None:
        self._origin = span[0] - LEAD
        self._length = span[1] + LEAD - self._origin
        self._rate = 0  # that of the first frame
        self._resampler: Any = None
        self._cursor = 0  # samples handed to the resampler since the origin
        self._skip = round(LEAD * SAMPLE_RATE)
        self.reached = 0.0
        self.done = False

    def take(self, time: float, frame: Any) -> Iterator[Float32]:
        """Append one decoded frame that begins at `time`, with silence where time stamps leave a gap."""
        if self._resampler is None:
            self._rate = frame.sample_rate
            self._resampler = _resampler(SAMPLE_RATE)
        samples = mono(frame)
        if frame.sample_rate != self._rate:  # rare: a stream that changes its rate on the way
            samples = _resampled(samples, frame.sample_rate, self._rate)
        self.reached = time + len(samples) / self._rate
        at = round((time - self._origin) * self._rate)
        if abs(at - self._cursor) <= GAP * self._rate and self._cursor:
            at = self._cursor
        last = math.ceil(self._length * self._rate)
        first = max(0, self._cursor - at)  # what lies before the origin, or overlaps what was placed
        self.done = at + len(samples) >= last
        samples = samples[first : max(0, last - at)]
        if len(samples):
            yield from self._silence(at + first - self._cursor)
            yield from self._feed(samples)

    def finish(self) -> Iterator[Float32]:
        """What the resampler still holds."""
        if self._cursor:
            yield from self._heard(self._resampler.resample(None))

    def _silence(self, size: int) -> Iterator[Float32]:
        while size > 0:  # piece by piece: a stream may begin an hour late
            piece = min(size, self._rate)
            yield from self._feed(np.zeros(piece, np.float32))
            size -= piece

    def _feed(self, samples: Float32) -> Iterator[Float32]:
        frame = _mono_frame(samples, self._rate, self._cursor)
        self._cursor += len(samples)
        yield from self._heard(self._resampler.resample(frame))

    def _heard(self, frames: Sequence[Any]) -> Iterator[Float32]:
        for frame in frames:
            samples = frame.to_ndarray()[0]
            dropped = min(self._skip, len(samples))
            self._skip -= dropped
            if len(samples) > dropped:
                yield samples[dropped:].copy()


def mono(frame: Any) -> Float32:
    """(n,) float32 in [−1, 1]: the mean of a decoded frame's channels.

    FFmpeg's own mix adds two channels at 0.71 each, which overdrives a voice that is in both.
    """
    samples = frame.to_ndarray()
    channels = samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype.kind == "u":  # 8-bit sound is centred at 128
        mixed = (channels.mean(axis=0) - 128) / 128
    else:
        scale = 1.0 if samples.dtype.kind == "f" else 1 / -float(np.iinfo(samples.dtype).min)
        mixed = channels.mean(axis=0, dtype=np.float64) * scale
    return np.asarray(mixed, dtype=np.float32)


def upright(image: npt.NDArray[np.uint8], rotation: int) -> npt.NDArray[np.uint8]:
    """The picture as a player shows it; `rotation` counts degrees counter-clockwise, as the container does."""
    return np.ascontiguousarray(np.rot90(image, round(rotation / 90) % 4)) if rotation % 360 else image


def intervals(span: tuple[float, float], rate: float) -> int:
    """How many sampling intervals a span has, the last one perhaps cut short."""
    return max(1, math.ceil((span[1] - span[0]) * rate - 1e-6))


def middles(span: tuple[float, float], rate: float) -> npt.NDArray[np.float64]:
    """Middles of the intervals, the last cut short by the span's end, in seconds from the file's beginning."""
    starts = span[0] + np.arange(intervals(span, rate)) / rate
    return (starts + np.minimum(starts + 1 / rate, span[1])) / 2


def _resampler(rate: int) -> Any:
    import av

    return av.AudioResampler(format="fltp", layout="mono", rate=rate)


def _resampled(samples: Float32, rate: int, wanted: int) -> Float32:
    resampler = _resampler(wanted)
    frames = [*resampler.resample(_mono_frame(samples, rate, 0)), *resampler.resample(None)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames] or [np.zeros(0, np.float32)])


def _mono_frame(samples: Float32, rate: int, at: int) -> Any:
    import av

    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    frame.pts = at
    return frame
