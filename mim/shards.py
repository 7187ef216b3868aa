"""The utterances of an epoch in its order, from memory, from a decoded copy, or from the shards, a few row groups ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from mimdata.mim.blocks import Block, Int64, Place, Selected, decode
from mimdata.mim.dataset import Dataset
from mimdata.mim.order import Rows
from mimdata.pipeline.errors import MimdataError

Find = Callable[[Int64], list[Place]]  # places in the split → where their numbers are
Seen = Callable[[int, Block], None]  # a row group that has just been decoded


@contextmanager
def from_shards(
    dataset: Dataset, selected: Selected, rows: Rows, order: Int64, ahead: int, workers: int, seen: Seen
) -> Iterator[Find]:
    """`find` for calls that go through `order` from its beginning to its end.

    Each row group is decoded once, by one of `workers` threads, up to `ahead` utterances before its first one is due,
    and let go of after its last.
    """
    group = rows.group_of(order)
    groups, first = np.unique(group, return_index=True)
    _, last = np.unique(group[::-1], return_index=True)
    due = [(int(first[i]), int(groups[i])) for i in np.argsort(first, kind="stable")]
    over = dict(zip(groups.tolist(), (len(group) - 1 - last).tolist(), strict=True))
    waiting: dict[int, Future[Block]] = {}
    position = begun = 0

    def load(number: int) -> Block:
        block = read_group(dataset, selected, rows.groups[number])
        seen(number, block)
        return block

    with ThreadPoolExecutor(workers, thread_name_prefix="mimdata-decode") as pool:

        def find(places: Int64) -> list[Place]:
            nonlocal position, begun
            while begun < len(due) and due[begun][0] < position + len(places) + ahead:
                number = due[begun][1]
                waiting[number] = pool.submit(load, number)
                begun += 1
            mine = group[position : position + len(places)].tolist()
            found = [
                (waiting[g].result(), int(place - rows.first[g]))
                for g, place in zip(mine, places.tolist(), strict=True)
            ]
            position += len(places)
            for g in set(mine):
                if over[g] < position:
                    del waiting[g]
            return found

        try:
            yield find
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def from_block(block: Block) -> Find:
    """`find` in a block that holds the whole split."""
    return lambda places: [(block, place) for place in places.tolist()]


def from_blocks(blocks: list[Block], rows: Rows) -> Find:
    """`find` in the blocks of all row groups."""

    def find(places: Int64) -> list[Place]:
        groups = rows.group_of(places)
        return [
            (blocks[g], place)
            for g, place in zip(groups.tolist(), (places - rows.first[groups]).tolist(), strict=True)
        ]

    return find


def read_group(dataset: Dataset, selected: Selected, group: tuple[Path, int]) -> Block:
    """Decode one row group of a shard. Raises MimdataError for a damaged one."""
    file, number = group
    try:
        with pq.ParquetFile(file) as shard:
            table = shard.read_row_group(number, columns=selected.columns(dataset), use_threads=False)
    except (OSError, ValueError) as error:
        raise MimdataError(
            f"the shard {file} cannot be read ({str(error).splitlines()[0]}): run `mimdata align` again"
        ) from error
    return decode(table, dataset, selected)
