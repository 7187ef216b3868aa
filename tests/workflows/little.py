"""A corpus of a few seconds of sound with words in time, and the workflow that rebuilds it: quick, and real throughout."""

from __future__ import annotations

import json
import wave
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mimdata.pipeline.config import RunConfig, load_config
from mimdata.pipeline.run import Options
from mimdata.pipeline.store.folder import Folder
from mimdata.workflows.rebuild import rebuild
from mimdata.workflows.report import Report

RATE = 16_000
WORDS = ("well", "this", "was", "really", "good", "bad", "long", "short", "loud", "quiet")
SPLITS = ("train", "train", "train", "valid", "test")


def voice(name: str, seconds: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    """A hum that belongs to a name, with some noise: every feature of it is finite and of its own."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    t = np.arange(round(seconds * RATE)) / RATE
    pitch = 90 + 120 * random.random()
    sound = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 8)) * (1 + 0.3 * np.sin(5 * t))
    mixed = 4000 * sound + 300 * random.standard_normal(len(t))
    return mixed.astype(np.int16)


def write_wave(path: Path, samples: np.ndarray[Any, np.dtype[np.int16]]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


@dataclass
class Little:
    """Videos of `segments` utterances of two seconds; `store` is where the workflow works."""

    root: Path
    store: Path
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, video: str, split: str | None = None, segments: int = 2) -> None:
        """One more video, at the end of the manifest."""
        write_wave(self.root / f"{video}.wav", voice(video, 2.0 * segments))
        number = len({row["video_id"] for row in self.rows})
        for i in range(segments):
            self.rows.append(
                {
                    "clip_id": f"{video}[{i}]",
                    "video_id": video,
                    "segment": i,
                    "source": f"{video}.wav",
                    "start": 2.0 * i,
                    "end": 2.0 * i + 2,
                    "split": split or SPLITS[number % len(SPLITS)],
                    "sentiment": round(((number * 7 + i * 3) % 13) / 2 - 3, 1),
                    **said(video, i),
                }
            )
        self.write()

    def row(self, clip_id: str) -> dict[str, Any]:
        """The manifest's row of a clip, to be changed; call `write` afterwards."""
        return next(row for row in self.rows if row["clip_id"] == clip_id)

    def remove(self, video: str) -> None:
        self.rows = [row for row in self.rows if row["video_id"] != video]
        (self.root / f"{video}.wav").unlink()
        self.write()

    def write(self, order: Sequence[int] | None = None) -> None:
        rows = self.rows if order is None else [self.rows[i] for i in order]
        (self.root / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def config(self, **changes: Any) -> RunConfig:
        given = {
            "corpus": "manifest",
            "root": self.root,
            "store": str(self.store),
            "workers": 0,
            "modalities": ["audio"],
            "aligner": {"name": "given"},
        }
        # Six utterances to train on: one more moves every mean.
        checks = {"feature_drift": "off", **changes.pop("checks", {})}
        return load_config(None, {**given, **changes, "checks": checks}, environment={})

    def rebuild(self, options: Options | None = None, **changes: Any) -> tuple[Report, Folder]:
        """One night, in this process."""
        return rebuild(self.config(**changes), "mimdata rebuild little.toml", options or Options())

    def digest(self, **changes: Any) -> str:
        """Of the version that a night came to."""
        report, _ = self.rebuild(**changes)
        assert report.version is not None, report.reason
        return str(report.version["digest"])

    def toml(self, path: Path, more: str = "") -> Path:
        """The workflow as a file."""
        path.write_text(
            f'corpus = "manifest"\nroot = "{self.root}"\nstore = "{self.store}"\nworkers = 0\n'
            f'modalities = ["audio"]\n{more}\n[aligner]\nname = "given"\n'
            '[checks]\nfeature_drift = "off"\n'
        )
        return path


def said(video: str, segment: int) -> dict[str, Any]:
    """Text and word times of an utterance: four words of 0.4 s, all others apart."""
    random = np.random.default_rng(zlib.crc32(f"{video}{segment}".encode()))
    words = [WORDS[i] for i in random.choice(len(WORDS), 5, replace=False)] + [video]
    times = [
        {"word": word, "start": round(0.1 + 0.3 * i, 2), "end": round(0.35 + 0.3 * i, 2)}
        for i, word in enumerate(words)
    ]
    return {"text": " ".join(words), "words": times}


def little(folder: Path, videos: int = 5) -> Little:
    """A new corpus in `folder`/corpus with a store beside it."""
    (folder / "corpus").mkdir(parents=True)
    made = Little(folder / "corpus", folder / "store")
    for i in range(videos):
        made.add(f"v{i}")
    return made
