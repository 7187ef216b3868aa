"""Manifests: three formats, two required columns, and a line for each thing that is wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mimdata.pipeline.corpora.manifest import ManifestCorpus
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, GivenWord, Problem
from tests.pipeline.corpora.conftest import Place


def read(root: Path) -> tuple[list[Clip], list[Problem]]:
    items = list(admit(ManifestCorpus().clips(root)))
    return [i for i in items if isinstance(i, Clip)], [i for i in items if isinstance(i, Problem)]


def jsonl(*rows: dict[str, Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def test_source_and_text_are_enough(tmp_path: Path, place: Place) -> None:
    place("day/one.mp4")
    place("night/one.mp4")
    place("manifest.csv", "source,text\nday/one.mp4,hello\nday/one.mp4,there\nnight/one.mp4,again\n")
    clips, problems = read(tmp_path)
    assert problems == []
    assert [clip.clip_id for clip in clips] == ["one[0]", "one[1]", "night/one[0]"]
    assert clips[0] == Clip("one[0]", "one", 0, "day/one.mp4", None, None, "hello")


FULL_ROW: dict[str, Any] = {
    "source": "a.mp4", "text": "so good", "clip_id": "x", "video_id": "v", "segment": 4, "start": 0.5, "end": 0.9,
    "split": "dev", "sentiment": -1.5, "language": "de", "speaker": "s1", "emotion_joy": 2,
    "sentiment_audio": -0.5, "words": [
        {"word": "so", "start": 0.0, "end": 0.1}, {"word": "good", "start": 0.1, "end": 0.3}],
}  # fmt: skip
FULL_CLIP = Clip(
    "x", "v", 4, "a.mp4", 0.5, 0.9, "so good", "de", "valid", -1.5, {"joy": 2.0}, "s1",
    (GivenWord("so", 0.0, 0.1), GivenWord("good", 0.1, 0.3)), {"audio": -0.5},
)  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_all_columns_in_all_formats(tmp_path: Path, place: Place, form: str) -> None:
    place("a.mp4")
    path = tmp_path / f"manifest.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist([FULL_ROW]), path)
    elif form == "jsonl":
        path.write_text(jsonl(FULL_ROW))
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(
                [FULL_ROW, [json.dumps(v) if isinstance(v, list) else v for v in FULL_ROW.values()]]
            )
    assert read(tmp_path) == ([FULL_CLIP], [])
    assert read(path) == ([FULL_CLIP], [])  # the manifest itself as the root


def test_csv_as_spreadsheets_write_it(tmp_path: Path, place: Place) -> None:
    place("a b.mp4")
    text = '\ufeffsource,text,start,sentiment\r\na b.mp4,"Well, ""yes""\r\nit is",,\r\n,,,\r\na b.mp4,Привет,1.5,2\r\n'
    place("manifest.csv", text)
    clips, problems = read(tmp_path)
    assert problems == []
    assert [(c.text, c.start, c.sentiment) for c in clips] == [
        ('Well, "yes" it is', None, None),
        ("Привет", 1.5, 2.0),
    ]


def test_emotions_as_an_object_and_ids_in_the_clip_id(tmp_path: Path, place: Place) -> None:
    place("a.mp4")
    place(
        "manifest.jsonl",
        jsonl({"source": "a.mp4", "text": "x", "clip_id": "film[7]", "emotions": {"joy": 1.5, "awe": None}}),
    )
    (clip,), problems = read(tmp_path)
    assert problems == []
    assert (clip.video_id, clip.segment, clip.emotions) == ("film", 7, {"joy": 1.5})


@pytest.mark.parametrize(
    ("row", "cause", "message"),
    [
        ({"text": "x"}, "bad row", "manifest.jsonl:2 has no source"),
        ({"source": "a.mp4", "text": "x", "start": "soon"}, "bad row", "manifest.jsonl:2 has start 'soon'"),
        ({"source": "a.mp4", "text": "x", "split": "holdout"}, "bad row", "has split 'holdout'"),
        ({"source": "a.mp4", "text": "x", "segment": -1}, "bad row", "has segment -1"),
        ({"source": "a.mp4", "text": "x", "sentiment": float("nan")}, "bad row", "has sentiment nan"),
        ({"source": "a.mp4", "text": "x", "emotions": "happy"}, "bad row", "emotions"),
        ({"source": "a.mp4", "text": "x", "words": [{"word": "x", "start": 2, "end": 1}]}, "bad row", "ends before"),
        ({"source": "a.mp4", "text": None}, "empty transcript", "has no text"),
        ({"source": "a.mp4", "text": "x", "start": 2, "end": 1}, "bad span", "ends at 1 s"),
        ({"source": "a.mp4", "text": "x", "start": -1}, "bad span", "start -1"),
        ({"source": "a.mp4", "text": "x", "sentiment": 4}, "label out of range", "sentiment 4"),
        ({"source": "a.mp4", "text": "x", "emotion_joy": -1}, "label out of range", "joy"),
        ({"source": "b.mp4", "text": "x"}, "missing file", "manifest.jsonl:2: b[0] reads b.mp4"),
        ({"source": "../a.mp4", "text": "x"}, "path leaves the root", "outside of the corpus root"),
        ({"source": "/etc/passwd", "text": "x"}, "path leaves the root", "outside of the corpus root"),
        ({"source": "C:\\a.mp4", "text": "x"}, "path leaves the root", "outside of the corpus root"),
        ({"source": "a.mp4", "text": "x", "clip_id": "good"}, "duplicate clip id", "the first, in a.mp4, is kept"),
    ],
)  # fmt: skip
def test_a_bad_row_costs_itself_only(
    tmp_path: Path, place: Place, row: dict[str, Any], cause: str, message: str
) -> None:
    place("a.mp4")
    place("manifest.jsonl", jsonl({"source": "a.mp4", "text": "x", "clip_id": "good"}, row))
    clips, problems = read(tmp_path)
    assert [clip.clip_id for clip in clips] == ["good"]
    assert [(problem.cause, problem.excludes) for problem in problems] == [(cause, True)]
    assert message in problems[0].message


def test_lines_that_are_no_rows(tmp_path: Path, place: Place) -> None:
    place("a.mp4")
    place(
        "manifest.jsonl",
        b'{"source": "a.mp4", "text": "x"}\n\n{broken\n[1]\n{"source": "a.mp4", "text": "caf\xe9"}\n',
    )
    clips, problems = read(tmp_path)
    assert len(clips) == 1
    assert [p.message.split()[0] for p in problems] == [f"manifest.jsonl:{n}" for n in (3, 4, 5)]
    assert "UTF-8" in problems[2].message


def test_unquoted_commas_are_found(tmp_path: Path, place: Place) -> None:
    place("a.mp4")
    place("manifest.csv", "source,text\na.mp4,well, yes\na.mp4,fine\n")
    clips, problems = read(tmp_path)
    assert [clip.text for clip in clips] == ["fine"]
    assert "manifest.csv:2 has 3 cells, the header 2" in problems[0].message


def test_misspelt_columns_and_unused_words_are_said(tmp_path: Path, place: Place) -> None:
    place("a.mp4")
    row = {
        "source": "a.mp4",
        "text": "a b",
        "sentimant": 1,
        "notes": "x",
        "words": [{"word": "a", "start": 0, "end": 1}],
    }
    place("manifest.jsonl", jsonl(row))
    clips, problems = read(tmp_path)
    assert clips[0].words is None
    assert [(p.cause, p.excludes) for p in problems] == [
        ("unknown column", False),
        ("words differ from text", False),
    ]
    assert "did you mean 'sentiment'" in problems[0].message


def test_links_to_another_disk_are_followed(tmp_path: Path, place: Place, video: Path) -> None:
    (tmp_path / "a.mp4").symlink_to(video)
    (tmp_path / "b.mp4").symlink_to(tmp_path / "nowhere.mp4")
    place("manifest.csv", "source,text\na.mp4,x\nb.mp4,x\n")
    clips, problems = read(tmp_path)
    assert [clip.source for clip in clips] == ["a.mp4"]
    assert [problem.cause for problem in problems] == ["missing file"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.csv", "source;text\na;b\n", "separator must be a comma"),
        ("manifest.csv", "source,txt\na,b\n", "has no column text"),
        ("manifest.csv", "source,text,text\na,b,c\n", "column text twice"),
        ("manifest.csv", b"\xff\xfes\0", "UTF-16"),
        ("manifest.parquet", "no parquet", "no Parquet file"),
        ("other.csv", "source,text\n", "no manifest.csv, manifest.jsonl or manifest.parquet"),
    ],
)
def test_unusable_manifests_are_refused_in_one_line(
    tmp_path: Path, place: Place, name: str, content: str | bytes, message: str
) -> None:
    place(name, content)
    with pytest.raises(MimdataError, match=message):
        read(tmp_path)


def test_two_manifests_need_a_choice(tmp_path: Path, place: Place) -> None:
    place("manifest.csv", "source,text\n")
    place("manifest.jsonl", "")
    with pytest.raises(MimdataError, match="keep one"):
        read(tmp_path)
    with pytest.raises(MimdataError, match="is no manifest"):
        read(place("list.txt", "x"))


def test_check_names_media_without_a_row(tmp_path: Path, place: Place) -> None:
    place("a.mp4")
    place("sub/b.mp4")
    place("manifest.csv", "source,text\na.mp4,x\n")
    (problem,) = ManifestCorpus().check(tmp_path)
    assert (problem.cause, problem.source, problem.excludes) == ("media not listed", "sub/b.mp4", False)


@pytest.mark.shared_data
def test_real_recordings_through_a_manifest(tmp_path: Path, shared_data: Path) -> None:
    from mimdata.pipeline.corpora.check import summary

    for path in sorted((shared_data / "clips" / "grid").glob("*.mpg")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = (shared_data / "clips" / "grid" / "transcripts.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    rows = [[row[0] if row[0].endswith(".mpg") else f"{row[0]}.mpg", row[-1]] for row in rows if len(row) > 1]
    listed = [row for row in rows if (tmp_path / row[0]).is_file()]
    (tmp_path / "manifest.csv").write_text("source,text\n" + "\n".join(",".join(row) for row in listed))
    found = summary(ManifestCorpus(), tmp_path)
    assert (found.clips, found.videos, found.unknown_spans, found.problems) == (21, 21, 21, ())
