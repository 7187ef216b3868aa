"""Which of several faces is followed through a clip, and its geometry in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.records import Float32

_Float = npt.NDArray[np.float64]

SAME = 0.3  # boxes that share this much of their union are one face
# Sampled frames lie up to a second apart: a face that moved off its own box is still the same if its centre
# moved by less than its size and its size stayed alike.
ALIKE = (0.5, 2.0)
FORGET = 10  # sampled frames without the face after which whoever is most prominent is followed


@dataclass(frozen=True)
class Face:
    """A detection: box (left, top, right, bottom) and five landmarks (5, 2) in pixels, probability in [0, 1]."""

    box: _Float
    probability: float
    points: _Float

    @property
    def centre(self) -> _Float:
        """(x, y) of the box's middle."""
        middle: _Float = (self.box[:2] + self.box[2:]) / 2
        return middle

    @property
    def size(self) -> _Float:
        """Width and height of the box."""
        size: _Float = self.box[2:] - self.box[:2]
        return size


class Follower:
    """Follows one face through the frames of a clip: the most prominent at first, then the one that continues it."""

    def __init__(self) -> None:
        self._last: Face | None = None
        self._missed = 0

    def choose(self, faces: Sequence[Face], frame: tuple[int, int]) -> Face | None:
        """The followed face among those of a frame of (height, width); None if it is not there.

        A face that was gone for more than FORGET frames is given up.
        """
        if self._last is None or self._missed > FORGET:
            chosen = max(faces, key=lambda face: prominence(face, frame), default=None)
        else:
            last = self._last
            alike = [face for face in faces if continues(last, face)]
            chosen = max(alike, key=lambda face: (overlap(last, face), -_distance(last, face)), default=None)
        if chosen is None:
            self._missed += self._last is not None
        else:
            self._last, self._missed = chosen, 0
        return chosen


def prominence(face: Face, frame: tuple[int, int]) -> float:
    """Area of a face times how central it is: 1 in the frame's middle, 0 in a corner."""
    height, width = frame
    off = (face.centre - np.array([width, height]) / 2) / (np.array([width, height]) / 2)
    return float(np.prod(np.maximum(face.size, 0)) * max(0.0, 1 - np.linalg.norm(off) / np.sqrt(2)))


def overlap(a: Face, b: Face) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(a.box[2:], b.box[2:]) - np.maximum(a.box[:2], b.box[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    union = float(np.prod(a.size) + np.prod(b.size)) - shared
    return shared / union if union > 0 else 0.0


def continues(last: Face, face: Face) -> bool:
    """Whether `face` can be `last` some frames later."""
    ratio = float(np.sqrt(np.prod(face.size) / max(float(np.prod(last.size)), 1e-9)))
    near = _distance(last, face) < float(np.sqrt(np.prod(last.size)))
    return overlap(last, face) >= SAME or (near and ALIKE[0] <= ratio <= ALIKE[1])


def geometry(face: Face, frame: tuple[int, int]) -> Float32:
    """The 16 columns of geometry (16,): probability; centre and size relative to the frame; roll; landmarks.

    Roll is the angle of the line between the eyes in radians, 0 when level, positive clockwise. Landmarks are relative
    to the box: (0, 0) its left top, (1, 1) its right bottom.
    """
    height, width = frame
    scale = np.array([width, height], np.float64)
    eyes = face.points[1] - face.points[0]
    roll = np.arctan2(eyes[1], eyes[0])
    marks = (face.points - face.box[:2]) / np.maximum(face.size, 1e-9)
    parts = ([face.probability], face.centre / scale, face.size / scale, [roll], marks.ravel())
    return np.concatenate(parts).astype(np.float32)


def _distance(a: Face, b: Face) -> float:
    return float(np.linalg.norm(a.centre - b.centre))
