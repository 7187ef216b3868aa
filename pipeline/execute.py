"""Tasks through Dask: a local cluster of processes, or a scheduler that is already running."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Generic, TypeVar

from mimdata.pipeline.errors import MimdataError

log = logging.getLogger("mimdata")

T = TypeVar("T")
R = TypeVar("R")

# Enough waiting tasks that no worker idles, few enough that neither the scheduler nor the driver holds a corpus.
AHEAD = 4
WORKER_DIES = 2  # a task that takes its worker down twice is not tried on a third


class Pool(Generic[T, R]):
    """Runs tasks on a Dask cluster; results come as they finish."""

    def __init__(self, client: Any, slots: int) -> None:
        self._client = client
        self._slots = slots

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R | Exception]]:
        """Each task with its result, or with the exception that kept it from one, in order of completion."""
        from distributed import as_completed

        waiting = iter(tasks)
        pending = {self._submit(function, task): task for task in islice(waiting, AHEAD * self._slots)}
        finished = as_completed(list(pending))
        for future in finished:
            task = pending.pop(future)
            error = future.exception()
            yield task, future.result() if error is None else error
            future.release()
            for following in islice(waiting, 1):
                submitted = self._submit(function, following)
                pending[submitted] = following
                finished.add(submitted)

    def _submit(self, function: Callable[[T], R], task: T) -> Any:
        return self._client.submit(function, task, pure=False)


@contextmanager
def pool(workers: int | None, scheduler: str | None, tasks: int) -> Iterator[Pool[Any, Any]]:
    """A place to run `tasks` tasks in.

    `scheduler` is the address of a running Dask scheduler. Otherwise a local cluster starts on the loopback
    interface: `workers` processes of one thread each (None: one a core, no more than there are tasks), or with
    0 a single thread in this process.
    """
    import dask
    from distributed import Client, LocalCluster

    quiet = {
        "distributed.scheduler.allowed-failures": WORKER_DIES,
        "distributed.admin.large-graph-warning-threshold": "1GB",
    }
    with dask.config.set(quiet):
        if scheduler is not None:
            with _connected(Client, scheduler) as client:
                yield Pool(client, max(1, sum(client.nthreads().values())))
            return
        count = min(os.cpu_count() or 1, max(1, tasks)) if workers is None else workers
        with (
            LocalCluster(
                n_workers=max(1, count),
                threads_per_worker=1,
                processes=count > 0,
                protocol="tcp://",
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield Pool(client, max(1, count))


@contextmanager
def _connected(client: Any, scheduler: str) -> Iterator[Any]:
    try:
        connected = client(scheduler, timeout="20s")
    except OSError as error:
        raise MimdataError(
            f"no Dask scheduler answers at {scheduler}: start one with `dask scheduler`, or leave --scheduler out"
        ) from error
    with connected:
        yield connected
