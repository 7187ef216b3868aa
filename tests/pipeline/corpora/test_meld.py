"""MELD's layout: a table and a folder a split, with its known faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimdata.pipeline.corpora.meld import EMOTIONS, MeldCorpus
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem
from tests.pipeline.corpora.conftest import Place

HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
)
TIMES = '8,21,"00:16:16,059","00:16:21,731"\n'


def lay(place: Place, train: str = "", dev: str = "", test: str = "") -> None:
    for part, rows in (("train", train), ("dev", dev), ("test", test)):
        place(f"{part}_sent_emo.csv", HEADER + rows)


def read(root: Path) -> tuple[dict[str, Clip], list[Problem]]:
    items = list(admit(MeldCorpus().clips(root)))
    clips = {item.clip_id: item for item in items if isinstance(item, Clip)}
    return clips, [item for item in items if isinstance(item, Problem)]


def test_each_split_has_its_own_dialogue_zero(tmp_path: Path, place: Place) -> None:
    row = f"1,It\x92s fine,Joey,joy,positive,0,0,{TIMES}"
    lay(place, row, row, row)
    place("train_splits/dia0_utt0.mp4")
    place("dev_splits_complete/dia0_utt0.mp4")
    place("output_repeated_splits_test/dia0_utt0.mp4")
    place("output_repeated_splits_test/final_videos_testdia0_utt0.mp4")
    clips, problems = read(tmp_path)
    assert problems == []
    assert [(c.clip_id, c.split, c.source) for c in clips.values()] == [
        ("train_dia0[0]", "train", "train_splits/dia0_utt0.mp4"),
        ("valid_dia0[0]", "valid", "dev_splits_complete/dia0_utt0.mp4"),
        ("test_dia0[0]", "test", "output_repeated_splits_test/final_videos_testdia0_utt0.mp4"),
    ]
    clip = clips["train_dia0[0]"]
    assert (clip.text, clip.speaker, clip.sentiment) == ("It’s fine", "Joey", 1.0)
    assert clip.emotions == {name: float(name == "joy") for name in EMOTIONS}
    assert (clip.start, clip.end) == (None, None)


def test_faults_cost_the_row_that_has_them(tmp_path: Path, place: Place) -> None:
    rows = (("anger", "negative", "125", "3"), ("anger", "negative", "1", "1"), ("glee", "negative", "1", "2"),
            ("anger", "mixed", "1", "3"), ("anger", "negative", "one", "4"))  # fmt: skip
    train = "".join(f"1,Well,Ross,{','.join(row)},{TIMES}" for row in rows)
    lay(place, train, dev=f"1,Well,Ross,anger,negative,110,7,{TIMES}")
    place("train_splits/dia125_utt3.mp4")
    place("dev_splits_complete/dia110_utt7.mp4")
    clips, problems = read(tmp_path)
    assert not clips
    assert [problem.cause for problem in problems] == [
        "broken upstream", "missing file", "bad row", "bad row", "bad row", "broken upstream"
    ]  # fmt: skip


def test_without_a_table_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(MimdataError, match=r"train_sent_emo\.csv"):
        list(MeldCorpus().clips(tmp_path))
