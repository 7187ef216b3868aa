"""Clips that take too much time or memory: each costs itself alone, and nothing that comes after it."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mimdata.pipeline.books import Account, keep_books
from mimdata.pipeline.dataset.pooling import TRACKS
from mimdata.pipeline.errors import StoreError
from mimdata.pipeline.execute import Workers
from mimdata.pipeline.records import Track
from mimdata.pipeline.stages import media_stage
from mimdata.pipeline.steps import Resources
from mimdata.pipeline.store.index import Index
from mimdata.pipeline.store.parts import read_rows
from mimdata.pipeline.watchdog import EXIT, TooSlow, within
from tests.pipeline.fakes import FakeTrack, make_clips, make_run

AUDIO = TRACKS + "audio"


def forever() -> None:
    while True:
        pass


def nothing() -> None:
    pass


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that take turns a thousand times as often as they do by default."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_a_limit_strikes_in_the_work_and_never_after_it() -> None:
    """The limit falls anywhere about the end of the work: the outcome is one or the other, and that is all."""

    def work() -> int:
        end = time.monotonic() + 2e-4
        while time.monotonic() < end:
            pass
        return 7

    slow = 0
    for i in range(3000):
        try:
            assert within(i % 40 * 1e-5, work, nothing) == 7
        except TooSlow:
            slow += 1
        sum(range(50))  # where a late exception would fall
    assert 0 < slow < 3000


def test_work_that_catches_everything_is_too_slow_all_the_same() -> None:
    def stubborn() -> str:
        with suppress(BaseException):
            forever()
        return "half a result"

    with pytest.raises(TooSlow):
        within(0.05, stubborn, nothing)


def test_every_thread_of_a_worker_has_a_limit_of_its_own() -> None:
    found: list[bool] = []

    def first() -> None:
        try:
            within(0.3, forever, nothing)
        except TooSlow:
            found.append(True)

    thread = threading.Thread(target=first, daemon=True)
    thread.start()
    within(5, lambda: time.sleep(0.05), nothing)
    thread.join(timeout=5)
    assert found == [True]


def _hang(said: Any, fails: bool) -> None:
    def hangs() -> None:
        said.put("hangs")
        time.sleep(0.2)  # the queue's thread hands it on
        if fails:
            raise StoreError("the disk is full")

    within(0.1, lambda: time.sleep(60), hangs)


@pytest.mark.parametrize("fails", [False, True], ids=["with a note", "without"])
def test_a_process_that_hangs_ends_even_where_no_note_can_be_left(fails: bool) -> None:
    context = multiprocessing.get_context("fork")
    said: Any = context.Queue()
    process = context.Process(target=_hang, args=(said, fails))
    process.start()
    assert said.get(timeout=10) == "hangs"
    process.join(timeout=10)
    assert process.exitcode == EXIT


@dataclass(frozen=True)
class SlowTrack(FakeTrack):
    """Loops on the clip "number 1"; `deep` sleeps in one call of C, which no exception interrupts.

    As a decoder does, it goes wrong with the next clip when it was left in the midst of one.
    """

    name: ClassVar[str] = "slow"
    deep: bool = False

    def open(self, resources: Resources) -> Any:
        quick, busy = super().open(resources), []

        def extract(media: Any, clip: Any) -> Track:
            found: Track = quick(media, clip)
            if busy:
                found = replace(found, values=found.values + 1)
            busy.append(clip)
            while "number 1 " in clip.text:
                time.sleep(60 if self.deep else 0.01)
            busy.pop()
            return found

        return extract


@dataclass(frozen=True)
class HungryTrack(FakeTrack):
    """Takes memory without end for the clip "number 1"."""

    name: ClassVar[str] = "hungry"
    at_once: int = 20_000_000

    def open(self, resources: Resources) -> Any:
        quick = super().open(resources)

        def extract(media: Any, clip: Any) -> Any:
            held = []
            while "number 1 " in clip.text:
                held.append(b"x" * self.at_once)
                time.sleep(0.02)
            return quick(media, clip)

        return extract


def extracted(
    folder: Path, workers: Workers, step: FakeTrack, seconds: float = 0.5
) -> tuple[Account, list[Any]]:
    """What became of six clips of two videos, and the values that were stored of them."""
    (folder / "corpus").mkdir(exist_ok=True)
    clips = make_clips(folder / "corpus")
    run = make_run(folder / "corpus", folder / "store", clips, clip_seconds=seconds)
    with workers:
        (account,) = media_stage(replace(run, workers=workers), {AUDIO: step}, "extract")
    keep_books(run, [account])
    index = Index(run.store, AUDIO)
    places = [index.find(account.keys[clip.clip_id]) for clip in clips]
    rows = [read_rows(run.store, AUDIO, place.part, [place.row]) for place in places if place]
    return account, [row.drop_columns(["identity", "key"]).to_pylist() for row in rows]


@pytest.mark.parametrize(("deep", "workers"), [(False, 0), (True, 1)], ids=["in Python", "in C"])
def test_a_clip_that_takes_too_long_costs_itself_alone(tmp_path: Path, deep: bool, workers: int) -> None:
    account, values = extracted(tmp_path, Workers(workers), SlowTrack(deep=deep))
    assert list(account.failures) == ["v1[0]"]
    failure = account.failures["v1[0]"]
    assert (failure.cause, failure.permanent) == ("too slow", False)
    assert failure.message == "slow took more than 0.5 s for v1[0]"
    assert "clip_seconds=1" in failure.hint
    assert account.report.computed == 5
    (tmp_path / "again").mkdir()
    _, undisturbed = extracted(tmp_path / "again", Workers(0), FakeTrack())
    assert values == [undisturbed[0], *undisturbed[2:]]


def test_a_clip_that_takes_all_memory_costs_itself_alone(tmp_path: Path) -> None:
    account, _ = extracted(tmp_path, Workers(1, memory="500MiB"), HungryTrack(), seconds=60)
    assert {name: failure.cause for name, failure in account.failures.items()} == {"v1[0]": "out of memory"}
    failure = account.failures["v1[0]"]
    assert "MiB" in failure.message
    assert "worker_memory" in failure.hint
    assert not failure.permanent
    assert account.report.computed == 5


def test_a_clip_that_is_refused_memory_says_so(tmp_path: Path) -> None:
    account, _ = extracted(tmp_path, Workers(0), HungryTrack(at_once=2**60))
    assert {name: failure.cause for name, failure in account.failures.items()} == {"v1[0]": "out of memory"}


@pytest.mark.parametrize("memory", [None, "500MiB"])
def test_workers_share_the_machine_unless_told_otherwise(memory: str | None) -> None:
    from distributed import system

    with Workers(1, memory=memory) as workers:
        ((_, limit),) = workers.run(memory_limit, [None])
    assert limit == (500 * 2**20 if memory else system.MEMORY_LIMIT)


def memory_limit(_: None) -> int | None:
    from distributed import get_worker

    return int(get_worker().memory_manager.memory_limit or 0)
