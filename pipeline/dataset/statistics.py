"""Mean and standard deviation of each feature over the valid words of the train split, shard by shard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Count, mean (d,) and sum of squared deviations (d,) of some vectors."""

    count: int
    mean: Float64
    squares: Float64

    @staticmethod
    def of(values: npt.NDArray[np.float32]) -> Moments:
        """Of the rows of values (n, d), in float64."""
        wide = values.astype(np.float64)
        mean = wide.mean(axis=0) if len(wide) else np.zeros(values.shape[1])
        return Moments(len(wide), mean, ((wide - mean) ** 2).sum(axis=0))

    def merge(self, other: Moments) -> Moments:
        """Of both sets together (Chan, Golub, LeVeque 1983). The order of merging is part of the result."""
        count = self.count + other.count
        if count == 0:
            return self
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        squares = self.squares + other.squares + delta**2 * (self.count * other.count / count)
        return Moments(count, mean, squares)

    def to_json(self) -> dict[str, object]:
        """{"mean", "std", "count"}; std is that of the population. Without words both are zero and count says so."""
        std = np.sqrt(self.squares / max(self.count, 1))
        return {"mean": self.mean.tolist(), "std": std.tolist(), "count": self.count}


def matrix(column: pa.ChunkedArray, dim: int) -> npt.NDArray[np.float32]:
    """A column of (w, dim) lists as one (sum of w, dim) array."""
    flat: npt.NDArray[np.float32] = column.combine_chunks().flatten().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, dim)


def valid_words(table: pa.Table, modality: str) -> npt.NDArray[np.bool_]:
    """The mask of a modality over all words of a table."""
    mask: npt.NDArray[np.bool_] = (
        table.column(f"{modality}_valid")
        .combine_chunks()
        .flatten()
        .to_numpy(zero_copy_only=False)
        .astype(bool)
    )
    return mask
