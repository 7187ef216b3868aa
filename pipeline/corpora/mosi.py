"""CMU-MOSI from its raw layout, as published.

    Raw/Transcript/Segmented/<video>.annotprocessed     lines  <n>_DELIM_<TEXT>, n from 1
    Raw/Labels/OpinionLevelSentiment.csv                start, end, video, segment (from 1), label; no header
    Raw/Video/{Full,Segmented}/, Raw/Audio/WAV_16000/{Full,Segmented}/; segmented files are <video>_<n>
    *TimestampedWords.csd under the root, optional: word times

Clip ids count segments from 0, as the CSD files do. Without the table of labels, spans and sentiment come from
CMU_MOSI_Opinion_Labels.csd, whose rows are the segments in order (which is not always that of time).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from mimdata.pipeline.corpora.cmu import Layout, Tree, Utterance, find_labels, open_tree
from mimdata.pipeline.corpora.lines import read_cells, read_lines
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.csd import read_csd
from mimdata.pipeline.records import Clip, Problem

LAYOUT = Layout(
    corpus="mosi",
    title="MOSI",
    transcripts="Raw/Transcript/Segmented",
    transcript_suffix=".annotprocessed",
    full_video="Raw/Video/Full",
    segmented_video="Raw/Video/Segmented",
    full_audio="Raw/Audio/WAV_16000/Full",
    segmented_audio="Raw/Audio/WAV_16000/Segmented",
    first_file=1,
)
TABLE = "Raw/Labels/OpinionLevelSentiment.csv"
CSD_NAME = "CMU_MOSI_Opinion_Labels.csd"
DELIMITER = "_DELIM_"
NUMBER = re.compile(r"[0-9]{1,9}")  # of a segment

Opinion = tuple[float, float, float]  # start, end, sentiment


@dataclass(frozen=True)
class Opinions:
    """Spans and labels by video and segment (from 0), and what is odd in their file."""

    source: str
    by_video: dict[str, dict[int, Opinion]] = field(default_factory=lambda: defaultdict(dict))
    problems: list[Problem] = field(default_factory=list)

    def note(self, cause: str, message: str) -> None:
        self.problems.append(Problem(cause, message, source=self.source, excludes=False))


class MosiCorpus:
    """CMU-MOSI: 93 videos, 2,199 opinion segments, sentiment, official folds."""

    name: ClassVar[str] = "mosi"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """Clips by video id and in the order of each transcript. Raises MimdataError without transcripts."""
        tree = open_tree(root, LAYOUT)
        opinions = read_opinions(root)
        yield from opinions.problems
        yield from _clips(tree, opinions)

    def check(self, root: Path) -> Iterator[Problem]:
        """What is missing as a whole, without opening media. Raises MimdataError without transcripts."""
        tree = open_tree(root, LAYOUT)
        yield from tree.check()
        for video in sorted(set(read_opinions(root).by_video) - {video for video, _ in tree.transcripts}):
            message = f"video {video} has labels but no transcript"
            yield Problem("labels without transcript", message, excludes=False)


def read_opinions(root: Path) -> Opinions:
    """Spans and labels: from the published table, else from the labels CSD, else none (and a Problem says so)."""
    if (root / TABLE).is_file():
        return _from_table(root / TABLE)
    if (path := find_labels(root, CSD_NAME)) is not None:
        return _from_csd(path, path.relative_to(root).as_posix())
    opinions = Opinions(TABLE)
    opinions.note(
        "no labels", f"no {TABLE} and no {CSD_NAME}: looked in {root}; no clip has a span or a label"
    )
    return opinions


def _from_table(path: Path) -> Opinions:
    opinions = Opinions(TABLE)
    for line, row in read_cells(path):
        try:
            start, end, video, number, label = (row or [])[:5]
            segment, opinion = int(number) - 1, (float(start), float(end), float(label))
        except ValueError:
            message = f"{TABLE}:{line} is not start, end, video, segment, label: it is not used"
            opinions.note("odd label row", message)
            continue
        if opinions.by_video[video.strip()].setdefault(segment, opinion) != opinion:
            message = f"{TABLE}:{line} labels segment {number} of {video} again: the first row counts"
            opinions.note("odd label row", message)
    return opinions


def _from_csd(path: Path, source: str) -> Opinions:
    opinions = Opinions(source)
    for video, entry in read_csd(path):
        if entry.features.shape[1:] != (1,):
            raise MimdataError(
                f"{path} has {entry.features.shape[1]} columns for {video}, expected sentiment"
            )
        rows = np.concatenate([entry.intervals, entry.numbers(f"{path}, {video}")], axis=1).tolist()
        opinions.by_video[video] = {i: (start, end, label) for i, (start, end, label) in enumerate(rows)}
    return opinions


def _clips(tree: Tree, opinions: Opinions) -> Iterator[Clip | Problem]:
    for video, path in tree.transcripts:
        known = opinions.by_video.get(video, {})
        yield from tree.items(video, _utterances(tree.root, video, path, known))


def _utterances(
    root: Path, video: str, path: Path, known: dict[int, Opinion]
) -> Iterator[Utterance | Problem]:
    source = path.relative_to(root).as_posix()
    transcribed: set[int] = set()
    for number, line, clean in read_lines(path):
        head, delimiter, text = line.partition(DELIMITER)
        if not delimiter or not NUMBER.fullmatch(head.strip()):
            message = f"{source}:{number} is not <n>{DELIMITER}<TEXT>: {line[:60]!r}"
            yield Problem("malformed line", message, "correct the line", source=source)
            continue
        segment = int(head) - 1
        clip_id = f"{video}[{segment}]"
        transcribed.add(segment)
        if not clean:
            message = f"{source}:{number} ({clip_id}) is no UTF-8: read as Windows-1252"
            yield Problem("odd encoding", message, "save the file as UTF-8", source=source, excludes=False)
        start, end, label = known.get(segment, (None, None, None))
        if label is None:
            yield Problem("no label", f"{clip_id} has no label", clip_id=clip_id, excludes=False)
        yield Utterance(video, segment, start, end, " ".join(text.split()), label)
    for segment in sorted(set(known) - transcribed):
        clip_id = f"{video}[{segment}]"
        message = f"{clip_id} has a label but no line {segment + 1}{DELIMITER} in {source}"
        yield Problem("no transcript", message, "add the line", clip_id, source)
