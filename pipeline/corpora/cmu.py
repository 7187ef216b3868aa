"""What the raw layouts of CMU-MOSEI and CMU-MOSI share: from utterances and folders to clips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mimdata.pipeline.corpora.media_index import AUDIO_SUFFIXES, VIDEO_SUFFIXES, MediaIndex, index_media
from mimdata.pipeline.corpora.rules import leaves_root, outside
from mimdata.pipeline.corpora.splits import read_folds
from mimdata.pipeline.corpora.timed_words import SpokenWords, WordSource, find_word_source, join_words
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem, Split


@dataclass(frozen=True)
class Layout:
    """Folders of a raw corpus, relative to its root. `first_file` numbers the segmented file of segment 0."""

    corpus: str
    title: str
    transcripts: str
    transcript_suffix: str
    full_video: str
    segmented_video: str
    full_audio: str
    segmented_audio: str | None
    first_file: int

    @property
    def top(self) -> str:
        """The folder that everything lies in, "Raw"."""
        return self.transcripts.split("/")[0]


@dataclass(frozen=True)
class Utterance:
    """One segment as transcripts and label files tell it. start and end are seconds in the full recording."""

    video: str
    segment: int
    start: float | None
    end: float | None
    text: str
    sentiment: float | None = None
    emotions: Mapping[str, float] = field(default_factory=dict)

    @property
    def clip_id(self) -> str:
        return f"{self.video}[{self.segment}]"


@dataclass(frozen=True)
class Tree:
    """A corpus on disk, listed once: its transcripts, media, folds and word times."""

    root: Path
    layout: Layout
    transcripts: tuple[tuple[str, Path], ...]  # video id and file
    full_video: MediaIndex
    segmented_video: MediaIndex
    full_audio: MediaIndex
    segmented_audio: MediaIndex
    splits: Mapping[str, Split]
    words: WordSource | None

    def items(self, video: str, utterances: Iterable[Utterance | Problem]) -> Iterator[Clip | Problem]:
        """Clips of one video's utterances; a Problem in the place of each that has no media."""
        spoken = self.words.of(video) if self.words else None
        if video not in self.splits:
            yield Problem(
                "video in no fold",
                f"video {video} is in no fold of {self.layout.title}: its clips have no split",
                "add it to folds.json under the root, or leave it out of training",
                excludes=False,
            )
        for item in utterances:
            if isinstance(item, Problem):
                yield item
                continue
            placed = self.place(item)
            yield placed if isinstance(placed, Problem) else self._clip(item, *placed, spoken)

    def place(self, utterance: Utterance) -> tuple[str, bool] | Problem:
        """(media file, whether the utterance is a span of it): full video, segmented video, then full audio."""
        clip_id, video = utterance.clip_id, utterance.video
        if leaves_root(video):
            return outside(clip_id, video)
        cut = f"{video}_{utterance.segment + self.layout.first_file}"
        places = [(self.segmented_video, cut, False), (self.segmented_audio, cut, False)]
        if utterance.start is not None:
            places.insert(0, (self.full_video, video, True))
            places.insert(2, (self.full_audio, video, True))
        for index, stem, span in places:
            if (path := index.find(stem)) is not None:
                return path, span
        return self._missing(utterance, cut)

    def _missing(self, utterance: Utterance, cut: str) -> Problem:
        layout, clip_id = self.layout, utterance.clip_id
        if utterance.start is None and (self.full_video.find(utterance.video) is not None):
            return Problem(
                "no span",
                f"{clip_id} has a full video but no start and end, and no file of its own {layout.segmented_video}/{cut}.mp4",
                "add its start and end to the labels, or the segmented file",
                clip_id,
            )
        return Problem(
            "missing file",
            f"{clip_id} has no media: looked for {layout.full_video}/{utterance.video}.mp4, "
            f"{layout.segmented_video}/{cut}.mp4 and {layout.full_audio}/{utterance.video}.wav",
            "fetch the file, or leave the clip out",
            clip_id,
            f"{layout.full_video}/{utterance.video}.mp4",
        )

    def _clip(self, utterance: Utterance, source: str, span: bool, spoken: SpokenWords | None) -> Clip:
        start = None if utterance.start is None else max(utterance.start, 0.0)  # some begin before the file
        words = None
        if spoken is not None and start is not None:
            words = join_words(utterance.text, spoken, start, utterance.end)
        return Clip(
            utterance.clip_id,
            utterance.video,
            utterance.segment,
            source,
            start if span else None,
            utterance.end if span else None,
            utterance.text,
            split=self.splits.get(utterance.video),
            sentiment=utterance.sentiment,
            emotions=utterance.emotions,
            words=words,
        )

    def check(self) -> Iterator[Problem]:
        """What is missing as a whole: folders of media, videos of the folds, transcripts of media."""
        layout = self.layout
        folders = {
            layout.full_video: self.full_video,
            layout.segmented_video: self.segmented_video,
            layout.full_audio: self.full_audio,
        }
        for folder, index in folders.items():
            if not index.files:
                yield _note("no media folder", f"{layout.title} root has no files in {folder}", source=folder)
        transcribed = {video for video, _ in self.transcripts}
        known = transcribed | {video.replace("/", "_") for video in transcribed}
        for index in (self.full_video, self.full_audio):
            for stem in sorted(set(index.files) - known):
                path = index.files[stem]
                yield _note("media without transcript", f"{path} has no transcript: it is not used", path)
        absent = [video for video in self.splits if video not in transcribed]
        if absent:
            yield _note(
                "videos of the folds absent",
                f"{len(absent)} of {len(self.splits)} videos of the folds have no transcript here "
                f"({', '.join(sorted(absent)[:3])}{' …' if len(absent) > 3 else ''})",
            )


def open_tree(root: Path, layout: Layout) -> Tree:
    """List the corpus under `root`. Raises MimdataError if `root` is not that corpus."""
    folder = root / layout.transcripts
    suffix = layout.transcript_suffix
    files = sorted(path for path in folder.rglob(f"*{suffix}") if path.is_file())
    if not files:
        what = f"no {layout.transcripts} folder" if not folder.is_dir() else f"no {suffix} file in {folder}"
        raise MimdataError(
            f"{layout.title} root has {what}: looked in {root}. "
            f"Point --root at the folder that holds {layout.top}/."
        )
    transcripts = tuple((path.relative_to(folder).as_posix().removesuffix(suffix), path) for path in files)
    audio = layout.segmented_audio
    return Tree(
        root,
        layout,
        transcripts,
        index_media(root, layout.full_video, VIDEO_SUFFIXES),
        index_media(root, layout.segmented_video, VIDEO_SUFFIXES),
        index_media(root, layout.full_audio, AUDIO_SUFFIXES),
        index_media(root, audio, AUDIO_SUFFIXES) if audio else MediaIndex(),
        read_folds(root, layout.corpus),
        find_word_source(root),
    )


def find_labels(root: Path, pattern: str) -> Path | None:
    """A labels file in `root` or at most two folders below it, the first by depth and name."""
    for prefix in ("", "*/", "*/*/"):
        for path in sorted(root.glob(prefix + pattern)):
            return path
    return None


def _note(cause: str, message: str, source: str | None = None) -> Problem:
    return Problem(cause, message, source=source, excludes=False)
