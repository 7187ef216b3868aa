"""NumPy arrays that a script made, with librosa or anything else: `.npz` with times, or a bare `.npy`.

NAME.npz     values (n, d), times (n, 2) seconds from the recording's start; names (d,) if there are any
NAME.npy     values (n, d), one frame every `hop` seconds; librosa's (d, n) must be transposed

Source of the format: numpy.lib.format. Objects are not read: nothing in a file runs.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import MimdataError, UsageError
from mimdata.pipeline.extractors.elsewhere import LARGEST, FolderExtractor, Frames, all_valid, regular


@dataclass(frozen=True)
class ArraysExtractor(FolderExtractor):
    """The arrays of a folder as the modality `modality`.

    hop: seconds from one frame to the next where a file has no times; window: seconds of a frame, 0 for the hop.
    """

    hop: float = 0.0
    window: float = 0.0

    name: ClassVar[str] = "arrays"
    suffixes: ClassVar[tuple[str, ...]] = (".npz", ".npy")

    def read(self, path: Path) -> Frames:
        """All frames. Raises MimdataError for a file that is damaged, or without values or times."""
        parts = _parts(path)
        values = parts.get("values")
        if values is None or values.ndim != 2 or not values.shape[1] or values.dtype.kind not in "fiub":
            found = "nothing" if values is None else f"{values.dtype} {values.shape}"
            raise MimdataError(f"{path} must hold `values`, numbers (n, d) with a row a frame: found {found}")
        return all_valid(self._times(parts, len(values), path), values, self._names(parts, values.shape[1]))

    def _times(self, parts: dict[str, npt.NDArray[Any]], n: int, path: Path) -> npt.NDArray[np.float64]:
        times = parts.get("times")
        if times is None:
            if self.hop <= 0:
                raise UsageError(f"{path} has no times: set [extractors.{self.modality}] hop, in seconds")
            return regular(n, self.hop, self.window or self.hop)
        if times.shape != (n, 2) or times.dtype.kind not in "fiu":
            raise MimdataError(
                f"{path} must hold `times`, seconds (n, 2) = {(n, 2)}: found {times.dtype} {times.shape}"
            )
        return times.astype(np.float64)

    def _names(self, parts: dict[str, npt.NDArray[Any]], d: int) -> tuple[str, ...]:
        names = parts.get("names", np.zeros(0))
        said = tuple(str(n) for n in names.reshape(-1)[: d + 1]) if names.dtype.kind == "U" else ()
        return said if len(set(said)) == d == len(said) else tuple(f"{self.modality}_{i}" for i in range(d))


def _parts(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        if path.suffix == ".npy":
            # Mapped, so that a header that claims more than the file has is refused and not believed.
            return {"values": np.load(path, mmap_mode="r", allow_pickle=False)}
        with zipfile.ZipFile(path) as archive:
            there = {name for name in ("values", "times", "names") if f"{name}.npy" in archive.namelist()}
            return {name: _member(archive, f"{name}.npy") for name in there}
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
    ) as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise MimdataError(f"{path} is no array file that can be read: {line}") from error
    except Exception as error:  # zlib's own, and what a damaged header makes of Python's parser
        raise MimdataError(f"{path} is no array file that can be read: {type(error).__name__}") from error


def _member(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """An array whose header claims no more than its file has, and that no more than LARGEST."""
    info = archive.getinfo(name)
    if info.file_size > LARGEST:
        raise ValueError(f"{name} has more than {LARGEST >> 30} GiB")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects")
    count = 1
    for size in shape:
        count *= size
    if count * dtype.itemsize > info.file_size or any(size < 0 for size in shape):
        raise ValueError(f"{name} claims {shape} and is shorter")
    with archive.open(info) as file:
        made: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return made
