"""Steps that record what they are called with, and runs over clips that a test makes up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mimdata.pipeline.config import RunConfig
from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.execute import Workers
from mimdata.pipeline.listing import Listing
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Tokens, Track, Words, words_of
from mimdata.pipeline.run import Options, Run
from mimdata.pipeline.steps import Reads, Resources
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.snapshot import Snapshot
from mimdata.pipeline.store.sources import Sources

HERE = Workers(0)  # one thread in this process, so that calls can be counted
CALLS: list[tuple[str, str]] = []  # modality or "words", clip id


@dataclass(frozen=True)
class FakeTrack:
    """Ten frames a second of numbers that follow from text or file; fails on the clips of `breaks`."""

    name: ClassVar[str] = "fake"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()
    modality: str = "audio"
    rate: float = 10.0
    breaks: tuple[str, ...] = field(default=(), metadata={"identity": False})
    permanent: bool = field(default=True, metadata={"identity": False})

    @property
    def reads(self) -> Reads:
        return Reads(audio=self.modality == "audio", fps=5.0 if self.modality == "vision" else None)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return ("one", "two")

    def weights(self) -> Mapping[str, str]:
        return {}

    def open(self, resources: Resources) -> Any:
        def extract(media: Media, clip: Clip) -> Track:
            CALLS.append((self.modality, clip.clip_id))
            if clip.clip_id in self.breaks:
                raise ClipError("broken", f"{clip.clip_id} is broken", "mend it", permanent=self.permanent)
            if "crash" in clip.text:
                raise ZeroDivisionError("a bug in an extractor")
            start = np.arange(20, dtype=np.float32) / self.rate
            values = np.stack([start, start + len(media.path.read_bytes())], axis=1).astype(np.float32)
            return Track(
                np.stack([start, start + 1 / self.rate], 1).astype(np.float32), values, np.zeros(20, np.uint8)
            )

        return extract


@dataclass(frozen=True)
class FakeTokens:
    """One token a word."""

    name: ClassVar[str] = "faketext"
    version: ClassVar[int] = 1
    modality: ClassVar[str] = "text"
    libraries: ClassVar[tuple[str, ...]] = ()

    @property
    def reads(self) -> Reads:
        return Reads(text=True)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return ("a", "b", "c")

    def weights(self) -> Mapping[str, str]:
        return {}

    def open(self, resources: Resources) -> Any:
        def extract(media: Media, clip: Clip) -> Tokens:
            CALLS.append(("text", clip.clip_id))
            words = words_of(clip.text)
            ids = np.array([len(word) for word in words], np.int32)
            return Tokens(
                ids, np.arange(len(ids), dtype=np.int32), np.repeat(ids[:, None], 3, 1).astype(np.float32)
            )

        return extract


@dataclass(frozen=True)
class FakeAligner:
    """Words of a quarter of a second."""

    name: ClassVar[str] = "fakealign"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()

    @property
    def reads(self) -> Reads:
        return Reads(text=True, audio=True)

    def weights(self) -> Mapping[str, str]:
        return {}

    def open(self, resources: Resources) -> Any:
        def align(media: Media, clip: Clip) -> Words:
            CALLS.append(("words", clip.clip_id))
            words = words_of(clip.text)
            edges = np.arange(len(words) + 1, dtype=np.float32) / 4
            return Words(
                words,
                np.stack([edges[:-1], edges[1:]], 1),
                np.ones(len(words), np.float32),
                np.zeros(len(words), np.uint8),
                np.zeros((0, 2), np.float32),
                "fake",
            )

        return align


def make_clips(root: Path, count: int = 6, videos: int = 2) -> list[Clip]:
    """Clips of some files that hold their own name."""
    clips = []
    for i in range(count):
        video = f"v{i % videos}"
        (root / f"{video}.bin").write_bytes(video.encode() * 10)
        text = f"utterance number {i} of this"
        segment = i // videos
        span = (2.0 * segment, 2.0 * segment + 2)
        clips.append(
            Clip(f"{video}[{segment}]", video, segment, f"{video}.bin", *span, text, sentiment=i / 2)
        )
    return clips


def make_run(
    root: Path, store: Path, clips: Sequence[Clip], options: Options | None = None, **config: Any
) -> Run:
    """A run over these clips, in this process."""
    folder = Folder(str(store))
    return Run(
        config=RunConfig.model_validate({"store": str(store), "workers": 0, **config}),
        options=options or Options(),
        corpus="fake",
        root=root,
        store=folder,
        snapshot=Snapshot(folder, "fake"),
        listing=Listing(list(clips), list(clips), []),
        sources=Sources(folder),
        workers=HERE,
    )
