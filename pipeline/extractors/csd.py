"""Features that others made, from a computational sequence: FACET, COVAREP, GloVe and the like as they were published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import ClipError, MimdataError, UsageError
from mimdata.pipeline.extractors.elsewhere import all_valid, cut
from mimdata.pipeline.files import Stamp, stamp
from mimdata.pipeline.formats.csd import TimedFeatures, dimension_names, read_csd
from mimdata.pipeline.records import Clip, Track
from mimdata.pipeline.steps import Extract, Reads, Resources

if TYPE_CHECKING:
    from mimdata.pipeline.media import Media


@dataclass(frozen=True)
class CsdExtractor:
    """The frames of `file` that touch a clip, as the modality `modality`.

    An entry is looked for by the clip's id, else by its video's. Times are those of the video, as the SDK's `align` keeps
    them; those of an entry of the clip's own may also count from the clip's start: whichever fits the clip better. Frames out of order are sorted, those without length or with NaN in their interval are left out; a
    frame with NaN or ±inf among its values is there and not valid, as COVAREP's −inf must not spoil a whole word.
    """

    modality: str = "vision"
    file: str = field(default="", metadata={"identity": False})

    name: ClassVar[str] = "csd"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ()

    @property
    def reads(self) -> Reads:
        return Reads(names=True)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return _names(self.path, stamp(self.path), self.modality)

    @property
    def path(self) -> Path:
        """The sequence. Raises UsageError when none is given."""
        if not self.file:
            raise UsageError(f"[extractors.{self.modality}] needs `file`, the path of a .csd file")
        if not Path(self.file).is_file():
            raise UsageError(f"[extractors.{self.modality}] file: there is no {self.file}")
        return Path(self.file)

    def weights(self) -> Mapping[str, str]:
        return {}

    def sidecar(self, media: Path) -> Path:
        """One file for all clips."""
        return self.path

    def open(self, resources: Resources) -> Extract:
        path, names, modality = self.path, self.feature_names, self.modality
        dim = len(names)

        def extract(_: Media, clip: Clip) -> Track:
            now = stamp(path)
            own = clip.clip_id in _ids(path, now)
            name = clip.clip_id if own else clip.video_id
            if name not in _ids(path, now):
                return Track.empty(dim, f"{path.name} has nothing of {clip.video_id}")
            try:
                entry = _entry(path, now, name)
            except MimdataError as error:
                raise ClipError("damaged entry", str(error), "fetch the file again") from error
            if entry.features.shape[1] != dim:
                raise ClipError(
                    "other dimension",
                    f"{path.name} has {entry.features.shape[1]} columns for {clip.video_id}, {dim} for others",
                    f"mend the file, or leave {modality} of this video out",
                )
            frames = all_valid(entry.intervals, entry.features, names)
            if own and _from_its_start(frames.times, clip):
                return cut(frames, 0.0, None)
            return cut(frames, clip.start or 0.0, clip.end)

        return extract


def _from_its_start(times: npt.NDArray[np.float64], clip: Clip) -> bool:
    """Whether an entry's times count from the clip's start: more of them lies in its length than in its span."""
    if not clip.start or clip.end is None:
        return not clip.start

    def within(begin: float, end: float) -> float:
        return float(np.nansum((np.minimum(times[:, 1], end) - np.maximum(times[:, 0], begin)).clip(min=0)))

    return within(0.0, clip.end - clip.start) > within(clip.start, clip.end)


@lru_cache(maxsize=4)
def _ids(path: Path, _: Stamp) -> frozenset[str]:
    return frozenset(read_csd(path).ids())


@lru_cache(maxsize=4)
def _entry(path: Path, _: Stamp, name: str) -> TimedFeatures:
    """An entry; the clips of a task are of one video and share it."""
    entry = read_csd(path).entry(name)
    entry.numbers(f"{path}, {name}")
    return entry


@lru_cache(maxsize=64)
def _names(path: Path, _: Stamp, modality: str) -> tuple[str, ...]:
    sequence = read_csd(path)
    for name in sequence.ids():
        with suppress(MimdataError):  # a damaged entry fails its own clips
            dim = sequence.entry(name).features.shape[1]
            said = dimension_names(sequence)
            return (
                said if len(said) == len(set(said)) == dim else tuple(f"{modality}_{i}" for i in range(dim))
            )
    raise MimdataError(f"{path} holds nothing that is sound: fetch it again")


# What the file names of published sequences tell of their modality.
KNOWN = {
    "text": r"glove|bert|wordvec|word.?embed",
    "audio": r"covarep|opensmile|acoustic|audio|mfcc",
    "vision": r"facet|openface|visual|vision|face",
}


def modality_of(name: str) -> str:
    """The modality that a sequence's name speaks of; else the name itself, as a word."""
    for modality, pattern in KNOWN.items():
        if re.search(pattern, name, re.IGNORECASE):
            return modality
    return re.sub(r"\W+", "_", name).strip("_").lower()
