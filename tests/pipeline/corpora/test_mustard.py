"""MUStARD's layout: one document, a film an utterance; Friends is the test split, as in the paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mimdata.pipeline.corpora.mustard import MustardCorpus
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem
from tests.pipeline.corpora.conftest import Place


def entry(**changes: Any) -> dict[str, Any]:
    made = {
        "utterance": "It's just a privilege to watch your mind  at work.",
        "speaker": "SHELDON",
        "context": ["I never would have identified the fingerprints."],
        "context_speakers": ["LEONARD"],
        "show": "BBT",
        "sarcasm": True,
    }
    return made | changes


def read(root: Path) -> list[Clip | Problem]:
    return list(admit(MustardCorpus().clips(root)))


@pytest.mark.parametrize("films", ["utterances_final", "mmsd_raw_data/utterances_final"])
def test_an_utterance(tmp_path: Path, place: Place, films: str) -> None:
    place("data/sarcasm_data.json", json.dumps({"1_60": entry()}))
    place(f"{films}/1_60.mp4")
    place(f"{films.replace('utterances', 'context')}/1_60_c.mp4")
    (clip,) = read(tmp_path)
    assert isinstance(clip, Clip)
    assert (clip.clip_id, clip.video_id, clip.source) == ("1_60[0]", "1_60", f"{films}/1_60.mp4")
    assert clip.text == "It's just a privilege to watch your mind at work."
    assert (clip.speaker, clip.sentiment, clip.emotions) == ("SHELDON", None, {"sarcasm": 1.0})


def test_friends_is_test_and_no_other_speaker_is_in_two_splits(tmp_path: Path, place: Place) -> None:
    shows = {f"1_{i}": entry(speaker=f"WHO{i % 20}", sarcasm=False) for i in range(60)}
    shows |= {"2_1": entry(show="FRIENDS", speaker="CHANDLER"), "2_2": entry(speaker="PERSON1")}
    place("sarcasm_data.json", json.dumps(shows))
    for name in shows:
        place(f"utterances_final/{name}.mp4")
    clips = {c.clip_id: c for c in read(tmp_path) if isinstance(c, Clip)}
    assert len(clips) == 62
    assert {c.clip_id for c in clips.values() if c.split == "test"} == {"2_1[0]"}
    assert clips["2_2[0]"].speaker is None
    splits = {(c.speaker, c.split) for c in clips.values() if c.speaker != "CHANDLER"} - {(None, "train")}
    assert len({who for who, _ in splits}) == len(splits) >= 20
    assert {split for _, split in splits} == {"train", "valid"}


def test_what_cannot_be_a_clip(tmp_path: Path, place: Place) -> None:
    entries = {"1": "text", "2": entry(utterance=3), "3": entry(sarcasm="no"), "4": entry(), "5": entry()}
    place("sarcasm_data.json", json.dumps(entries))
    place("utterances_final/5.mp4")
    found = read(tmp_path)
    assert [p.cause for p in found if isinstance(p, Problem)] == ["bad entry"] * 3 + ["missing file"]
    assert [c.clip_id for c in found if isinstance(c, Clip)] == ["5[0]"]


@pytest.mark.parametrize("text", [None, "[1, 2]", "{"])
def test_without_a_document_one_line_says_so(tmp_path: Path, place: Place, text: str | None) -> None:
    if text:
        place("sarcasm_data.json", text)
    with pytest.raises(MimdataError, match=r"sarcasm_data\.json"):
        read(tmp_path)
