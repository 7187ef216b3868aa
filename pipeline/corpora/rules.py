"""What costs a clip its place in a corpus: labels out of range, impossible spans, no text, a path out of the root."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath, PureWindowsPath

from mimdata.pipeline.records import Clip, Problem

SENTIMENT_RANGE = (-3.0, 3.0)
EMOTION_RANGE = (0.0, 3.0)
LAST_SEGMENT = 2**31 - 1  # Parquet holds them as int32


def admit(items: Iterable[Clip | Problem]) -> Iterator[Clip | Problem]:
    """`items`, with one excluding Problem in the place of each clip that breaks a rule or repeats an id."""
    first: dict[str, str] = {}
    for item in items:
        if isinstance(item, Problem):
            yield item
        elif (problem := fault(item)) is not None:
            yield problem
        elif item.clip_id in first:
            yield _duplicate(item, first[item.clip_id])
        else:
            first[item.clip_id] = item.source
            yield item


def fault(clip: Clip) -> Problem | None:
    """The first rule that `clip` breaks, or None."""
    if not _storable(clip):
        what = "holds text that is no UTF-8, in its name or its transcript"
        return _exclude(clip, "odd encoding", what, "rename the file, or save the text as UTF-8")
    if leaves_root(clip.source):
        return outside(clip.clip_id, clip.source)
    if not 0 <= clip.segment <= LAST_SEGMENT:
        what = f"is segment {clip.segment}, expected 0 to {LAST_SEGMENT}"
        return _exclude(clip, "bad segment", what, "number the segments from 0")
    if not clip.text.strip():
        return _exclude(clip, "empty transcript", "has no text", "write what is said, or remove the clip")
    if (message := _bad_span(clip)) is not None:
        return _exclude(clip, "bad span", message, "start and end are seconds in the file, start before end")
    if not all(math.isfinite(word.start) and math.isfinite(word.end) for word in clip.words or ()):
        return _exclude(clip, "bad word times", "has words without times", "give each word its start and end")
    for value in (clip.sentiment, *clip.sentiments.values()):
        if value is None or _within(value, SENTIMENT_RANGE):
            continue
        message = f"has sentiment {value:g}, expected −3 to 3"
        return _exclude(clip, "label out of range", message, "correct the label or leave it empty")
    for name, value in clip.emotions.items():
        if not _within(value, EMOTION_RANGE):
            message = f"has emotion {name} {value:g}, expected 0 to 3"
            return _exclude(clip, "label out of range", message, "correct the label or leave it empty")
    return None


def leaves_root(path: str) -> bool:
    """Whether a relative path of a corpus file points elsewhere: absolute, with a drive, or through `..`.

    Symbolic links are followed: whoever owns the root laid them, often because the films lie on another disk.
    """
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    return posix.is_absolute() or bool(windows.anchor) or ".." in posix.parts or ".." in windows.parts


def outside(clip_id: str, path: str) -> Problem:
    """The Problem of a clip whose media lie outside of the corpus root."""
    return Problem(
        "path leaves the root",
        f"{clip_id} reads {path}, which is outside of the corpus root",
        "put the file under the root, or choose a root that holds both",
        clip_id,
        path,
    )


def _storable(clip: Clip) -> bool:
    """Whether Parquet can hold the clip's texts: a file name need not be UTF-8."""
    texts = (clip.clip_id, clip.video_id, clip.source, clip.text, clip.language, clip.speaker or "")
    try:
        "".join((*texts, *clip.emotions, *clip.sentiments)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_span(clip: Clip) -> str | None:
    for name, value in (("start", clip.start), ("end", clip.end)):
        if value is not None and (not math.isfinite(value) or value < 0):
            return f"has {name} {value:g}, expected seconds from 0"
    if clip.end is not None and clip.end <= (clip.start or 0.0):
        return f"ends at {clip.end:g} s, not after its start at {clip.start or 0.0:g} s"
    return None


def _within(value: float, limits: tuple[float, float]) -> bool:
    # Means over raters are sums of thirds and sixths: allow for rounding.
    return math.isfinite(value) and limits[0] - 1e-6 <= value <= limits[1] + 1e-6


def _exclude(clip: Clip, cause: str, message: str, hint: str) -> Problem:
    return Problem(cause, f"{clip.clip_id} {message}", hint, clip.clip_id, clip.source)


def _duplicate(clip: Clip, first: str) -> Problem:
    return Problem(
        "duplicate clip id",
        f"{clip.clip_id} stands for two clips: the first, in {first}, is kept; the second, in {clip.source}, is left out",
        "give each clip an id of its own",
        clip.clip_id,
        clip.source,
    )
