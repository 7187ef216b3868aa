"""Computational sequences: what is written is what is read, and the SDK's own files are understood."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.csd import FUSED_KEY, METADATA_KEYS, TimedFeatures, read_csd, write_csd

matrices = arrays.arrays(
    np.float32, st.tuples(st.integers(0, 5), st.integers(1, 4)), elements=st.floats(width=32)
)
names = st.lists(st.text("abcXYZ012-_$", min_size=1, max_size=8), min_size=0, max_size=4, unique=True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=names, matrix=matrices)
def test_reading_gives_what_was_written(tmp_path: Path, ids: list[str], matrix: np.ndarray) -> None:
    intervals = np.arange(2.0 * len(matrix)).reshape(-1, 2)
    path = tmp_path / "a.csd"
    write_csd(path, "things", [(name, TimedFeatures(intervals, matrix)) for name in ids])
    found = dict(read_csd(path))
    assert sorted(found) == sorted(ids)
    for entry in found.values():
        assert np.array_equal(entry.features, matrix, equal_nan=True)
        assert np.array_equal(entry.intervals, intervals)


def test_words_and_ids_with_a_slash(tmp_path: Path) -> None:
    words = TimedFeatures(np.array([[0, 1], [1, 2.0]]), np.array([["sp"], ["naïve"]]))
    write_csd(tmp_path / "w.csd", "words", [("a/b", words), ("c", words)])
    sequence = read_csd(tmp_path / "w.csd")
    assert sequence.ids() == ("a/b", "c")
    assert sequence.entry("a/b").strings() == ["sp", "naïve"]


def test_all_metadata_keys_are_written_as_json_strings(tmp_path: Path) -> None:
    write_csd(tmp_path / "a.csd", "labels", [], {"dimension names": ["x"], "creator": "me"})
    with h5py.File(tmp_path / "a.csd") as file:
        stored = file["labels"]["metadata"]
        assert set(stored) == {*METADATA_KEYS, FUSED_KEY}
        assert all(item.shape == (1,) for item in stored.values())
        assert json.loads(stored["dimension names"][0]) == ["x"]
    metadata = read_csd(tmp_path / "a.csd").metadata
    assert metadata["creator"] == "me"
    assert metadata["root name"] == "labels"


def test_fused_key_of_the_sdk_is_read_as_dimension_names(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.csd", "w") as file:
        file.create_group("r/data")
        file.create_dataset(f"r/metadata/{FUSED_KEY}", data=[b'["a", "b"]'])
        file.create_dataset("r/metadata/creator", data=[b"not json"])
    metadata = read_csd(tmp_path / "a.csd").metadata
    assert metadata == {"dimension names": ["a", "b"], "creator": "not json"}


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    entry = TimedFeatures(np.array([[0.0, 1.0]]), np.ones((1, 7), np.float32))
    for name in ("a", "b"):
        write_csd(tmp_path / name, "labels", [("v", entry)], {"dataset name": "x"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.csd").write_text("hello")
    with pytest.raises(MimdataError, match="no HDF5 file"):
        read_csd(tmp_path / "text.csd")
    with h5py.File(tmp_path / "other.csd", "w") as file:
        file.create_group("images")
    with pytest.raises(MimdataError, match=r"no computational sequence.*images"):
        read_csd(tmp_path / "other.csd")
    with pytest.raises(MimdataError, match="no computational sequence at"):
        read_csd(tmp_path / "absent.csd")


def test_damaged_entry_says_which(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.csd", "w") as file:
        file.create_dataset("r/data/v1/features", data=np.ones((3, 2)))
        file.create_dataset("r/data/v1/intervals", data=np.ones((2, 2)))
    with pytest.raises(MimdataError, match='entry "v1"'):
        list(read_csd(tmp_path / "a.csd"))


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    entry = TimedFeatures(np.array([[0.0, 1.0]]), np.ones((1, 1), np.float32))
    with pytest.raises(MimdataError, match="unique"):
        write_csd(tmp_path / "a.csd", "r", [("v", entry), ("v", entry)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared_data
def test_real_sequences_of_mosi(shared_data: Path) -> None:
    words = read_csd(shared_data / "mosi" / "CMU_MOSI_ModifiedTimestampedWords.csd")
    entries = dict(words)
    assert len(entries) == 93
    assert sum(len(entry.strings()) for entry in entries.values()) == 51056
    assert entries["03bSnISJMiM"].strings()[:3] == ["oh", "sp", "this"]
    labels = read_csd(shared_data / "mosi" / "CMU_MOSI_Opinion_Labels.csd")
    assert labels.root_name == "Opinion Segment Labels"
    assert labels.metadata["dimension names"] == ["sentiment score"]
    assert sum(len(entry.features) for _, entry in labels) == 2199
