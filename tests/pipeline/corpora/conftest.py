"""A tiny real video, and trees in the raw layouts of MOSEI and MOSI that hold it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mimdata.pipeline.corpora.demo_video import AUDIO_RATE, FPS, HEIGHT, WIDTH, record
from mimdata.pipeline.formats.csd import TimedFeatures, write_csd

Place = Callable[..., Path]


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of grey with a tone."""
    path = tmp_path_factory.mktemp("media") / "tone.mp4"
    tone = (0.1 * np.sin(np.arange(AUDIO_RATE) * 0.1)).astype(np.float32)
    with record(path) as recording:
        recording.add(tone, iter([np.full((HEIGHT, WIDTH, 3), 128, np.uint8)] * FPS))
    return path


@pytest.fixture
def place(tmp_path: Path, video: Path) -> Place:
    """Put the video, or the given text, at a path under the corpus root."""

    def put(path: str, text: str | bytes | None = None) -> Path:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            shutil.copyfile(video, target)
        else:
            target.write_bytes(text if isinstance(text, bytes) else text.encode())
        return target

    return put


def labels_csd(path: Path, rows: dict[str, list[tuple[float, ...]]]) -> None:
    """Write start, end and values of each row as a labels CSD."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [
        (video, TimedFeatures(np.array(r, float)[:, :2], np.array(r, np.float32)[:, 2:]))
        for video, r in rows.items()
    ]
    write_csd(path, "All Labels", entries)


def words_csd(path: Path, words: dict[str, list[tuple[str, float, float]]]) -> None:
    """Write words with times as a words CSD."""
    entries = [
        (video, TimedFeatures(np.array([w[1:] for w in ws]), np.array([[w[0].encode()] for w in ws])))
        for video, ws in words.items()
    ]
    write_csd(path, "words", entries)
