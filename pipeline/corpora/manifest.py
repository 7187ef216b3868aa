"""One's own recordings, listed in a manifest: CSV, JSON Lines or Parquet; only `source` and `text` are required.

source       path of the media file, relative to the manifest's folder
text         what is said
clip_id, video_id, segment     from the file's name and the order within it, where absent
start, end   seconds in the file; the whole file where absent
split        train, valid or test
sentiment    −3 to 3; emotion_NAME columns, or an object `emotions`, 0 to 3
sentiment_text, sentiment_audio, sentiment_vision     of raters who had that modality alone
language     "en" where absent;  speaker
words        list of {word, start, end}, seconds from the clip's start (JSON Lines, Parquet)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from mimdata.pipeline.corpora.manifest_rows import SUFFIXES, Row, columns, read_rows
from mimdata.pipeline.corpora.media_index import AUDIO_SUFFIXES, VIDEO_SUFFIXES, index_media
from mimdata.pipeline.corpora.rules import leaves_root, outside
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import SINGLE, Clip, GivenWord, Problem, words_of

if TYPE_CHECKING:
    from mimdata.pipeline.corpora.manifest_fields import Fields

COLUMNS = (
    "source",
    "text",
    "clip_id",
    "video_id",
    "segment",
    "start",
    "end",
    "split",
    "sentiment",
    *SINGLE.values(),
    "language",
    "speaker",
    "emotions",
    "words",
)
EMOTION = "emotion_"
NUMBER = re.compile(r"[0-9]{1,9}\]")  # of a segment, and the bracket behind it


class ManifestCorpus:
    """Your own recordings: a manifest.csv, .jsonl or .parquet beside the media."""

    name: ClassVar[str] = "manifest"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """Clips in the order of the manifest. Raises MimdataError without a readable manifest."""
        path = find_manifest(root)
        yield from _odd_columns(path)
        yield from _clips(path)

    def check(self, root: Path) -> Iterator[Problem]:
        """Media beside the manifest that no row names. Raises MimdataError without a readable manifest."""
        path = find_manifest(root)
        named = {str(row.values.get("source")).strip() for row in read_rows(path)}
        media = index_media(path.parent, ".", VIDEO_SUFFIXES + AUDIO_SUFFIXES).files.values()
        if unlisted := sorted(set(media) - named):
            message = f"{len(unlisted)} media files are in no row of {path.name}, such as {unlisted[0]}"
            yield Problem("media not listed", message, source=unlisted[0], excludes=False)


def find_manifest(root: Path) -> Path:
    """The manifest that `root` is or holds. Raises MimdataError if there is none, or more than one."""
    if root.is_file():
        if root.suffix.lower() not in SUFFIXES:
            raise MimdataError(f"{root} is no manifest: expected a file that ends in {', '.join(SUFFIXES)}.")
        return root
    found = [path for suffix in SUFFIXES if (path := root / f"manifest{suffix}").is_file()]
    if not found:
        raise MimdataError(
            f"no manifest.csv, manifest.jsonl or manifest.parquet: looked in {root}. "
            "Write one with the columns source and text, or point --root at its folder."
        )
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise MimdataError(f"{root} holds {names}: keep one, or point --root at the one that counts.")
    return found[0]


def _odd_columns(path: Path) -> Iterator[Problem]:
    """A Problem for each column that is not read and looks like the misspelling of one that is."""
    for column in columns(path):
        close = get_close_matches(column.strip().lower(), COLUMNS, n=1, cutoff=0.75)
        if column not in COLUMNS and not column.startswith(EMOTION) and close:
            message = f"{path.name} has a column {column!r}, which is not read: did you mean {close[0]!r}?"
            yield Problem("unknown column", message, "rename the column", source=path.name, excludes=False)


@dataclass
class _Names:
    """Ids that rows do not give: the stem of the file, and how many clips each video has so far."""

    stems: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def of(self, row: Fields) -> tuple[str, str, int]:
        """(clip id, video id, segment)."""
        video, segment = row.video_id, row.segment
        if row.clip_id and (video is None or segment is None):
            head, bracket, tail = row.clip_id.rpartition("[")
            if bracket and NUMBER.fullmatch(tail):
                video = video if video is not None else head
                segment = segment if segment is not None else int(tail[:-1])
        video = video or self._video(row.source)
        segment = self.counts[video] if segment is None else segment
        self.counts[video] += 1
        return row.clip_id or f"{video}[{segment}]", video, segment

    def _video(self, source: str) -> str:
        path = PurePosixPath(source)
        taken = self.stems.setdefault(path.stem, source)
        # Two files of one name in two folders are two videos.
        return path.stem if taken == source or not path.name else path.with_suffix("").as_posix()


def _clips(path: Path) -> Iterator[Clip | Problem]:
    from mimdata.pipeline.corpora.manifest_fields import parse

    names, root = _Names(), path.parent
    media = _Media(root)
    for row in read_rows(path):
        if row.fault:
            yield _bad_row(row, row.fault, path)
            continue
        parsed = parse(row.values)
        if isinstance(parsed, str):
            yield _bad_row(row, parsed, path)
            continue
        clip_id, video, segment = names.of(parsed)
        fault = media.fault(parsed.source, clip_id, row.place)
        words, odd = _words(parsed, clip_id, row.place)
        if fault is None and odd is not None:
            yield odd
        yield fault or Clip(
            clip_id,
            video,
            segment,
            parsed.source,
            parsed.start,
            parsed.end,
            parsed.text,
            parsed.language or "en",
            parsed.split,
            parsed.sentiment,
            parsed.emotions,
            parsed.speaker,
            words,
            parsed.sentiments,
        )


@dataclass
class _Media:
    """Whether media files are there; each is looked at once in a row of clips of the same file."""

    root: Path
    last: tuple[str, str] = ("", "")

    def fault(self, source: str, clip_id: str, place: str) -> Problem | None:
        if source != self.last[0]:
            self.last = (source, self._look(source))
        cause = self.last[1]
        if cause == "outside":
            return outside(clip_id, source)
        if cause:
            message = f"{place}: {clip_id} reads {source}, which is not in {self.root}"
            return Problem("missing file", message, "correct `source`, or fetch the file", clip_id, source)
        return None

    def _look(self, source: str) -> str:
        if leaves_root(source):
            return "outside"
        try:
            return "" if (self.root / source).is_file() else "missing"
        except OSError:  # a name that no file can have, such as one too long
            return "missing"


def _words(row: Fields, clip_id: str, place: str) -> tuple[tuple[GivenWord, ...] | None, Problem | None]:
    """The given words if they are the transcript's, or a Problem that says why they are not used."""
    if row.words is None:
        return None, None
    words = tuple(GivenWord(word.word, word.start, word.end) for word in row.words)
    expected = words_of(row.text)
    if len(words) == len(expected):
        return words, None
    message = f"{place}: {clip_id} gives times for {len(words)} words, its text has {len(expected)}: they are not used"
    hint = "give one {word, start, end} for each word of the text"
    return None, Problem("words differ from text", message, hint, clip_id, row.source, excludes=False)


def _bad_row(row: Row, fault: str, path: Path) -> Problem:
    return Problem("bad row", f"{row.place} {fault}", "correct the row", source=path.name)
