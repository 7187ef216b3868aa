"""ELAN, WebVTT, SubRip, WhisperX's and MFA's JSON: what is read of them, and what is said of damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.elan import read_elan
from mimdata.pipeline.formats.subtitles import read_subtitles, read_word_subtitles
from mimdata.pipeline.formats.tiers import Interval
from mimdata.pipeline.formats.word_json import read_word_json
from tests.pipeline.fuzz.laws import fuzz, hostile, outcome

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1200"/>
    <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1750"/>
    <TIME_SLOT TIME_SLOT_ID="ts3"/>
    <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="500"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="words">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>d&amp;d </ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE>untimed</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts4" TIME_SLOT_REF2="ts1">
      <ANNOTATION_VALUE>so</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="gloss" PARENT_REF="words" TIER_ID="gloss">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1">
      <ANNOTATION_VALUE>game</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  </TIER>
</ANNOTATION_DOCUMENT>
"""

ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.500 --> 00:00:02.000 align:start position:0%
\u0020
so<00:00:00.900><c> it</c><00:00:01.400><c> goes</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
so it goes

00:02.010 --> 00:03.500
so it goes
on<00:00:02.600><c> and on</c>

NOTE a remark --> not a cue

03:00.000 --> 03:01.000
<v.loud Anna Lee>Fish &amp; <i>chips</i></v>
"""

SRT = "1\r\n00:00:01,200 --> 00:00:02,000\r\n<i>Hello</i> {\\an8}there,\r\nyou.\r\n\r\n2\r\n00:01:00,000 --> 00:01:01,5\r\nCaf\xe9\r\n"

WHISPER: dict[str, Any] = {
    "language": "en",
    "segments": [
        {
            "start": 0.5,
            "end": 2.0,
            "text": " So 23 goes",
            "speaker": "SPEAKER_00",
            "words": [
                {"word": "So", "start": 0.5, "end": 0.8, "score": 0.9},
                {"word": "23"},
                {"word": " goes", "start": 1.2, "end": 1.9},
            ],
        }
    ],
}
MFA = {
    "start": 0,
    "end": 3.2,
    "tiers": {
        "words": {"type": "interval", "entries": [[0.1, 0.4, "so"], [0.4, 0.5, ""], [0.5, 0.9, "goes"]]},
        "phones": {"type": "interval", "entries": [[0.1, 0.2, "S"]]},
    },
}


def put(folder: Path, name: str, content: str | bytes | Any) -> Path:
    path = folder / name
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_elan(tmp_path: Path) -> None:
    tiers = read_elan(put(tmp_path, "a.eaf", EAF))
    assert tiers.tiers == {"words": (Interval(0.5, 1.2, "so"), Interval(1.2, 1.75, "d&d")), "gloss": ()}
    assert tiers.end == 1.75


def test_rolling_captions_are_said_once_and_their_words_have_times(tmp_path: Path) -> None:
    path = put(tmp_path, "a.vtt", ROLLING)
    cues = read_subtitles(path)
    assert [(c.start, c.end, c.text, c.speaker) for c in cues] == [
        (0.5, 2.0, "so it goes", None), (2.01, 3.5, "on and on", None), (180.0, 181.0, "Fish & chips", "Anna Lee")
    ]  # fmt: skip
    words = read_word_subtitles(path).tiers["words"]
    assert words == (
        Interval(0.5, 0.9, "so"), Interval(0.9, 1.4, "it"), Interval(1.4, 2.0, "goes"),
        Interval(2.01, 2.6, "on"), Interval(2.6, 3.5, "and on"),
    )  # fmt: skip


def test_subrip_also_in_windows_1252(tmp_path: Path) -> None:
    cues = read_subtitles(put(tmp_path, "a.srt", SRT.encode("cp1252")))
    assert [(c.start, c.end, c.text) for c in cues] == [(1.2, 2.0, "Hello there, you."), (60.0, 61.5, "Café")]
    with pytest.raises(MimdataError, match="times of lines, not of words"):
        read_word_subtitles(tmp_path / "a.srt")


def test_whisper_leaves_out_words_without_times(tmp_path: Path) -> None:
    words = (Interval(0.5, 0.8, "So"), Interval(1.2, 1.9, "goes"))
    assert read_word_json(put(tmp_path, "a.json", WHISPER)).tiers == {"words": words}
    bare = [word for segment in WHISPER["segments"] for word in segment["words"]]
    assert read_word_json(put(tmp_path, "b.json", bare)).tiers == {"words": words}


def test_the_montreal_forced_aligner(tmp_path: Path) -> None:
    tiers = read_word_json(put(tmp_path, "a.json", MFA)).tiers
    assert tiers["words"] == (Interval(0.1, 0.4, "so"), Interval(0.5, 0.9, "goes"))
    assert list(tiers) == ["words", "phones"]


@pytest.mark.parametrize(
    ("read", "name", "content", "says"),
    [
        (read_elan, "a.eaf", "<a/>", "expected ANNOTATION_DOCUMENT, found a"),
        (read_elan, "a.eaf", EAF[:-30], "no ELAN file"),
        (read_elan, "a.eaf", '<!DOCTYPE a [<!ENTITY b "c">]><a/>', "defines entities"),
        (read_elan, "a.eaf", EAF.replace('"1200"', '"soon"'), "'soon' is no number of milliseconds"),
        (read_subtitles, "a.vtt", "WEBVTT\n\nhello\n", "no line of subtitles"),
        (read_subtitles, "a.vtt", "WEBVTT\n\n00:01 --> 00:02\nhello\n", "a.vtt:3 has no times"),
        (read_word_json, "a.json", {"segments": []}, "no words with times"),
        (read_word_json, "a.json", "{", "no JSON"),
    ],
)
def test_what_is_no_such_file_is_one_line(
    tmp_path: Path, read: Callable[[Path], object], name: str, content: Any, says: str
) -> None:
    with pytest.raises(MimdataError, match=says) as error:
        read(put(tmp_path, name, content))
    assert "\n" not in str(error.value)
    with pytest.raises(MimdataError, match=r"none\.x cannot be read"):
        read(tmp_path / "none.x")


@pytest.mark.parametrize(
    ("read", "name", "intact"),
    [
        (read_elan, "a.eaf", EAF),
        (read_subtitles, "a.vtt", ROLLING),
        (read_subtitles, "a.srt", SRT),
        (read_word_json, "whisper.json", json.dumps(WHISPER)),
        (read_word_json, "mfa.json", json.dumps(MFA)),
    ],
    ids=["eaf", "vtt", "srt", "whisper", "mfa"],
)
def test_any_bytes(tmp_path: Path, read: Callable[[Path], object], name: str, intact: str) -> None:
    path = put(tmp_path, name, intact)
    assert read(path)

    @fuzz
    @given(
        hostile(
            intact.encode(), tokens=(b"-->", b"<c>", b"<00:00:01.000>", b"TIME_VALUE", b"words", b"1e999")
        )
    )
    def check(data: bytes) -> None:
        path.write_bytes(data)
        outcome(lambda: read(path), name)

    check()
