"""One utterance as one row: words, pauses, word pieces, masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mimdata.pipeline.config import PoolingConfig
from mimdata.pipeline.dataset.rows import row
from tests.pipeline.dataset.fixtures import WORDS, results


def values(pooling: PoolingConfig) -> dict[str, Any]:
    found: dict[str, Any] = row(WORDS, results(0), pooling).to_pylist()[0]
    return found


def test_words_without_pauses() -> None:
    found = values(PoolingConfig())
    assert found["words"] == ["so", "good"]
    assert found["word_type"] == ["word", "word"]
    assert found["word_status"] == ["aligned", "interpolated"]
    assert found["token_words"] == [-1, 0, 1, 1, -1]
    assert found["audio_frames"] == [50, 30]


def test_pauses_are_rows_of_their_own_type() -> None:
    found = values(PoolingConfig(pauses="keep"))
    assert found["words"] == ["so", "", "good"]
    assert found["word_type"] == ["word", "pause", "word"]
    assert found["word_start"] == pytest.approx([0, 0.5, 0.7])
    assert found["text_valid"] == [True, False, True]
    assert found["audio_valid"] == [True, True, True]
    assert found["word_confidence"] == pytest.approx([0.9, 0, 0.4])


def test_text_is_the_mean_of_its_word_pieces() -> None:
    pieces = results(0)["text"].values
    found = values(PoolingConfig())
    np.testing.assert_allclose(found["text_mean"], [pieces[1], pieces[2:4].mean(axis=0)], rtol=1e-6)


def test_statistics_are_columns_of_their_own() -> None:
    audio = results(0)["audio"].values
    found = values(PoolingConfig())
    np.testing.assert_allclose(found["audio_mean"][0], audio[:50].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found["audio_std"][0], audio[:50].std(axis=0), atol=1e-5)
    np.testing.assert_allclose(found["audio_max"][0], audio[:50].max(axis=0))
    assert "audio_std" not in values(PoolingConfig(statistics=("mean",)))


def test_a_word_without_a_face_is_masked_and_not_merely_zero() -> None:
    found = values(PoolingConfig())
    assert found["vision_valid"] == [True, False]
    assert found["vision_frames"] == [3, 0]
    assert found["vision_mean"][1] == [0.0, 0.0]
