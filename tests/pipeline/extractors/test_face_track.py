"""Following a face: who is prominent, who continues whom, and geometry in numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mimdata.pipeline.extractors.face_track import (
    FORGET,
    Face,
    Follower,
    continues,
    geometry,
    overlap,
    prominence,
)

FRAME = (100, 200)  # height, width


def face(left: float, top: float, side: float) -> Face:
    """A square face with its eyes level at a third of its height."""
    marks = np.array([[0.3, 1 / 3], [0.7, 1 / 3], [0.5, 0.5], [0.35, 0.8], [0.65, 0.8]])
    corner = np.array([left, top])
    return Face(np.array([left, top, left + side, top + side]), 0.99, corner + side * marks)


def test_geometry_by_hand() -> None:
    values = geometry(face(50, 20, 40), FRAME)
    expected = [0.99, 0.35, 0.4, 0.2, 0.4, 0.0, 0.3, 1 / 3, 0.7, 1 / 3, 0.5, 0.5, 0.35, 0.8, 0.65, 0.8]
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert values.dtype == np.float32


def test_overlap_by_hand() -> None:
    assert overlap(face(0, 0, 10), face(0, 0, 10)) == 1
    assert overlap(face(0, 0, 10), face(5, 0, 10)) == pytest.approx(50 / 150)
    assert overlap(face(0, 0, 10), face(20, 0, 10)) == 0


def test_large_and_central_comes_first() -> None:
    middle, corner = face(85, 35, 30), face(0, 0, 30)
    assert prominence(middle, FRAME) > prominence(corner, FRAME)
    assert prominence(face(70, 20, 60), FRAME) > prominence(middle, FRAME)


def test_continuing_takes_overlap_or_a_short_way_at_a_like_size() -> None:
    last = face(50, 20, 40)
    assert continues(last, face(60, 20, 40))
    assert continues(last, face(85, 20, 40))  # beside its old place, but by less than its size
    assert not continues(last, face(95, 20, 40))  # farther than its size
    assert not continues(last, face(72, 42, 10))  # there, but a quarter as large
    assert not Follower().choose([], FRAME)


def test_the_order_of_detections_does_not_matter() -> None:
    frames = [[face(20 + 5 * k, 20, 40), face(120, 30, 45 + k), face(60, 60, 20)] for k in range(6)]
    chosen = []
    for turn in (1, -1):
        follower = Follower()
        found = [follower.choose(faces[::turn], FRAME) for faces in frames]
        chosen.append([None if one is None else one.box.tolist() for one in found])
    assert chosen[0] == chosen[1]


def test_a_short_absence_is_forgiven_and_a_long_one_is_not() -> None:
    follower = Follower()
    first, other = face(20, 20, 40), face(140, 20, 40)
    assert follower.choose([first], FRAME) is first
    for _ in range(FORGET):
        assert follower.choose([other], FRAME) is None
    assert follower.choose([first, other], FRAME) is first
    for _ in range(FORGET + 1):
        assert follower.choose([other], FRAME) is None
    assert follower.choose([other], FRAME) is other
