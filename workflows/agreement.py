"""How well aligned words agree with known word times."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Absolute differences of word starts: how many words, median and 95th percentile in ms, share within 100 ms."""

    words: int
    median_ms: float
    p95_ms: float
    within_100_ms: float


def agreement(found: Sequence[Sequence[float]], known: Sequence[Sequence[float]]) -> Agreement:
    """Compare starts of words, in seconds; `found` and `known` hold one sequence a clip, word for word.

    Raises ValueError when a clip has not as many words in both, or there is no word at all.
    """
    pairs = [np.abs(np.asarray(a) - np.asarray(b)) for a, b in zip(found, known, strict=True)]
    differences = np.concatenate(pairs) * 1000
    if not len(differences):
        raise ValueError("no words to compare")
    return Agreement(
        words=len(differences),
        median_ms=float(np.median(differences)),
        p95_ms=float(np.percentile(differences, 95)),
        within_100_ms=float((differences <= 100).mean()),
    )


def demo_truth(root: Path) -> dict[str, list[float]]:
    """When the demo's words were really spoken: starts in seconds by clip id, from Truth/words.jsonl."""
    lines = (root / "Truth" / "words.jsonl").read_text(encoding="utf-8").splitlines()
    rows: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
    return {row["clip_id"]: [word["start"] for word in row["words"]] for row in rows}
