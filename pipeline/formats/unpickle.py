"""Pickles without their danger: numpy arrays and plain values, and nothing that runs code.

A pickle is a program that may call anything it can import. Here it can import what numpy arrays are made with, in
numpy 1's and numpy 2's names, and a few containers; any other name ends the reading before it is called. Protocols 0
to 5; texts of Python 2 are read as Latin-1, which is what its arrays need.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mimdata.pipeline.errors import MimdataError

ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")


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
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle fails in whatever the broken program does
        raise MimdataError(
            f"{where} is no readable pickle ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'damaged'}): "
            "copy or download it again"
        ) from error


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The one place through which a pickle reaches code."""
        found = _admitted().get((module, name))
        if found is None:
            raise ForbiddenError(f"{module}.{name}")
        return found


def _admitted() -> dict[tuple[str, str], Any]:
    from numpy._core import multiarray, numeric

    made: dict[str, Callable[..., Any]] = {
        "_reconstruct": _reconstruct,
        "scalar": multiarray.scalar,
    }
    admitted: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): OrderedDict,
    }
    for builtins in ("builtins", "__builtin__"):
        admitted |= {
            (builtins, t.__name__): t for t in (set, frozenset, complex, bytearray, bytes, list, dict)
        }
    admitted |= {(module, name): function for module in ARRAYS for name, function in made.items()}
    admitted |= {(module, "_frombuffer"): numeric._frombuffer for module in NUMERIC}  # type: ignore[attr-defined]
    return admitted


def _reconstruct(kind: type[Any], shape: tuple[int, ...], code: Any) -> Any:
    """An empty array that the pickle then fills. numpy's own takes any type."""
    from numpy._core import multiarray

    if kind is not np.ndarray:
        raise ForbiddenError(f"an array of the type {kind!r}")
    return multiarray._reconstruct(kind, shape, code)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise ForbiddenError(f"the encoding {encoding!r}")
    return text.encode("latin1")
