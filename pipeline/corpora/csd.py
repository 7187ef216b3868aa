"""Computational sequences as a corpus: words in time and labelled segments from two .csd files of one folder.

    ROOT/*Words*.csd     entries of words, each with its interval (the SDK's TimestampedWords)
    ROOT/*Labels*.csd    entries of labelled segments: sentiment, and emotions by the names of the dimensions
    ROOT/folds.json      splits by video; without it the official folds of MOSI and MOSEI, where they know the videos

Features of the same folder come through the extractor `csd`.

Entries are videos. Those of a file that the SDK has aligned are segments, `video[k]`, with the video's times; they are the
segment k of that video, with the words of an entry of the same name or else of the video.

How segments and words of a video belong together. CMU-MOSI's label intervals lie on the boundaries of its words, but one
word too early: a segment starts where the word before it starts, and ends where its last word starts. So where a video's
label boundaries are boundaries of words, they are counted in words and moved on by one, else a word is in the segment
that holds its middle. Against the join through the transcripts, which are not in these files, 1,938 of MOSI's 2,199
segments have exactly their words, and 99.6% of all words are in their segment (tests/pipeline/corpora/test_csd.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
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
from mimdata.pipeline.formats.csd import ComputationalSequence, TimedFeatures, dimension_names, read_csd
from mimdata.pipeline.records import SINGLE, Clip, GivenWord, Problem, Split

SAME = 1e-3  # seconds: a float32 label boundary and a float64 word boundary that are one
MOSTLY = 0.9  # share of a file's label boundaries that are word boundaries, where they are counted in words
OFFICIAL = ("mosi", "mosei")
SENTIMENT = DIMENSIONS[0]
SEGMENT = re.compile(r"(.+)\[(\d+)\]")  # an entry of a segment, as the SDK's align names it


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
    """Whether the first sound entry that has anything holds text."""
    for name in sequence.ids():
        with suppress(MimdataError):  # a damaged entry is spoken of when it is read
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
        entries = entries_of(files)
        splits = folds_of(root, tuple(dict.fromkeys(entry.video for entry in entries)))
        counted = counted_in_words(files, entries)
        for entry in entries:
            if entry.words is None:
                yield Problem(
                    "video without words",
                    f"{files.words.path.name} has no words of {entry.labels}, which {files.labels.path.name} labels",
                    "fetch both files of one release",
                    source=files.words.path.name,
                )
                continue
            try:
                yield from _segments(files, entry, splits.get(entry.video), counted=counted)
            except (MimdataError, ValueError) as error:
                yield Problem(
                    "damaged entry",
                    f"{entry.labels}: {error}",
                    "fetch the file again",
                    source=files.words.path.name,
                )

    def check(self, root: Path) -> Iterator[Problem]:
        files = sort_files(root)
        labelled = {id_ for entry in entries_of(files) for id_ in (entry.words, entry.labels)}
        unlabelled = sorted(set(files.words.ids()) - labelled)
        if unlabelled:
            yield Problem(
                "video without labels",
                f"{len(unlabelled)} videos have words and no labels, such as {unlabelled[0]}",
                "they are left out",
                source=files.labels.path.name,
                excludes=False,
            )


@dataclass(frozen=True)
class Entry:
    """An entry of the labels: its video; which segment of it, None for all of them; the ids in the two files."""

    video: str
    segment: int | None
    labels: str
    words: str | None


def entries_of(files: Files) -> list[Entry]:
    """The entries of the labels, with the words that belong to them."""
    spoken, found = frozenset(files.words.ids()), []
    for name in files.labels.ids():
        part = SEGMENT.fullmatch(name)
        video, segment = (part[1], int(part[2])) if part else (name, None)
        words = next((id_ for id_ in (name, video) if id_ in spoken), None)
        found.append(Entry(video, segment, name, words))
    return found


def label_names(labels: ComputationalSequence, columns: int) -> tuple[str, ...]:
    """The names of the labels' columns: as the file has them, else MOSEI's seven; a lone or nameless first is the sentiment."""
    said = [re.sub(r"\W+", "_", name.strip().lower()) for name in dimension_names(labels)]
    if columns > 1 and len(set(said)) == columns:
        spoken = [name for name in said if name.startswith(SENTIMENT) and name not in SINGLE.values()]
        chosen = SENTIMENT if SENTIMENT in said else next(iter(spoken), None)
        return tuple(SENTIMENT if name == chosen else name for name in said)
    return DIMENSIONS if columns == len(DIMENSIONS) else (SENTIMENT,)


def folds_of(root: Path, videos: tuple[str, ...]) -> Mapping[str, Split]:
    """The folder's own folds, or the official ones that know every video; none where neither does."""
    if (root / FILE_NAME).is_file():
        return read_folds(root, "csd")
    for name in OFFICIAL:
        folds = read_folds(root, name)
        if set(videos) <= set(folds):
            return folds
    return {}


def counted_in_words(files: Files, entries: Sequence[Entry]) -> bool:
    """Whether the label intervals lie on the boundaries of words."""
    on = total = 0
    for entry in entries:
        # A segment of its own holds its words and no others; a damaged entry is spoken of when it is read.
        if entry.words is not None and entry.segment is None:
            with suppress(MimdataError, ValueError):
                starts = files.labels.entry(entry.labels).intervals[:, 0]
                starts = starts[np.isfinite(starts)]
                times = _spoken(files.words.entry(entry.words))[1]
                if len(times):
                    on += int((_nearest(times[:, 0], starts)[1] < SAME).sum())
                    total += len(starts)
    return total > 0 and on >= MOSTLY * total


def _spoken(entry: TimedFeatures) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Words and their intervals in order of time, without those that have no place in it (NaN, negative length)."""
    texts, times = entry.strings(), entry.intervals
    fine = np.flatnonzero(np.isfinite(times).all(axis=1) & (times[:, 1] >= times[:, 0]))
    order = fine[np.argsort(times[fine, 0], kind="stable")]
    return [texts[i] for i in order], times[order]


def _nearest(
    edges: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """(n,) the edge nearest to each wanted time, and how far it is."""
    distance = np.abs(edges[None, :] - wanted[:, None])
    index = distance.argmin(axis=1)
    return index, distance[np.arange(len(wanted)), index]


def _segments(files: Files, entry: Entry, split: Split | None, *, counted: bool) -> Iterator[Clip | Problem]:
    assert entry.words is not None
    video, labels = entry.video, files.labels.entry(entry.labels)
    texts, times = _spoken(files.words.entry(entry.words))
    values = labels.numbers(f"{files.labels.path}, {entry.labels}")
    names = label_names(files.labels, values.shape[1])
    if entry.segment is not None and len(labels.intervals) > 1:
        raise ValueError(f"expected the labels of one segment, found {len(labels.intervals)}")
    for i, (start, end) in enumerate(labels.intervals.tolist()):
        k = i if entry.segment is None else entry.segment
        if entry.words == entry.labels and entry.segment is not None:
            inside = np.arange(len(times))  # they are the segment's own
        else:
            inside = _inside(times, start, end, counted=counted)
        inside = inside[times[inside, 1] > times[inside, 0]]
        words = [(texts[j], *times[j].tolist()) for j in inside if texts[j].strip() not in SILENCES]
        if not words:
            yield Problem(
                "no words",
                f"{video}[{k}], {start:.2f} to {end:.2f} s, has no words",
                "nothing is said there",
                f"{video}[{k}]",
                files.words.path.name,
            )
            continue
        yield _clip(files, video, k, words, dict(zip(names, values[i].tolist(), strict=False)), split)


def _inside(
    times: npt.NDArray[np.float64], start: float, end: float, *, counted: bool
) -> npt.NDArray[np.intp]:
    """The words of a segment, of all words in order of time."""
    if not (math.isfinite(start) and math.isfinite(end) and len(times)):
        return np.zeros(0, np.intp)
    if counted:
        first, last = (int(_nearest(times[:, i], np.array([t]))[0][0]) for i, t in ((0, start), (1, end)))
        return np.arange(first + 1, min(last + 2, len(times)))
    middle = times.mean(axis=1)
    return np.flatnonzero((middle >= start) & (middle < end))


def _clip(
    files: Files,
    video: str,
    k: int,
    words: list[tuple[str, float, float]],
    labels: Mapping[str, float],
    split: Split | None,
) -> Clip:
    start, end = words[0][1], max(word[2] for word in words)
    known = {name: value for name, value in labels.items() if math.isfinite(value)}
    return Clip(
        clip_id=f"{video}[{k}]",
        video_id=video,
        segment=k,
        source=files.words.path.name,
        start=start,
        end=end,
        text=" ".join("".join(text.split()) for text, _, _ in words),
        split=split,
        sentiment=known.get(SENTIMENT),
        emotions={name: value for name, value in known.items() if name not in (SENTIMENT, *SINGLE.values())},
        sentiments={modality: known[name] for modality, name in SINGLE.items() if name in known},
        words=tuple(GivenWord("".join(text.split()), a - start, b - start) for text, a, b in words),
    )
