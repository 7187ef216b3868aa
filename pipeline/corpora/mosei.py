"""CMU-MOSEI from its raw layout, as published.

Raw/Transcript/Segmented/Combined/<video>.txt    lines  video___clip___start___end___text
Raw/Videos/Full/Combined/<video>.mp4, Raw/Videos/Segmented/Combined/<video>_<clip>.mp4 (incomplete),
Raw/Audio/Full/WAV_16000/<video>.wav
CMU_MOSEI_Labels.csd under the root, or one row a rater in Raw/Labels/*.csv
*TimestampedWords.csd under the root, optional: word times
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from mimdata.pipeline.corpora.cmu import Layout, Tree, Utterance, open_tree
from mimdata.pipeline.corpora.lines import read_lines
from mimdata.pipeline.corpora.mosei_labels import DIMENSIONS, IntervalLabels, Labels, Values, read_labels
from mimdata.pipeline.records import Clip, Problem

LAYOUT = Layout(
    corpus="mosei",
    title="MOSEI",
    transcripts="Raw/Transcript/Segmented/Combined",
    transcript_suffix=".txt",
    full_video="Raw/Videos/Full/Combined",
    segmented_video="Raw/Videos/Segmented/Combined",
    full_audio="Raw/Audio/Full/WAV_16000",
    segmented_audio=None,
    first_file=0,
)
SEPARATOR = "___"


class MoseiCorpus:
    """CMU-MOSEI: 3,228 videos, about 23,000 utterances, sentiment and six emotions, official folds."""

    name: ClassVar[str] = "mosei"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """Clips by video id and in the order of each transcript. Raises MimdataError without transcripts."""
        tree = open_tree(root, LAYOUT)
        labels, problems = read_labels(root)
        yield from problems
        yield from _clips(tree, labels)

    def check(self, root: Path) -> Iterator[Problem]:
        """What is missing as a whole, without opening media. Raises MimdataError without transcripts."""
        tree = open_tree(root, LAYOUT)
        yield from tree.check()
        labels, _ = read_labels(root)
        if labels is not None:
            for video in sorted(labels.videos() - {video for video, _ in tree.transcripts}):
                message = f"video {video} has labels but no transcript"
                yield Problem("labels without transcript", message, excludes=False)


def parse_line(line: str, video: str) -> Utterance:
    """One line of a transcript of `video`. Raises ValueError if it is not video___clip___start___end___text.

    Names and texts may hold runs of underscores: the name is taken from the file where the line begins with it,
    and the rest is split from the left.
    """
    if line.startswith(video + SEPARATOR):
        name, fields = video, line[len(video) + len(SEPARATOR) :].split(SEPARATOR, 3)
    else:
        name, *fields = line.split(SEPARATOR, 4)
    segment, start, end, text = fields
    return Utterance(name, int(segment), float(start), float(end), " ".join(text.split()))


def _clips(tree: Tree, labels: Labels | None) -> Iterator[Clip | Problem]:
    for video, path in tree.transcripts:
        yield from tree.items(video, _utterances(tree.root, video, path, labels))


def _utterances(root: Path, video: str, path: Path, labels: Labels | None) -> Iterator[Utterance | Problem]:
    known = labels.video(video) if labels else None
    source = path.relative_to(root).as_posix()
    for number, line, clean in read_lines(path):
        try:
            utterance = parse_line(line, video)
        except ValueError:
            yield Problem(
                "malformed line",
                f"{source}:{number} is not video___clip___start___end___text: {line[:60]!r}",
                "correct the line",
                source=source,
            )
            continue
        if not clean:
            message = f"{source}:{number} ({utterance.clip_id}) is no UTF-8: read as Windows-1252"
            yield Problem("odd encoding", message, "save the file as UTF-8", source=source, excludes=False)
        values = _values(known, utterance)
        if values is None and labels is not None:
            message = f"{utterance.clip_id} has no label for its interval or number"
            yield Problem("no label", message, clip_id=utterance.clip_id, excludes=False)
        yield utterance if values is None else _labelled(utterance, values)


def _values(known: object, utterance: Utterance) -> Values | None:
    if isinstance(known, IntervalLabels):
        return known.at(utterance.start or 0.0, utterance.end or 0.0)
    return known.get(utterance.segment) if isinstance(known, dict) else None


def _labelled(utterance: Utterance, values: Values) -> Utterance:
    emotions = {name: float(value) for name, value in zip(DIMENSIONS[1:], values[1:], strict=True)}
    return Utterance(
        utterance.video,
        utterance.segment,
        utterance.start,
        utterance.end,
        utterance.text,
        float(values[0]),
        emotions,
    )
