"""Features that other programs made of the recordings, one file a recording: what such extractors share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import ClipError, MimdataError, UsageError
from mimdata.pipeline.files import Stamp, stamp
from mimdata.pipeline.records import Clip, Reason, Track
from mimdata.pipeline.steps import Extract, Reads, Resources

if TYPE_CHECKING:
    from mimdata.pipeline.media import Media

Float64 = npt.NDArray[np.float64]
LARGEST = 4 * 2**30  # bytes of numbers in one file: days of frames
DEEPEST = 4  # folders above a recording that may tell its file from another's


@dataclass(frozen=True)
class Frames:
    """A file's features: times (n, 2) seconds from the recording's start, values (n, d), reason (n,), d names."""

    times: Float64
    values: npt.NDArray[Any]
    reason: npt.NDArray[np.uint8]
    names: tuple[str, ...]


@dataclass(frozen=True)
class FolderExtractor:
    """The frames that touch a clip, from the file in `folder` that is named as its recording is.

    The recording Raw/VIDEO/0001.mp4 has the file VIDEO/0001.SUFFIX in the folder, or VIDEO_0001.SUFFIX, or 0001.SUFFIX. A
    recording without a file has an empty track, which says so. A frame with NaN or ±inf is there and not valid.
    """

    modality: str = "vision"
    folder: str = field(default="", metadata={"identity": False})

    name: ClassVar[str]
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()
    suffixes: ClassVar[tuple[str, ...]]

    def read(self, path: Path) -> Frames:
        """All frames of a file. Raises MimdataError for one that is not of this kind."""
        raise NotImplementedError

    @property
    def reads(self) -> Reads:
        return Reads()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns of the folder's first file, which the others must have too."""
        files = sorted(p for p in self.place.rglob("*") if p.suffix in self.suffixes)
        if not files:
            raise UsageError(
                f"[extractors.{self.modality}] folder: {self.folder} holds no {' or '.join(self.suffixes)}"
            )
        return _frames(self, files[0], stamp(files[0])).names

    @property
    def place(self) -> Path:
        """The folder. Raises UsageError when none is given."""
        if not self.folder:
            raise UsageError(f"[extractors.{self.modality}] needs `folder`, where the {self.name} files lie")
        if not Path(self.folder).is_dir():
            raise UsageError(f"[extractors.{self.modality}] folder: there is no {self.folder}")
        return Path(self.folder)

    def weights(self) -> Mapping[str, str]:
        return {}

    def sidecar(self, media: Path) -> Path | None:
        """The file of a recording; None where there is none."""
        parts = media.with_suffix("").parts
        for depth in range(min(DEEPEST, len(parts)), 0, -1):
            for stem in dict.fromkeys(("/".join(parts[-depth:]).lstrip("/"), "_".join(parts[-depth:]))):
                for suffix in self.suffixes:
                    if (path := self.place / f"{stem}{suffix}").is_file():
                        return path
        return None

    def open(self, resources: Resources) -> Extract:
        names = self.feature_names

        def extract(media: Media, clip: Clip) -> Track:
            path = self.sidecar(media.path)
            if path is None:
                return Track.empty(len(names), f"no {self.name} file")
            try:
                frames = _frames(self, path, stamp(path))
            except (MimdataError, OSError) as error:
                raise ClipError("damaged file", f"{clip.clip_id}: {error}", "make the file again") from error
            if frames.names != names:
                raise ClipError(
                    "other columns",
                    f"{path.name} has {len(frames.names)} columns beginning with {frames.names[:1]}, expected "
                    f"{len(names)} beginning with {names[:1]}, as in the folder's first file",
                    "make all files with the same settings",
                )
            return cut(frames, clip.start or 0.0, clip.end)

        return extract


def cut(frames: Frames, start: float, end: float | None) -> Track:
    """The frames that touch start to end, in seconds from start, sorted; without those that have no length or no time."""
    times = frames.times - start
    length = np.inf if end is None else end - start
    there = (
        np.isfinite(times).all(axis=1)
        & (times[:, 1] > times[:, 0])
        & (times[:, 1] > 0)
        & (times[:, 0] < length)
    )
    index = np.flatnonzero(there)
    index = index[np.argsort(times[index, 0], kind="stable")]
    with np.errstate(over="ignore"):
        values = frames.values[index].astype(np.float32)
    finite: npt.NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
    reason = frames.reason[index]
    reason = np.where(finite | (reason != Reason.VALID), reason, Reason.NOT_FINITE).astype(np.uint8)
    valid = reason == Reason.VALID
    return Track(
        times[index].astype(np.float32),
        np.where(valid[:, None], values, np.float32(0)),
        reason,
    )


def all_valid(times: Float64, values: npt.NDArray[Any], names: tuple[str, ...]) -> Frames:
    """Frames of which none is missing by its own account."""
    return Frames(times, values, np.full(len(values), Reason.VALID, np.uint8), names)


def regular(n: int, hop: float, window: float) -> Float64:
    """(n, 2) times of frames of `window` seconds, one every `hop` seconds."""
    starts = np.arange(n) * hop
    return np.stack([starts, starts + window], axis=1)


@lru_cache(maxsize=4)
def _frames(step: FolderExtractor, path: Path, _: Stamp) -> Frames:
    """A file's frames; the clips of a task are of one recording and share them."""
    return step.read(path)
