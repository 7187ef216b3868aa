"""Workers that die: the clip to blame fails, every other one is done."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.execute import Workers
from mimdata.pipeline.records import Clip, Tokens
from mimdata.pipeline.stages import media_stage
from mimdata.pipeline.steps import Resources
from tests.pipeline.fakes import FakeTokens, make_clips, make_run


@dataclass(frozen=True)
class Deadly(FakeTokens):
    """Takes its worker down on a text that says so."""

    def open(self, resources: Resources) -> Any:
        inner = super().open(resources)

        def extract(media: Any, clip: Clip) -> Tokens:
            if "deadly" in clip.text:
                os._exit(1)
            found: Tokens = inner(media, clip)
            return found

        return extract


@dataclass(frozen=True)
class Noted(FakeTokens):
    """Notes each time that it is opened, and by whom."""

    notes: str = ""

    def open(self, resources: Resources) -> Any:
        with Path(self.notes).open("a") as file:
            file.write(f"{os.getpid()}\n")
        return super().open(resources)


def test_a_worker_loads_its_models_once(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    clips = make_clips(tmp_path / "corpus", 40, videos=10)
    with Workers(2) as workers:
        run = replace(make_run(tmp_path / "corpus", tmp_path / "store", clips), workers=workers)
        (account,) = media_stage(run, {"tracks/text": Noted(str(tmp_path / "notes"))}, "test")
    assert account.report.computed == 40
    opened = (tmp_path / "notes").read_text().split()
    assert 1 <= len(opened) == len(set(opened)) <= 2


@pytest.mark.parametrize(("videos", "count"), [(2, 2), (6, 1)])
def test_a_clip_that_kills_its_worker_costs_itself_alone(tmp_path: Path, videos: int, count: int) -> None:
    (tmp_path / "corpus").mkdir()
    clips = make_clips(tmp_path / "corpus", videos=videos)
    clips[2] = replace(clips[2], text="a deadly one")
    with Workers(count) as workers:
        run = replace(make_run(tmp_path / "corpus", tmp_path / "store", clips), workers=workers)
        (account,) = media_stage(run, {"tracks/text": Deadly()}, "test")
    assert {clip: failure.cause for clip, failure in account.failures.items()} == {
        clips[2].clip_id: "worker lost"
    }
    assert not account.failures[clips[2].clip_id].permanent
    assert (account.report.computed, account.report.failed) == (5, 1)


def test_results_come_with_their_tasks() -> None:
    with Workers(0) as workers:
        results = dict(workers.run(lambda x: x * x, list(range(40))))
    assert results == {x: x * x for x in range(40)}


def test_an_error_in_a_task_comes_back_with_it() -> None:
    with Workers(0) as workers:
        results = dict(workers.run(lambda x: 1 // x, [0, 1]))
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] == 1


def test_nothing_to_do_starts_nothing() -> None:
    with Workers(scheduler="tcp://127.0.0.1:1") as workers:
        assert list(workers.run(str, [])) == []


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mimdata.pipeline.execute.PATIENCE", "200ms")
    with (
        Workers(scheduler="tcp://127.0.0.1:1") as workers,
        pytest.raises(MimdataError, match="no Dask scheduler answers"),
    ):
        list(workers.run(str, [1]))


def test_workers_compute_on_one_thread_and_keep_freed_memory_for_the_next_frame() -> None:
    with Workers(1) as workers:
        ((_, found),) = workers.run(_environment, [None])
    assert isinstance(found, dict)
    assert {found[f"{name}_NUM_THREADS"] for name in ("OMP", "MKL", "OPENBLAS")} == {"1"}
    assert int(found["MALLOC_TRIM_THRESHOLD_"]) > int(found["MALLOC_MMAP_THRESHOLD_"]) >= 2**22


def _environment(_: object) -> dict[str, str]:
    return dict(os.environ)


def test_everything_listens_on_loopback() -> None:
    with Workers(1) as workers:
        ((_, addresses),) = workers.run(_addresses, [None])
    assert isinstance(addresses, list)
    assert addresses
    assert {address for address in addresses if not address.startswith("127.")} == set()


def _addresses(_: None) -> list[str]:
    """Where the processes of this cluster listen, as the kernel has it."""
    import psutil

    family = [psutil.Process(os.getpid()), *psutil.Process(os.getpid()).parents()[:2]]
    return [
        c.laddr.ip
        for process in family
        for c in process.net_connections(kind="inet")
        if c.status == psutil.CONN_LISTEN
    ]


def profiled(_: int) -> bool:
    import dask.config

    return bool(dask.config.get("distributed.worker.profile.enabled"))


def test_workers_keep_no_profile_of_themselves() -> None:
    with Workers(1) as workers:
        assert [result for _, result in workers.run(profiled, [0])] == [False]
