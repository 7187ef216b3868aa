"""No corpus reads a file outside of its root, by whatever way its files name one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimdata.pipeline.corpora import mosei, mosi
from mimdata.pipeline.corpora.rules import admit, leaves_root
from mimdata.pipeline.records import Clip, GivenWord, Problem
from tests.pipeline.corpora.conftest import Place

OUT = [
    "../a.mp4",
    "/etc/passwd",
    "a/../../b.mp4",
    "..\\a.mp4",
    "C:\\a.mp4",
    "C:a.mp4",
    "\\\\host\\share\\a.mp4",
    "//host/a",
]


@pytest.mark.parametrize("source", OUT)
def test_no_clip_of_any_reader_leaves_the_root(source: str) -> None:
    """Readers that others install pass here as well."""
    assert leaves_root(source)
    (found,) = admit([Clip("v[0]", "v", 0, source, None, None, "text")])
    assert isinstance(found, Problem)
    assert (found.cause, found.excludes) == ("path leaves the root", True)


@pytest.mark.parametrize("source", ["a.mp4", "day/a.mp4", "a..mp4", "..a.mp4", "./a.mp4", "a b/ü.mp4"])
def test_names_with_dots_stay_within(source: str) -> None:
    assert not leaves_root(source)


@pytest.mark.parametrize("named", ["../../../../secret", "/tmp/secret", "..\\secret"])
def test_a_transcript_cannot_name_a_video_elsewhere(tmp_path: Path, place: Place, named: str) -> None:
    place("secret.mp4")
    place(f"root/{mosei.LAYOUT.transcripts}/v.txt", f"{named}___0___0___1___hello\n")
    place(f"root/{mosei.LAYOUT.full_video}/v.mp4")
    found = [
        item for item in admit(mosei.MoseiCorpus().clips(tmp_path / "root")) if item.clip_id == f"{named}[0]"
    ]
    assert [item.cause for item in found if isinstance(item, Problem) and item.excludes] == [
        "path leaves the root"
    ]
    assert not [item for item in found if isinstance(item, Clip)]


def test_a_label_table_cannot_name_a_video_elsewhere(tmp_path: Path, place: Place) -> None:
    place("secret.mp4")
    place(f"root/{mosi.LAYOUT.transcripts}/v.annotprocessed", "1_DELIM_HELLO\n")
    place(f"root/{mosi.LAYOUT.segmented_video}/v_1.mp4")
    place(f"root/{mosi.TABLE}", "0,1,v,1,1\n0,1,../secret,1,1\n0,1,../../secret,2,1\n")
    sources = [
        item.source for item in admit(mosi.MosiCorpus().clips(tmp_path / "root")) if isinstance(item, Clip)
    ]
    assert sources == [f"{mosi.LAYOUT.segmented_video}/v_1.mp4"]


def test_word_times_that_are_no_numbers_cost_the_clip() -> None:
    words = (GivenWord("a", 0.0, float("nan")),)
    (found,) = admit([Clip("v[0]", "v", 0, "a.mp4", None, None, "a", words=words)])
    assert isinstance(found, Problem)
    assert found.cause == "bad word times"
