"""Pickles of data: any bytes, and programs that would take all memory or never end."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.unpickle import loads
from tests.pipeline.fuzz.laws import fuzz, hostile, outcome

VALUES = {
    "train": [((["so", "good"], np.arange(6, dtype=np.float32).reshape(2, 3)), np.float64(1.5), "video[3]")],
    "more": (
        np.array(["ein", "Wört"]),
        np.array([1, None, "x"], object),
        {1, 2},
        OrderedDict(a=b"\xff"),
        bytearray(b"abc"),
        2**70,
        1j,
    ),
}
PICKLES = [pickle.dumps(VALUES, protocol) for protocol in range(6)]
CALL = (
    b"R.",
    b"(",
    b"t",
    b"cnumpy\nndarray\n",
    b"cbuiltins\nbytearray\n",
    b"cnumpy\ndtype\n",
    b"\x8a\x05\xff\xff\xff\xff\x7f",
)


@fuzz
@given(hostile(*PICKLES, tokens=CALL))
def test_any_bytes_in_a_pickle(data: bytes) -> None:
    outcome(lambda: loads(data, "a.pkl"), "a.pkl")


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_objects_come_back(protocol: int) -> None:
    found = loads(PICKLES[protocol])
    assert found["more"][1].tolist() == [1, None, "x"]
    assert found["more"][2:] == VALUES["more"][2:]


HUGE = struct.pack("<q", 2**40)
STATE = b"(I1\n(I%d\nt(cnumpy\ndtype\n(S'%s'\nI0\nI1\ntRI00\n%stb."
FILL = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
DEEP = b"(I1\nt" + b"".join(b"p%d\n0g%d\ng%d\n\x86" % (i, i, i) for i in range(60))
PROGRAMS = {
    "a terabyte of zeros": b"cbuiltins\nbytearray\n(I%d\ntR." % 2**40,
    "an array of any size": b"cnumpy\nndarray\n((I%d\ntS'f8'\ntR." % 2**40,
    "an array made anew": b"\x80\x02cnumpy\nndarray\nI%d\n\x85\x81." % 2**40,
    "an empty array of any size": FILL.replace(b"I0", b"I%d" % 2**40) + b".",
    "objects that are not there": FILL + STATE % (2**34, b"O", b"(l") + b"",
    "bytes that are not there": FILL + STATE % (2**34, b"f8", b"S''\n"),
    "a number as large as its type": b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'V2000000000'\ntRtR.",
    "a text that is not there": b"\x80\x04\x8d" + HUGE + b"abc.",
    "an array of bytes that is not there": b"\x80\x05\x96" + HUGE + b"abc.",
    "a far place in the memory": b"N" + b"r" + struct.pack("<I", 2**31 - 1) + b"N" * 10,
    "bytes for pointers": b"cnumpy\ndtype\n(S'V8'\ntR(I3\nS'|'\nNNNI8\nI1\nI63\ntb.",
    "a key that takes for ever": b"}" + DEEP + b"Ns.",
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_programs_that_would_exhaust_the_machine_are_refused_at_once(program: bytes) -> None:
    assert outcome(lambda: loads(program, "a.pkl"), "a.pkl") is None
    with pytest.raises(MimdataError):
        loads(program)
