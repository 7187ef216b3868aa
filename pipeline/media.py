"""The sound and the frames of one clip, decoded once, whoever asks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.decoding import Decoder
from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.records import Float32
from mimdata.pipeline.timeline import SAMPLE_RATE, Picture

__all__ = ["SAMPLE_RATE", "Frame", "Media"]

FRAME_BUDGET = 512 * 2**20  # bytes of frames that are kept of one clip


@dataclass(frozen=True)
class Frame:
    """What is shown in one sampling interval, which begins `time` seconds after the clip does.

    image (h, w, 3) uint8 RGB, or None where the stream shows nothing then.
    """

    time: float
    image: npt.NDArray[np.uint8] | None


class Media:
    """One clip of a media file: the span [start, end) in seconds, None for the file's beginning and end.

    Says beforehand whether the sound and at which rates frames will be asked for; the first question decodes
    both in one pass. Frames beyond `frame_budget` bytes are not kept: `frames` then decodes the video again as
    it goes, so that memory stays bounded however long the clip. Nothing is opened before the first question.

    Every question raises ClipError for a file that is missing, is no media, is damaged inside the span, or ends
    before the span does.
    """

    def __init__(
        self,
        path: Path,
        start: float | None,
        end: float | None,
        *,
        audio: bool,
        fps: Collection[float],
        frame_budget: int = FRAME_BUDGET,
    ) -> None:
        self.path = path
        self._decoder = Decoder(path, start, end)
        self._wants_audio = audio
        self._rates = tuple(sorted(fps))
        self._budget = frame_budget
        self._audio: Float32 | None = None
        self._pictures: dict[float, list[Picture]] | None = None
        self._loaded = False
        self._error: ClipError | None = None

    @property
    def decodes(self) -> int:
        """How often the file was decoded so far."""
        return self._decoder.passes

    @property
    def packets(self) -> int:
        """How many packets were read so far, in all decodes."""
        return self._decoder.packets

    @property
    def has_video(self) -> bool:
        """Whether the file has a video stream (a cover picture is none)."""
        return self._decoder.layout.has_video

    @property
    def duration(self) -> float:
        """Seconds of the span that are really there."""
        layout = self._decoder.layout
        return layout.end - layout.start

    def audio(self) -> Float32 | None:
        """(n,) mono samples at 16 kHz in [−1, 1], n = duration × 16000; None if the file has no sound.

        Where the sound begins later or ends earlier than the span, and in gaps, samples are zero.
        """
        if not self._wants_audio:
            raise ValueError("sound was not asked for when the clip was opened")
        self._load()
        return self._audio

    def frames(self, fps: float) -> Iterator[Frame]:
        """One frame for each interval [k/fps, (k+1)/fps) of the clip: what is shown at the interval's middle."""
        if fps not in self._rates:
            raise ValueError(f"frames at {fps}/s were not asked for when the clip was opened: {self._rates}")
        self._load()
        if self._pictures is not None:
            pictures: Iterator[Picture] = iter(self._pictures[fps])
        else:
            pictures = (item for item in self._decoder.decode(False, (fps,)) if isinstance(item, Picture))
        return (Frame(picture.number / fps, picture.image) for picture in pictures)

    def _load(self) -> None:
        if self._error is not None:
            raise self._error
        if self._loaded:
            return
        try:
            self._decode()
        except ClipError as error:
            self._error = error  # one clip asks for its tracks one after the other: fail at once from now on
            raise
        self._loaded = True

    def _decode(self) -> None:
        samples = self._silence()
        at = 0
        kept: dict[float, list[Picture]] | None = {rate: [] for rate in self._rates}
        size = 0
        for item in self._decoder.decode(self._wants_audio, self._rates):
            if not isinstance(item, Picture):
                part = np.clip(item[: len(samples) - at], -1.0, 1.0)
                samples[at : at + len(part)] = part
                at += len(part)
            elif kept is not None:
                size += item.image.nbytes if item.image is not None else 0
                kept[item.fps].append(item)
                kept = kept if size <= self._budget else None
        self._pictures = kept
        self._audio = samples if self._wants_audio and self._decoder.layout.has_audio else None

    def _silence(self) -> Float32:
        """(n,) zeros, of the length that the sound will have."""
        return np.zeros(round(self.duration * SAMPLE_RATE) if self._wants_audio else 0, np.float32)
