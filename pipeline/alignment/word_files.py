"""Word times from a file beside the recording: TextGrid, ELAN, WebVTT, or the JSON of WhisperX and MFA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mimdata.pipeline.alignment.match import SILENCES, matched_words
from mimdata.pipeline.errors import ClipError, MimdataError
from mimdata.pipeline.formats.elan import read_elan
from mimdata.pipeline.formats.subtitles import read_word_subtitles
from mimdata.pipeline.formats.textgrid import read_textgrid
from mimdata.pipeline.formats.tiers import Interval, Tiers
from mimdata.pipeline.formats.word_json import read_word_json
from mimdata.pipeline.records import Clip, GivenWord, Words, words_of
from mimdata.pipeline.steps import AlignWords, Reads, Resources

if TYPE_CHECKING:
    from mimdata.pipeline.media import Media


@dataclass(frozen=True)
class WordFileAligner:
    """Takes the words of a file that lies beside the recording `NAME.*` or in `folder`, and is called NAME too.

    `tier` names the tier of words; without it, the one called "words" or "word", or the only one. `folder` is
    absolute, or relative to the recording's own folder. Times count from the beginning of the recording.
    """

    tier: str | None = None
    folder: str | None = field(default=None, metadata={"identity": False})

    name: ClassVar[str]
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]

    def read(self, path: Path) -> Tiers:
        """The tiers of a file. Raises MimdataError."""
        raise NotImplementedError

    @property
    def reads(self) -> Reads:
        return Reads(text=True)

    def weights(self) -> Mapping[str, str]:
        return {}

    def sidecar(self, media: Path) -> Path | None:
        """The file that goes with a recording; None where there is none."""
        place = media.parent / self.folder if self.folder else media.parent
        candidates = (place / f"{media.stem}{suffix}" for suffix in self.suffixes)
        return next((path for path in candidates if path.is_file()), None)

    def open(self, resources: Resources) -> AlignWords:
        return self._align

    def _align(self, media: Media, clip: Clip) -> Words:
        words = words_of(clip.text)
        if not words:
            raise ClipError(
                "empty transcript", f"{clip.clip_id} has no words", "give it a text, or leave it out"
            )
        path = self.sidecar(media.path)
        if path is None:
            wanted = media.path.with_suffix(self.suffixes[0]).name
            raise ClipError(
                f"no {self.kind}",
                f"{clip.clip_id}: {wanted} is not {f'in {self.folder}' if self.folder else 'beside the recording'}",
                "put it there, set the aligner's `folder`, or align with pocketsphinx",
            )
        try:
            grid = self.read(path)
        except MimdataError as error:
            raise ClipError(f"damaged {self.kind}", f"{clip.clip_id}: {error}") from error
        tier = _word_tier(grid, self.tier, path.name)
        start, end = clip.start or 0.0, grid.end if clip.end is None else clip.end
        timed = _within(tier, start, end)
        try:
            return matched_words(words, timed, end - start, self.name)
        except ValueError as error:
            raise ClipError(
                "no given words",
                f"{clip.clip_id}: {path.name} holds {error} from {start:.2f} to {end:.2f} s",
                "check the clip's start and end, and the tier",
            ) from error


@dataclass(frozen=True)
class TextgridAligner(WordFileAligner):
    """Takes the words of `NAME.TextGrid`, which lies beside the recording `NAME.*` or in `folder`."""

    name: ClassVar[str] = "textgrid"
    kind: ClassVar[str] = "TextGrid"
    suffixes: ClassVar[tuple[str, ...]] = (".TextGrid", ".textgrid")

    def read(self, path: Path) -> Tiers:
        return read_textgrid(path)


@dataclass(frozen=True)
class ElanAligner(WordFileAligner):
    """Takes the words of ELAN's `NAME.eaf`, which lies beside the recording `NAME.*` or in `folder`."""

    name: ClassVar[str] = "elan"
    kind: ClassVar[str] = "ELAN file"
    suffixes: ClassVar[tuple[str, ...]] = (".eaf",)

    def read(self, path: Path) -> Tiers:
        return read_elan(path)


@dataclass(frozen=True)
class JsonAligner(WordFileAligner):
    """Takes the words of `NAME.json` of WhisperX, Whisper or MFA, beside the recording `NAME.*` or in `folder`."""

    name: ClassVar[str] = "json"
    kind: ClassVar[str] = "JSON of words"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def read(self, path: Path) -> Tiers:
        return read_word_json(path)


@dataclass(frozen=True)
class WebvttAligner(WordFileAligner):
    """Takes the words of `NAME.vtt` whose lines hold times, beside the recording `NAME.*` or in `folder`."""

    name: ClassVar[str] = "webvtt"
    kind: ClassVar[str] = "WebVTT file"
    suffixes: ClassVar[tuple[str, ...]] = (".vtt",)

    def read(self, path: Path) -> Tiers:
        return read_word_subtitles(path)


def _word_tier(grid: Tiers, wanted: str | None, file: str) -> tuple[Interval, ...]:
    """The tier of words. Raises ClipError when it cannot be told which that is."""
    if wanted is not None:
        names = [name for name in grid.tiers if name == wanted]
    elif len(grid.tiers) == 1:
        names = list(grid.tiers)
    else:
        names = [name for name in grid.tiers if name.lower() in ("words", "word")]
    if len(names) != 1:
        there = ", ".join(map(repr, grid.tiers)) or "none"
        asked = f"no interval tier {wanted!r}" if wanted is not None else "no single tier of words"
        raise ClipError(
            "no word tier", f"{file} has {asked}: there are {there}", "name it by the aligner's `tier`"
        )
    return grid.tiers[names[0]]


def _within(tier: tuple[Interval, ...], start: float, end: float) -> list[GivenWord]:
    """The words whose middle lies in the clip, in seconds from its start, cut at its ends."""
    return [
        GivenWord(item.label, max(item.start, start) - start, min(item.end, end) - start)
        for item in tier
        if item.label.strip().lower() not in SILENCES and start <= (item.start + item.end) / 2 < end
    ]
