"""The contracts of what can be plugged in: corpora, extractors and word aligners.

An extractor or aligner is a frozen dataclass that holds only what shapes its output. Its fields, its
`version`, the digests of its `weights()` and the versions of its `libraries` are its identity, from which
every cache key is made (`store/fingerprint.py`). A field that holds a place rather than a value, such as the
path of a weights file, is declared with `metadata={"identity": False}`; the digest of what lies there counts
instead. Where and how fast a step runs is `Resources`, which changes no key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from mimdata.pipeline.records import Clip, Problem, Tokens, Track, Words

if TYPE_CHECKING:
    from mimdata.pipeline.media import Media


@dataclass(frozen=True)
class Resources:
    """Where a step runs. No result may depend on it (CPU; a GPU rounds differently and says so)."""

    device: str = "cpu"


@dataclass(frozen=True)
class Reads:
    """What a step reads of its clip: what must be decoded, and what belongs into its keys."""

    text: bool = False
    audio: bool = False
    fps: float | None = None  # frames a second of video, None for no frames
    words: bool = False  # the word times that came with the corpus
    names: bool = False  # of clip and video, under which a file of many has their features


@runtime_checkable
class Step(Protocol):
    """What extractors and aligners share."""

    name: ClassVar[str]
    version: ClassVar[int]  # raised whenever the same parameters give other numbers
    libraries: ClassVar[tuple[str, ...]]  # distributions whose versions shape the numbers

    @property
    def reads(self) -> Reads: ...

    def weights(self) -> Mapping[str, str]:
        """sha256 of each file of weights by a name that does not depend on where it lies."""
        ...


@runtime_checkable
class HasSidecar(Protocol):
    """A step that reads a second file beside the media file, whose bytes then belong into its keys."""

    def sidecar(self, media: Path) -> Path | None:
        """The file that goes with a media file; None where there is none."""
        ...


Extract = Callable[["Media", Clip], Track | Tokens]
AlignWords = Callable[["Media", Clip], Words]


@runtime_checkable
class Extractor(Step, Protocol):
    """Turns one clip into a track of features (or, for text, into tokens)."""

    modality: ClassVar[str]  # "text", "audio", "vision" or a name of its own

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name for each of the d columns of the values."""
        ...

    def open(self, resources: Resources) -> Extract:
        """Load weights (once a worker) and return the function that processes one clip.

        The function is pure: its result depends on the clip alone. It raises ClipError for a clip that it
        cannot process.
        """
        ...


@runtime_checkable
class WordAligner(Step, Protocol):
    """Gives every word of a clip's transcript its place in time."""

    def open(self, resources: Resources) -> AlignWords:
        """Load models (once a worker) and return the function that aligns one clip. Pure, as above."""
        ...


@runtime_checkable
class Corpus(Protocol):
    """A directory layout that yields clips. Constructed without arguments; holds no state."""

    name: ClassVar[str]

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """Every clip of the corpus in a stable order, and a Problem for each that cannot become one."""
        ...

    def check(self, root: Path) -> Iterator[Problem]:
        """What is missing or odd under `root`, beyond what `clips` reports. Raises MimdataError if nothing is usable."""
        ...


@runtime_checkable
class HasNotes(Protocol):
    """A step that has something to say to whoever starts a run."""

    def notes(self) -> Sequence[str]:
        """One line each; shown once a run."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A corpus that can build itself, such as the demo."""

    def prepare(self, root: Path) -> None:
        """Make sure that the corpus lies complete under `root`; does nothing when it does."""
        ...
