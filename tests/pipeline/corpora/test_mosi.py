"""CMU-MOSI's raw layout: segments from 1 in the files, from 0 in the ids."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from mimdata.pipeline.corpora.mosi import LAYOUT, TABLE, MosiCorpus
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem
from tests.pipeline.corpora.conftest import Place, labels_csd

VIDEO = "03bSnISJMiM"  # in the official train fold


def read(root: Path) -> tuple[dict[str, Clip], list[Problem]]:
    items = list(admit(MosiCorpus().clips(root)))
    clips = {item.clip_id: item for item in items if isinstance(item, Clip)}
    return clips, [item for item in items if isinstance(item, Problem)]


def test_table_and_transcript_count_from_one_and_ids_from_zero(tmp_path: Path, place: Place) -> None:
    place(f"{LAYOUT.transcripts}/{VIDEO}.annotprocessed", "1_DELIM_IT WAS GOOD\n2_DELIM_A_DELIM_B\n\n")
    place(f"{LAYOUT.full_video}/{VIDEO}.mp4")
    place(TABLE, f"1.5,4,{VIDEO},1,2.4\r\n4,6.25,{VIDEO},2,-0.8\r\n")
    clips, problems = read(tmp_path)
    assert problems == []
    assert list(clips.values()) == [
        Clip(
            f"{VIDEO}[0]",
            VIDEO,
            0,
            f"{LAYOUT.full_video}/{VIDEO}.mp4",
            1.5,
            4.0,
            "IT WAS GOOD",
            "en",
            "train",
            2.4,
        ),
        Clip(
            f"{VIDEO}[1]",
            VIDEO,
            1,
            f"{LAYOUT.full_video}/{VIDEO}.mp4",
            4.0,
            6.25,
            "A_DELIM_B",
            "en",
            "train",
            -0.8,
        ),
    ]


def test_segmented_files_count_from_one(tmp_path: Path, place: Place) -> None:
    place(f"{LAYOUT.transcripts}/{VIDEO}.annotprocessed", "1_DELIM_ONE\n2_DELIM_TWO\n3_DELIM_THREE")
    place(f"{LAYOUT.segmented_video}/{VIDEO}_1.mp4")
    place(f"{LAYOUT.segmented_audio}/{VIDEO}_2.wav")
    clips, problems = read(tmp_path)  # no labels at all
    assert {clip.clip_id: clip.source for clip in clips.values()} == {
        f"{VIDEO}[0]": f"{LAYOUT.segmented_video}/{VIDEO}_1.mp4",
        f"{VIDEO}[1]": f"{LAYOUT.segmented_audio}/{VIDEO}_2.wav",
    }
    assert [p.cause for p in problems] == ["no labels", "no label", "no label", "no label", "missing file"]


def test_faults_of_the_table_and_of_transcripts_are_said(tmp_path: Path, place: Place) -> None:
    place(f"{LAYOUT.transcripts}/{VIDEO}.annotprocessed", "1_DELIM_ONE\nno line\n2_DELIM_NO SPAN")
    place(f"{LAYOUT.full_video}/{VIDEO}.mp4")
    place(TABLE, f"0,1,{VIDEO},1,1\n0,1,{VIDEO},1,2\nfive,6,{VIDEO},2,1\n6,7,{VIDEO},3,1\n")
    clips, problems = read(tmp_path)
    assert clips[f"{VIDEO}[0]"].sentiment == 1.0
    assert [(p.cause, p.excludes) for p in problems] == [
        ("odd label row", False), ("odd label row", False), ("malformed line", True), ("no label", False),
        ("no span", True), ("no transcript", True),
    ]  # fmt: skip


def test_spans_and_labels_from_the_csd_without_the_table(tmp_path: Path, place: Place) -> None:
    place(f"{LAYOUT.transcripts}/{VIDEO}.annotprocessed", "1_DELIM_ONE\n2_DELIM_TWO")
    place(f"{LAYOUT.full_video}/{VIDEO}.mp4")
    labels_csd(tmp_path / "CMU_MOSI_Opinion_Labels.csd", {VIDEO: [(3, 4, -1.0), (1, 2, 2.0)]})
    clips, _ = read(tmp_path)
    assert [(c.segment, c.start, c.sentiment) for c in clips.values()] == [(0, 3.0, -1.0), (1, 1.0, 2.0)]


def test_mosei_is_not_mosi(tmp_path: Path, place: Place) -> None:
    place("Raw/Transcript/Segmented/Combined/v.txt", "v___0___0___1___x")
    with pytest.raises(MimdataError, match=r"MOSI root has no \.annotprocessed file"):
        read(tmp_path)


@pytest.mark.shared_data
def test_real_words_find_their_segments(tmp_path: Path, place: Place, shared_data: Path) -> None:
    """All 2,199 real segments with the real words CSD, against times that were joined independently."""
    segments = [json.loads(line) for line in (shared_data / "mosi" / "segments_words.jsonl").open()]
    by_video: dict[str, list[str]] = {}
    for item in segments:
        by_video.setdefault(item["video"], []).append(f"{item['seg']}_DELIM_{item['text']}")
    for video, lines in by_video.items():
        place(f"{LAYOUT.transcripts}/{video}.annotprocessed", "\n".join(lines))
        place(f"{LAYOUT.full_video}/{video}.mp4", "")
    for name in ("CMU_MOSI_ModifiedTimestampedWords.csd", "CMU_MOSI_Opinion_Labels.csd"):
        (tmp_path / name).symlink_to(shared_data / "mosi" / name)
    begun = time.monotonic()
    clips, problems = read(tmp_path)
    assert time.monotonic() - begun < 20
    assert len(clips) == 2198
    assert [(p.cause, p.clip_id) for p in problems] == [
        ("bad span", "2WGyTLYerpo[43]")
    ]  # of no length upstream
    differences, joined = [], 0
    for item in segments:
        clip_id = f"{item['video']}[{item['seg'] - 1}]"
        if clip_id == "2WGyTLYerpo[43]":
            continue
        clip = clips[clip_id]
        assert clip.split == item["split"]
        assert clip.sentiment == pytest.approx(item["label"], abs=1e-5)
        assert clip.start == pytest.approx(item["start"], abs=1e-4)
        if clip.words is not None and clip.start is not None and len(clip.words) == len(item["words"]):
            joined += 1
            differences += [
                abs(a.start + clip.start - b["s"]) for a, b in zip(clip.words, item["words"], strict=True)
            ]
    assert joined > 0.9 * len(segments)
    assert np.mean(np.array(differences) < 0.001) > 0.99
