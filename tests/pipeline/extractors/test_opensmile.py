"""The voice extractor: right in number and in time, honest about silence, the same in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimdata.pipeline.extractors.opensmile import OpensmileExtractor
from mimdata.pipeline.media import SAMPLE_RATE, Media
from mimdata.pipeline.records import Clip, Reason, Track
from mimdata.pipeline.steps import Extractor, Resources
from tests.pipeline.films import Codecs, write_film

CLIP = Clip("v[0]", "v", 0, "v.wav", None, None, "hello")
RAW = Codecs(None, "pcm_s16le", rate=SAMPLE_RATE, layout="mono")
PITCH, LOUDNESS = "F0semitoneFrom27.5Hz_sma3nz", "Loudness_sma3"


def harmonics(frequency: float, seconds: float) -> np.ndarray:
    """A voice-like tone of ten harmonics, 1/k each, at a third of the full scale."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * frequency * k * time) / k for k in range(1, 11))
    return (tone / np.abs(tone).max() / 3).astype(np.float32)


def media(folder: Path, sound: np.ndarray, name: str = "sound.wav") -> Media:
    return Media(write_film(folder / name, sound=sound, codecs=RAW), None, None, audio=True, fps=())


def column(step: OpensmileExtractor, track: Track, name: str) -> np.ndarray:
    return track.values[:, step.feature_names.index(name)]


def test_it_is_an_extractor() -> None:
    step = OpensmileExtractor()
    assert isinstance(step, Extractor)
    assert step.reads.audio
    assert step.reads.fps is None


@pytest.mark.parametrize(
    ("feature_set", "level", "dim"),
    [("eGeMAPSv02", "lld", 25), ("ComParE_2016", "lld", 65), ("eGeMAPSv02", "functionals", 88)],
)
def test_sets_and_levels(tmp_path: Path, feature_set: Any, level: Any, dim: int) -> None:
    step = OpensmileExtractor(feature_set, level)
    track = step.open(Resources())(media(tmp_path, harmonics(180, 1.0)), CLIP)
    assert track.values.shape == (1 if level == "functionals" else 96, dim)
    assert track.valid.all()
    assert len(step.feature_names) == dim
    if level == "functionals":
        assert track.times.tolist() == [[0, 1]]


@pytest.mark.parametrize("frequency", [110.0, 200.0, 310.0])
def test_pitch_of_a_tone(tmp_path: Path, frequency: float) -> None:
    step = OpensmileExtractor()
    track = step.open(Resources())(media(tmp_path, harmonics(frequency, 1.0)), CLIP)
    semitones = 12 * np.log2(frequency / 27.5)  # the scale's definition
    assert np.median(column(step, track, PITCH)) == pytest.approx(semitones, abs=0.1)


def test_descriptors_lie_where_their_sound_is(tmp_path: Path) -> None:
    """A burst of 20 ms at 1.0 s: the loudness has its centre of gravity at 1.01 s."""
    sound = np.random.default_rng(0).normal(0, 1e-3, 2 * SAMPLE_RATE).astype(np.float32)
    sound[SAMPLE_RATE : SAMPLE_RATE + 320] += harmonics(500, 0.02)
    step = OpensmileExtractor()
    track = step.open(Resources())(media(tmp_path, sound), CLIP)
    near = np.abs(track.times.mean(axis=1) - 1.0) < 0.1
    weight = column(step, track, LOUDNESS)[near]
    centre = (weight - weight.min()) @ track.times[near].mean(axis=1) / (weight - weight.min()).sum()
    assert centre == pytest.approx(1.01, abs=0.005)
    np.testing.assert_allclose(np.diff(track.times[:, 0]), 0.01, atol=1e-5)
    np.testing.assert_allclose(track.times[:, 1] - track.times[:, 0], 0.01, atol=1e-5)


def test_full_scale_does_not_wrap_round(tmp_path: Path) -> None:
    """Samples of +1.0 would become −1.0 in 16 bits: a slow tone would crackle, and its spectrum be noise."""
    slow = np.clip(1.02 * np.sin(2 * np.pi * 100 * np.arange(SAMPLE_RATE) / SAMPLE_RATE), -1, 1)

    class Loud(Media):
        """A file cannot hold +1.0 in 16 bits: hand it out as floating-point formats would."""

        def audio(self) -> np.ndarray:
            return slow.astype(np.float32)

    path = write_film(tmp_path / "loud.wav", sound=slow.astype(np.float32), codecs=RAW)
    step = OpensmileExtractor()
    extract = step.open(Resources())
    loud = extract(Loud(path, None, None, audio=True, fps=()), CLIP)
    nearly = extract(media(tmp_path, (slow * 0.999).astype(np.float32), "nearly.wav"), CLIP)
    for name in ("alphaRatio_sma3", "spectralFlux_sma3", "hammarbergIndex_sma3"):
        a, b = column(step, loud, name)[5:-5], column(step, nearly, name)[5:-5]
        np.testing.assert_allclose(a, b, rtol=0.05, atol=0.05)


def test_silence_is_told_and_not_measured(tmp_path: Path) -> None:
    sound = harmonics(200, 3.0)
    sound[SAMPLE_RATE : 2 * SAMPLE_RATE] = 0
    track = OpensmileExtractor().open(Resources())(media(tmp_path, sound), CLIP)
    middle = track.times.mean(axis=1)
    inside = (middle > 1.02) & (middle < 1.98)
    assert (track.reason[inside] == Reason.SILENT).all()
    assert not track.values[inside].any()
    assert track.valid[(middle < 0.98) | (middle > 2.02)].all()


@pytest.mark.parametrize("level", ["lld", "functionals"])
def test_a_silent_clip_holds_no_values(tmp_path: Path, level: Any) -> None:
    track = OpensmileExtractor(level=level).open(Resources())(
        media(tmp_path, np.zeros(16_000, np.float32)), CLIP
    )
    assert len(track.values) > 0
    assert set(track.reason.tolist()) == {Reason.SILENT}


@pytest.mark.parametrize("samples", [1, 160, 320, 480, 959])
def test_a_moment_is_too_short(tmp_path: Path, samples: int) -> None:
    sound = harmonics(200, 0.1)[1 : samples + 1]
    track = OpensmileExtractor().open(Resources())(media(tmp_path, sound), CLIP)
    assert track.reason.tolist() == [Reason.TOO_SHORT]
    assert not track.values.any()


def test_no_sound_is_an_empty_track(tmp_path: Path) -> None:
    film = write_film(tmp_path / "mute.mp4", times=np.arange(25) / 25)
    track = OpensmileExtractor().open(Resources())(Media(film, None, None, audio=True, fps=()), CLIP)
    assert track.values.shape == (0, 25)
    assert track.absent == "no audio track"


def test_values_depend_on_the_clip_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    sounds = [
        harmonics(f, s) + rng.normal(0, 0.01, round(s * SAMPLE_RATE))
        for f, s in ((120, 1), (300, 0.4), (90, 2))
    ]
    clips = [media(tmp_path, sound.astype(np.float32), f"{i}.wav") for i, sound in enumerate(sounds)]
    extract = OpensmileExtractor().open(Resources())
    first = [extract(clip, CLIP).values.tobytes() for clip in clips]
    again = OpensmileExtractor().open(Resources())
    for order in ([2, 0, 1, 1], [1, 2, 0], [0]):
        assert [again(clips[i], CLIP).values.tobytes() for i in order] == [first[i] for i in order]


@pytest.mark.shared_data
def test_real_speech(shared_data: Path) -> None:
    """One male speaker's voice: 80 to 160 Hz where it is voiced, louder in its words than before them."""
    path = shared_data / "clips" / "grid" / "bbaf2n.mpg"
    step = OpensmileExtractor()
    track = step.open(Resources())(Media(path, None, None, audio=True, fps=()), CLIP)
    assert track.valid.mean() > 0.95
    pitch = column(step, track, PITCH)
    hertz = 27.5 * 2 ** (np.median(pitch[pitch > 0]) / 12)
    assert 80 < hertz < 160
    spoken = [line.split() for line in path.with_suffix(".align").read_text().splitlines()]
    times = track.times.mean(axis=1)
    loudness = column(step, track, LOUDNESS)
    first, last = (float(spoken[1][0]) / 25_000, float(spoken[-2][1]) / 25_000)
    inside = (times > first) & (times < last)
    assert loudness[inside].mean() > 3 * loudness[times < first - 0.1].mean()
