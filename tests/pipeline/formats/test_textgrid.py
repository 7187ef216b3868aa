"""TextGrid files in their text forms and encodings, whole and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.textgrid import read_textgrid
from mimdata.pipeline.formats.tiers import Interval

LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 2.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "naïve ""quote"""
        intervals [3]:
            xmin = 1.25
            xmax = 2.5
            text = "日本"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 1
            mark = "tick"
'''.replace("\n", " \n")  # Praat ends lines with a blank
SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

0
2.5
<exists>
2
"IntervalTier"
"words"
0
2.5
3
0
0.5
""
0.5
1.25
"naïve ""quote"""
1.25
2.5
"日本"
"TextTier"
"clicks"
0
2.5
1
1
"tick"
'''


@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_both_text_forms_in_all_encodings_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "a.TextGrid"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_text(mark + text, encoding=encoding)
    grid = read_textgrid(path)
    assert grid.end == 2.5
    assert list(grid.tiers) == ["words"]  # a tier of points has no intervals
    assert grid.tiers["words"] == (Interval(0.5, 1.25, 'naïve "quote"'), Interval(1.25, 2.5, "日本"))


def test_tiers_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(
        SHORT.replace("TextTier", "IntervalTier")
        .replace("clicks", "words")
        .replace('1\n1\n"tick"', '1\n0\n2.5\n"tick"'),
        encoding="utf-8",
    )
    assert list(read_textgrid(path).tiers) == ["words", "words_2"]


@pytest.mark.parametrize("content", [b"", b"RIFF\x00\xff\xfe\x01", LONG[:300].encode(), b"one two three"])
def test_what_is_no_textgrid_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.TextGrid"
    path.write_bytes(content)
    with pytest.raises(MimdataError, match=r"bad\.TextGrid is no TextGrid"):
        read_textgrid(path)


@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
def test_no_truncated_file_passes_for_a_shorter_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cut.TextGrid"
    for length in range(0, len(text.rstrip()), 7):
        path.write_text(text[:length], encoding="utf-8")
        with pytest.raises(MimdataError, match=r"ends where|expected"):
            read_textgrid(path)


def test_comments_signs_and_exponents_are_read_as_praat_does(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    text = SHORT.replace('0.5\n""', '0.5 ! a "comment" 7\n""').replace("0.5\n1.25", "-1e-1\n1.25")
    path.write_text(text, encoding="utf-8")
    assert read_textgrid(path).tiers["words"][0] == Interval(-0.1, 1.25, 'naïve "quote"')


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MimdataError, match=r"none\.TextGrid cannot be read: No such file"):
        read_textgrid(tmp_path / "none.TextGrid")
