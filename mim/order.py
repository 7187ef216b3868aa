"""Which utterance comes when: a function of the dataset, the seed and the epoch alone. Imports no torch.

The row groups of a split are shuffled and dealt into buffers of at least `shuffle_rows` utterances; those of a buffer
are shuffled among each other. A split of at most `shuffle_rows` utterances is so shuffled as a whole, and a larger one
is read once an epoch with two buffers in memory. How many workers read and how many processes train changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mimdata.mim.blocks import Bool, Int64
from mimdata.mim.dataset import Dataset
from mimdata.pipeline.errors import MimdataError

WINDOW = 64  # updates among which utterances are sorted by length


@dataclass(frozen=True)
class Census:
    """Utterances of a split: all, those with a label of the task, and those longer than T steps."""

    rows: int
    labelled: int
    truncated: int


@dataclass(frozen=True)
class Rows:
    """The utterances of a split. groups: (file, number) of each row group; first (g + 1,): its utterances' places.

    lengths (n,): words of each utterance; labelled (n,): whether it has a label of the task.
    """

    groups: Sequence[tuple[Path, int]]
    first: Int64
    lengths: Int64
    labelled: Bool

    @cached_property
    def words(self) -> Int64:
        """(g,) words of each row group."""
        return np.diff(np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])[self.first])

    def census(self, steps: int) -> Census:
        """Count them."""
        return Census(len(self.lengths), int(self.labelled.sum()), int((self.lengths > steps).sum()))

    def group_of(self, rows: Int64) -> Int64:
        """The row group of each utterance."""
        return np.searchsorted(self.first, rows, side="right") - 1


def read_rows(dataset: Dataset, split: str, task: str) -> Rows:
    """From the shards' labels and lengths alone. Raises MimdataError for a damaged shard."""
    names = ["sentiment"] if task == "sentiment" else [f"emotion_{name}" for name in dataset.emotions]
    groups: list[tuple[Path, int]] = []
    sizes, lengths, labelled = [0], [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)]
    for file in dataset.shards(split):
        try:
            with pq.ParquetFile(file) as shard:
                table = shard.read(columns=[*names, "word_start"], use_threads=False)
                count = shard.num_row_groups
                sizes += [shard.metadata.row_group(i).num_rows for i in range(count)]
        except (OSError, ValueError) as error:
            raise MimdataError(
                f"the shard {file} cannot be read ({str(error).splitlines()[0]}): run `mimdata align` again"
            ) from error
        groups += [(file, i) for i in range(count)]
        known = np.zeros(len(table), np.bool_)
        for name in names:
            known |= table.column(name).is_valid().to_numpy()
        labelled.append(known)
        lengths.append(pc.list_value_length(table.column("word_start")).to_numpy().astype(np.int64))
    return Rows(groups, np.cumsum(sizes), np.concatenate(lengths), np.concatenate(labelled))


@dataclass(frozen=True)
class Epoch:
    """order: the places of the utterances as they come; buffer (g,): which one each row group is dealt into, or −1."""

    order: Int64
    buffer: Int64


def buffers(rows: Rows, kept: Bool, shuffle: tuple[int, int] | None, shuffle_rows: int) -> Epoch:
    """The kept utterances a buffer at a time. Row groups without any are in none.

    `shuffle` is (seed, epoch), None for the dataset's own order.
    """
    generator = None if shuffle is None else np.random.default_rng(shuffle)
    groups = range(len(rows.groups)) if generator is None else generator.permutation(len(rows.groups))
    done, parts = [np.zeros(0, np.int64)], []
    buffer = np.full(len(rows.groups), -1)
    number = held = 0
    for i in groups:
        begin, end = rows.first[i], rows.first[i + 1]
        part = begin + np.flatnonzero(kept[begin:end])
        if not len(part):
            continue
        parts.append(part)
        buffer[i] = number
        held += int(end - begin)
        if held >= shuffle_rows:
            done.append(_shuffled(parts, generator))
            parts, held, number = [], 0, number + 1
    if parts:
        done.append(_shuffled(parts, generator))
    return Epoch(np.concatenate(done), buffer)


def _shuffled(parts: Sequence[Int64], generator: np.random.Generator | None) -> Int64:
    whole = np.concatenate(parts)
    return whole if generator is None else generator.permutation(whole)


def epoch_order(
    rows: Rows, kept: Bool, shuffle: tuple[int, int] | None, shuffle_rows: int, by_length: int = 0
) -> Epoch:
    """All kept utterances in the order of the epoch.

    by_length: utterances of an update whose lengths should be alike, 0 for no such wish. Of WINDOW updates in a row
    the utterances are then sorted by length, cut into updates, and the updates shuffled.
    """
    dealt = buffers(rows, kept, shuffle, shuffle_rows)
    order = dealt.order
    if not by_length or not len(order) or shuffle is None:
        return dealt
    generator = np.random.default_rng((*shuffle, by_length))
    done = []
    for at in range(0, len(order), by_length * WINDOW):
        window = order[at : at + by_length * WINDOW]
        window = window[np.argsort(rows.lengths[window], kind="stable")]
        whole = len(window) - len(window) % by_length
        updates = generator.permutation(window[:whole].reshape(-1, by_length))
        done += [
            updates.reshape(-1),
            window[whole:],
        ]  # what is left over stays last: the updates keep their places
    return Epoch(np.concatenate(done), dealt.buffer)
