"""Recordings with subtitles beside them: each line a clip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.corpora.subtitles import SubtitlesCorpus
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, GivenWord, Problem
from tests.pipeline.corpora.conftest import Place
from tests.pipeline.formats.test_word_formats import ROLLING, SRT, WHISPER


def read(root: Path) -> tuple[list[Clip], list[Problem]]:
    items = list(admit(SubtitlesCorpus().clips(root)))
    return [i for i in items if isinstance(i, Clip)], [i for i in items if isinstance(i, Problem)]


def test_lines_become_clips(tmp_path: Path, place: Place) -> None:
    for film in ("talks/anna.mp4", "ben.mp4", "clara.mp4"):
        place(film)
    place("talks/anna.vtt", ROLLING)
    place("ben.de.srt", SRT.encode("cp1252"))
    place("clara.json", json.dumps(WHISPER))
    clips, problems = read(tmp_path)
    assert problems == []
    assert [(c.clip_id, c.source, c.start, c.end, c.text, c.language, c.speaker) for c in clips] == [
        ("ben[0]", "ben.mp4", 1.2, 2.0, "Hello there, you.", "de", None),
        ("ben[1]", "ben.mp4", 60.0, 61.5, "Café", "de", None),
        ("clara[0]", "clara.mp4", 0.5, 2.0, "So 23 goes", "en", "clara SPEAKER_00"),
        ("talks_anna[0]", "talks/anna.mp4", 0.5, 2.0, "so it goes", "en", None),
        ("talks_anna[1]", "talks/anna.mp4", 2.01, 3.5, "on and on", "en", None),
        ("talks_anna[2]", "talks/anna.mp4", 180.0, 181.0, "Fish & chips", "en", "Anna Lee"),
    ]
    assert clips[0].words is None
    assert clips[2].words is not None
    assert [(w.word, round(w.start, 6), round(w.end, 6)) for w in clips[2].words] == [
        ("So", 0.0, 0.3), ("goes", 0.7, 1.4)
    ]  # fmt: skip
    assert clips[3].words is not None
    assert clips[3].words[0] == GivenWord("so", 0.0, 0.4)


def test_what_cannot_be_a_clip(tmp_path: Path, place: Place) -> None:
    for film in ("a.mp4", "b.mp4", "c.mp4", "d.mp4"):
        place(film)
    place("b.srt", "no subtitles at all")
    place("c.vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\n[Music]\n\n00:01.000 --> 00:00.500\nBackwards\n")
    place("d.json", "[]")
    clips, problems = read(tmp_path)
    assert clips == []
    assert [p.cause for p in problems] == [
        "no transcript", "damaged transcript", "no speech", "bad span", "damaged transcript"
    ]  # fmt: skip


def test_a_folder_without_recordings_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MimdataError, match="holds no recording"):
        list(SubtitlesCorpus().clips(tmp_path))
