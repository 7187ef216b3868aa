"""Detected speech, and words spread over it."""

from __future__ import annotations

import numpy as np
import pytest

from mimdata.pipeline.alignment.speech import RATE, _along, detect_speech, spread
from mimdata.pipeline.records import Float32, WordStatus


def sound(*parts: tuple[float, float]) -> Float32:
    """Noise bursts: (seconds, amplitude) each."""
    rng = np.random.default_rng(0)
    bursts = [rng.normal(0, level, int(seconds * RATE)) for seconds, level in parts]
    return np.concatenate(bursts).astype(np.float32)


def test_bursts_over_a_noise_floor_are_speech() -> None:
    found = detect_speech(sound((1, 0.001), (1.5, 0.1), (1, 0.001), (0.5, 0.05), (0.5, 0.001)))
    assert found == pytest.approx(np.array([[1, 2.5], [3.5, 4]]), abs=0.03)


def test_short_gaps_are_closed_and_clicks_dropped() -> None:
    found = detect_speech(
        sound((1, 0.001), (0.5, 0.1), (0.1, 0.001), (0.5, 0.1), (1, 0.001), (0.03, 0.1), (1, 0.001))
    )
    assert found == pytest.approx(np.array([[1, 2.1]]), abs=0.03)


@pytest.mark.parametrize("audio", [np.zeros(RATE, np.float32), np.zeros(0, np.float32), sound((1, 1e-4))])
def test_silence_holds_no_speech(audio: Float32) -> None:
    assert detect_speech(audio).shape == (0, 2)


def test_uniform_sound_is_all_speech() -> None:
    assert detect_speech(sound((2, 0.1))) == pytest.approx(np.array([[0, 2]]), abs=0.03)


def test_words_are_spread_over_speech_by_their_letters() -> None:
    audio = sound((1, 0.001), (1.2, 0.1), (1, 0.001), (0.8, 0.1), (1, 0.001))
    words = spread(["abc", "…", "abcd", "abc"], np.array([True, False, True, True]), audio, 5.0, ("why",))
    assert words.source == "speech"
    assert words.suspect == ("why",)
    # 2 s of speech, 10 letters; the third word bridges the pause
    assert words.intervals == pytest.approx(np.array([[1, 1.6], [1.6, 1.6], [1.6, 3.4], [3.4, 4]]), abs=0.04)
    assert words.status.tolist() == [
        WordStatus.INTERPOLATED,
        WordStatus.MISSING,
        *[WordStatus.INTERPOLATED] * 2,
    ]
    assert words.confidence.max() <= np.float32(0.2)
    assert words.pauses == pytest.approx(np.array([[0, 1], [4, 5]]), abs=0.04)


def test_a_word_that_ends_with_a_stretch_leaves_the_pause_alone() -> None:
    intervals = _along(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 1, 0, 1, 1]))
    assert intervals.tolist() == [[1, 1.5], [1.5, 2], [2, 2], [3, 3.5], [3.5, 4]]


def test_without_sound_words_are_spread_over_the_clip() -> None:
    words = spread(["ab", "ab"], np.ones(2, np.bool_), None, 4.0, ("why",))
    assert words.source == "span"
    assert words.intervals.tolist() == [[0, 2], [2, 4]]
    assert words.confidence.max() <= np.float32(0.1)
    assert len(words.pauses) == 0


@pytest.mark.parametrize("audio", [None, sound((1, 0.001), (1, 0.1), (1, 0.001))])
def test_punctuation_alone_is_missing(audio: Float32 | None) -> None:
    words = spread(["…", "—"], np.zeros(2, np.bool_), audio, 3.0, ())
    assert words.status.tolist() == [WordStatus.MISSING] * 2
    assert (words.intervals[:, 0] == words.intervals[:, 1]).all()
    assert not words.confidence.any()
