"""Computational sequences that tests make up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mimdata.pipeline.formats.csd import TimedFeatures, write_csd


def words_csd(root: Path, **videos: list[tuple[str, float, float]]) -> None:
    write_csd(root / "Words.csd", "words", ((v, entry(w)) for v, w in videos.items()))


def entry(words: list[tuple[str, float, float]]) -> TimedFeatures:
    times = np.array([[a, b] for _, a, b in words], np.float64).reshape(-1, 2)
    return TimedFeatures(times, np.array([[w.encode()] for w, _, _ in words], object).reshape(-1, 1))


def labels_csd(root: Path, **videos: list[tuple[float, float, float]]) -> None:
    made = (
        (
            v,
            TimedFeatures(
                np.array([[a, b] for a, b, _ in rows]), np.array([[s] for *_, s in rows], np.float32)
            ),
        )
        for v, rows in videos.items()
    )
    write_csd(root / "Labels.csd", "Labels", made)


SPOKEN = [
    ("sp", 0.0, 0.4),
    ("it", 0.4, 0.6),
    ("was", 0.6, 0.9),
    ("sp", 0.9, 1.2),
    ("good", 1.2, 1.6),
    ("", 1.6, 1.9),
]
