"""A corpus, an extractor and a word aligner for mimdata, in a package of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.media import SAMPLE_RATE, Media
from mimdata.pipeline.records import Clip, Problem, Reason, Track, Words, WordStatus, words_of
from mimdata.pipeline.steps import AlignWords, Extract, Reads, Resources


class GridCorpus:
    """GRID audiovisual sentences: NAME.mpg files beside a transcripts.tsv of NAME and words."""

    name: ClassVar[str] = "grid"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """One clip a line of transcripts.tsv."""
        table = root / "transcripts.tsv"
        if not table.is_file():
            raise MimdataError(
                f"GRID has no transcripts.tsv: looked in {root}. Point --root at the folder that holds it."
            )
        for line in table.read_text(encoding="utf-8").splitlines():
            name, _, text = line.partition("\t")
            if not (root / f"{name}.mpg").is_file():
                yield Problem(
                    "missing file", f"{name}.mpg is not in {root}", "download it again", f"{name}[0]"
                )
                continue
            yield Clip(f"{name}[0]", name, 0, f"{name}.mpg", None, None, text)

    def check(self, root: Path) -> Iterator[Problem]:
        """Nothing beyond what `clips` says."""
        yield from ()


@dataclass(frozen=True)
class LoudnessExtractor:
    """Root mean square of the sound in decibels, one value a hop."""

    name: ClassVar[str] = "loudness"
    version: ClassVar[int] = 1
    modality: ClassVar[str] = "loudness"
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)
    hop: float = 0.01  # seconds

    @property
    def reads(self) -> Reads:
        """The sound alone."""
        return Reads(audio=True)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One column."""
        return ("rms_db",)

    def weights(self) -> Mapping[str, str]:
        """None."""
        return {}

    def open(self, resources: Resources) -> Extract:
        """Nothing to load."""
        return self._extract

    def _extract(self, media: Media, clip: Clip) -> Track:
        audio = media.audio()
        if audio is None:
            return Track.empty(1, "no audio track")
        size = round(self.hop * SAMPLE_RATE)
        frames = audio[: len(audio) // size * size].reshape(-1, size).astype(np.float64)
        power = (frames**2).mean(axis=1)
        silent = power == 0
        values = np.where(silent, 0, 10 * np.log10(np.where(silent, 1, power)))
        starts = np.arange(len(frames)) * self.hop
        return Track(
            np.stack([starts, starts + self.hop], axis=1).astype(np.float32),
            values[:, None].astype(np.float32),
            np.where(silent, Reason.SILENT, Reason.VALID).astype(np.uint8),
        )


@dataclass(frozen=True)
class EvenAligner:
    """Words of equal length over the whole clip; says of each that it is a guess."""

    name: ClassVar[str] = "even"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)

    @property
    def reads(self) -> Reads:
        """The transcript, and the sound for its length."""
        return Reads(text=True, audio=True)

    def weights(self) -> Mapping[str, str]:
        """None."""
        return {}

    def open(self, resources: Resources) -> AlignWords:
        """Nothing to load."""
        return self._align

    def _align(self, media: Media, clip: Clip) -> Words:
        words = words_of(clip.text)
        edges = np.linspace(0, media.duration, len(words) + 1)
        return Words(
            words=words,
            intervals=np.stack([edges[:-1], edges[1:]], axis=1).astype(np.float32),
            confidence=np.full(len(words), 0.1, np.float32),
            status=np.full(len(words), WordStatus.INTERPOLATED, np.uint8),
            pauses=np.zeros((0, 2), np.float32),
            source="even",
            suspect=("words are spread evenly",),
        )
