"""Subtitles: the cues of SubRip (.srt) and WebVTT (.vtt), and the word times that WebVTT may hold.

SRT   a number, 00:00:01,000 --> 00:00:04,000, lines, a blank line
VTT   WEBVTT, blocks as above with a dot and without hours if they like; <00:00:01.500> inside a line times the words after it

Marks (<i>, <c>, {\\an8}) go; <v NAME> names the speaker. Captions that roll repeat the lines of the cue before: such lines, and cues
of nothing else, are left out. Sources: WebVTT, W3C Candidate Recommendation; SubRip as its readers take it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.tiers import Interval, Tiers, encoding_of, read_bytes

TIME = r"(?:([0-9]{1,4}):)?([0-5]?[0-9]):([0-5]?[0-9])[.,]([0-9]{1,3})"
SPAN = re.compile(rf"\s*{TIME}[ \t]+-->[ \t]+{TIME}(?:[ \t].*)?")
INLINE = re.compile(rf"<{TIME}>")
VOICE = re.compile(r"<v(?:\.[^ >]*)?[ \t]+([^>]*)>")
MARK = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")


@dataclass(frozen=True)
class Cue:
    """A line of subtitles: seconds in the recording, text, perhaps who speaks and the times of the words."""

    start: float
    end: float
    text: str
    speaker: str | None
    words: tuple[Interval, ...]


def read_subtitles(path: Path) -> list[Cue]:
    """The cues in their order. Raises MimdataError for a file without any, or with a time that is none."""
    data = read_bytes(path, "subtitles")
    try:
        text = data.decode(encoding_of(data))
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    cues: list[Cue] = []
    shown: list[str] = []
    for number, span, lines in _blocks(text):
        match = SPAN.fullmatch(span)
        if match is None:
            raise MimdataError(
                f"{path.name}:{number} has no times that can be read ({span[:60]!r}): expected 00:00:01.000 --> 00:00:04.000"
            )
        start, end = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
        kept = [line for line in lines if _plain(line) not in shown]
        shown = [_plain(line) for line in lines]
        if said := " ".join(filter(None, map(_plain, kept))):
            voice = VOICE.search("\n".join(kept))
            speaker = html.unescape(voice[1]).strip() or None if voice else None
            cues.append(Cue(start, end, said, speaker, tuple(_words(kept, start, end))))
    if not cues:
        raise MimdataError(f"{path.name} has no line of subtitles: expected SubRip or WebVTT")
    return cues


def read_word_subtitles(path: Path) -> Tiers:
    """The words of WebVTT that have times, as a tier. Raises MimdataError where none has."""
    words = tuple(word for cue in read_subtitles(path) for word in cue.words)
    if not words:
        raise MimdataError(
            f"{path.name} has times of lines, not of words: read it with --corpus subtitles, and align with "
            "pocketsphinx or ctc"
        )
    return Tiers({"words": words}, max(word.end for word in words))


def _blocks(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """(line number, the line of times, the lines after it until a blank one) of each cue."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # WebVTT ends a cue with an empty line; one with blanks is text, and stands at the head of rolling captions.
    blank = str if text.startswith("WEBVTT") else str.strip
    at = 0
    while at < len(lines):
        if lines[at].startswith(("NOTE", "STYLE", "REGION")):
            while at < len(lines) and blank(lines[at]):
                at += 1
        elif "-->" in lines[at]:
            begin = at + 1
            at = begin
            while at < len(lines) and blank(lines[at]):
                at += 1
            yield begin, lines[begin - 1], lines[begin:at]
        else:
            at += 1


def _plain(line: str) -> str:
    return " ".join(html.unescape(MARK.sub("", line)).split())


def _words(lines: list[str], start: float, end: float) -> Iterator[Interval]:
    """The words of lines with times inside: each run lasts until the next time, the last until the cue's end."""
    line = " ".join(lines)
    marks = list(INLINE.finditer(line))
    if not marks:
        return
    times = [start, *(_seconds(mark.groups()) for mark in marks), end]
    edges = [0, *(edge for mark in marks for edge in mark.span()), len(line)]
    for i in range(len(marks) + 1):
        said = _plain(line[edges[2 * i] : edges[2 * i + 1]])
        if said and times[i] < times[i + 1]:
            yield Interval(times[i], times[i + 1], said)


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, whole, rest = parts
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + int(whole or 0) + float(f"0.{rest}")
