"""Pictures and files of the demo corpus: a photograph of a face in gentle motion, as H.264 and AAC in mp4."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.records import Float32, UInt8

if TYPE_CHECKING:
    from PIL import Image

WIDTH, HEIGHT, FPS = 320, 240, 25
AUDIO_RATE = 22050  # espeak-ng's own
FACE = (224.0, 118.0)  # column and row of the face's centre in skimage's astronaut (512 × 512)
VIEW = 250.0  # columns of the photograph that a frame shows


@dataclass(frozen=True)
class Motion:
    """How the face of one video moves: phases in radians of sway, drift and zoom; whether it is mirrored."""

    phases: tuple[float, float, float]
    mirrored: bool
    brightness: float


def boxes(motion: Motion, times: npt.NDArray[np.float64], nod: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """times (n,) seconds, nod (n,) columns → (n, 4) left, top, right, bottom in the photograph."""
    sway, drift, zoom = motion.phases
    view = VIEW * (1 + 0.08 * np.sin(2 * np.pi * 0.11 * times + zoom))
    x = FACE[0] + 14 * np.sin(2 * np.pi * 0.23 * times + sway)
    y = FACE[1] + 6 * np.sin(2 * np.pi * 0.31 * times + drift) + nod
    half = np.stack([-view, -view * HEIGHT / WIDTH, view, view * HEIGHT / WIDTH], axis=1) / 2
    # The face is near the photograph's upper edge: a frame never reaches past it.
    return np.clip(np.stack([x, y, x, y], axis=1) + half, 0, 512)


def frames(motion: Motion, places: npt.NDArray[Any]) -> Iterator[UInt8]:
    """places (n, 4) → n frames (HEIGHT, WIDTH, 3) uint8 RGB."""
    from PIL import Image

    photograph = _photograph(motion.mirrored, motion.brightness)
    for place in places:
        left, top, right, bottom = (float(edge) for edge in place)
        if motion.mirrored:
            left, right = 512 - right, 512 - left
        picture = photograph.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, (left, top, right, bottom))
        yield np.asarray(picture)


@lru_cache(maxsize=8)
def _photograph(mirrored: bool, brightness: float) -> Image.Image:
    """The official portrait of Eileen Collins (NASA, public domain), which scikit-image carries."""
    import skimage.data
    from PIL import Image, ImageOps

    picture = Image.fromarray(skimage.data.astronaut()).point(lambda value: min(255, value * brightness))
    return ImageOps.mirror(picture) if mirrored else picture


@dataclass
class Recording:
    """An mp4 file under way. Sound and pictures are added in turn; their clocks count what was added."""

    container: Any
    video: Any
    audio: Any
    pictures: int = 0
    samples: int = 0

    def add(self, samples: Float32, pictures: Iterator[UInt8]) -> None:
        """Append (n,) samples in [−1, 1] and then all pictures."""
        import av

        sound = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = (
            AUDIO_RATE,
            self.samples,
            self.audio.codec_context.time_base,
        )
        self.samples += len(samples)
        self.container.mux(self.audio.encode(sound))
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = self.pictures, self.video.codec_context.time_base
            self.pictures += 1
            self.container.mux(self.video.encode(frame))


@contextmanager
def record(path: Path) -> Iterator[Recording]:
    """Write an mp4 file at `path`, on one thread and without dates, so that equal input gives equal bytes."""
    from fractions import Fraction

    import av

    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream(
            "libx264", rate=FPS, options={"preset": "ultrafast", "crf": "24", "g": "50"}
        )
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=AUDIO_RATE, layout="mono")
        audio.bit_rate = 64_000
        for stream in (video, audio):
            stream.codec_context.thread_count = 1
            stream.codec_context.flags |= av.codec.context.Flags.bitexact
        video.codec_context.time_base = Fraction(1, FPS)
        audio.codec_context.time_base = Fraction(1, AUDIO_RATE)
        yield Recording(container, video, audio)
        for stream in (video, audio):
            container.mux(stream.encode(None))
