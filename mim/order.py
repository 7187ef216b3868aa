"""Which utterance comes when: a function of the dataset, the seed and the epoch alone. Imports no torch.

The row groups of a split are shuffled and dealt into buffers of at least `shuffle_rows` utterances; those of a buffer
are shuffled among each other. A split of at most `shuffle_rows` utterances is so shuffled as a whole, and a larger one
is read once an epoch with two buffers in memory. Where the utterances come from (shards, memory, a decoded copy), how
many workers decode and how many processes train changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    def begins(self) -> Int64:
        """(n + 1,) where each utterance's words begin among those of the split."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])

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


def buffers(rows: Rows, kept: Bool, shuffle: tuple[int, int] | None, shuffle_rows: int) -> Iterator[Int64]:
    """The places of the kept utterances in the order of the epoch, a buffer at a time.

    `shuffle` is (seed, epoch), None for the dataset's own order.
    """
    generator = None if shuffle is None else np.random.default_rng(shuffle)
    order = range(len(rows.groups)) if generator is None else generator.permutation(len(rows.groups))
    parts: list[Int64] = []
    held = 0
    for i in order:
        begin, end = rows.first[i], rows.first[i + 1]
        parts.append(begin + np.flatnonzero(kept[begin:end]))
        held += len(parts[-1])
        if held >= shuffle_rows:
            yield _shuffled(parts, generator)
            parts, held = [], 0
    if held:
        yield _shuffled(parts, generator)


def _shuffled(parts: Sequence[Int64], generator: np.random.Generator | None) -> Int64:
    whole = np.concatenate(parts)
    return whole if generator is None else generator.permutation(whole)


def epoch_order(
    rows: Rows, kept: Bool, shuffle: tuple[int, int] | None, shuffle_rows: int, by_length: int = 0
) -> Int64:
    """The places of all kept utterances in the order of the epoch.

    by_length: utterances of an update whose lengths should be alike, 0 for no such wish. Of WINDOW updates in a row
    the utterances are then sorted by length, cut into updates, and the updates shuffled.
    """
    order = np.concatenate([np.zeros(0, np.int64), *buffers(rows, kept, shuffle, shuffle_rows)])
    if not by_length or shuffle is None:
        return order
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
    return np.concatenate(done)
