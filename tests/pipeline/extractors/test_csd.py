"""Frames of computational sequences as tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.extractors.csd import CsdExtractor, modality_of
from mimdata.pipeline.formats.csd import TimedFeatures, write_csd
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Reason, Track
from mimdata.pipeline.steps import Resources


def extract(file: Path, clip: Clip) -> Track:
    step = CsdExtractor(modality="audio", file=str(file))
    found = step.open(Resources())(Media(file, clip.start, clip.end, audio=False, fps=set()), clip)
    assert isinstance(found, Track)
    return found


def a_clip(start: float = 1.0, end: float = 2.0) -> Clip:
    return Clip("a[0]", "a", 0, "x.csd", start, end, "it was")


def test_frames_that_touch_a_clip_are_its_track(tmp_path: Path) -> None:
    times = np.array([[0.0, 0.5], [0.9, 1.1], [1.5, 1.5], [1.6, 1.8], [1.2, 1.4], [np.nan, 2.0], [2.0, 2.5]])
    values = np.arange(14, dtype=np.float32).reshape(7, 2)
    values[3, 1] = -np.inf
    write_csd(tmp_path / "COVAREP.csd", "covarep", [("a", TimedFeatures(times, values))])
    track = extract(tmp_path / "COVAREP.csd", a_clip())
    assert np.allclose(track.times, [[-0.1, 0.1], [0.2, 0.4], [0.6, 0.8]])
    assert track.values.tolist() == [[2, 3], [8, 9], [0, 0]]
    assert track.reason.tolist() == [Reason.VALID, Reason.VALID, Reason.NOT_FINITE]


def test_an_entry_of_the_clips_own_counts_from_its_start(tmp_path: Path) -> None:
    own = TimedFeatures(np.array([[0.0, 0.5]]), np.ones((1, 2), np.float32))
    write_csd(
        tmp_path / "f.csd", "f", [("a[0]", own), ("a", TimedFeatures(np.zeros((0, 2)), np.zeros((0, 2))))]
    )
    assert extract(tmp_path / "f.csd", a_clip()).times.tolist() == [[0.0, 0.5]]


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_an_entry_of_the_clips_own_with_the_videos_times_lies_where_they_say(
    tmp_path: Path, shift: float
) -> None:
    times = np.array([[0.1, 0.4], [0.4, 0.9]]) + shift
    write_csd(tmp_path / "f.csd", "f", [("a[0]", TimedFeatures(times, np.ones((2, 2), np.float32)))])
    assert extract(tmp_path / "f.csd", a_clip()).times == pytest.approx(np.array([[0.1, 0.4], [0.4, 0.9]]))


def test_the_clips_of_a_video_read_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = TimedFeatures(np.array([[1.0, 1.5], [3.0, 3.5]]), np.ones((2, 2), np.float32))
    write_csd(tmp_path / "f.csd", "f", [("a", frames)])
    extract(tmp_path / "f.csd", a_clip())

    def read(*_: Any) -> None:
        raise AssertionError("read twice")

    monkeypatch.setattr("mimdata.pipeline.formats.csd.ComputationalSequence.entry", read)
    assert len(extract(tmp_path / "f.csd", Clip("a[1]", "a", 1, "x.csd", 2.5, 4.0, "good")).values) == 1


def test_a_video_that_a_sequence_lacks_is_absent_and_other_widths_fail(tmp_path: Path) -> None:
    wide = TimedFeatures(np.array([[1.0, 1.5]]), np.ones((1, 3), np.float32))
    first = TimedFeatures(np.array([[0.0, 0.5]]), np.ones((1, 2), np.float32))
    write_csd(tmp_path / "f.csd", "f", [("0", first), ("b", wide)])
    assert "nothing of a" in extract(tmp_path / "f.csd", a_clip()).absent
    with pytest.raises(ClipError, match="3 columns"):
        extract(tmp_path / "f.csd", Clip("b[0]", "b", 0, "x.csd", 1.0, 2.0, "it"))


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("CMU_MOSI_COVAREP", "audio"),
        ("FACET 4.2", "vision"),
        ("glove_vectors", "text"),
        ("My Gaze-3", "my_gaze_3"),
    ],
)
def test_names_tell_of_modalities(name: str, modality: str) -> None:
    assert modality_of(name) == modality
