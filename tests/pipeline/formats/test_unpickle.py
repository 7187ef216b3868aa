"""Pickles of numpy arrays are read; pickles that would run something are not."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.unpickle import load, loads

VALUES: list[Any] = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.array([1.5, np.nan]),
    np.array([], np.float64),
    np.array(["ein", "Wört"]),
    np.array([b"a", b"bc"]),
    np.array([True, False]),
    np.float64(0.25),
    np.int64(7),
]


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_plain_values_come_back(protocol: int) -> None:
    plain = {
        "train": [((["words"], VALUES[0]), 1.5, "video[3]")],
        "set": {1},
        "none": None,
        "bytes": b"\xff\x00",
    }
    found = loads(pickle.dumps((VALUES, plain, OrderedDict(a=1)), protocol))
    for ours, theirs in zip(found[0], VALUES, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert found[1]["set"] == {1}
    assert found[1]["bytes"] == b"\xff\x00"
    np.testing.assert_array_equal(found[1]["train"][0][0][1], VALUES[0])


def test_numpy_1_pickles_are_read_under_numpy_2() -> None:
    array = np.arange(4.0)
    old = pickle.dumps(array, 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in old
    np.testing.assert_array_equal(loads(old), array)


def test_python_2_texts_are_read() -> None:
    assert loads(b"(dp0\nS'caf\\xe9'\np1\nI1\ns.") == {"café": 1}


# np.array([1.5, 2.5, -np.inf], np.float32) as Python 2.7's cPickle writes it with numpy 1: its bytes are a str.
PYTHON_2 = {
    0: b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\nRp5\n"
    b"(I1\n(I3\ntp6\ncnumpy\ndtype\np7\n(S'f4'\np8\nI0\nI1\ntp9\nRp10\n(I3\nS'<'\np11\nNNNI-1\nI-1\nI0\ntp12\nb"
    b"I00\nS'\\x00\\x00\\xc0?\\x00\\x00 @\\x00\\x00\\x80\\xff'\np13\ntp14\nb.",
    2: b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
    b"(K\x01K\x03\x85cnumpy\ndtype\nq\x04U\x02f4K\x00K\x01\x87Rq\x05"
    b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x0c"
    b"\x00\x00\xc0?\x00\x00 @\x00\x00\x80\xfftb.",
}


@pytest.mark.parametrize("protocol", PYTHON_2)
def test_python_2_arrays_are_read(protocol: int) -> None:
    found = loads(PYTHON_2[protocol])
    assert found.dtype == np.float32
    assert found.tolist() == [1.5, 2.5, -np.inf]


class Runs:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.marker}'",)


def test_what_would_run_is_refused_by_name_and_has_not_run(tmp_path: Path) -> None:
    file, marker = tmp_path / "evil.pkl", tmp_path / "ran"
    file.write_bytes(pickle.dumps({"data": VALUES[0], "more": Runs(marker)}))
    with pytest.raises(MimdataError, match=r"evil\.pkl asks for posix\.system, which could run anything"):
        load(file)
    assert not marker.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cbuiltins\ngetattr\n.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nlist\n(I0\ntS'b'\ntR.",
        b"c_codecs\nencode\n(Va\nVrot13\ntR.",
        b"cnumpy.f2py\ncompile\n.",
        b"cnumpy\nload\n.",
    ],
)
def test_ways_around_are_closed(program: bytes) -> None:
    with pytest.raises(MimdataError, match="which could run anything"):
        loads(program)


@pytest.mark.parametrize("damage", [b"", b"no pickle", pickle.dumps(VALUES)[:-40], b"\x80\x09."])
def test_a_damaged_pickle_is_one_line(damage: bytes) -> None:
    with pytest.raises(MimdataError, match="no readable pickle") as caught:
        loads(damage, "x.pkl")
    assert "\n" not in str(caught.value)


def test_the_real_pickle_of_the_validation_fold(shared_data: Path) -> None:
    rows = load(shared_data / "mosi" / "dev229_misa_form.pkl")
    assert len(rows) == 229
    assert sum(len(row[0][3]) for row in rows) == 2524
