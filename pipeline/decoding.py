"""Decoding a span of a media file with PyAV: sound by time stamps to 16 kHz mono, frames on a sampling grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.records import Float32

SAMPLE_RATE = 16_000
# Decoding begins this long before a span that is sought: AAC and MP3 need it to settle, and pictures between two
# key frames refer to earlier ones.
PRE_ROLL = 1.0
LEAD = 0.1  # seconds of sound before the span that only settle the resampler; a whole number of samples
GAP = 0.05  # a jump of time stamps below this is jitter, above it silence or overlap
OVERSHOOT = 0.5  # a span may end so much later than its file: labels are rounded
MAX_PIXELS = 64 * 2**20
HOLD = 0.2  # a last picture stays up for its own length and no more than this


@dataclass(frozen=True)
class Picture:
    """Interval `number` of the sampling grid of `fps`, and the picture shown in its middle (None for none)."""

    fps: float
    number: int
    image: npt.NDArray[np.uint8] | None


@dataclass(frozen=True)
class Layout:
    """What a file holds and where the span lies in it, in seconds from the file's beginning."""

    start: float
    end: float
    has_audio: bool
    has_video: bool
    origin: float  # the container's own time of its beginning


class Decoder:
    """Decodes one span of one file, as often as it is asked to."""

    def __init__(self, path: Path, start: float | None, end: float | None) -> None:
        self.path = path
        self._asked = (start, end)
        self.passes = 0

    @cached_property
    def layout(self) -> Layout:
        """Streams and span. Raises ClipError for a file or a span that is of no use."""
        with self._opened() as container:
            video, audio = _streams(container)
            if video is None and audio is None:
                raise ClipError(
                    "no audio or video stream",
                    f"{self.path.name} holds neither sound nor pictures",
                    "is it the right file?",
                )
            if video is not None and video.codec_context.width * video.codec_context.height > MAX_PIXELS:
                size = f"{video.codec_context.width}×{video.codec_context.height}"
                raise ClipError(
                    "frame too large",
                    f"{self.path.name} has frames of {size}, at most 64 megapixels are read",
                    "scale it down",
                )
            origin = container.start_time / 1e6 if container.start_time is not None else 0.0
            length = _length(container, [s for s in (video, audio) if s is not None], origin)
        start, end = self._span(length if length is not None else self._scan(origin))
        return Layout(start, end, audio is not None, video is not None, origin)

    def decode(self, audio: bool, rates: Sequence[float]) -> Iterator[Picture | Float32]:
        """The span's sound in chunks (n,) at 16 kHz and its frames on the grids of `rates`, as they come.

        Seeks to the span; where the stream cannot be entered there, decodes it from the beginning.
        """
        layout = self.layout
        far = layout.start > 2 * PRE_ROLL
        try:
            yield from self._pass(layout, audio, rates, seek=far)
        except _TooLate:
            yield from self._pass(layout, audio, rates, seek=False)

    def _pass(
        self, layout: Layout, audio: bool, rates: Sequence[float], *, seek: bool
    ) -> Iterator[Picture | Float32]:
        self.passes += 1
        with self._opened() as container:
            video_stream, audio_stream = _streams(container)
            sinks: dict[int, _Pictures | _Sound] = {}
            if video_stream is not None and rates:
                sinks[video_stream.index] = _Pictures(layout, rates, video_stream)
            if audio_stream is not None and audio:
                sinks[audio_stream.index] = _Sound(layout, audio_stream)
            if sinks:
                yield from self._run(container, layout, sinks, seek=seek)
        if video_stream is None:
            yield from (Picture(rate, k, None) for rate in rates for k in range(_intervals(layout, rate)))

    def _run(
        self, container: Any, layout: Layout, sinks: dict[int, _Pictures | _Sound], *, seek: bool
    ) -> Iterator[Picture | Float32]:
        if seek:
            container.seek(int((layout.start - PRE_ROLL + layout.origin) * 1e6), backward=True)
        begun: set[int] = set()
        latest = 0.0
        for index, time, frame in self._frames(container, layout, sinks):
            if seek and index not in begun and time > layout.start:
                raise _TooLate  # nothing was handed out yet: a sink speaks only once it is inside the span
            begun.add(index)
            latest = max(latest, time)
            yield from sinks[index].take(time, frame)
            if all(sink.done for sink in sinks.values()):
                break
        else:
            latest = max(latest, *(sink.reached for sink in sinks.values()))
            if latest < layout.end - OVERSHOOT:
                raise self._damaged(latest, f"it ends there, {layout.end:.1f} s were announced")
        for sink in sinks.values():
            yield from sink.finish()

    def _frames(
        self, container: Any, layout: Layout, sinks: dict[int, Any]
    ) -> Iterator[tuple[int, float, Any]]:
        """Decoded frames of the streams that are wanted, each with its time from the file's beginning."""
        import av

        streams = [container.streams[index] for index in sorted(sinks)]
        at = dict.fromkeys(sinks, 0.0)
        packets = container.demux(streams)
        while True:
            index = min(sinks)
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                index = packet.stream.index
                if packet.pts is not None:
                    at[index] = float(packet.pts * packet.time_base) - layout.origin
                frames = packet.decode()
            except av.error.EOFError:
                continue  # a decoder that was flushed already
            except (av.error.FFmpegError, ValueError) as error:
                if layout.start <= at[index] < layout.end:
                    raise self._damaged(at[index], str(error)) from error
                if at[index] >= layout.end:
                    return
                continue
            for frame in frames:
                time = at[index] if frame.time is None else frame.time - layout.origin
                yield index, time, frame

    def _damaged(self, at: float, what: str) -> ClipError:
        return ClipError(
            "damaged stream",
            f"{self.path.name} cannot be decoded at {at:.1f} s: {what}",
            "copy or download the file again",
        )

    def _span(self, length: float) -> tuple[float, float]:
        start = 0.0 if self._asked[0] is None else self._asked[0]
        end = length if self._asked[1] is None else self._asked[1]
        if length <= 0:
            raise ClipError("empty span", f"{self.path.name} is 0 s long", "is it the right file?")
        if start >= length or end > length + OVERSHOOT:
            raise ClipError(
                "span past the end",
                f"{self.path.name} is {length:.2f} s long, the clip runs from {start:.2f} to {end:.2f} s",
                "correct the span, or copy the file again if it is cut off",
            )
        if end <= start:
            raise ClipError(
                "empty span",
                f"the clip runs from {start:.2f} to {end:.2f} s of {self.path.name}",
                "correct the span",
            )
        return start, min(end, length)

    def _scan(self, origin: float) -> float:
        """The length of a file that does not tell it: the end of its last packet."""
        import av

        last = 0.0
        with self._opened() as container:
            try:
                for packet in container.demux([s for s in _streams(container) if s is not None]):
                    if packet.pts is not None:
                        length = (packet.duration or 0) * packet.time_base
                        last = max(last, float(packet.pts * packet.time_base + length) - origin)
            except av.error.FFmpegError:
                pass  # decoding will say what is wrong, if it lies inside the span
        return last

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        import av

        try:
            # The protocol is named, so that no file name is taken for a URL or a list of files.
            container = av.open(f"file:{self.path}", metadata_errors="replace")
        except FileNotFoundError as error:
            raise ClipError(
                "missing file",
                f"{self.path.name} is not in {self.path.parent}",
                "put it there, then run again",
                permanent=False,
            ) from error
        except PermissionError as error:
            raise ClipError(
                "unreadable file", f"{self.path} may not be read", "change its permissions", permanent=False
            ) from error
        except (av.error.FFmpegError, ValueError) as error:
            size = self.path.stat().st_size
            what = (
                "is empty (0 bytes)" if size == 0 else "is not a media file that can be opened, or is cut off"
            )
            raise ClipError(
                "not a media file", f"{self.path.name} {what}", "copy or download it again"
            ) from error
        with container:
            yield container


class _TooLate(Exception):  # noqa: N818  # a turn of the search for the span, not an error
    """Seeking led behind the span's beginning."""


class _Pictures:
    """Puts decoded pictures on the sampling grids."""

    def __init__(self, layout: Layout, rates: Sequence[float], stream: Any) -> None:
        self._layout = layout
        self._middles = {rate: _middles(layout, rate) for rate in rates}
        self._next = dict.fromkeys(rates, 0)
        self._shown: Any = None
        self.reached = 0.0
        rate = stream.average_rate or stream.guessed_rate
        self._hold = min(HOLD, 1 / float(rate)) if rate else HOLD
        stream.codec_context.thread_count = 1

    @property
    def done(self) -> bool:
        return all(self._next[rate] == len(middles) for rate, middles in self._middles.items())

    def take(self, time: float, frame: Any) -> Iterator[Picture]:
        """Emit every interval whose middle lies before this picture."""
        yield from self._emit(time)
        self._shown = frame
        self.reached = time + self._hold

    def finish(self) -> Iterator[Picture]:
        """The intervals after the last picture: it stays up for its own length."""
        yield from self._emit(self.reached + 1e-6)
        self._shown = None
        yield from self._emit(math.inf)

    def _emit(self, before: float) -> Iterator[Picture]:
        image: npt.NDArray[np.uint8] | None = None
        for rate, middles in self._middles.items():
            while self._next[rate] < len(middles) and middles[self._next[rate]] < before:
                if image is None and self._shown is not None:
                    image = upright(self._shown.to_ndarray(format="rgb24"), self._shown.rotation)
                yield Picture(rate, self._next[rate], image)
                self._next[rate] += 1


class _Sound:
    """Puts decoded sound in its place in time, mixes it to mono, and resamples it."""

    def __init__(self, layout: Layout, stream: Any) -> None:
        import av

        self._layout = layout
        self._rate = stream.codec_context.sample_rate
        self._mono = av.AudioResampler(format="fltp", layout="mono", rate=self._rate)
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
        self._origin = layout.start - LEAD
        self._cursor = 0  # samples handed to the resampler since the origin
        self._last = math.ceil((layout.end + LEAD - self._origin) * self._rate)
        self._skip = round(LEAD * SAMPLE_RATE)
        self.reached = 0.0
        stream.codec_context.thread_count = 1

    @property
    def done(self) -> bool:
        return bool(self._cursor >= self._last)

    def take(self, time: float, frame: Any) -> Iterator[Float32]:
        """Append one decoded frame, with silence where time stamps leave a gap."""
        for mixed in self._mono.resample(frame):
            samples = mixed.to_ndarray()[0]
            self.reached = time + len(samples) / self._rate
            at = round((time - self._origin) * self._rate)
            time = self.reached
            if abs(at - self._cursor) <= GAP * self._rate and self._cursor:
                at = self._cursor
            yield from self._place(at, samples)

    def finish(self) -> Iterator[Float32]:
        """What the resampler still holds."""
        if self._cursor:
            yield from self._heard(self._resampler.resample(None))

    def _place(self, at: int, samples: Float32) -> Iterator[Float32]:
        first = max(0, self._cursor - at)  # what lies before the origin, or overlaps what was placed
        samples = samples[first : max(0, self._last - at)]
        if not len(samples):
            return
        silence = max(0, at + first - self._cursor)
        while silence:
            piece = min(silence, self._rate)
            yield from self._feed(np.zeros(piece, np.float32))
            silence -= piece
        yield from self._feed(samples)

    def _feed(self, samples: Float32) -> Iterator[Float32]:
        from fractions import Fraction

        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._cursor
        self._cursor += len(samples)
        yield from self._heard(self._resampler.resample(frame))

    def _heard(self, frames: Sequence[Any]) -> Iterator[Float32]:
        for frame in frames:
            samples = frame.to_ndarray()[0]
            dropped = min(self._skip, len(samples))
            self._skip -= dropped
            if len(samples) > dropped:
                yield samples[dropped:].copy()


def upright(image: npt.NDArray[np.uint8], rotation: int) -> npt.NDArray[np.uint8]:
    """The picture as a player shows it; `rotation` counts degrees counter-clockwise, as the container does."""
    return np.ascontiguousarray(np.rot90(image, round(rotation / 90) % 4)) if rotation % 360 else image


def _streams(container: Any) -> tuple[Any, Any]:
    """The video and the audio stream that count; a cover picture does not."""
    from av.stream import Disposition

    pictures = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    return next(pictures, None), next(iter(container.streams.audio), None)


def _length(container: Any, streams: Sequence[Any], origin: float) -> float | None:
    """Seconds from the file's beginning to its end, as its header has it."""
    ends = [
        float((stream.start_time or 0) * stream.time_base + stream.duration * stream.time_base) - origin
        for stream in streams
        if stream.duration is not None and stream.time_base is not None
    ]
    if ends:
        return max(ends)
    return None if container.duration is None else container.duration / 1e6


def _intervals(layout: Layout, rate: float) -> int:
    return max(1, math.ceil((layout.end - layout.start) * rate - 1e-6))


def _middles(layout: Layout, rate: float) -> npt.NDArray[np.float64]:
    """Middles of the intervals, the last cut short by the span's end, in seconds from the file's beginning."""
    starts = layout.start + np.arange(_intervals(layout, rate)) / rate
    return (starts + np.minimum(starts + 1 / rate, layout.end)) / 2
