"""CMU-MOSEI's raw layout, with the faults that it is published with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mimdata.pipeline.corpora.mosei import LAYOUT, MoseiCorpus, parse_line
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem
from tests.pipeline.corpora.conftest import Place, labels_csd, words_csd

VIDEO = "hh04W3xXa5s"  # in the official train fold
TEXTS, FULL, CUT = LAYOUT.transcripts, LAYOUT.full_video, LAYOUT.segmented_video
ZERO = (0.0,) * 5


def read(root: Path) -> tuple[dict[str, Clip], list[Problem]]:
    items = list(admit(MoseiCorpus().clips(root)))
    clips = {item.clip_id: item for item in items if isinstance(item, Clip)}
    return clips, [item for item in items if isinstance(item, Problem)]


def causes(problems: list[Problem]) -> list[str]:
    return [problem.cause for problem in problems]


@pytest.mark.parametrize(
    ("line", "video", "expected"),
    [
        ("abc___2___1.5___3___Hello there", "abc", ("abc", 2, 1.5, 3.0, "Hello there")),
        ("abc____1___0___2___x", "abc_", ("abc_", 1, 0.0, 2.0, "x")),  # a name that ends with "_"
        ("a___b___1___0___2___x", "a___b", ("a___b", 1, 0.0, 2.0, "x")),  # a name that holds "___"
        ("abc___0___-0.2___2.0___a ___ b______c", "abc", ("abc", 0, -0.2, 2.0, "a ___ b______c")),
        ("other___0___0___2____x", "abc", ("other", 0, 0.0, 2.0, "_x")),
    ],
)
def test_a_line_is_split_from_the_left(line: str, video: str, expected: tuple[Any, ...]) -> None:
    found = parse_line(line, video)
    assert (found.video, found.segment, found.start, found.end, found.text) == expected


def test_clips_with_labels_by_interval_and_official_folds(tmp_path: Path, place: Place) -> None:
    lines = [f"{VIDEO}___0___-0.1___2.5___I love it", f"{VIDEO}___7___2.5___4.123___It was bad"]
    place(f"{TEXTS}/{VIDEO}.txt", "\r\n".join(lines) + "\r\n")
    place(f"{FULL}/{VIDEO}.mp4")
    rows = [(2.5, 4.12299, -2.0, 0.0, 1.5, *ZERO[:4]), (0.0, 2.5, 3.0, 2.0, 0.0, *ZERO[:4])]  # not in order
    labels_csd(tmp_path / "CMU_MOSEI_Labels.csd", {VIDEO: rows})
    clips, problems = read(tmp_path)
    first, second = clips.values()
    assert problems == []
    assert first == Clip(
        f"{VIDEO}[0]", VIDEO, 0, f"{FULL}/{VIDEO}.mp4", 0.0, 2.5, "I love it", split="train", sentiment=3.0,
        emotions={"happy": 2.0, "sad": 0, "anger": 0, "surprise": 0, "disgust": 0, "fear": 0},
    )  # fmt: skip
    assert (second.segment, second.start, second.sentiment, second.emotions["sad"]) == (7, 2.5, -2.0, 1.5)


def test_mean_over_raters_without_the_csd(tmp_path: Path, place: Place) -> None:
    place(f"{TEXTS}/{VIDEO}.txt", f"{VIDEO}___0___0___1___hello\n{VIDEO}___1___1___2___you")
    place(f"{FULL}/{VIDEO}.mp4")
    answers = ["sentiment", "happiness", "sadness", "anger", "surprise", "disgust", "fear"]
    head = ",".join(["HITId", "Input.VIDEO_ID", "Input.CLIP", *(f"Answer.{a}" for a in answers)])
    place("Raw/Labels/batch1.csv", f"{head}\nx,{VIDEO},0,1,3,0,0,0,0,0\nx,{VIDEO},0,2,0,0,0,0,0,1\n")
    place("Raw/Labels/batch2.csv", f"{head}\nx,{VIDEO},0,0,0,0,0,0,0,2\nx,{VIDEO},0,,0,0,0,0,0,2\n")
    place("Raw/Labels/other.csv", "a,b\n1,2\n")
    clips, problems = read(tmp_path)
    assert clips[f"{VIDEO}[0]"].sentiment == 1.0
    assert clips[f"{VIDEO}[0]"].emotions["happy"] == 1.0
    assert clips[f"{VIDEO}[0]"].emotions["fear"] == 1.0
    assert clips[f"{VIDEO}[1]"].sentiment is None
    assert causes(problems) == ["odd label row", "odd label file", "no label"]
    assert not any(problem.excludes for problem in problems)


def test_full_video_then_segmented_then_full_audio(tmp_path: Path, place: Place) -> None:
    for video in ("full", "cut", "sound"):
        place(f"{TEXTS}/{video}.txt", f"{video}___3___1___2___hello")
    place(f"{FULL}/full.mp4")
    place(f"{CUT}/full_3.mp4")
    place(f"{CUT}/cut_3.mp4")
    place(f"{LAYOUT.full_audio}/cut.wav")
    place(f"{LAYOUT.full_audio}/sound.wav")
    clips, _ = read(tmp_path)
    found = {clip.video_id: (clip.source, clip.start, clip.end) for clip in clips.values()}
    assert found == {
        "full": (f"{FULL}/full.mp4", 1.0, 2.0),
        "cut": (f"{CUT}/cut_3.mp4", None, None),
        "sound": (f"{LAYOUT.full_audio}/sound.wav", 1.0, 2.0),
    }


def test_every_fault_costs_its_clip_and_no_other(tmp_path: Path, place: Place) -> None:
    lines = [
        "v___0___0___1___good",
        "v___1___0___1___   ",
        "v___2___3___3___ends where it starts",
        "v___3___5___6___label out of range",
        "v___4 no line at all",
        "v___0___1___2___the same id",
        "gone___5___1___2___no media",
        "../up___0___0___1___escape",
    ]
    place(f"{TEXTS}/v.txt", "\n".join(lines))
    place(f"{FULL}/v.mp4")
    place("folds.json", json.dumps({"train": ["v"]}))
    labels_csd(tmp_path / "Labels" / "CMU_MOSEI_Labels.csd", {"v": [(5, 6, 3.5, 0, *ZERO)]})
    clips, problems = read(tmp_path)
    assert list(clips) == ["v[0]"]
    assert clips["v[0]"].text == "good"
    assert clips["v[0]"].split == "train"
    assert causes([p for p in problems if p.excludes]) == [
        "empty transcript", "bad span", "label out of range", "malformed line", "duplicate clip id",
        "missing file", "path leaves the root",
    ]  # fmt: skip
    assert len(clips) + sum(problem.excludes for problem in problems) == len(lines)


def test_links_to_another_disk_are_followed(tmp_path: Path, place: Place, video: Path) -> None:
    place(f"{TEXTS}/v.txt", "v___0___0___1___hello")
    (tmp_path / FULL).mkdir(parents=True)
    (tmp_path / FULL / "v.mp4").symlink_to(video)
    clips, problems = read(tmp_path)
    assert clips["v[0]"].source == f"{FULL}/v.mp4"
    assert not [p for p in problems if p.excludes]


def test_ids_with_a_slash_are_found_in_a_folder_or_with_an_underscore(tmp_path: Path, place: Place) -> None:
    place(f"{TEXTS}/a/b.txt", "a/b___0___0___1___hello")
    place(f"{TEXTS}/c/d.txt", "c/d___0___0___1___hello")
    place(f"{FULL}/a/b.mp4")
    place(f"{FULL}/c_d.mp4")
    labels_csd(
        tmp_path / "CMU_MOSEI_Labels.csd", {"a/b": [(0, 1, 1.5, 0, *ZERO)], "c/d": [(0, 1, 1, 0, *ZERO)]}
    )
    clips, _ = read(tmp_path)
    assert {clip.clip_id: clip.source for clip in clips.values()} == {
        "a/b[0]": f"{FULL}/a/b.mp4",
        "c/d[0]": f"{FULL}/c_d.mp4",
    }
    assert clips["a/b[0]"].sentiment == 1.5
    assert not [p for p in MoseiCorpus().check(tmp_path) if p.cause == "media without transcript"]


def test_windows_encoding_is_read_and_said(tmp_path: Path, place: Place) -> None:
    place(f"{TEXTS}/v.txt", b"\xef\xbb\xbfv___0___0___1___\xd0\xbf\xd1\x80\xd0\xb8\nv___1___1___2___caf\xe9")
    place(f"{FULL}/v.mp4")
    clips, problems = read(tmp_path)
    assert [clip.text for clip in clips.values()] == ["при", "café"]
    assert causes(problems).count("odd encoding") == 1


def test_words_of_the_corpus_are_joined_through_the_text(tmp_path: Path, place: Place) -> None:
    place(f"{TEXTS}/v.txt", "v___0___10___12___I can't — wait\nv___1___12___13___nobody said this")
    place(f"{FULL}/v.mp4")
    spoken = [
        ("wait", 1.0, 1.5), ("sp", 9.0, 9.8), ("i", 9.8, 10.0), ("can", 10.0, 10.5), ("t", 10.5, 10.7),
        ("uhh", 10.7, 11.0), ("wait", 11.0, 12.25),
    ]  # fmt: skip
    words_csd(tmp_path / "CMU_MOSEI_TimestampedWords.csd", {"v": spoken})
    clips, _ = read(tmp_path)
    given = clips["v[0]"].words
    assert given is not None
    assert [(w.word, round(w.start, 3), round(w.end, 3)) for w in given] == [
        ("I", -0.2, 0.0), ("can't", 0.0, 0.7), ("—", 0.7, 0.7), ("wait", 1.0, 2.25),
    ]  # fmt: skip
    assert clips["v[1]"].words is None


def test_check_says_what_is_missing_as_a_whole(tmp_path: Path, place: Place) -> None:
    place(f"{TEXTS}/{VIDEO}.txt", f"{VIDEO}___0___0___1___hello")
    place(f"{FULL}/{VIDEO}.mp4")
    place(f"{FULL}/orphan.mp4")
    labels_csd(tmp_path / "CMU_MOSEI_Labels.csd", {"unknown": [(0, 1, 0, 0, *ZERO)]})
    problems = {problem.cause: problem for problem in MoseiCorpus().check(tmp_path)}
    assert set(problems) == {
        "no media folder", "media without transcript", "videos of the folds absent", "labels without transcript",
    }  # fmt: skip
    assert "3227 of 3228" in problems["videos of the folds absent"].message
    assert not any(problem.excludes for problem in problems.values())


def test_another_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MimdataError, match=r"MOSEI root has no Raw/Transcript.*Point --root"):
        list(MoseiCorpus().clips(tmp_path))
    with pytest.raises(MimdataError, match="MOSEI root"):
        list(MoseiCorpus().check(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot read the folds"),
        ('{"dev": []}', "must map"),
        ('{"train": ["v"], "test": ["v"]}', "keep it in one"),
    ],
)
def test_bad_folds_are_refused(tmp_path: Path, place: Place, text: str, message: str) -> None:
    place(f"{TEXTS}/v.txt", "v___0___0___1___hello")
    place("folds.json", text)
    with pytest.raises(MimdataError, match=message):
        list(MoseiCorpus().clips(tmp_path))


@pytest.mark.shared_data
def test_shipped_folds_are_the_official_ones(shared_data: Path) -> None:
    from mimdata.pipeline.corpora.splits import read_folds

    for corpus, extra in (("mosi", set()), ("mosei", {"-NFrJFQijFE"})):
        official = json.loads((shared_data / "folds" / f"{corpus}.json").read_text())
        ours = read_folds(shared_data, corpus)
        theirs = {video: split for split, videos in official.items() for video in videos}
        assert {video: split for video, split in ours.items() if video not in extra} == theirs
