"""kill -9 of a worker and of the scheduler: it costs no more than what was under way."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import Reference
from tests.faults.place import CLIPS, Place, end, until


def workers_of(pid: int) -> list[psutil.Process]:
    """The worker processes of a driver."""
    return [p for p in psutil.Process(pid).children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]


def test_a_killed_worker_costs_nothing(place: Place, reference: Reference) -> None:
    process = place.start("extract")
    until(lambda: place.parts())
    victim = workers_of(process.pid)[0]
    victim.kill()
    done = end(process).stages()["audio"]
    assert (done["computed"], done["failed"]) == (CLIPS, 0)
    assert place.complete() == reference.digest


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler's address and its process, with two workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    port = address.rpartition(":")[2]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"], **quiet
    )
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    workers = [subprocess.Popen(worker, **quiet) for _ in range(2)]
    yield address, scheduler
    for process in (scheduler, *workers):
        process.kill()
        process.wait()


def test_a_killed_scheduler_ends_the_run_in_one_line(
    place: Place, reference: Reference, cluster: tuple[str, subprocess.Popen[bytes]]
) -> None:
    address, scheduler = cluster
    process = place.start("extract", "--scheduler", address)
    until(lambda: place.parts())
    scheduler.kill()
    done = end(process, code=1)
    assert done.seconds < 30
    assert done.said() == [
        f"Error: the Dask scheduler at {address} went away: what was stored stays; see that it runs, then run again"
    ]
    assert place.complete() == reference.digest
