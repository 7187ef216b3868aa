"""Rows of a shard as numpy: standardised, cut to T steps, masked. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mimdata.mim.dataset import Dataset

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
FLAT = 1e-6  # a feature that deviates less than this in training is constant: it is centred, not scaled


def _no_ids() -> Int64:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Utterance:
    """One row: values {modality: (w, d)}, valid {modality: (w,)}, labels (NaN where unlabelled), word pieces.

    token_steps (t,): the time step of each piece, −1 for special tokens. Pieces of words that were cut are left out.
    """

    clip_id: str
    length: int
    values: Mapping[str, Float32]
    valid: Mapping[str, Bool]
    sentiment: float
    emotions: Float32
    token_ids: Int64 = field(default_factory=_no_ids)
    token_steps: Int64 = field(default_factory=_no_ids)

    def has(self, task: str) -> bool:
        """Whether it has a label of the task."""
        return not np.isnan(self.sentiment) if task == "sentiment" else not np.isnan(self.emotions).all()


def columns(dataset: Dataset, modalities: Sequence[str], pooled: Sequence[str], *, tokens: bool) -> list[str]:
    """The columns that training reads."""
    names = ["clip_id", "sentiment", *(f"emotion_{name}" for name in dataset.emotions), "word_type"]
    for m in modalities:
        names += [f"{m}_valid", *(f"{m}_{statistic}" for statistic in dataset.pooled(m, pooled))]
    return names + (["token_ids", "token_words"] if tokens else [])


def decode(
    table: pa.Table,
    dataset: Dataset,
    modalities: Sequence[str],
    pooled: Sequence[str],
    steps: int,
    *,
    standardise: bool,
) -> list[Utterance]:
    """The utterances of a table, each cut to its first `steps` steps; values are zero where not valid."""
    bounds = _offsets(table, "word_type")
    valid = {m: _flat(table, f"{m}_valid").astype(np.bool_) for m in modalities}
    values = {
        m: np.concatenate(
            [_values(table, dataset, m, s, valid[m], standardise) for s in dataset.pooled(m, pooled)], axis=1
        )
        for m in modalities
    }
    sentiment = table.column("sentiment").to_numpy().astype(np.float64)
    emotions = np.zeros((len(table), len(dataset.emotions)), np.float32)
    for i, name in enumerate(dataset.emotions):
        emotions[:, i] = table.column(f"emotion_{name}").to_numpy()
    tokens = _tokens(table, bounds, steps) if "token_ids" in table.column_names else None
    found = []
    for i, clip_id in enumerate(table.column("clip_id").to_pylist()):
        span = slice(bounds[i], min(bounds[i + 1], bounds[i] + steps))
        found.append(
            Utterance(
                clip_id,
                span.stop - span.start,
                {m: v[span] for m, v in values.items()},
                {m: v[span] for m, v in valid.items()},
                float(sentiment[i]),
                emotions[i],
                *(tokens[i] if tokens else ()),
            )
        )
    return found


def standardised(values: Float32, mean: Float64, std: Float64) -> Float32:
    """(values − mean) / std of each column, (n, d); columns that are constant in training are only centred."""
    scale = np.where(std > FLAT, std, 1.0)
    result: Float32 = ((values - mean) / scale).astype(np.float32)
    return result


def _values(
    table: pa.Table, dataset: Dataset, modality: str, statistic: str, valid: Bool, standardise: bool
) -> Float32:
    name = f"{modality}_{statistic}"
    dim = int(dataset.manifest.modalities[modality]["dim"])
    values: Float32 = _flat(table, name).reshape(len(valid), dim).astype(np.float32, copy=False)
    if standardise:
        about = dataset.statistics(name)
        values = standardised(values, np.asarray(about["mean"]), np.asarray(about["std"]))
    kept: Float32 = np.where(valid[:, None], values, np.float32(0))
    return kept


def _tokens(table: pa.Table, bounds: Int64, steps: int) -> list[tuple[Int64, Int64]]:
    """Ids and time steps of each row's word pieces. Words are numbered without the pauses between them."""
    is_word = _flat(table, "word_type") == "word"
    ids, words = _flat(table, "token_ids").astype(np.int64), _flat(table, "token_words").astype(np.int64)
    starts = _offsets(table, "token_ids")
    found = []
    for i in range(len(table)):
        # The step of the k-th word; −1 at the end, where special tokens (−1) point.
        place = np.append(np.flatnonzero(is_word[bounds[i] : bounds[i + 1]]), -1)
        mine, at = ids[starts[i] : starts[i + 1]], place[words[starts[i] : starts[i + 1]]]
        # Pieces of words that were cut go too, so that the encoder reads what the other modalities read.
        read = at < steps
        found.append((mine[read], at[read]))
    return found


def _flat(table: pa.Table, name: str) -> npt.NDArray[np.generic]:
    """All numbers of a column of (nested) lists, one after another."""
    array = table.column(name).combine_chunks()
    while pa.types.is_nested(array.type):
        array = array.flatten()
    flat: npt.NDArray[np.generic] = array.to_numpy(zero_copy_only=False)
    return flat


def _offsets(table: pa.Table, name: str) -> Int64:
    """(rows + 1,) where each row's list begins in `_flat`."""
    lengths = table.column(name).combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
