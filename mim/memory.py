"""Where batches lie: page-locked memory for a GPU, else memory that is used again when a batch is gone."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

KEPT = 32  # pieces of memory kept for the next batches: a few batches of a few modalities
LONE = 3  # references to a kept piece that nobody uses: the list's, the loop's and getrefcount's own


class Memory:
    """Memory for the numbers of batches. Not for several threads at once.

    The first touch of a page costs as much as copying it several times over, so on a CPU the memory of batches that
    nobody holds any more is handed out again. What is page-locked is kept by PyTorch, which does the same.
    """

    def __init__(self, *, pin: bool) -> None:
        self._pin = pin
        self._kept: list[npt.NDArray[np.float32]] = []

    def floats(self, shape: tuple[int, ...]) -> Tensor:
        """A float32 tensor of this shape with anything in it."""
        if self._pin:
            return torch.empty(shape, pin_memory=True)
        count = int(np.prod(shape))
        return torch.from_numpy(self._piece(count)[:count].reshape(shape))

    def holding(self, array: npt.NDArray[Any]) -> Tensor:
        """These numbers as a tensor."""
        made = torch.from_numpy(array)
        return made.pin_memory() if self._pin else made

    def _piece(self, count: int) -> npt.NDArray[np.float32]:
        size = (
            1 << max(0, count - 1).bit_length()
        )  # so that batches of about one length share; unused pages cost nothing
        for piece in self._kept:
            if len(piece) == size and sys.getrefcount(piece) <= LONE:
                return piece
        made = np.empty(size, np.float32)
        if len(self._kept) < KEPT:
            self._kept.append(made)
        return made
