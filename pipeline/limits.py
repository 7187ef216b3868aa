"""What a film may claim. A header costs its writer nothing: beyond these limits a clip fails before memory or hours do.

`OPTIONS` go to FFmpeg, which opens nothing but the file itself: no playlist, which names other files, and no picture
beyond `MAX_PIXELS`, whatever its container says of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mimdata.pipeline.errors import ClipError

MAX_PIXELS = 64 * 2**20  # 8192 × 8192, above any camera; 192 MiB as RGB
MAX_PICTURES = 1000  # a second: high-speed cameras play slowed down, so that no real film has more than 240
MAX_SECONDS = 6 * 3600.0  # of one clip, whose sound is held whole: 1.3 GiB
MAX_CHANNELS = 64  # seventh-order ambisonics
SAMPLE_RATES = (1_000, 768_000)  # below telephones, above studios; silence is made by the second
# Containers that hold their media themselves, by FFmpeg's names; subtitles are let in to be told from damaged films.
FORMATS = (
    *("mov", "matroska", "avi", "mpeg", "mpegts", "mpegvideo", "flv", "asf", "ogg", "webm", "nut", "mxf", "dv", "rm"),
    *("ivf", "h263", "h264", "hevc", "m4v", "av1", "obu", "vc1", "gif", "wtv", "3g2", "mjpeg", "yuv4mpegpipe", "swf"),
    *("wav", "w64", "mp3", "aac", "flac", "aiff", "au", "caf", "ac3", "eac3", "dts", "truehd", "amr", "amrnb", "amrwb"),
    *("ape", "wv", "tta", "tak", "mpc", "mpc8", "voc", "sox", "gsm", "g722", "loas", "latm", "nistsphere", "srt"),
    *("image2", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe"),  # a photograph is a film of one picture
)  # fmt: skip
OPTIONS = {
    "protocol_whitelist": "file",  # no file name is taken for a URL
    "format_whitelist": ",".join(FORMATS),
    "max_pixels": str(MAX_PIXELS),
}


def check_streams(name: str, streams: Iterable[Any]) -> None:
    """Raises ClipError for a stream whose header claims what cannot be."""
    for stream in streams:
        codec = stream.codec_context
        if stream.type == "video" and codec.width * codec.height > MAX_PIXELS:
            raise ClipError(
                "frame too large",
                f"{name} has frames of {codec.width}×{codec.height}, at most {MAX_PIXELS // 2**20} megapixels are read",
                "scale it down",
            )
        if stream.type == "audio" and codec.sample_rate:  # a header may leave it to the first frame
            _check_sound(name, codec.sample_rate, codec.layout.nb_channels)


def check_sound(name: str, frame: Any) -> None:
    """Raises ClipError for a frame of sound beyond the limits: a stream may change on the way."""
    _check_sound(name, frame.sample_rate, frame.layout.nb_channels)


def too_large(name: str, at: float) -> ClipError:
    """What FFmpeg's refusal of a picture means: it exceeds `max_pixels`, whatever the header said."""
    return ClipError(
        "frame too large",
        f"{name} shows a picture at {at:.1f} s of more than {MAX_PIXELS // 2**20} megapixels, or of no size",
        "scale it down, or copy the file again",
    )


def check_length(name: str, start: float, end: float) -> None:
    """Raises ClipError for a clip that nobody could have meant."""
    if end - start > MAX_SECONDS:
        raise ClipError(
            "clip too long",
            f"the clip runs from {start:.0f} to {end:.0f} s of {name}, at most {MAX_SECONDS / 3600:.0f} hours are read",
            "give start and end, or look whether the file's header is damaged",
        )


class Pace:
    """Counts the pictures of a stream as they are decoded: a small file may hold millions of them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._first = self._last = 0.0

    def take(self, time: float) -> None:
        """One more picture, at `time`. Raises ClipError where they come faster than any camera takes them."""
        if not self._count:
            self._first = self._last = time
        self._count += 1
        self._last = max(self._last, time)
        if self._count > MAX_PICTURES * (1 + self._last - self._first):
            raise ClipError(
                "too many frames",
                f"{self._name} shows more than {MAX_PICTURES} frames a second at {time:.1f} s",
                "convert it to a common frame rate",
            )


def _check_sound(name: str, rate: int, channels: int) -> None:
    if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1] or not 1 <= channels <= MAX_CHANNELS:
        raise ClipError(
            "impossible sound",
            f"{name} has sound of {channels} channels at {rate} Hz, at most {MAX_CHANNELS} channels at "
            f"{SAMPLE_RATES[0]} to {SAMPLE_RATES[1]} Hz are read",
            "convert it, or copy the file again",
        )
