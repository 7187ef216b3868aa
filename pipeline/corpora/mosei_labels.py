"""Labels of CMU-MOSEI: from its labels CSD by interval, or as the mean over raters of its rater tables."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.corpora.cmu import find_labels
from mimdata.pipeline.corpora.lines import read_cells
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.csd import ComputationalSequence, read_csd
from mimdata.pipeline.records import Problem

CSD_NAME = "CMU_MOSEI_Labels.csd"
RATERS = "Raw/Labels"
# The columns of the CSD, and those of the rater tables that mean the same.
DIMENSIONS = ("sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear")
ANSWERS = ("sentiment", "happiness", "sadness", "anger", "surprise", "disgust", "fear")
COLUMNS = ("Input.VIDEO_ID", "Input.CLIP", *(f"Answer.{answer}" for answer in ANSWERS))
TOLERANCE = 0.05  # seconds between a transcript's decimals and the CSD's interval

Values = npt.NDArray[np.float64]  # (7,): sentiment, then the emotions


class Labels(Protocol):
    """Label values by utterance."""

    def video(self, video: str) -> Mapping[int, Values] | IntervalLabels | None:
        """The labels of one video: by segment number, or by interval; None if it has none."""
        ...

    def videos(self) -> frozenset[str]:
        """All labelled videos."""
        ...


@dataclass(frozen=True)
class IntervalLabels:
    """Labels of one video: intervals (n, 2) in seconds, values (n, 7)."""

    intervals: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]

    def at(self, start: float, end: float) -> Values | None:
        """The values of the interval that agrees with start and end to 0.05 s, the nearest of several."""
        if not len(self.intervals):
            return None
        # Some starts are negative, in one of the two files or in both.
        difference = np.abs(np.maximum(self.intervals, 0.0) - np.maximum((start, end), 0.0)).max(axis=1)
        nearest = int(difference.argmin())
        values: Values = self.values[nearest]
        return values if difference[nearest] <= TOLERANCE else None


@dataclass(frozen=True)
class CsdLabels:
    """Labels in a computational sequence, read one video at a time."""

    sequence: ComputationalSequence
    ids: frozenset[str]

    def videos(self) -> frozenset[str]:
        return self.ids

    def video(self, video: str) -> IntervalLabels | None:
        if video not in self.ids:
            return None
        entry = self.sequence.entry(video)
        if entry.features.shape[1] != len(DIMENSIONS):
            raise MimdataError(
                f"{self.sequence.path} has {entry.features.shape[1]} columns for {video}, expected "
                f"{len(DIMENSIONS)} ({', '.join(DIMENSIONS)}). Use the file {CSD_NAME} as published."
            )
        return IntervalLabels(entry.intervals, entry.numbers(f"{self.sequence.path}, {video}"))


@dataclass(frozen=True)
class RaterLabels:
    """Means over raters, by video and segment."""

    means: Mapping[str, Mapping[int, Values]]

    def videos(self) -> frozenset[str]:
        return frozenset(self.means)

    def video(self, video: str) -> Mapping[int, Values] | None:
        return self.means.get(video)


def read_labels(root: Path) -> tuple[Labels | None, list[Problem]]:
    """The labels under `root`, the CSD before rater tables; None without either, and what is odd in them."""
    path = find_labels(root, CSD_NAME)
    if path is not None:
        sequence = read_csd(path)
        return CsdLabels(sequence, frozenset(sequence.ids())), []
    tables = sorted((root / RATERS).glob("*.csv"))
    if not tables:
        message = f"no {CSD_NAME} and no rater tables in {RATERS}: looked in {root}; no clip has labels"
        return None, [Problem("no labels", message, "put the file under the root", excludes=False)]
    return _mean_over_raters(root, tables)


def _mean_over_raters(root: Path, tables: list[Path]) -> tuple[RaterLabels, list[Problem]]:
    answers: dict[tuple[str, int], list[list[float]]] = defaultdict(list)
    problems: list[Problem] = []
    for path in tables:
        for item in _ratings(path, path.relative_to(root).as_posix()):
            if isinstance(item, Problem):
                problems.append(item)
            else:
                video, segment, row = item
                answers[video, segment].append(row)
    means: dict[str, dict[int, Values]] = defaultdict(dict)
    for (video, segment), rows in answers.items():
        means[video][segment] = np.array(rows).mean(axis=0)
    return RaterLabels(means), problems


def _ratings(path: Path, name: str) -> Iterator[tuple[str, int, list[float]] | Problem]:
    """(video, segment, seven answers) of each rater's row."""
    rows = read_cells(path)
    _, header = next(rows, (0, None))
    missing = [column for column in COLUMNS if column not in (header or ())]
    if header is None or missing:
        message = f"{name} is no rater table: it has no column {', '.join(missing)}; it is not used"
        yield Problem("odd label file", message, source=name, excludes=False)
        return
    places = [header.index(column) for column in COLUMNS]
    for line, row in rows:
        try:
            video, segment, *answers = [(row or [])[place] for place in places]
            values = [float(answer) for answer in answers]
            if not all(map(math.isfinite, values)):
                raise ValueError
            yield video.strip(), int(segment), values
        except (IndexError, ValueError):
            message = f"{name}:{line} has an answer that is no number: the row is not used"
            yield Problem("odd label row", message, source=name, excludes=False)
