"""One utterance as pickles of published features hold it: words, labels, and values of each word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Float32, Int32, Split

# The names of the folds in the files, by split; the first is the one that is written.
FOLDS: dict[Split, tuple[str, ...]] = {"train": ("train",), "valid": ("valid", "dev"), "test": ("test",)}
SEGMENT = re.compile(r"(.+)(?:\[(\d+)\]|\$_\$(\d+))", re.DOTALL)


@dataclass(frozen=True)
class WordValues:
    """An utterance of w words.

    values {modality: (w, d) float32}, not checked. tokens: vocabulary ids (t,) and the word of each (t,), −1 for
    special ones, where the file has them. A file without words has "" for each. frames {modality: (n, d) float32} is what was
    pooled into the words, where it is to be written instead; of text a row a token.
    """

    video: str
    segment: int
    split: Split | None
    sentiment: float | None
    words: tuple[str, ...]
    values: Mapping[str, Float32]
    tokens: tuple[Int32, Int32] | None = None
    start: float | None = None
    end: float | None = None
    sentiments: Mapping[str, float] = field(default_factory=dict)  # of single modalities
    alignment: str = "published"  # what brought the values to the words
    frames: Mapping[str, Float32] = field(default_factory=dict)

    @property
    def clip_id(self) -> str:
        """video[segment]."""
        return f"{self.video}[{self.segment}]"


@dataclass(frozen=True)
class Reading:
    """What whoever imports a file says of it. spread: frames without times may be shared out among the words.

    text_model: whose vocabulary its word pieces are of. vocabulary: words by the numbers that a file has instead.
    """

    spread: bool = False
    text_model: str = "minilm"
    vocabulary: Mapping[int, str] = field(default_factory=dict)


def unaligned(split: str, shapes: Mapping[str, tuple[int, ...]]) -> MimdataError:
    """The error of a file whose frames have no times."""
    return MimdataError(
        f"{split} has arrays of {dict(shapes)}: they are not aligned, and nobody knows when their words were said; give the "
        "aligned file, or share the frames out by the letters of the words with --spread-frames"
    )


def place_of(name: Any) -> tuple[str, int]:
    """Video and segment of `video[k]` or `video$_$k`; anything else is a video of one segment."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    found = SEGMENT.fullmatch(text)
    return (found[1], int(found[2] or found[3])) if found else (text, 0)


def matrix(values: Any, where: str) -> Float32:
    """(w, d) float32. Raises MimdataError for anything else."""
    try:
        with np.errstate(over="ignore"):
            found: npt.NDArray[np.float32] = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise MimdataError(f"{where} are no numbers: {error}") from error
    if found.ndim != 2 or not found.shape[1]:
        raise MimdataError(f"{where} have the shape {found.shape}: expected (words, features)")
    return found


def label(value: Any, where: str) -> float | None:
    """A number in arrays of any shape; NaN is no label. Raises MimdataError."""
    try:
        numbers = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise MimdataError(f"the label of {where} is no number: {error}") from error
    if len(numbers) != 1:
        raise MimdataError(f"{where} has {len(numbers)} labels: expected one, its sentiment")
    return float(numbers[0]) if np.isfinite(numbers[0]) else None
