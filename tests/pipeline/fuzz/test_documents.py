"""TextGrids, configurations and dataset manifests, whatever their bytes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimdata.pipeline.config import RunConfig, load_config
from mimdata.pipeline.dataset.manifest import (
    FILE,
    FORMAT,
    digest_of,
    latest_version,
    parse_manifest,
    read_manifest,
)
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.textgrid import read_textgrid
from tests.pipeline.fuzz.laws import fuzz, hostile, outcome, put

GRID = '''File type = "ooTextFile"
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
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1.2
            text = "say ""it"""
        intervals [2]:
            xmin = 1.2
            xmax = 2.5
            text = ""
    item [2]:
        class = "TextTier"
        name = "bell"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 1.5
            mark = "ding"
'''


def test_any_bytes_in_a_textgrid(tmp_path: Path) -> None:
    path = put(tmp_path / "a.TextGrid", GRID.encode())
    assert read_textgrid(path).tiers["words"][0].label == 'say "it"'

    def finite() -> None:
        grid = read_textgrid(path)
        times = [time for tier in grid.tiers.values() for item in tier for time in (item.start, item.end)]
        assert all(map(math.isfinite, [grid.end, *times]))

    @fuzz
    @given(hostile(GRID.encode(), GRID.encode("utf-16"), tokens=(b'"IntervalTier"', b"<exists>", b" 1e999 ")))
    def check(data: bytes) -> None:
        put(path, data)
        outcome(finite, path.name)

    check()


def test_a_textgrid_of_a_million_tiers_is_refused_at_once(tmp_path: Path) -> None:
    head = '"ooTextFile" "TextGrid" 0 1 <exists> 1000000 '
    path = put(tmp_path / "a.TextGrid", (head + '"IntervalTier" "w" 0 1 0 ' * 1_000_000).encode())
    with pytest.raises(MimdataError, match="at most 1000"):
        read_textgrid(path)


def test_any_bytes_in_a_configuration(tmp_path: Path) -> None:
    valid = RunConfig(corpus="mosi", workers=2).to_toml().encode()
    path = put(tmp_path / "run.toml", valid)
    assert load_config(path, environment={}).corpus == "mosi"

    @fuzz
    @given(
        hostile(
            valid,
            tokens=(b"[extractors.x]\n", b"a.b.c = 1\n", b"= nan\n", b"= [" + b"[" * 900, b"1979-13-99"),
        )
    )
    def check(data: bytes) -> None:
        put(path, data)
        config = outcome(lambda: load_config(path, environment={}), path.name)
        if config is not None:
            outcome(config.to_toml, "")

    check()


SHARD = {"file": "train-00000.parquet", "split": "train", "rows": 2, "bytes": 10, "sha256": "00"}
MANIFEST = {
    "format": FORMAT, "corpus": "c", "version": "v", "created": "now", "rows": 2, "splits": {"train": 2},
    "shards": [SHARD], "lineage": {"file": "lineage.parquet", "bytes": 1, "sha256": "00"}, "emotions": [],
    "modalities": {"text": {"dim": 3, "feature_names": ["a", "b", "c"], "statistics": ["mean"], "step": {}}},
}  # fmt: skip


def signed(content: dict[str, object]) -> bytes:
    return json.dumps({**content, "digest": digest_of(content)}).encode()


def use(data: bytes) -> None:
    manifest = parse_manifest(data, FILE)
    assert isinstance(manifest.rows, int)
    assert [shard["file"] for shard in manifest.files]
    assert all(about["dim"] is not None for about in manifest.modalities.values())
    assert manifest.version + manifest.digest + manifest.to_json()


def test_any_bytes_in_a_dataset_manifest() -> None:
    use(signed(MANIFEST))

    @fuzz
    @given(hostile(signed(MANIFEST)))
    def check(data: bytes) -> None:
        outcome(lambda: use(data), FILE)

    check()


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


@fuzz
@given(
    st.dictionaries(
        st.sampled_from([*MANIFEST, "more"]), VALUES | st.dictionaries(st.text(max_size=2), VALUES)
    )
)
def test_any_values_in_a_manifest_whose_digest_is_right(values: dict[str, object]) -> None:
    """Whoever writes a hostile manifest writes its digest as well."""
    content = {**MANIFEST, **values}
    try:
        data = signed(content)
    except UnicodeEncodeError:
        return
    outcome(lambda: use(data), FILE)


@pytest.mark.parametrize(
    "file", ["../secret.parquet", "/etc/passwd", "a/b.parquet", "..", "", "..\\x", 5, None]
)
def test_a_version_names_no_file_outside_of_its_folder(tmp_path: Path, file: object) -> None:
    for content in (
        {**MANIFEST, "shards": [{**SHARD, "file": file}]},
        {**MANIFEST, "lineage": {"file": file}},
    ):
        put(tmp_path / FILE, signed(content))
        with pytest.raises(
            MimdataError, match=r"manifest\.json is not a dataset manifest: a file of it is called"
        ):
            read_manifest(tmp_path)


@pytest.mark.parametrize("name", [b"../../elsewhere", b"/etc", b"..", b"", b"\xff"])
def test_the_latest_version_lies_in_the_store(tmp_path: Path, name: bytes) -> None:
    put(tmp_path / "datasets" / "c" / "latest", name)
    with pytest.raises(MimdataError):
        latest_version(tmp_path, "c")


WORDS = b'[{"word": "so", "start": 0.0, "end": 0.5}, {"word": "good", "start": 0.5, "end": 1.0}]'


def test_any_bytes_in_a_file_of_words(tmp_path: Path) -> None:
    """What `mimdata predict --words` reads."""
    from mimdata.workflows.predict import _timed_words

    path = put(tmp_path / "words.json", WORDS)
    assert [word.word for word in _timed_words(path)] == ["so", "good"]

    def finite() -> None:
        assert all(math.isfinite(word.start) and math.isfinite(word.end) for word in _timed_words(path))

    @fuzz
    @given(hostile(WORDS, b'{"words": ' + WORDS + b"}"))
    def check(data: bytes) -> None:
        put(path, data)
        outcome(finite, path.name)

    check()
