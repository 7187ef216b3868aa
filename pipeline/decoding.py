"""Decoding one span of a media file with PyAV: find it, seek to it, demux both streams in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.limits import (
    MAX_PIXELS,
    OPTIONS,
    Pace,
    check_length,
    check_sound,
    check_streams,
    too_large,
)
from mimdata.pipeline.records import Float32
from mimdata.pipeline.timeline import LEAD, Picture, Pictures, Sound, intervals

# Decoding begins so many seconds before a span that is sought: AAC and MP3 need one to settle. Where a container does
# not know its key frames (MPEG-PS, MPEG-TS), the last one before the span may lie farther back.
PRE_ROLLS = (1.0, 12.0)
OVERSHOOT = 0.5  # a span may end so much later than its file: labels are rounded
APART = 10.0  # seconds by which the streams of a file may lie apart in it
# Streams without a container: their length is a guess from the bit rate, and so is where seeking leads.
BARE = {"aac", "ac3", "amr", "eac3", "h264", "hevc", "m4v", "mp3", "mpegvideo"}


@dataclass(frozen=True)
class Layout:
    """What a file holds and where the span lies in it, in seconds from the file's beginning."""

    start: float
    end: float
    has_audio: bool
    has_video: bool
    origin: float  # the container's own time of its beginning
    seekable: bool

    @property
    def span(self) -> tuple[float, float]:
        """The span [start, end)."""
        return self.start, self.end


class Decoder:
    """Decodes one span of one file, as often as it is asked to."""

    def __init__(self, path: Path, start: float | None, end: float | None) -> None:
        self.path = path
        self._asked = (start, end)
        self.passes = 0
        self.packets = 0  # read so far, in all passes

    @cached_property
    def layout(self) -> Layout:
        """Streams and span. Raises ClipError for a file or a span that is of no use."""
        with self._opened() as container:
            streams = [stream for stream in _streams(container) if stream is not None]
            self._check(streams)
            origin = container.start_time / 1e6 if container.start_time is not None else 0.0
            bare = container.format.name in BARE
            length = None if bare else _length(container, streams, origin)
            kinds = {stream.type for stream in streams}
        start, end = self._span(length if length is not None else self._scan(origin))
        return Layout(start, end, "audio" in kinds, "video" in kinds, origin, not bare)

    def decode(self, audio: bool, rates: Sequence[float]) -> Iterator[Picture | Float32]:
        """The span's sound in chunks (n,) at 16 kHz and its frames on the grids of `rates`, as they come.

        Seeks to the span; where the stream cannot be entered there, decodes it from the beginning.
        """
        layout = self.layout
        handed = _Handed()
        for pre_roll in (*PRE_ROLLS, None):
            if pre_roll is None or (layout.seekable and layout.start > 2 * pre_roll):
                try:
                    yield from handed.on(self._pass(layout, audio, rates, pre_roll))
                    return
                except _TooLate:
                    continue

    def _pass(
        self, layout: Layout, audio: bool, rates: Sequence[float], pre_roll: float | None
    ) -> Iterator[Picture | Float32]:
        self.passes += 1
        with self._opened() as container:
            video_stream, audio_stream = _streams(container)
            sinks: dict[int, Pictures | Sound] = {}
            if video_stream is not None and rates:
                sinks[video_stream.index] = Pictures(layout.span, rates, video_stream)
            if audio_stream is not None and audio:
                sinks[audio_stream.index] = Sound(layout.span)
            if sinks:
                yield from self._run(container, layout, sinks, pre_roll)
        if video_stream is None:
            yield from (Picture(rate, k, None) for rate in rates for k in range(intervals(layout.span, rate)))

    def _run(
        self, container: Any, layout: Layout, sinks: dict[int, Pictures | Sound], pre_roll: float | None
    ) -> Iterator[Picture | Float32]:
        if pre_roll is not None:
            _seek(container, layout, pre_roll)
        begun: set[int] = set()
        pace = Pace(self.path.name)
        for index, time, frame in self._frames(container, layout, set(sinks)):
            if index not in begun and pre_roll and time > _needed(container.streams[index], layout):
                raise _TooLate
            begun.add(index)
            if isinstance(sinks[index], Pictures):
                pace.take(time)
            else:
                check_sound(self.path.name, frame)
            yield from sinks[index].take(time, frame)
            if all(sink.done for sink in sinks.values()):
                break
        if pre_roll and set(sinks) - begun:
            raise _TooLate
        for sink in sinks.values():
            yield from sink.finish()

    def _frames(self, container: Any, layout: Layout, wanted: set[int]) -> Iterator[tuple[int, float, Any]]:
        """Decoded frames of the streams that are wanted, each with its time from the file's beginning.

        Reads the packets of the others too, so that a file that is cut off is noticed whatever is wanted.
        """
        ends: dict[int, float] = {}
        empty = True
        for packet in self._packets(container, layout):
            index = packet.stream.index
            at = ends.get(index, 0.0)
            if packet.pts is not None:
                at = _time(packet.pts, packet, layout)
                ends[index] = _time(packet.pts + (packet.duration or 0), packet, layout)
            if at > layout.end + APART:
                return
            if index in wanted:
                for frame in self._decoded(packet, layout, at):
                    empty = False
                    yield index, at if frame.time is None else frame.time - layout.origin, frame
        reached = max(ends.values(), default=0.0)
        if reached < layout.end - OVERSHOOT:
            at = reached if ends else layout.start  # sought, and nothing was there
            raise self._damaged(at, f"it is cut off, the clip runs to {layout.end:.1f} s")
        if empty and layout.start < 1 and wanted & set(ends):
            raise self._damaged(0.0, "it holds nothing but damaged packets")

    def _packets(self, container: Any, layout: Layout) -> Iterator[Any]:
        import av

        streams = [stream for stream in _streams(container) if stream is not None]
        for stream in streams:
            stream.codec_context.thread_count = 1  # a worker is one core
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        packets = container.demux(streams)
        at = 0.0
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                if at < layout.end:
                    raise self._damaged(at, str(error)) from error
                return
            if packet is None:
                return
            self.packets += 1
            if packet.pts is not None:
                at = _time(packet.pts, packet, layout)
            yield packet

    def _decoded(self, packet: Any, layout: Layout, at: float) -> list[Any]:
        """The frames of a packet. An error outside the span is none of the clip's business."""
        import av

        try:
            frames: list[Any] = packet.decode()
        except av.error.EOFError:  # a decoder that was flushed already
            return []
        except (av.error.FFmpegError, ValueError) as error:
            if layout.start <= at < layout.end:
                refused = isinstance(error, av.error.ArgumentError) and packet.stream.type == "video"
                raise (too_large(self.path.name, at) if refused else self._damaged(at, str(error))) from error
            return []
        return frames

    def _check(self, streams: Sequence[Any]) -> None:
        """Raises ClipError unless there is something to decode."""
        if not streams:
            raise ClipError(
                "no audio or video stream",
                f"{self.path.name} holds neither sound nor pictures that can be decoded",
                "is it the right file?",
            )
        check_streams(self.path.name, streams)

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
        if not end > start:
            raise ClipError(
                "empty span",
                f"the clip runs from {start:.2f} to {end:.2f} s of {self.path.name}",
                "correct the span",
            )
        check_length(self.path.name, start, min(end, length))
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
            container = av.open(f"file:{self.path}", metadata_errors="replace", options=OPTIONS)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise _unopened(self.path) from error
        with container:
            yield container


class _TooLate(Exception):  # noqa: N818  # a turn of the search for the span, not an error
    """Seeking led behind the span's beginning."""


class _Handed:
    """What was handed out so far, so that a pass goes on from where the one before was given up."""

    def __init__(self) -> None:
        self._samples = 0
        self._pictures: dict[float, int] = {}

    def on(self, items: Iterator[Picture | Float32]) -> Iterator[Picture | Float32]:
        """Those of `items` that were not handed out yet."""
        samples = 0
        for item in items:
            if isinstance(item, Picture):
                if item.number >= self._pictures.get(item.fps, 0):
                    self._pictures[item.fps] = item.number + 1
                    yield item
            else:
                known = max(0, self._samples - samples)
                samples += len(item)
                if known < len(item):
                    self._samples = samples
                    yield item[known:]


def _unopened(path: Path) -> ClipError:
    """Why a file cannot be opened, found by reading it: FFmpeg reports a damaged header as an input error too."""
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        where = f"{path.name} is not in {path.parent}"
        return ClipError("missing file", where, "put it there, then run again", permanent=False)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        hint = "change its permissions, or look at the disk"
        return ClipError("unreadable file", message, hint, permanent=False)
    what = "is empty (0 bytes)" if empty else "is not a media file that can be opened, or is cut off"
    return ClipError("not a media file", f"{path.name} {what}", "copy or download it again")


def _seek(container: Any, layout: Layout, pre_roll: float) -> None:
    import av

    try:
        container.seek(int((layout.start - pre_roll + layout.origin) * 1e6), backward=True)
    except av.error.FFmpegError as error:
        raise _TooLate from error


def _time(pts: int, packet: Any, layout: Layout) -> float:
    """Seconds from the file's beginning."""
    return float(pts * packet.time_base) - layout.origin


def _needed(stream: Any, layout: Layout) -> float:
    """By when a stream must have been entered: before the span, or where it begins itself."""
    own = -layout.origin
    if stream.start_time is not None:
        own += float(stream.start_time * stream.time_base)
    return max(layout.start - (LEAD if stream.type == "audio" else 0.0), own)


def _streams(container: Any) -> tuple[Any, Any]:
    """The video and the audio stream that count; a cover picture does not, nor one without a decoder."""
    from av.stream import Disposition

    pictures = (
        s
        for s in container.streams.video
        if s.codec_context is not None and not s.disposition & Disposition.attached_pic
    )
    sounds = (s for s in container.streams.audio if s.codec_context is not None)
    return next(pictures, None), next(sounds, None)


def _length(container: Any, streams: Sequence[Any], origin: float) -> float | None:
    """Seconds from the file's beginning to its end, as its header has it; None where it does not say."""
    ends = [
        float((stream.start_time or 0) * stream.time_base + stream.duration * stream.time_base) - origin
        for stream in streams
        if stream.duration is not None and stream.time_base is not None
    ]
    if ends:
        return max(ends)
    # Matroska counts its duration from zero or from the first picture, as its writer saw fit.
    if container.duration is None or origin > OVERSHOOT:
        return None
    return float(container.duration / 1e6)
