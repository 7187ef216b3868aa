"""Computational sequences as a corpus: words in time and labelled segments from two .csd files of one folder.

    ROOT/*Words*.csd     a word an entry, with its interval (the SDK's TimestampedWords)
    ROOT/*Labels*.csd    a labelled segment an entry: sentiment, or MOSEI's seven dimensions
    ROOT/folds.json      splits by video; without it the official folds of MOSI and MOSEI, where they know the videos

Features of the same folder come through the extractor `csd`.

How segments and words of a video belong together. CMU-MOSI's label intervals lie on the boundaries of its words, but one
word too early: a segment starts where the word before it starts, and ends where its last word starts. So where a video's
label boundaries are boundaries of words, they are counted in words and moved on by one, else a word is in the segment
that holds its middle. Against the join through the transcripts, which are not in these files, 1,936 of MOSI's 2,199
segments have exactly their words, and 99.5% of all words are in their segment (tests/test_import_csd.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.corpora.mosei_labels import DIMENSIONS
from mimdata.pipeline.corpora.splits import FILE_NAME, read_folds
from mimdata.pipeline.corpora.timed_words import SILENCES
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.csd import ComputationalSequence, read_csd
from mimdata.pipeline.records import Clip, GivenWord, Problem, Split

SAME = 1e-3  # seconds: a float32 label boundary and a float64 word boundary that are one
MOSTLY = 0.9  # share of a file's label boundaries that are word boundaries, where they are counted in words
OFFICIAL = ("mosi", "mosei")


@dataclass(frozen=True)
class Files:
    """The sequences of a folder by what they hold; `features` by path."""

    words: ComputationalSequence
    labels: ComputationalSequence
    features: tuple[ComputationalSequence, ...]


def sort_files(root: Path) -> Files:
    """Tell words and labels from features, by name and content. Raises MimdataError when there is not one of each."""
    found = [read_csd(path) for path in sorted(root.glob("*.csd"))]
    labels = [s for s in found if "label" in f"{s.path.stem} {s.root_name}".casefold()]
    words = [s for s in found if s not in labels and holds_words(s)]
    if len(words) != 1 or len(labels) != 1:
        listed = ", ".join(s.path.name for s in found) or "no .csd file"
        raise MimdataError(
            f"{root} must hold one sequence of words and one of labels, found {len(words)} and {len(labels)} among {listed}: "
            "words hold text, labels have “label” in their name"
        )
    return Files(words[0], labels[0], tuple(s for s in found if s not in (*words, *labels)))


def holds_words(sequence: ComputationalSequence) -> bool:
    """Whether the first entry that has anything holds text."""
    for name in sequence.ids():
        entry = sequence.entry(name)
        if len(entry.features):
            return entry.features.dtype.kind in "SUO"
    return False


@dataclass(frozen=True)
class CsdCorpus:
    """The labelled segments of a labels sequence, with the words that fall into them."""

    name: ClassVar[str] = "csd"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        files = sort_files(root)
        splits = folds_of(root, files.labels.ids())
        counted = counted_in_words(files)
        spoken = frozenset(files.words.ids())
        for video in files.labels.ids():
            if video not in spoken:
                yield Problem(
                    "video without words",
                    f"{files.words.path.name} has no words of {video}, which {files.labels.path.name} labels",
                    "fetch both files of one release",
                    source=files.words.path.name,
                )
                continue
            try:
                yield from _segments(files, video, splits.get(video), counted=counted)
            except (MimdataError, ValueError) as error:
                yield Problem(
                    "damaged entry", f"{video}: {error}", "fetch the file again", source=files.words.path.name
                )

    def check(self, root: Path) -> Iterator[Problem]:
        files = sort_files(root)
        unlabelled = sorted(set(files.words.ids()) - set(files.labels.ids()))
        if unlabelled:
            yield Problem(
                "video without labels",
                f"{len(unlabelled)} videos have words and no labels, such as {unlabelled[0]}",
                "they are left out",
                source=files.labels.path.name,
                excludes=False,
            )


def folds_of(root: Path, videos: tuple[str, ...]) -> Mapping[str, Split]:
    """The folder's own folds, or the official ones that know every video; none where neither does."""
    if (root / FILE_NAME).is_file():
        return read_folds(root, "csd")
    for name in OFFICIAL:
        folds = read_folds(root, name)
        if set(videos) <= set(folds):
            return folds
    return {}


def counted_in_words(files: Files) -> bool:
    """Whether the label intervals lie on the boundaries of words."""
    on = total = 0
    spoken = frozenset(files.words.ids())
    for video in files.labels.ids():
        with suppress(MimdataError):  # a damaged entry is spoken of when it is read
            entry = files.labels.entry(video)
            times = files.words.entry(video).intervals if video in spoken else np.zeros((0, 2))
            if len(times):
                on += int((_nearest(times[:, 0], entry.intervals[:, 0])[1] < SAME).sum())
                total += len(entry.intervals)
    return total > 0 and on >= MOSTLY * total


def _nearest(
    edges: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """(n,) the edge nearest to each wanted time, and how far it is."""
    distance = np.abs(edges[None, :] - wanted[:, None])
    index = distance.argmin(axis=1)
    return index, distance[np.arange(len(wanted)), index]


def _segments(files: Files, video: str, split: Split | None, *, counted: bool) -> Iterator[Clip | Problem]:
    entry, spoken = files.labels.entry(video), files.words.entry(video)
    texts, times = spoken.strings(), spoken.intervals
    values = entry.numbers(f"{files.labels.path}, {video}")
    for k, (start, end) in enumerate(entry.intervals.tolist()):
        inside = _inside(times, start, end, counted=counted)
        words = [(texts[i], *times[i].tolist()) for i in inside if texts[i].strip() not in SILENCES]
        if not words:
            yield Problem(
                "no words",
                f"{video}[{k}], {start:.2f} to {end:.2f} s, has no words",
                "nothing is said there",
                f"{video}[{k}]",
                files.words.path.name,
            )
            continue
        yield _clip(files, video, k, words, values[k], split)


def _inside(
    times: npt.NDArray[np.float64], start: float, end: float, *, counted: bool
) -> npt.NDArray[np.intp]:
    """The words of a segment, in order of time."""
    fine = np.isfinite(times).all(axis=1) & (times[:, 1] >= times[:, 0])
    if counted and len(times):
        first, last = (int(_nearest(times[:, i], np.array([t]))[0][0]) for i, t in ((0, start), (1, end)))
        index = np.arange(first + 1, min(last + 2, len(times)))
    else:
        middle = times.mean(axis=1)
        index = np.flatnonzero((middle >= start) & (middle < end))
    index = index[fine[index]]
    return index[np.argsort(times[index, 0], kind="stable")]


def _clip(
    files: Files,
    video: str,
    k: int,
    words: list[tuple[str, float, float]],
    values: npt.NDArray[np.float64],
    split: Split | None,
) -> Clip:
    start, end = words[0][1], max(word[2] for word in words)
    emotions = {}
    if len(values) == len(DIMENSIONS):
        emotions = {
            name: float(v) for name, v in zip(DIMENSIONS[1:], values[1:], strict=True) if np.isfinite(v)
        }
    sentiment = float(values[0]) if len(values) and np.isfinite(values[0]) else None
    return Clip(
        clip_id=f"{video}[{k}]",
        video_id=video,
        segment=k,
        source=files.words.path.name,
        start=start,
        end=end,
        text=" ".join("".join(text.split()) for text, _, _ in words),
        split=split,
        sentiment=sentiment,
        emotions=emotions,
        words=tuple(GivenWord("".join(text.split()), a - start, b - start) for text, a, b in words),
    )
