"""Computational sequences as a corpus: real MOSI joined, and what is wrong in the wild repaired."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from mimdata.pipeline.corpora.csd import CsdCorpus, counted_in_words, entries_of, sort_files
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.extractors.csd import CsdExtractor
from mimdata.pipeline.formats.csd import TimedFeatures, write_csd
from mimdata.pipeline.records import Clip, Problem
from tests.csd_files import SPOKEN, labels_csd, words_csd


def clips(root: Path) -> tuple[dict[str, Clip], list[Problem]]:
    items = list(CsdCorpus().clips(root))
    return {c.clip_id: c for c in items if isinstance(c, Clip)}, [p for p in items if isinstance(p, Problem)]


def test_mosi_words_and_labels_are_joined(shared_data: Path) -> None:
    """Against the published join, which had the transcripts."""
    root = shared_data / "mosi"
    files = sort_files(root)
    assert counted_in_words(files, entries_of(files))
    found, problems = clips(root)
    assert (len(found), len(problems)) == (2197, 2)
    by_start = {(c.video_id, k): c for c in found.values() for k in [c.segment]}
    equal = right = total = 0
    for line in (root / "segments_words.jsonl").read_text().splitlines():
        segment = json.loads(line)
        k = segment["seg"] - 1  # published numbers count from 1
        expected = [word["w"] for word in segment["words"]]
        clip = by_start.get((segment["video"], k))
        words = clip.text.split() if clip else []
        equal += words == expected
        right += (Counter(words) & Counter(expected)).total()
        total += len(expected)
        if clip is not None:
            assert clip.sentiment == pytest.approx(segment["label"], abs=1e-5)
            assert clip.split == segment["split"]
    assert (equal, right, total) == (1938, 27_433, 27_549)
    assert sum(len(c.text.split()) for c in found.values()) == 27_642


def test_words_fall_into_segments_by_their_middle(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN, b=SPOKEN)
    labels_csd(tmp_path, a=[(0.05, 1.0, 1.5), (1.05, 1.95, -2.0)], c=[(0.0, 1.0, 0.0)])
    found, problems = clips(tmp_path)
    assert {name: clip.text for name, clip in found.items()} == {"a[0]": "it was", "a[1]": "good"}
    clip = found["a[0]"]
    assert clip.words is not None
    assert (clip.start, clip.sentiment, clip.words[1].start) == (0.4, 1.5, pytest.approx(0.2))
    assert [problem.cause for problem in problems] == ["video without words"]
    assert [p.cause for p in CsdCorpus().check(tmp_path)] == ["video without labels"]


def test_words_out_of_order_and_without_length_are_put_right(tmp_path: Path) -> None:
    words_csd(tmp_path, a=[("good", 1.2, 1.6), ("never", 1.1, 0.8), ("it", 0.4, 0.6), ("nan", np.nan, 1.0)])
    labels_csd(tmp_path, a=[(0.33, 1.7, 1.0)])
    assert clips(tmp_path)[0]["a[0]"].text == "it good"


COUNTED = [(f"w{i}", float(i), i + 1.0) for i in range(12)]  # labels on word boundaries, one word too early


@pytest.mark.parametrize("harm", ["none", "nan", "negative", "out of order"])
def test_words_are_counted_in_order_of_time_whatever_stands_between_them(tmp_path: Path, harm: str) -> None:
    words = list(COUNTED)
    if harm == "nan":
        words.insert(4, ("nan", np.nan, 4.5))
    elif harm == "negative":
        words.insert(4, ("back", 4.9, 4.1))
    elif harm == "out of order":
        words = words[6:] + words[:6]
    words_csd(tmp_path, a=words)
    labels_csd(tmp_path, a=[(0.0, 3.0, 1.0), (4.0, 8.0, -1.0), (np.nan, 9.0, 0.5)])
    found, problems = clips(tmp_path)
    assert {name: clip.text for name, clip in found.items()} == {"a[0]": "w1 w2 w3", "a[1]": "w5 w6 w7 w8"}
    assert [(p.cause, p.clip_id) for p in problems] == [("no words", "a[2]")]


def test_words_of_no_length_are_left_out(tmp_path: Path) -> None:
    words_csd(tmp_path, a=[("it", 0.4, 0.6), ("um", 0.7, 0.7), ("good", 1.2, 1.6)])
    labels_csd(tmp_path, a=[(0.33, 1.7, 1.0)])
    assert clips(tmp_path)[0]["a[0]"].text == "it good"


def test_emotions_go_by_the_names_of_their_columns(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN)
    values = np.array([[0.5, 3.0, np.nan, 1.0]], np.float32)
    names = {"dimension names": ["sentiment", "anger", "disgust", "happy"]}
    write_csd(
        tmp_path / "Labels.csd", "Labels", [("a", TimedFeatures(np.array([[0.05, 1.0]]), values))], names
    )
    clip = clips(tmp_path)[0]["a[0]"]
    assert (clip.sentiment, clip.emotions) == (0.5, {"anger": 3.0, "happy": 1.0})


def test_sentiments_of_single_modalities_go_by_their_columns(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN)
    values = np.array([[1.5, -2.0, np.nan, 2.0]], np.float32)
    names = {"dimension names": ["sentiment", "sentiment_text", "sentiment_audio", "happy"]}
    write_csd(
        tmp_path / "Labels.csd", "Labels", [("a", TimedFeatures(np.array([[0.0, 1.9]]), values))], names
    )
    (clip,) = clips(tmp_path)[0].values()
    assert (clip.sentiment, clip.sentiments, clip.emotions) == (1.5, {"text": -2.0}, {"happy": 2.0})


@pytest.mark.parametrize(
    ("names", "sentiment"),
    [
        (["sentiment text", "sentiment", "anger"], 1.0),
        (["sentiment score", "sentiment text", "anger"], 0.0),
        (["sentiment text", "valence", "anger"], None),
        (["valence", "arousal", "anger"], None),
    ],
)
def test_one_column_is_the_sentiment_and_the_others_keep_their_names(
    tmp_path: Path, names: list[str], sentiment: float | None
) -> None:
    words_csd(tmp_path, a=SPOKEN)
    one = TimedFeatures(np.array([[0.05, 1.0]]), np.arange(3, dtype=np.float32)[None])
    write_csd(tmp_path / "Labels.csd", "Labels", [("a", one)], {"dimension names": names})
    clip = clips(tmp_path)[0]["a[0]"]
    assert clip.sentiment == sentiment
    assert clip.emotions["anger"] == 2.0
    assert len(clip.emotions) + len(clip.sentiments) == (3 if sentiment is None else 2)


@pytest.mark.parametrize(("columns", "expected"), [(1, {}), (3, {}), (7, {"happy": 1, "sad": 2, "fear": 6})])
def test_columns_without_names_are_mosei_s_seven_or_a_sentiment(
    tmp_path: Path, columns: int, expected: dict[str, float]
) -> None:
    words_csd(tmp_path, a=SPOKEN)
    values = np.arange(columns, dtype=np.float32)[None]
    write_csd(tmp_path / "Labels.csd", "Labels", [("a", TimedFeatures(np.array([[0.05, 1.0]]), values))])
    clip = clips(tmp_path)[0]["a[0]"]
    assert clip.sentiment == 0
    assert {name: clip.emotions[name] for name in expected} == expected
    assert len(clip.emotions) == (6 if expected else 0)


@pytest.mark.parametrize("own", [True, False])
def test_entries_of_segments_are_segments_of_their_video(tmp_path: Path, own: bool) -> None:
    """As the SDK's align leaves them: an entry a segment, times of the video."""
    if own:
        words_csd(tmp_path, **{"a[0]": SPOKEN[:4], "a[1]": SPOKEN[4:], "b[7]": SPOKEN})
    else:
        words_csd(tmp_path, a=SPOKEN, b=SPOKEN)
    labels_csd(
        tmp_path, **{"a[0]": [(0.05, 1.0, 1.5)], "a[1]": [(1.05, 1.95, -2.0)], "b[7]": [(0.0, 2.0, 0.0)]}
    )
    (tmp_path / "folds.json").write_text(json.dumps({"train": ["a"], "test": ["b"]}))
    found, problems = clips(tmp_path)
    assert not problems
    assert {name: (c.video_id, c.segment, c.split, c.text) for name, c in found.items()} == {
        "a[0]": ("a", 0, "train", "it was"),
        "a[1]": ("a", 1, "train", "good"),
        "b[7]": ("b", 7, "test", "it was good"),
    }


def test_a_damaged_first_entry_costs_its_video_alone(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN, b=SPOKEN)
    labels_csd(tmp_path, a=[(0.05, 1.0, 1.5)], b=[(0.05, 1.0, 1.5)])
    frames = TimedFeatures(np.array([[0.4, 0.6]]), np.ones((1, 2), np.float32))
    write_csd(tmp_path / "COVAREP.csd", "covarep", [("a", frames), ("b", frames)])
    for name, root in (("Words", "words"), ("COVAREP", "covarep")):
        with h5py.File(tmp_path / f"{name}.csd", "r+") as file:
            del file[f"{root}/data/a/intervals"]
            file[f"{root}/data/a/intervals"] = np.zeros((9, 2))
    found, problems = clips(tmp_path)
    assert list(found) == ["b[0]"]
    assert [p.cause for p in problems] == ["damaged entry"]
    step = CsdExtractor(modality="audio", file=str(tmp_path / "COVAREP.csd"))
    assert step.feature_names == ("audio_0", "audio_1")


def test_a_folder_without_words_or_labels_says_what_it_needs(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN)
    with pytest.raises(MimdataError, match=r"one of labels, found 1 and 0 among Words\.csd"):
        list(CsdCorpus().clips(tmp_path))
