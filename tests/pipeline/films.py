"""Films whose every picture tells its number and whose every second begins with a beep, in any container."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from mimdata.pipeline.media import Media

Image = npt.NDArray[np.uint8]
BLOCK = 16  # pixels of a picture's side that hold one bit
COLUMNS, ROWS = 4, 3
TICK = Fraction(1, 1000)


@dataclass(frozen=True)
class Codecs:
    """Video and audio codec; None for a film without pictures or without sound."""

    video: str | None = "libx264"
    audio: str | None = "aac"
    rate: int = 44_100
    layout: str = "stereo"
    key_every: int = 50


LONG = 40  # seconds
CONTAINERS = {
    "mp4": Codecs(),
    "mov": Codecs(audio="pcm_s16le"),
    "mkv": Codecs(audio="libopus", rate=48_000),
    "mpg": Codecs("mpeg1video", "mp2"),
    "ts": Codecs(),
    "avi": Codecs("mpeg4", "libmp3lame"),
    "flv": Codecs("flv", "libmp3lame"),
}
SOUNDS = {
    "wav": Codecs(None, "pcm_s16le"),
    "mp3": Codecs(None, "libmp3lame"),
    "aac": Codecs(None, "aac"),
    "ogg": Codecs(None, "libopus", rate=48_000),
    "flac": Codecs(None, "flac"),
}


def numbered(number: int) -> Image:
    """A picture (48, 64, 3) that shows a number below 4096 in black and white blocks."""
    bits = (number >> np.arange(COLUMNS * ROWS)) & 1
    blocks = np.where(bits, 235, 20).astype(np.uint8).reshape(ROWS, COLUMNS)
    return np.repeat(np.kron(blocks, np.ones((BLOCK, BLOCK), np.uint8))[..., None], 3, axis=2)


def number_of(image: Image) -> int:
    """The number that a picture shows, whatever its codec did to it."""
    blocks = image.mean(axis=2).reshape(ROWS, BLOCK, COLUMNS, BLOCK).mean(axis=(1, 3)).ravel()
    return int(((blocks > 127) << np.arange(COLUMNS * ROWS)).sum())


def beeps(seconds: float, rate: int, loud: float = 0.8) -> npt.NDArray[np.float32]:
    """(n,) a quiet hum, and 50 ms of 1 kHz at the beginning of each whole second."""
    time = np.arange(round(seconds * rate)) / rate
    beep = (time % 1 < 0.05) * loud * np.sin(2 * np.pi * 1000 * time)
    return (beep + 0.01 * np.sin(2 * np.pi * 150 * time)).astype(np.float32)


def write_film(
    path: Path,
    *,
    times: Sequence[float] = (),
    images: Iterable[Image] | None = None,
    sound: npt.NDArray[np.float32] | None = None,
    sound_starts: float = 0.0,
    codecs: Codecs = Codecs(),  # frozen
    options: dict[str, str] | None = None,
) -> Path:
    """Write pictures shown from `times` on (numbered ones unless `images` are given) and mono `sound`.

    Both streams are written in turns, as a camera does.
    """
    if codecs.video is None:
        times = ()
    pictures = list(
        zip(times, images if images is not None else map(numbered, range(len(times))), strict=False)
    )
    with av.open(str(path), "w", options=options or {}) as container:
        video = _video_stream(container, codecs, pictures) if pictures else None
        audio = (
            container.add_stream(codecs.audio, rate=codecs.rate, layout=codecs.layout)
            if codecs.audio and sound is not None
            else None
        )
        pieces = (
            _pieces(sound, sound_starts, codecs, audio) if audio is not None and sound is not None else []
        )
        for frame in sorted(
            [*_frames(pictures), *pieces], key=lambda frame: float(frame.pts * frame.time_base)
        ):
            stream = video if isinstance(frame, av.VideoFrame) else audio
            assert stream is not None
            container.mux(stream.encode(frame))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def _video_stream(container: Any, codecs: Codecs, pictures: Sequence[tuple[float, Image]]) -> Any:
    height, width = pictures[0][1].shape[:2]
    stream = container.add_stream(codecs.video, rate=25, width=width, height=height, pix_fmt="yuv420p")
    if codecs.video not in ("mpeg1video", "mpeg2video", "mpeg4"):  # those count frames, not milliseconds
        stream.codec_context.time_base = TICK
    stream.codec_context.gop_size = codecs.key_every
    stream.bit_rate = 1_000_000
    return stream


def _frames(pictures: Sequence[tuple[float, Image]]) -> list[Any]:
    frames = []
    for time, image in pictures:
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = round(time / TICK), TICK
        frames.append(frame)
    return frames


def _pieces(sound: npt.NDArray[np.float32], starts: float, codecs: Codecs, stream: Any) -> list[Any]:
    """The sound as frames of the size and format that the encoder takes."""
    resampler = av.AudioResampler(
        format=stream.format, layout=codecs.layout, rate=codecs.rate, frame_size=stream.frame_size or 1024
    )
    channels = 2 if codecs.layout == "stereo" else 1
    frame = av.AudioFrame.from_ndarray(
        np.repeat(sound[None], channels, axis=0), format="fltp", layout=codecs.layout
    )
    frame.sample_rate, frame.time_base, frame.pts = codecs.rate, Fraction(1, codecs.rate), 0
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    for piece in pieces:
        piece.pts += round(starts * codecs.rate)
    return pieces


def seen(media: Media, fps: float) -> list[int | None]:
    """The number on each sampled frame of a clip, None where there is none."""
    return [None if frame.image is None else number_of(frame.image) for frame in media.frames(fps)]
