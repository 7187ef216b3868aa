"""Features that others made, from a computational sequence: FACET, COVAREP, GloVe and the like as they were published."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mimdata.pipeline.errors import ClipError, MimdataError, UsageError
from mimdata.pipeline.extractors.elsewhere import all_valid, cut
from mimdata.pipeline.files import Stamp, stamp
from mimdata.pipeline.formats.csd import TimedFeatures, read_csd
from mimdata.pipeline.records import Clip, Track
from mimdata.pipeline.steps import Extract, Reads, Resources

if TYPE_CHECKING:
    from mimdata.pipeline.media import Media


@dataclass(frozen=True)
class CsdExtractor:
    """The frames of `file` that touch a clip, as the modality `modality`.

    An entry is looked for by the clip's id, whose times then count from the clip's start, else by its video's, whose times
    are those of the video. Frames out of order are sorted, those without length or with NaN in their interval are left out; a
    frame with NaN or ±inf among its values is there and not valid, as COVAREP's −inf must not spoil a whole word.
    """

    modality: str = "vision"
    file: str = field(default="", metadata={"identity": False})

    name: ClassVar[str] = "csd"
    version: ClassVar[int] = 1
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
            return cut(frames, 0.0 if own else clip.start or 0.0, None if own else clip.end)

        return extract


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
    ids = sequence.ids()
    if not ids:
        raise MimdataError(f"{path} holds nothing: fetch it again")
    dim = sequence.entry(ids[0]).features.shape[1]
    said = sequence.metadata.get("dimension names")
    flat = _flat(said)
    if len(flat) == dim and len(set(flat)) == dim:
        return flat
    return tuple(f"{modality}_{i}" for i in range(dim))


def _flat(said: object) -> tuple[str, ...]:
    """Names as the metadata have them: a list, or a list of one list, or nothing of use."""
    if isinstance(said, Sequence) and not isinstance(said, str | bytes):
        inner = said[0] if len(said) == 1 and isinstance(said[0], list) else said
        return tuple(str(name) for name in inner)
    return ()


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
