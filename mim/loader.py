"""From a dataset version's shards to padded batches, in an order that seed and epoch alone decide (order.py).

A split of at most `shuffle_rows` utterances is read once and stays in memory. A larger one streams from its shards, read
by threads ahead of its use (shards.py), and leaves a decoded copy behind (decoded.py), from which later epochs and other
runs take their batches. All ways give the same batches. A thread prepares batches while the model learns from others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

import numpy as np

from mimdata.mim.batch import Batch
from mimdata.mim.blocks import Block, Int64, Selected
from mimdata.mim.collate import collate
from mimdata.mim.dataset import Dataset
from mimdata.mim.decoded import Writer, key_of, open_copy
from mimdata.mim.memory import Memory
from mimdata.mim.order import Epoch, Rows, epoch_order, read_rows
from mimdata.mim.shards import Find, Source, from_block, from_shards, read_all, unseen
from mimdata.pipeline.files import cache_folder

T = TypeVar("T")
AHEAD = 3  # updates that wait, prepared, for the model
GIB = 2**30


@dataclass(frozen=True)
class Loading:
    """How utterances become batches.

    steps: T; rows longer than it are cut to their first T. fixed: pad every batch to T, else only to its
    longest row, which the model takes alike. tokens: read word pieces too. labelled: leave out utterances
    without a label of `task`. by_length: put utterances of like length into one update. workers: threads that
    read shards. copies_gib: how much all decoded copies may take on this disk; 0 keeps none.
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
    shuffle_rows: int = 3072
    pin: bool = False
    by_length: bool = False
    workers: int = 2
    copies_gib: float = 0.0
    copies: Path | None = None  # the folder of the copies, instead of the user's

    @property
    def selected(self) -> Selected:
        """What of the dataset is read."""
        return Selected(self.modalities, self.pooled, self.standardise, self.tokens)


@dataclass(frozen=True)
class Update:
    """What one process reads for one update of the weights.

    pieces: its batches, one for each forward pass, none of them empty. whole: utterances of the update over
    all processes, so that a piece of n of them counts n / whole.
    """

    pieces: tuple[Batch, ...]
    whole: int


class Feed:
    """A split of a dataset as batches, once an epoch."""

    def __init__(self, dataset: Dataset, split: str, loading: Loading) -> None:
        self.dataset, self.split, self.loading = dataset, split, loading
        self._state: dict[str, Any] = {"shuffle": None, "utterances": 0}
        self._writer: Writer | None = None

    @cached_property
    def rows(self) -> Rows:
        """The split's utterances. Raises MimdataError for a damaged shard."""
        return read_rows(self.dataset, self.split, self.loading.task)

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
        of an epoch the last processes may get fewer, or none. After `load_state_dict` the first epoch of the state's
        seed and number begins where the state was taken.
        """
        size = self.loading.batch_size
        whole = size * accumulate * processes
        epoch = self._epoch(shuffle, whole)
        order = epoch.order
        begin = self._begin(shuffle, start * whole)
        sizes = [min(whole, len(order) - at) for at in range(begin, len(order), whole)]
        mine = [_mine(at, order, whole, size * accumulate, process) for at in range(begin, len(order), whole)]
        part = Epoch(np.concatenate([np.zeros(0, np.int64), *mine]), epoch.buffer)
        made = self._made(part, mine, write=process == 0 and begin == 0)
        done = begin
        with _ahead(made, AHEAD) as prepared:
            for pieces, n in zip(prepared, sizes, strict=True):
                done += n
                self._state = {"shuffle": shuffle and list(shuffle), "utterances": done}
                yield Update(pieces, n)
        if processes > 1:
            self.finish_copy()  # so that the other processes find it in their next epoch

    def finish_copy(self) -> None:
        """Wait until the decoded copy that an epoch has left behind is on the disk; until then it is not there."""
        if self._writer is not None:
            self._writer.published()

    def state_dict(self) -> dict[str, Any]:
        """Where the last call of `updates` is: {shuffle: [seed, epoch], utterances: of all processes, so far}."""
        return dict(self._state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on there, with any number of workers and processes, at the next `updates` of the same shuffle."""
        self._state = {"shuffle": state["shuffle"], "utterances": int(state["utterances"]), "resume": True}

    def _epoch(self, shuffle: tuple[int, int] | None, whole: int) -> Epoch:
        loading, rows = self.loading, self.rows
        kept = rows.labelled if loading.labelled else np.ones(len(rows.labelled), np.bool_)
        return epoch_order(rows, kept, shuffle, loading.shuffle_rows, whole if loading.by_length else 0)

    def _begin(self, shuffle: tuple[int, int] | None, start: int) -> int:
        state, self._state = self._state, {"shuffle": shuffle and list(shuffle), "utterances": start}
        if state.get("resume") and state["shuffle"] == (shuffle and list(shuffle)):
            return int(state["utterances"])
        return start

    def _made(self, epoch: Epoch, updates: list[Int64], *, write: bool) -> Iterator[tuple[Batch, ...]]:
        """The pieces of each update; the epoch's order holds the updates' utterances one after another."""
        loading, size = self.loading, self.loading.batch_size
        dims = self.dataset.dims(loading.modalities, loading.pooled)
        memory = Memory(pin=loading.pin)  # of this epoch's thread alone
        if not updates:
            return
        with self._find(epoch, write=write) as find:
            for places in updates:
                yield tuple(
                    collate(
                        find(places[at : at + size]),
                        dims,
                        loading.steps,
                        fixed=loading.fixed,
                        tokens=loading.tokens,
                        memory=memory,
                    )
                    for at in range(0, len(places), size)
                )

    def _find(self, epoch: Epoch, *, write: bool) -> AbstractContextManager[Find]:
        if len(self.rows.labelled) <= self.loading.shuffle_rows:
            return nullcontext(from_block(self._memory))
        copy = self._copy()
        if copy is not None:
            return nullcontext(from_block(copy))
        return self._streamed(epoch, write=write)

    @cached_property
    def _source(self) -> Source:
        return Source(self.dataset, self.loading.selected, self.rows)

    @cached_property
    def _memory(self) -> Block:
        return read_all(self._source, self.loading.workers)

    @cached_property
    def _place(self) -> tuple[Path, str]:
        return self.loading.copies or cache_folder("decoded"), key_of(
            self.dataset, self.split, self.loading.selected
        )

    def _copy(self) -> Block | None:
        if "_mapped" not in self.__dict__ and self.loading.copies_gib:
            self.finish_copy()
            found = open_copy(*self._place)
            if found is not None:
                self._mapped = found
        return getattr(self, "_mapped", None)

    @contextmanager
    def _streamed(self, epoch: Epoch, *, write: bool) -> Iterator[Find]:
        """From the shards; a whole epoch of them is written as a copy, if copies are kept."""
        source, limit = self._source, int(self.loading.copies_gib * GIB)
        writer = Writer(*self._place, source, limit) if write and limit else None
        try:
            with from_shards(source, epoch, self.loading.workers, writer.add if writer else unseen) as find:
                yield find
            if writer:
                for group in writer.lacking():  # those in which no utterance takes part
                    writer.add(group, source.read(group, source.room(int(self.rows.words[group]))))
                writer.finish()
                self._writer = writer
        finally:
            if writer:
                writer.give_up()


def _mine(at: int, order: Int64, whole: int, part: int, process: int) -> Int64:
    """The utterances of one process in the update that begins at `at`."""
    update = order[at : at + whole]
    return update[part * process : part * (process + 1)]


@contextmanager
def _ahead(items: Iterator[T], depth: int) -> Iterator[Iterator[T]]:
    """The items, up to `depth` of them made in advance by a thread. Its errors are raised where it is read."""
    queue: Queue[tuple[str, Any]] = Queue(depth)
    left = Event()

    def put(kind: str, item: Any) -> bool:
        while not left.is_set():
            try:
                queue.put((kind, item), timeout=0.1)
            except Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put("item", item):
                    break
            else:
                put("end", None)
        except BaseException as error:  # noqa: BLE001  # raised again where it is read
            put("error", error)
        finally:
            items.close()  # type: ignore[attr-defined]  # a generator's: its files are let go of here

    def read() -> Iterator[T]:
        while True:
            kind, item = queue.get()
            if kind == "error":
                raise item
            if kind == "end":
                return
            yield item

    thread = Thread(target=make, name="mimdata-batches", daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        left.set()
        thread.join()
