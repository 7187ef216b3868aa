"""Tasks through Dask: a local cluster of processes, or a scheduler that is already running."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.stopping import Stop, deaf

T = TypeVar("T")
R = TypeVar("R")

# Enough waiting tasks that no worker idles, few enough that neither the scheduler nor the driver holds a corpus.
AHEAD = 4
WORKER_DIES = 2  # a task that takes its worker down twice is not tried on a third
OUT_OF_MEMORY = (
    "worker-restart-memory"  # what a nanny calls the event that it ended its worker for its memory
)
PATIENCE = "20s"  # for a scheduler to answer
# One thread each, as the workers are. Dask's own MALLOC_TRIM_THRESHOLD_ of 64 KiB hands every tensor's memory back to the
# system and asks for it again, by small pages: MTCNN took 60% longer. Here freed memory stays for the next frames up to
# 256 MiB, and large tensors come in large pages. With 8 MiB and 64 MiB a worker held 40 to 130 MiB less, and MTCNN took 17% longer.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "MALLOC_MMAP_THRESHOLD_": 32 * 2**20,
    "MALLOC_TRIM_THRESHOLD_": 256 * 2**20,
    "THP_MEM_ALLOC_ENABLE": 1,  # torch's
}


class Workers:
    """Where tasks run; started by the first task, so that a run with nothing to do starts nothing.

    `scheduler` is the address of a running Dask scheduler. Otherwise a local cluster starts on the loopback
    interface: `count` processes of one thread each (None: one a core, no more than there are tasks), or with 0 a
    single thread in this process. A process that comes to hold `memory` ("4GiB"; None: its share of the machine's) is
    ended; a task that this befalls again and again is a MemoryError.
    """

    def __init__(
        self, count: int | None = None, scheduler: str | None = None, memory: str | None = None
    ) -> None:
        self._count = count
        self._memory = memory
        self._scheduler = scheduler
        self._cluster: Any = None
        self._client: Any = None

    @property
    def expected(self) -> int:
        """How many processes will work side by side, as far as this machine knows."""
        return (os.cpu_count() or 1) if self._count is None else max(1, self._count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in (self._client, self._cluster):
            if part is not None:
                part.close()
        self._client = self._cluster = None

    def run(
        self, function: Callable[[T], R], tasks: Sequence[T], stop: Stop | None = None
    ) -> Iterator[tuple[T, R | Exception]]:
        """Each task with its result, or with the exception that kept it from one, in order of completion.

        When `stop` is asked for, tasks that were not handed out yet are left out. Raises MimdataError when the
        scheduler goes away.
        """
        if not tasks or (stop and stop.asked):
            return
        from distributed import CancelledError

        try:
            yield from self._completed(function, tasks, stop)
        except (OSError, CancelledError) as error:
            raise MimdataError(
                f"the Dask scheduler{f' at {self._scheduler}' if self._scheduler else ''} went away: what was stored "
                "stays; see that it runs, then run again"
            ) from error

    def _completed(
        self, function: Callable[[T], R], tasks: Sequence[T], stop: Stop | None
    ) -> Iterator[tuple[T, R | Exception]]:
        from distributed import as_completed

        client = self._started(len(tasks))
        ahead = AHEAD * max(1, len(client.nthreads()))
        waiting = iter(() if stop and stop.asked else tasks)  # it may have been while the workers started
        pending = {client.submit(function, task, pure=False): task for task in islice(waiting, ahead)}
        finished = as_completed(list(pending))
        for future in finished:
            task = pending.pop(future)
            error = future.exception()
            yield task, future.result() if error is None else self._explained(error)
            future.release()
            for following in islice(waiting, 0 if stop and stop.asked else 1):
                submitted = client.submit(function, following, pure=False)
                pending[submitted] = following
                finished.add(submitted)

    def _explained(self, error: Exception) -> Exception:
        """MemoryError in place of Dask's error where the last worker that died of a task had come to its limit."""
        from distributed.scheduler import KilledWorker

        if not isinstance(error, KilledWorker):
            return error
        ended = {event["worker"]: event for _, event in self._client.get_events(OUT_OF_MEMORY)}
        event = ended.get(error.last_worker.address)
        return (
            error
            if event is None
            else MemoryError(f"its worker came to hold {event['rss'] / 2**20:,.0f} MiB")
        )

    def _started(self, tasks: int) -> Any:
        if self._client is None:
            import dask
            from distributed import Client

            # What Dask says of its own life is for those who debug.
            if not logging.getLogger("mimdata").isEnabledFor(logging.DEBUG):
                for name in ("distributed", "distributed.client"):
                    logging.getLogger(name).setLevel(logging.CRITICAL)
            dask.config.set(
                {
                    "distributed.scheduler.allowed-failures": WORKER_DIES,
                    "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
                    # A profile of every worker, taken each 10 ms and kept for an hour, that nobody would read.
                    "distributed.worker.profile.enabled": False,
                    # Whether each event loop is in time, asked 50 times a second: the driver alone has four of them.
                    "distributed.admin.tick.interval": "1s",
                }
            )
            self._client = (
                Client(self._local(tasks)) if self._scheduler is None else self._remote(self._scheduler)
            )
        return self._client

    def _local(self, tasks: int) -> Any:
        from distributed import LocalCluster

        count = min(os.cpu_count() or 1, tasks) if self._count is None else self._count
        with deaf():
            self._cluster = LocalCluster(
                n_workers=max(1, count),
                threads_per_worker=1,
                processes=count > 0,
                protocol="tcp://",
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                preload=["mimdata.pipeline.in_worker"],
                **(
                    {"memory_limit": self._memory} if self._memory else {}
                ),  # else each its share of the machine's
            )
        return self._cluster

    def _remote(self, scheduler: str) -> Any:
        from distributed import Client

        try:
            return Client(scheduler, timeout=PATIENCE)
        except OSError as error:
            raise MimdataError(
                f"no Dask scheduler answers at {scheduler}: start one with `dask scheduler`, or leave --scheduler out"
            ) from error
