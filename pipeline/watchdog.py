"""A limit on how long one step may work on one clip.

What is still in Python gets an exception in the midst of its work. What hangs in a library's own code never sees it: some
seconds later the worker process ends, after a note in the store, so that the next worker leaves that clip alone.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

GRACE = 10.0  # seconds, or the limit again, between the exception and the end of the process
EXIT = 70  # of a worker that hung; Dask starts another


class TooSlow(BaseException):  # not an Exception: steps catch those
    """Raised in the thread of a step that takes too long."""


@dataclass
class _Watched:
    thread: int
    deadline: float
    grace: float
    hangs: Callable[[], None]
    fired: bool = False


class Watchdog:
    """One thread a process that looks at what the process's task does; started by the first use."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: _Watched | None = None
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, seconds: float, hangs: Callable[[], None]) -> Iterator[None]:
        """Raise TooSlow in this thread after `seconds`; call `hangs` and end the process if that does not help."""
        mine = _Watched(threading.get_ident(), time.monotonic() + seconds, min(GRACE, seconds), hangs)
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="watchdog", daemon=True)
                self._thread.start()
            self._watched = mine
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._watched = None
                if mine.fired:  # and not yet delivered
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(mine.thread), None)

    def _look(self) -> None:
        with self._changed:
            while True:
                watched = self._watched
                if watched is None:
                    self._changed.wait()
                    continue
                left = watched.deadline + (watched.grace if watched.fired else 0.0) - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                elif not watched.fired:
                    watched.fired = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(watched.thread), ctypes.py_object(TooSlow)
                    )
                else:
                    self._end(watched)

    def _end(self, watched: _Watched) -> None:
        """The end of a worker process. The driver's own process is not ended: there it waits on."""
        self._watched = None
        if multiprocessing.parent_process() is not None:
            watched.hangs()
            os._exit(EXIT)


WATCHDOG = Watchdog()
