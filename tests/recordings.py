"""Small real recordings, made by PyAV on the spot."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_tone(path: Path, seconds: float, frequency: float = 200.0, rate: int = 16_000) -> None:
    """A sine of half the full scale over a grey picture, in the codecs that the file's name asks for."""
    time = np.arange(round(seconds * rate)) / rate
    samples = (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
    audio_codec, video_codec = ("mp2", "mpeg1video") if path.suffix == ".mpg" else ("aac", "libx264")
    rate_in_file = 44_100 if audio_codec == "mp2" else rate
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=25, width=64, height=64, pix_fmt="yuv420p")
        audio = container.add_stream(audio_codec, rate=rate_in_file, layout="mono")
        for _ in range(round(seconds * 25)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 127, np.uint8), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        resampler = av.AudioResampler(
            format=audio.format, layout="mono", rate=rate_in_file, frame_size=audio.frame_size
        )
        sound = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        sound.sample_rate, sound.time_base, sound.pts = rate, Fraction(1, rate), 0
        for piece in (*resampler.resample(sound), *resampler.resample(None)):
            container.mux(audio.encode(piece))
        container.mux(audio.encode(None))
