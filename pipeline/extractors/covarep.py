"""COVAREP: voice features from the .mat files that its feature extraction writes (Degottex et al., ICASSP 2014).

NAME.mat     features (n, 74), one row every 10 ms; names {1 × 74} cells, if there are any

MATLAB 5 files through SciPy, MATLAB 7.3 files, which are HDF5 and hold the transpose, through h5py. Values of −inf are usual
in them: such a frame is not valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.extractors.elsewhere import LARGEST, FolderExtractor, Frames, all_valid, regular

HDF5 = b"\x89HDF\r\n\x1a\n"
USER_BLOCK = 512  # bytes of MATLAB's own before the HDF5


@dataclass(frozen=True)
class CovarepExtractor(FolderExtractor):
    """The rows of COVAREP's `features` as the modality `modality`, one every `hop` seconds."""

    modality: str = "audio"
    hop: float = 0.01

    name: ClassVar[str] = "covarep"
    suffixes: ClassVar[tuple[str, ...]] = (".mat",)

    def read(self, path: Path) -> Frames:
        """All frames. Raises MimdataError for a file that is no MATLAB file, or without `features`."""
        try:
            if path.stat().st_size > LARGEST:
                raise ValueError(f"it has more than {LARGEST >> 30} GiB")
            values, said = _hdf5(path) if _is_hdf5(path) else _matlab5(path)
        except Exception as error:  # a damaged file fails in whatever part of the library it reaches
            line = (str(error) or type(error).__name__).splitlines()[0]
            raise MimdataError(f"{path} is no file of COVAREP that can be read: {line}") from error
        if values.ndim != 2 or not values.shape[1] or values.dtype.kind not in "fiu":
            raise MimdataError(
                f"{path} must hold `features`, numbers (n, d): found {values.dtype} {values.shape}"
            )
        d = values.shape[1]
        names = said if len(set(said)) == d == len(said) else tuple(f"{self.modality}_{i}" for i in range(d))
        return all_valid(regular(len(values), self.hop, self.hop), values, names)


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(USER_BLOCK + len(HDF5))
    return head.startswith(HDF5) or head[USER_BLOCK:] == HDF5


def _matlab5(path: Path) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    from scipy.io import loadmat

    held = loadmat(str(path), variable_names=["features", "names"], appendmat=False)
    if "features" not in held:
        raise ValueError("it has no `features`")
    cells = np.asarray(held.get("names", np.zeros(0))).reshape(-1)
    said = [np.asarray(cell).reshape(-1) for cell in cells]
    return np.asarray(held["features"]), tuple(str(cell[0]).strip() for cell in said if len(cell))


def _hdf5(path: Path) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    import h5py

    with h5py.File(path, "r") as file:
        held = file.get("features")
        if not isinstance(held, h5py.Dataset) or held.external or held.is_virtual:
            raise ValueError("it has no `features` of its own")
        if held.size * held.dtype.itemsize > LARGEST:
            raise ValueError(f"it claims more than {LARGEST >> 30} GiB")
        return np.asarray(held).T, ()
