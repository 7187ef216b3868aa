"""MMSA's layout of MOSI, MOSEI and CH-SIMS: one table, one film a clip."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimdata.pipeline.corpora.ch_sims import ChSimsCorpus
from mimdata.pipeline.corpora.check import summary
from mimdata.pipeline.corpora.chinese import spaced
from mimdata.pipeline.corpora.mmsa import MmsaCorpus
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem
from tests.pipeline.corpora.conftest import Place

HEADER = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
MARK = "\ufeff"


def read(corpus: MmsaCorpus, root: Path) -> tuple[dict[str, Clip], list[Problem]]:
    items = list(admit(corpus.clips(root)))
    clips = {item.clip_id: item for item in items if isinstance(item, Clip)}
    return clips, [item for item in items if isinstance(item, Problem)]


def test_ch_sims_is_spaced_chinese_on_our_scale(tmp_path: Path, place: Place) -> None:
    place("label.csv", f"{MARK}{HEADER}video_0001,0001,我很OK。,-0.8,-1,0,0.2,Negative,train\n")
    place("Raw/video_0001/0001.mp4")
    clips, problems = read(ChSimsCorpus(), tmp_path)
    assert problems == []
    clip = clips["video_0001[1]"]
    assert (clip.text, clip.language, clip.split) == ("我 很 OK。", "zh", "train")
    assert (clip.source, clip.start, clip.end) == ("Raw/video_0001/0001.mp4", None, None)
    assert clip.sentiment == pytest.approx(-2.4)
    assert clip.sentiments == pytest.approx({"text": -3, "audio": 0, "vision": 0.6})
    assert list(ChSimsCorpus().check(tmp_path)) == []


@pytest.mark.parametrize(
    ("written", "film"), [("1", "0001.mp4"), ("0001", "1.flv"), ("0001.mp4", "0001.avi"), ("1", "1.MP4")]
)
def test_a_film_is_found_however_its_number_is_written(
    tmp_path: Path, place: Place, written: str, film: str
) -> None:
    place("label.csv", f"{HEADER}abc,{written},it was good,2.5,,,,Positive,valid\n")
    place(f"Raw/abc/{film}")
    clips, problems = read(MmsaCorpus(), tmp_path)
    assert problems == []
    assert (clips["abc[1]"].source, clips["abc[1]"].sentiment) == (f"Raw/abc/{film}", 2.5)
    assert clips["abc[1]"].sentiments == {}


def test_faults_cost_the_row_that_has_them(tmp_path: Path, place: Place) -> None:
    rows = [
        b"abc,1,fine,1.5,,,,,test",
        b"abc,2,no film,1,,,,,test",
        b"abc,3,not on the scale,4,,,,,test",
        b"abc,4,not a number,nan,,,,,test",
        b"abc,5,no such split,1,,,,,dev",
        b"abc,six,no number,1,,,,,test",
        b"../up,7,outside,1,,,,,test",
        b"abc,8,short,1",
        b"abc,9,\xff,1,,,,,test",
        b"abc,1,again,1,,,,,test",
        b"abc,11,a voice off the scale,1,,5,,,test",
    ]
    place("label.csv", HEADER.encode() + b"\n".join(rows))
    place("Raw/abc/1.mp4")
    clips, problems = read(MmsaCorpus(), tmp_path)
    assert list(clips) == ["abc[1]"]
    faults = ["missing file", *["bad row"] * 4, "path leaves the root", *["bad row"] * 2, "duplicate clip id"]
    causes = [*faults, "bad row"]
    assert [problem.cause for problem in problems] == causes
    assert "label_A '5', expected −3 to 3" in problems[-1].message
    assert summary(MmsaCorpus(), tmp_path).excluded == 10


def test_ch_sims_refuses_labels_of_another_scale(tmp_path: Path, place: Place) -> None:
    place("label.csv", f"{HEADER}abc,1,好,2.4,,,,,train\n")
    place("Raw/abc/1.mp4")
    clips, problems = read(ChSimsCorpus(), tmp_path)
    assert not clips
    assert "'2.4', expected −1 to 1" in problems[0].message


def test_mmsa_says_when_the_table_looks_like_ch_sims(tmp_path: Path, place: Place) -> None:
    place("label.csv", f"{HEADER}abc,1,好,0.4,,,,,train\n")
    assert [problem.cause for problem in MmsaCorpus().check(tmp_path)] == ["other language", "narrow labels"]


@pytest.mark.parametrize("content", [None, "", "a,b\n", b"\xff\xfev\x00", '"' + "x" * 200_000])
def test_without_a_table_one_line_says_so(tmp_path: Path, place: Place, content: str | bytes | None) -> None:
    if content is not None:
        place("label.csv", content)
    with pytest.raises(MimdataError, match=r"label\.csv") as caught:
        list(MmsaCorpus().clips(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("“你好”，他说", "“你 好”， 他 说"), ("用AI做3D", "用 AI 做 3D"), ("plain text", "plain text")],
)
def test_each_character_is_a_word(text: str, words: str) -> None:
    assert spaced(text) == words
    assert spaced(words) == words
