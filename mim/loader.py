"""From a dataset version's shards to padded batches, in an order that seed and epoch alone decide.

Memory is bounded by `shuffle_rows` utterances, not by the dataset: the row groups of a split's shards are
shuffled, read one after another into a buffer of about that many utterances, and the buffer's utterances are
shuffled and dealt out in batches before the next row groups are read. A split that fits the buffer is so
shuffled as a whole. Without shuffling, the order is the dataset's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from mimdata.mim.batch import Batch, TokenBatch
from mimdata.mim.dataset import Dataset
from mimdata.mim.rows import Utterance, columns, decode


@dataclass(frozen=True)
class Loading:
    """How utterances become batches.

    steps: T; rows longer than it are cut to their first T. fixed: pad every batch to T, else only to its
    longest row, which the model takes alike. tokens: read word pieces too. labelled: leave out utterances
    without a label of `task`.
    """

    modalities: tuple[str, ...]
    pooled: tuple[str, ...] = ("mean",)
    steps: int = 50
    batch_size: int = 16
    standardise: bool = True
    tokens: bool = False
    fixed: bool = False
    labelled: bool = True
    task: str = "sentiment"
    shuffle_rows: int = 4096
    pin: bool = False


@dataclass(frozen=True)
class Update:
    """What one process reads for one update of the weights.

    pieces: its batches, one for each forward pass, none of them empty. whole: utterances of the update over
    all processes, so that a piece of n of them counts n / whole.
    """

    pieces: tuple[Batch, ...]
    whole: int


class Feed:
    """A split of a dataset as batches, once an epoch.

    A split of at most `shuffle_rows` utterances is decoded once and stays in memory between epochs.
    """

    def __init__(self, dataset: Dataset, split: str, loading: Loading) -> None:
        self.dataset, self.split, self.loading = dataset, split, loading
        self._kept: dict[tuple[Path, int], list[Utterance]] = {}

    def batches(self, shuffle: tuple[int, int] | None = None) -> Iterator[Batch]:
        """Every utterance once, `batch_size` at a time, the last batch as many as are left.

        `shuffle` is (seed, epoch), None for the dataset's own order. Equal seed and epoch give equal batches.
        """
        for update in self.updates(shuffle):
            yield from update.pieces

    def updates(
        self,
        shuffle: tuple[int, int] | None = None,
        *,
        accumulate: int = 1,
        start: int = 0,
        process: int = 0,
        processes: int = 1,
    ) -> Iterator[Update]:
        """The part of one process in every update from the `start`-th on, counted from 0.

        An update is the next processes × accumulate × batch_size utterances of the epoch's order; process k
        reads the k-th of its equal parts. Over all processes each utterance comes once; in the last update
        of an epoch the last processes may get fewer, or none.
        """
        size = self.loading.batch_size
        for i, utterances in enumerate(self._cut(shuffle, size * accumulate * processes)):
            if i < start:
                continue
            first = size * accumulate * process
            mine = utterances[first : first + size * accumulate]
            pieces = [mine[at : at + size] for at in range(0, len(mine), size)]
            yield Update(
                tuple(collate(piece, self.dataset, self.loading) for piece in pieces), len(utterances)
            )

    def _cut(self, shuffle: tuple[int, int] | None, size: int) -> Iterator[list[Utterance]]:
        """The epoch's utterances, `size` at a time."""
        waiting: list[Utterance] = []
        for utterances in self._buffers(shuffle):
            waiting += utterances
            whole = len(waiting) - len(waiting) % size
            for first in range(0, whole, size):
                yield waiting[first : first + size]
            del waiting[:whole]
        if waiting:
            yield waiting

    def _buffers(self, shuffle: tuple[int, int] | None) -> Iterator[list[Utterance]]:
        """Utterances in the order of the epoch, a buffer at a time."""
        groups = self.dataset.row_groups(self.split)
        keep = self.dataset.rows(self.split) <= self.loading.shuffle_rows
        generator = None if shuffle is None else np.random.default_rng(shuffle)
        order = range(len(groups)) if generator is None else generator.permutation(len(groups))
        buffer: list[Utterance] = []
        for i in order:
            buffer += self._group(groups[i], keep=keep)
            if generator is None or len(buffer) >= self.loading.shuffle_rows:
                yield _shuffled(buffer, generator)
                buffer = []
        yield _shuffled(buffer, generator)

    def _group(self, group: tuple[Path, int], *, keep: bool) -> list[Utterance]:
        """The utterances of a row group that take part."""
        if group in self._kept:
            return self._kept[group]
        loading = self.loading
        found = [
            u for u in _read(self.dataset, group, loading) if not loading.labelled or u.has(loading.task)
        ]
        if keep:
            self._kept[group] = found
        return found


def _shuffled(buffer: list[Utterance], generator: np.random.Generator | None) -> list[Utterance]:
    return buffer if generator is None else [buffer[i] for i in generator.permutation(len(buffer))]


def _read(dataset: Dataset, group: tuple[Path, int], loading: Loading) -> list[Utterance]:
    file, number = group
    wanted = columns(dataset, loading.modalities, loading.pooled, tokens=loading.tokens)
    with pq.ParquetFile(file) as shard:
        table: pa.Table = shard.read_row_group(number, columns=wanted)
    return decode(
        table, dataset, loading.modalities, loading.pooled, loading.steps, standardise=loading.standardise
    )


def collate(utterances: Sequence[Utterance], dataset: Dataset, loading: Loading) -> Batch:
    """One padded batch of some utterances, zero and False beyond each one's end."""
    lengths = [u.length for u in utterances]
    length = loading.steps if loading.fixed else max([1, *lengths])
    dims = dataset.dims(loading.modalities, loading.pooled)
    values = {m: np.zeros((len(utterances), length, d), np.float32) for m, d in dims.items()}
    valid = {m: np.zeros((len(utterances), length), np.bool_) for m in dims}
    for i, utterance in enumerate(utterances):
        for m in dims:
            values[m][i, : lengths[i]] = utterance.values[m]
            valid[m][i, : lengths[i]] = utterance.valid[m]

    def tensor(array: npt.NDArray[Any]) -> Tensor:
        t = torch.from_numpy(array)
        return t.pin_memory() if loading.pin else t

    return Batch(
        {m: tensor(v) for m, v in values.items()},
        {m: tensor(v) for m, v in valid.items()},
        tensor(np.array(lengths, np.int64)),
        tensor(np.array([u.sentiment for u in utterances], np.float32)),
        tensor(np.stack([u.emotions for u in utterances])),
        tuple(u.clip_id for u in utterances),
        _tokens(utterances, tensor) if loading.tokens else None,
    )


def _tokens(utterances: Sequence[Utterance], tensor: Callable[[npt.NDArray[Any]], Tensor]) -> TokenBatch:
    pieces = [len(u.token_ids) for u in utterances]
    shape = len(utterances), max([1, *pieces])
    ids, steps = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    for i, utterance in enumerate(utterances):
        ids[i, : pieces[i]] = utterance.token_ids
        steps[i, : pieces[i]] = utterance.token_steps
    real = np.arange(shape[1]) < np.array(pieces)[:, None]
    return TokenBatch(tensor(ids), tensor(real), tensor(steps))
