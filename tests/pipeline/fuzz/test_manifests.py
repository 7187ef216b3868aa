"""Manifests of one's own recordings, and corrections to a corpus, whatever their bytes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimdata.pipeline.corpora.fixes import apply_fixes, read_fixes
from mimdata.pipeline.corpora.manifest import COLUMNS, ManifestCorpus
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.records import Clip
from tests.pipeline.fuzz.laws import fuzz, hostile, lawful, outcome, put

ROW: dict[str, Any] = {
    "source": "a.mp4", "text": "so good", "clip_id": "v[3]", "video_id": "v", "segment": 4, "start": 0.5, "end": 0.9,
    "split": "dev", "sentiment": -1.5, "language": "de", "speaker": "s1", "emotion_joy": 2, "emotions": {"awe": 1.0},
    "words": [{"word": "so", "start": 0.0, "end": 0.1}, {"word": "good", "start": 0.1, "end": 0.3}],
}  # fmt: skip
PLAIN = {"source": "a.mp4", "text": "fine"}
LINES = f"{json.dumps(ROW)}\n{json.dumps(PLAIN)}\n".encode()
TABLE = (
    b"source,text,clip_id,start,end,sentiment,emotion_joy,words\r\n"
    b'a.mp4,"Well, ""yes""",v[3],0.5,1.5,2,1,"[{""word"": ""x"", ""start"": 0, ""end"": 1}]"\r\na.mp4,fine,,,,,,\r\n'
)
FIXES = b"""{"clip_id": "v[3]", "fix": "exclude"}
{"clip_id": "v[4]", "fix": "text", "text": "said"}
{"clip_id": "v[5]", "fix": "span", "start": 12.3, "end": 15.0}
"""


def parquet(compression: str) -> bytes:
    file = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist([ROW, {**ROW, **PLAIN, "clip_id": "x"}]), file, compression=compression
    )
    return file.getvalue()


FILES = {"csv": (TABLE,), "jsonl": (LINES,), "parquet": (parquet("none"), parquet("snappy"))}


@pytest.mark.parametrize("form", FILES)
def test_any_bytes_in_a_manifest(tmp_path: Path, form: str) -> None:
    put(tmp_path / "a.mp4", b"film")
    path = put(tmp_path / f"manifest.{form}", FILES[form][0])
    assert len([item for item in admit(ManifestCorpus().clips(tmp_path)) if isinstance(item, Clip)]) == 2

    @fuzz
    @given(hostile(*FILES[form], tokens=(b"../", b"a.mp4", *(name.encode() for name in COLUMNS))))
    def check(data: bytes) -> None:
        put(path, data)
        outcome(lambda: lawful(admit(ManifestCorpus().clips(tmp_path))), path.name)
        outcome(lambda: lawful(ManifestCorpus().check(tmp_path)), path.name)

    check()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("9" * 5000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def test_any_value_in_any_column(tmp_path: Path) -> None:
    put(tmp_path / "a.mp4", b"film")

    @fuzz
    @given(
        st.lists(st.dictionaries(st.sampled_from((*COLUMNS, "emotion_x")), ANYTHING), min_size=1, max_size=3)
    )
    def check(rows: list[dict[str, Any]]) -> None:
        lines = "\n".join(json.dumps({**PLAIN, **row}) for row in rows)
        put(tmp_path / "manifest.jsonl", lines.encode())
        found = outcome(lambda: lawful(admit(ManifestCorpus().clips(tmp_path))), "manifest.jsonl")
        assert found is not None  # a bad row costs itself only
        assert len([item for item in found if isinstance(item, Clip) or item.excludes]) == len(rows)

    check()


def test_any_bytes_in_a_fix_file(tmp_path: Path) -> None:
    clips = [Clip(f"v[{i}]", "v", i, "a.mp4", 0.0, 1.0, "said") for i in range(3, 6)]

    @fuzz
    @given(hostile(FIXES))
    def check(data: bytes) -> None:
        path = put(tmp_path / "fixes.jsonl", data)
        outcome(lambda: lawful(admit(apply_fixes(clips, read_fixes(path)))), path.name)

    check()


def test_sources_that_no_file_can_have(tmp_path: Path) -> None:
    names = [
        "a" * 5000,
        ".",
        "/",
        "./",
        "a\0b",
        "\n",
        "~",
        "*",
        "a/../../b",
        "..\\b",
        "C:b",
        "//host/share",
        "\ud800",
    ]
    put(
        tmp_path / "manifest.jsonl", "\n".join(json.dumps({"source": n, "text": "x"}) for n in names).encode()
    )
    items = lawful(admit(ManifestCorpus().clips(tmp_path)))
    assert not [item for item in items if isinstance(item, Clip)]
    assert len(items) == len(names)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.csv", b"a," * 9_000_000, "line of more than 16 MiB"),
        ("manifest.csv", b"source,text," + b"a," * 5000, "has 5003 columns, at most 1000"),
        ("manifest.jsonl", b"[" * 17 * 2**20, "line of more than 16 MiB"),
    ],
)
def test_what_has_no_end_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    from mimdata.pipeline.errors import MimdataError

    put(tmp_path / name, content)
    with pytest.raises(MimdataError, match=message):
        list(ManifestCorpus().clips(tmp_path))


def test_a_page_that_repeats_a_long_text_is_refused(tmp_path: Path) -> None:
    """A few kB on the disk, 300 MB as Python texts."""
    from mimdata.pipeline.errors import MimdataError

    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1024, pa.int32()), pa.array(["a" * 300_000]))
    table = pa.table({"source": ["a.mp4"] * 1024, "text": texts.cast(pa.large_string())})
    pq.write_table(table, tmp_path / "manifest.parquet", compression="zstd")
    assert (tmp_path / "manifest.parquet").stat().st_size < 10**6
    with pytest.raises(MimdataError, match="it is no manifest"):
        list(ManifestCorpus().clips(tmp_path))
