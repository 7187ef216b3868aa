"""The utterances of an epoch in its order, out of the shards a buffer ahead, or out of memory that holds the split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import FileIO

import numpy as np
import pyarrow.parquet as pq

from mimdata.mim.blocks import Block, Float32, Int64, Place, Scale, Selected, decode, scales, together
from mimdata.mim.dataset import Dataset
from mimdata.mim.order import Epoch, Rows
from mimdata.pipeline.dataset.plain import read_values, seek_values, value_columns
from mimdata.pipeline.errors import MimdataError

Find = Callable[[Int64], list[Place]]  # places in the split → where their numbers are
Seen = Callable[[int, Block], None]  # a row group that has just been read
Numbers = Mapping[str, Float32]  # {modality: (W, d)}
HELD = 2  # buffers in memory: one that batches are made of, and the next


@dataclass(frozen=True)
class Source:
    """A split's row groups, and what is read of them."""

    dataset: Dataset
    selected: Selected
    rows: Rows

    @cached_property
    def scale(self) -> dict[str, Scale]:
        """What standardises them."""
        return scales(self.dataset, self.selected)

    @cached_property
    def dims(self) -> dict[str, int]:
        """Numbers of a word, by modality."""
        return self.dataset.dims(self.selected.modalities, self.selected.pooled)

    def room(self, words: int) -> dict[str, Float32]:
        """Memory for the values of so many words."""
        return {m: np.empty((words, d), np.float32) for m, d in self.dims.items()}

    def read(self, group: int, into: Numbers) -> Block:
        """A row group; its values in `into`, which is as large. Raises MimdataError for a damaged one."""
        file, number = self.rows.groups[group]
        try:
            with file.open("rb", buffering=0) as raw, pq.ParquetFile(file) as shard:
                columns, about = value_columns(shard.metadata), shard.metadata.row_group(number)
                table = shard.read_row_group(number, self.selected.columns(self.dataset), use_threads=False)
                for m, names in self.selected.values(self.dataset).items():
                    parts = np.split(into[m], len(names), axis=1)
                    for name, part in zip(names, parts, strict=True):
                        # One that stands beside others does not lie in one piece.
                        whole = part if len(names) == 1 else np.empty_like(part, order="C")
                        seek_values(raw, about.column(columns[name]), whole.size)
                        self._fill(whole.reshape(-1), raw, self.scale.get(name))
                        part[...] = whole
            return decode(table, self.dataset, self.selected, into)
        except (OSError, ValueError, KeyError) as error:
            raise MimdataError(
                f"the shard {file} cannot be read ({str(error).splitlines()[0]}): run `mimdata align` again"
            ) from error

    def _fill(self, numbers: Float32, raw: FileIO, scale: Scale | None) -> None:
        """Read the next values of a shard; standardise them while they are at hand."""
        stretch = len(scale.mean) if scale else len(numbers)
        for at in range(0, len(numbers), stretch):
            part = numbers[at : at + stretch]
            read_values(raw, part)
            if scale:
                scale(part)


class Buffer:
    """Some row groups on their way into one block, each read by a thread of the pool."""

    def __init__(
        self, source: Source, groups: Sequence[int], room: Numbers, pool: ThreadPoolExecutor, seen: Seen
    ) -> None:
        def read(group: int, into: Numbers) -> Block:
            block = source.read(group, into)
            seen(group, block)
            return block

        ends = np.cumsum(source.rows.words[list(groups)])
        self.room = room
        self._values = {m: numbers[: ends[-1]] for m, numbers in room.items()}
        self._read: list[Future[Block]] = []
        for group, end in zip(groups, ends.tolist(), strict=True):
            part = slice(end - int(source.rows.words[group]), end)
            self._read.append(pool.submit(read, group, {m: v[part] for m, v in self._values.items()}))

    @cached_property
    def block(self) -> Block:
        """All of it, when it is there. Raises what reading it raised."""
        return together([part.result() for part in self._read], self._values)


def unseen(_group: int, _block: Block) -> None:
    """Nobody looks at what is read."""


def read_all(source: Source, workers: int) -> Block:
    """The whole split as one block, which holds its utterances in their own order."""
    groups, room = range(len(source.rows.groups)), source.room(int(source.rows.words.sum()))
    with ThreadPoolExecutor(workers, thread_name_prefix="mimdata-read") as pool:
        return Buffer(source, groups, room, pool, unseen).block


def from_block(block: Block) -> Find:
    """`find` in a block that holds the whole split."""
    return lambda places: [(block, place) for place in places.tolist()]


@contextmanager
def from_shards(source: Source, epoch: Epoch, workers: int, seen: Seen = unseen) -> Iterator[Find]:
    """`find` for calls that go through the epoch's order from its beginning to its end.

    A buffer is read while batches are made of the one before it, and its memory is used again when its last utterance is
    behind: what `find` returns is good until it is called again.
    """
    rows, group = source.rows, source.rows.group_of(epoch.order)
    mine = epoch.buffer[group]  # the buffer of each utterance
    numbers, first = np.unique(mine, return_index=True)
    last = len(mine) - 1 - np.unique(mine[::-1], return_index=True)[1]
    over = dict(zip(numbers.tolist(), last.tolist(), strict=True))
    due = [(int(first[i]), int(numbers[i])) for i in np.argsort(first, kind="stable")]
    read = np.unique(group)  # of a buffer, what this process reads of it
    groups = {n: read[epoch.buffer[read] == n] for n in numbers.tolist()}
    shift = np.zeros(len(rows.groups), np.int64)  # from a place in the split to one in the buffer
    for within in groups.values():
        sizes = rows.first[within + 1] - rows.first[within]
        shift[within] = np.cumsum(sizes) - sizes - rows.first[within]
    most = max((int(rows.words[within].sum()) for within in groups.values()), default=0)
    held: dict[int, Buffer] = {}
    spare: list[Numbers] = []
    position = begun = 0
    with ThreadPoolExecutor(workers, thread_name_prefix="mimdata-read") as pool:

        def find(places: Int64) -> list[Place]:
            nonlocal position, begun
            behind = [n for n in held if over[n] < position]
            spare.extend(held.pop(number).room for number in behind)
            end = position + len(places)
            while begun < len(due) and (due[begun][0] < end or len(held) < HELD):
                number = due[begun][1]
                room = spare.pop() if spare else source.room(most)
                held[number] = Buffer(source, groups[number].tolist(), room, pool, seen)
                begun += 1
            of, at = mine[position:end].tolist(), (places + shift[group[position:end]]).tolist()
            position = end
            return [(held[number].block, place) for number, place in zip(of, at, strict=True)]

        try:
            yield find
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
