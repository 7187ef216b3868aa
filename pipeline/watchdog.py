"""A limit on how long one step may work on one clip.

What is still in Python gets an exception in the midst of its work. What hangs in a library's own code never sees it: some
seconds later the worker process ends, after a note in the store, so that the next worker leaves that clip alone.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import threading
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")

GRACE = 10.0  # seconds from the exception to the end of the process, or as many as the limit has, if those are fewer
EXIT = 70  # of a worker that hung; Dask starts another


class TooSlow(BaseException):  # not an Exception: steps catch those
    """Raised in the thread of a step that takes too long."""


def within(seconds: float, work: Callable[[], R], hangs: Callable[[], None]) -> R:
    """What `work` returns. Raises TooSlow in its midst after `seconds`; if that does not help, calls `hangs` and exits.

    Once the limit has struck the outcome is TooSlow, also where `work` caught the exception and went on; once this
    function is left nothing strikes any more.
    """
    watch = _Watch(hangs)
    try:
        threading.Thread(target=watch.look, args=(seconds,), name="watchdog", daemon=True).start()
        try:
            return work()
        finally:
            watch.settle()
    finally:
        watch.over.release()


class _Watch:
    """One piece of work and the thread that looks at it.

    Plain locks, each taken and given in one step of C: an exception that falls on any line leaves none of them amiss.
    """

    def __init__(self, hangs: Callable[[], None]) -> None:
        self.over = _held()  # free when the work has been left
        self._worker = ctypes.c_ulong(threading.get_ident())
        self._hangs = hangs
        self._turn = threading.Lock()  # taken once: by the work that ends, or by the limit that strikes
        self._struck = _held()  # free when the exception is on its way

    def look(self, seconds: float) -> None:
        """Wait for the end of the work, and strike where it does not come."""
        if self._ended(seconds) or not self._turn.acquire(blocking=False):
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(self._worker, ctypes.py_object(TooSlow))
        self._struck.release()
        if (
            not self._ended(min(seconds, GRACE)) and multiprocessing.parent_process() is not None
        ):  # never the driver
            try:
                self._hangs()
            finally:
                os._exit(EXIT)

    def settle(self) -> None:
        """In the worker's thread, when the work has ended: nothing strikes from here on, or what struck is raised."""
        if self._turn.acquire(blocking=False):
            return
        self._struck.acquire()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(self._worker, None)  # if it is still on its way
        raise TooSlow

    def _ended(self, seconds: float) -> bool:
        return self.over.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
