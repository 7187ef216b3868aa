"""What flows through the pipeline: clips, tracks of features, tokens and timed words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.terminal import one_line

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]


class Reason(IntEnum):
    """Why a frame of a track holds no values; stored as one byte a frame."""

    VALID = 0
    NO_FACE = 1  # the detector found none
    OTHER_FACE = 2  # faces were found, but none continues the one that is followed
    FRAME_TOO_SMALL = 3  # below the smallest picture that the detector takes
    NO_FRAME = 4  # the stream shows no picture at this time
    TOO_SHORT = 5  # too few samples for one analysis window
    SILENT = 6  # digital silence: every sample is zero
    NOT_FINITE = 7  # the library returned NaN or ±inf


class WordStatus(IntEnum):
    """How a word came by its interval; stored as one byte a word."""

    ALIGNED = 0  # found in the sound, or given by whoever made the corpus
    INTERPOLATED = 1  # placed between its neighbours or spread over detected speech
    MISSING = 2  # nothing that can be heard (punctuation alone): an empty interval


@dataclass(frozen=True)
class GivenWord:
    """A word with times that came with the corpus, in seconds from the clip's start."""

    word: str
    start: float
    end: float


# The columns of sentiment in single modalities, by modality.
SINGLE = {modality: f"sentiment_{modality}" for modality in ("text", "audio", "vision")}


@dataclass(frozen=True)
class Clip:
    """One utterance of a corpus: a span of a media file, its transcript and its labels.

    `clip_id` is `video[segment]`, the CMU convention. `source` is the path of the media file relative to the
    corpus root, with forward slashes. `start` and `end` are seconds in that file; None stands for the
    file's own beginning and end. `words` holds word times where the corpus brings them. Sentiment is in
    [−3, 3]; emotions are intensities in [0, 3] by name (MOSEI's six, or a corpus's own). `sentiments` is what was
    heard or seen in single modalities ("text", "audio", "vision"), by raters who had no other, as CH-SIMS has them.
    """

    clip_id: str
    video_id: str
    segment: int
    source: str
    start: float | None
    end: float | None
    text: str
    language: str = "en"
    split: Split | None = None
    sentiment: float | None = None
    emotions: Mapping[str, float] = field(default_factory=dict)
    speaker: str | None = None
    words: tuple[GivenWord, ...] | None = None
    sentiments: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """Something wrong with a corpus, found before or while its clips are read.

    `cause` is a short stable phrase that groups equal problems ("missing file"), `message` one line for a
    person, `hint` what to do about it. `clip_id` and `source` say where, as far as is known. A problem with
    `excludes` set costs the clip that it names; another is only said.
    """

    cause: str
    message: str
    hint: str = ""
    clip_id: str | None = None
    source: str | None = None
    excludes: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", one_line(self.message))


@dataclass(frozen=True)
class Track:
    """Features of one clip over time, of one modality.

    times (n, 2) float32: start and end of each frame, seconds from the clip's start, ascending.
    values (n, d) float32, finite everywhere, zero where `reason` is not `Reason.VALID`.
    reason (n,) uint8: one `Reason` a frame. `absent` says why a whole track is empty ("no audio track").
    """

    times: Float32
    values: Float32
    reason: UInt8
    absent: str = ""

    @property
    def valid(self) -> Bool:
        """(n,) bool: the frames that hold values."""
        valid: Bool = self.reason == Reason.VALID
        return valid

    def __post_init__(self) -> None:
        n = len(self.values)
        if self.values.ndim != 2 or self.times.shape != (n, 2) or self.reason.shape != (n,):
            raise ValueError(
                f"track shapes disagree: times {self.times.shape}, values {self.values.shape}, reason {self.reason.shape}"
            )
        if not (np.isfinite(self.values).all() and np.isfinite(self.times).all()):
            raise ValueError("a track must hold finite numbers only; mark the frame invalid and zero it")

    @staticmethod
    def empty(dim: int, absent: str) -> Track:
        """A track without frames, and why."""
        return Track(
            np.zeros((0, 2), np.float32), np.zeros((0, dim), np.float32), np.zeros(0, np.uint8), absent
        )


@dataclass(frozen=True)
class Tokens:
    """Word pieces of one clip's transcript and their contextual states.

    ids (t,) int32: vocabulary ids, special tokens included. words (t,) int32: index of the word in
    `words_of(clip.text)` that each token belongs to, −1 for special tokens. values (t, d) float32, finite.
    """

    ids: Int32
    words: Int32
    values: Float32

    def __post_init__(self) -> None:
        t = len(self.values)
        if self.values.ndim != 2 or self.ids.shape != (t,) or self.words.shape != (t,):
            raise ValueError(
                f"token shapes disagree: ids {self.ids.shape}, words {self.words.shape}, values {self.values.shape}"
            )
        if not np.isfinite(self.values).all():
            raise ValueError("token states must be finite")


@dataclass(frozen=True)
class Words:
    """A transcript's words in time: one to one with `words_of(clip.text)`, in order.

    intervals (w, 2) float32: seconds from the clip's start, starts ascending, 0 ≤ start ≤ end.
    confidence (w,) float32 in [0, 1]. status (w,) uint8: one `WordStatus` a word.
    pauses (p, 2) float32: the silences between words, in order; never mixed with the words.
    source names what placed the words ("pocketsphinx", "given", "textgrid", "speech", "span").
    suspect lists why the alignment as a whole deserves a look; empty when nothing is odd.
    """

    words: tuple[str, ...]
    intervals: Float32
    confidence: Float32
    status: UInt8
    pauses: Float32
    source: str
    suspect: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        w = len(self.words)
        if self.intervals.shape != (w, 2) or self.confidence.shape != (w,) or self.status.shape != (w,):
            raise ValueError(
                f"{w} words, but intervals {self.intervals.shape}, confidence {self.confidence.shape}, "
                f"status {self.status.shape}"
            )
        if self.pauses.ndim != 2 or self.pauses.shape[1] != 2:
            raise ValueError(f"pauses must be (p, 2), not {self.pauses.shape}")
        if not (np.isfinite(self.intervals).all() and np.isfinite(self.confidence).all()):
            raise ValueError("word times and confidences must be finite")
        if w and (
            (self.intervals[:, 1] < self.intervals[:, 0]).any() or (np.diff(self.intervals[:, 0]) < 0).any()
        ):
            raise ValueError("word intervals must have start ≤ end and ascending starts")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a transcript, as every part of the pipeline counts them: split at white space."""
    return tuple(text.split())
