"""One's own recordings with subtitles: each line of NAME.vtt or NAME.srt, or segment of WhisperX's NAME.json, is a clip.

talks/anna.mp4     talks/anna.vtt, talks/anna.en.srt (the language as players take it), or talks/anna.json

There are no labels; splits are dealt out by a hash. Words with times, in WebVTT or JSON, are there for the aligner `given`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mimdata.pipeline.corpora.media_index import AUDIO_SUFFIXES, VIDEO_SUFFIXES, index_media
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.subtitles import Cue, read_subtitles
from mimdata.pipeline.formats.word_json import load_json, seconds, timed_words
from mimdata.pipeline.records import Clip, GivenWord, Problem

SUFFIXES = (".vtt", ".srt", ".json")  # of two, the first is read
LANGUAGE = re.compile(r"(.+)\.([a-z]{2,3})(?:-[A-Za-z]{2,4})?")
NO_SPEECH = re.compile(r"[\[(♪♫#].*[\])♪♫#]|[^\w]*", re.DOTALL)


class SubtitlesCorpus:
    """Your own recordings with subtitles (.vtt, .srt) or WhisperX's .json beside them: a clip a line."""

    name: ClassVar[str] = "subtitles"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """Clips by recording, in the order of its subtitles. Raises MimdataError where there is no recording at all."""
        media = index_media(root, "", (*VIDEO_SUFFIXES, *AUDIO_SUFFIXES)).files
        if not media:
            raise MimdataError(
                f"{root} holds no recording: expected films or sounds with subtitles beside them"
            )
        texts = _transcripts(root)
        for stem, source in sorted(media.items()):
            if stem not in texts:
                message = f"{source} has no subtitles beside it"
                hint = f"put {Path(stem).name}.vtt, .srt or .json there"
                yield Problem("no transcript", message, hint, source=source)
            else:
                yield from _clips(root, stem, source, *texts[stem])

    def check(self, root: Path) -> Iterator[Problem]:
        """Nothing beyond what `clips` reports."""
        return iter(())


def _transcripts(root: Path) -> dict[str, tuple[str, str | None]]:
    """(path, language) of the transcript of each stem."""
    files = index_media(root, "", SUFFIXES).files
    found: dict[str, tuple[str, str | None]] = {stem: (path, None) for stem, path in files.items()}
    for stem, path in sorted(files.items()):
        if named := LANGUAGE.fullmatch(stem):
            found.setdefault(named[1], (path, named[2]))
    return found


def _clips(root: Path, stem: str, source: str, path: str, language: str | None) -> Iterator[Clip | Problem]:
    try:
        cues, spoken = _read(root / path)
    except MimdataError as error:
        yield Problem("damaged transcript", f"{path}: {error}", "write it again", source=source)
        return
    video = stem.replace("/", "_")
    numbered = path.endswith(".json")  # WhisperX counts its speakers anew in each recording
    for i, cue in enumerate(cues):
        if NO_SPEECH.fullmatch(cue.text):
            message = f"{video}[{i}] says {cue.text[:60]!r}, which nobody speaks"
            yield Problem("no speech", message, "nothing to do", f"{video}[{i}]", source)
            continue
        words = tuple(GivenWord(w.label, w.start - cue.start, w.end - cue.start) for w in cue.words) or None
        yield Clip(
            f"{video}[{i}]",
            video,
            i,
            source,
            cue.start,
            cue.end,
            cue.text,
            language or spoken,
            speaker=f"{video} {cue.speaker}" if cue.speaker and numbered else cue.speaker,
            words=words,
        )


def _read(path: Path) -> tuple[list[Cue], str]:
    if path.suffix != ".json":
        return read_subtitles(path), "en"
    document = load_json(path)
    segments = document.get("segments") if isinstance(document, dict) else None
    cues = [cue for item in segments or () if (cue := _segment(item))] if isinstance(segments, list) else []
    if not cues:
        raise MimdataError(
            'it has no segments with start, end and text, as WhisperX writes them under "segments"'
        )
    language = document.get("language")
    return cues, language if isinstance(language, str) and language else "en"


def _segment(item: Any) -> Cue | None:
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return None
    start, end = seconds(item.get("start")), seconds(item.get("end"))
    if start is None or end is None or not item["text"].strip():
        return None
    speaker = item.get("speaker")
    words = tuple(timed_words(item.get("words")))
    text = " ".join(item["text"].split())
    return Cue(start, end, text, speaker if isinstance(speaker, str) and speaker else None, words)
