"""Pickles without their danger: numpy arrays and plain values, and nothing that runs code.

A pickle is a program that may call anything it can import. Here it can import what numpy arrays are made with, in
numpy 1's and numpy 2's names, and a few containers; any other name ends the reading before it is called. Protocols 0
to 5; texts of Python 2 are read as Latin-1, which is what its arrays need.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mimdata.pipeline.errors import MimdataError

ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
PLAIN_KEYS = (str, bytes, int, float, complex, bool, type(None))


class ForbiddenError(Exception):
    """A name that a pickle of data has no use for."""


def load(path: Path) -> Any:
    """What a pickle file holds. Raises MimdataError for a forbidden name, which it names, and for a damaged file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MimdataError(f"cannot read {path}: {error.strerror}") from error
    return loads(content, str(path))


def loads(content: bytes, where: str = "the pickle") -> Any:
    """What a pickle's bytes hold. Raises MimdataError as `load` does."""
    try:
        return _Plain(io.BytesIO(content), encoding="latin1").load()
    except ForbiddenError as error:
        raise MimdataError(
            f"{where} asks for {error}, which could run anything: expected numpy arrays and plain values. Nothing of "
            "it has run; save it again as such"
        ) from error
    except Exception as error:  # a damaged pickle fails in whatever the broken program does
        raise MimdataError(
            f"{where} is no readable pickle ({type(error).__name__}: {error}): copy or download it again"
        ) from error


class _Plain(pickle._Unpickler):
    """Python's own unpickler: unlike the one in C it reserves no memory that a damaged file only claims to need."""

    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]]

    def find_class(self, module: str, name: str) -> Any:
        """The one place through which a pickle reaches code."""
        found = _admitted().get((module, name))
        if found is None:
            raise ForbiddenError(f"{module}.{name}")
        return found


def _checked(opcode: bytes, check: Callable[[list[Any]], None]) -> dict[int, Callable[[Any], None]]:
    """An instruction of the unpickler, with a look at its stack before it is carried out."""
    carry_out: Callable[[Any], None] = pickle._Unpickler.dispatch[opcode[0]]

    def load(unpickler: _Plain) -> None:
        check(unpickler.stack)
        carry_out(unpickler)

    return {opcode[0]: load}


def _check_state(stack: list[Any]) -> None:
    """An array, or the type of one, is filled only with a state that is whole: numpy believes what it is told."""
    inst, state = stack[-2:]
    if not (_fits_dtype(inst, state) if isinstance(inst, np.dtype) else _fits_array(inst, state)):
        raise ForbiddenError(f"a {type(inst).__name__} in a state of its own")


def _check_keys(keys: Iterable[Any]) -> None:
    """Keys are plain values, or tuples of them: a tuple of tuples of tuples may take for ever to hash."""
    for key in keys:
        for part in key if isinstance(key, tuple) else (key,):
            if not isinstance(part, PLAIN_KEYS):
                raise ForbiddenError(f"a key of the type {type(part).__name__}")


def _load_bytearray(unpickler: Any) -> None:
    """Python's own makes room for as many bytes as the file claims before it reads them."""
    data = unpickler.read(int.from_bytes(unpickler.read(8), "little"))
    unpickler.append(bytearray(data))


_Plain.dispatch = {
    **pickle._Unpickler.dispatch,
    pickle.BYTEARRAY8[0]: _load_bytearray,
    **_checked(pickle.BUILD, _check_state),
    **_checked(pickle.ADDITEMS, _check_keys),
    **_checked(pickle.FROZENSET, _check_keys),
    **_checked(pickle.SETITEM, lambda stack: _check_keys(stack[-2:-1])),
    **_checked(pickle.SETITEMS, lambda stack: _check_keys(stack[::2])),
    **_checked(pickle.DICT, lambda stack: _check_keys(stack[::2])),
}


_ARRAY = "numpy.ndarray"  # stands for the type, which could be called for an array of any size


@cache
def _admitted() -> dict[tuple[str, str], Any]:
    admitted: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _ARRAY,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): _ordered,
    }
    kinds = {
        "set": _set,
        "frozenset": _frozenset,
        "complex": complex,
        "bytearray": _bytearray,
        "bytes": _bytes,
    }
    for builtins in ("builtins", "__builtin__"):
        admitted |= {(builtins, name): kind for name, kind in {**kinds, "list": list, "dict": _dict}.items()}
    for module in ARRAYS:
        admitted |= {(module, "_reconstruct"): _reconstruct, (module, "scalar"): _scalar}
    return admitted | {(module, "_frombuffer"): _frombuffer for module in NUMERIC}


def _fits_dtype(inst: np.dtype[Any], state: Any) -> bool:
    """Whether a dtype's state only sets the order of its bytes: fields and flags could pass numbers for pointers."""
    if not isinstance(state, tuple) or len(state) != 8:
        return False
    version, order, *structure, size, align, flags = state
    sizes = size in (-1, inst.itemsize) and isinstance(align, int)
    return (
        version == 3
        and order in ("<", ">", "|", "=")
        and structure == [None] * 3
        and sizes
        and flags == inst.flags
    )


def _fits_array(inst: Any, state: Any) -> bool:
    """Whether an array's state holds as many values as its shape says."""
    if type(inst) is not np.ndarray or not isinstance(state, tuple) or len(state) != 5:
        return False
    _, shape, dtype, _, data = state
    if not _is_shape(shape) or not isinstance(dtype, np.dtype):
        return False
    size = math.prod(shape)
    if dtype.hasobject:
        return isinstance(data, list) and len(data) == size
    return isinstance(data, bytes | str) and len(data) == size * dtype.itemsize


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(isinstance(n, int) and 0 <= n < 2**48 for n in shape)


def _set(items: Sequence[Any] = ()) -> set[Any]:
    _check_keys(items)
    return set(items)


def _frozenset(items: Sequence[Any] = ()) -> frozenset[Any]:
    _check_keys(items)
    return frozenset(items)


def _dict(items: Sequence[Any] = ()) -> dict[Any, Any]:
    pairs = [tuple(item) for item in items]
    _check_keys(pair[0] for pair in pairs)
    return dict(pairs)


def _ordered(items: Sequence[Any] = ()) -> OrderedDict[Any, Any]:
    return OrderedDict(_dict(items))


def _bytes(text: Any = b"", *encoding: str) -> bytes:
    """bytes(n) would be n zeros."""
    if not isinstance(text, bytes | str | list):
        raise ForbiddenError("bytes of nothing")
    return bytes(text, *encoding)


def _bytearray(text: Any = b"", *encoding: str) -> bytearray:
    return bytearray(_bytes(text, *encoding))


def _scalar(dtype: Any, data: Any = None) -> Any:
    """A number of numpy's; without its bytes it would be as large as its type says."""
    from numpy._core import multiarray

    if not isinstance(dtype, np.dtype) or (not dtype.hasobject and len(data) != dtype.itemsize):
        raise ForbiddenError("a number without its bytes")
    return multiarray.scalar(dtype, data)


def _frombuffer(data: Any, dtype: Any, shape: Any, order: str, *more: Any) -> Any:
    """How protocol 5 writes arrays."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not _is_shape(shape) or more:
        raise ForbiddenError("an array of objects made of bytes")
    return np.frombuffer(data, dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _reconstruct(kind: Any, shape: Any, _: Any) -> Any:
    """An empty array that the pickle then fills. numpy's own takes any type and any shape."""
    if kind is not _ARRAY or shape != (0,):
        raise ForbiddenError(f"an array of the type {kind!r} and the shape {shape!r}")
    return np.ndarray(0, "b")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise ForbiddenError(f"the encoding {encoding!r}")
    return text.encode("latin1")
