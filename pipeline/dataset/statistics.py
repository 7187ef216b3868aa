"""What is summed up over shards: mean and deviation of each feature over the train split's valid words; labels by split."""

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


@dataclass(frozen=True)
class Labels:
    """One column of labels: their moments (d = 1), the least and the greatest, how many are below and above zero."""

    moments: Moments
    least: float
    greatest: float
    below: int
    above: int

    @property
    def count(self) -> int:
        """Utterances that have one."""
        return self.moments.count

    @staticmethod
    def of(column: pa.ChunkedArray) -> Labels:
        """Of a column of numbers, nulls and NaN left out."""
        given: npt.NDArray[np.float32] = column.drop_null().to_numpy().astype(np.float32)
        values = given[np.isfinite(given)]
        return Labels(
            Moments.of(values[:, None]),
            float(values.min(initial=np.inf)),
            float(values.max(initial=-np.inf)),
            int((values < 0).sum()),
            int((values > 0).sum()),
        )

    def merge(self, other: Labels) -> Labels:
        """Of both together."""
        return Labels(
            self.moments.merge(other.moments),
            min(self.least, other.least),
            max(self.greatest, other.greatest),
            self.below + other.below,
            self.above + other.above,
        )

    def to_json(self) -> dict[str, float]:
        """{"count", "mean", "std", "min", "max", "below", "above"}, of at least one label."""
        std = float(np.sqrt(self.moments.squares[0] / max(self.count, 1)))
        return {
            "count": self.count,
            "mean": float(self.moments.mean[0]),
            "std": std,
            "min": self.least,
            "max": self.greatest,
            "below": self.below,
            "above": self.above,
        }


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
