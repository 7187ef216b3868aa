"""An orderly end: SIGTERM or Ctrl-C lets the clips under way be finished, stores them, and leaves with 143 or 130.

The driver hands out no more tasks; workers, which may be anywhere, see a file in the store between two clips. A second
signal ends at once, as if nobody listened.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from queue import SimpleQueue
from types import FrameType

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.store.folder import Folder, own_temporary
from mimdata.pipeline.terminal import say

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedError(MimdataError):
    """A run that was asked to end; `exit_code` is the one that says by which signal."""

    def __init__(self, number: int, done: str = "") -> None:
        how_far = f", {done}" if done else ""
        super().__init__(
            f"stopped by {signal.Signals(number).name}{how_far}: what is done is stored, and the same command goes on "
            "from there"
        )
        self.exit_code = 128 + number


class Stop:
    """Whether a run was asked to end. `name` is the file of the store by which its workers know."""

    def __init__(self) -> None:
        self.name = f"{own_temporary()}~stop"  # swept away if this process is killed
        self.number = 0

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self.number > 0

    def check(self, done: str = "") -> None:
        """Raise StoppedError if a signal came; `done` says how far the run is."""
        if self.asked:
            raise StoppedError(self.number, done)


@contextmanager
def stoppable(store: Folder) -> Iterator[Stop]:
    """Meanwhile the first signal is noted, here and in the store. Only the main thread of a process can listen.

    No signal is lost: one that came too late for the block to notice raises StoppedError when the block is left.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heard: SimpleQueue[int] = SimpleQueue()
    crier = threading.Thread(target=_cry, args=(heard, store, stop.name), name="stop", daemon=True)
    crier.start()
    before = _listen(stop, heard)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        heard.put(0)
        crier.join()
        if stop.asked:
            with suppress(OSError, MimdataError):
                store.remove(stop.name)
    stop.check()


@contextmanager
def interruptible() -> Iterator[None]:
    """Meanwhile a signal raises StoppedError at once: for work that may be cut anywhere and goes on from what it saved."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _: FrameType | None) -> None:
        raise StoppedError(number)

    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _listen(stop: Stop, heard: SimpleQueue[int]) -> dict[int, signal.Handlers]:
    """Note the first signal; returns what was done about each before. One that was ignored (nohup, &) stays so.

    The handler may interrupt any line, so it takes no lock and writes no file: a thread does what takes either.
    """

    def handler(number: int, _: FrameType | None) -> None:
        stop.number = number
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        heard.put(number)

    before = {
        n: signal.getsignal(n) or signal.SIG_DFL for n in SIGNALS if signal.getsignal(n) != signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, handler)
    return before  # type: ignore[return-value]  # handlers of Python's own


def _cry(heard: SimpleQueue[int], store: Folder, name: str) -> None:
    """Wait for a signal, or for 0, which says that none will come; tell the person and the workers."""
    number = heard.get()
    if not number:
        return
    say(f"{signal.Signals(number).name}: finishing the clips under way; once more ends at once", err=True)
    with suppress(OSError, MimdataError):  # on a full disk the tasks under way are finished whole
        store.write(name, b"")


@contextmanager
def deaf() -> Iterator[None]:
    """Threads and processes that start meanwhile, and all that they start, never hear SIGNALS; SIGKILL ends them.

    A terminal, as a service manager, sends its signals to every process of a command; what to do is the driver's to say.
    A handler in the workers would be too late: they take a second to start.
    """
    resource_tracker.ensure_running()  # hears them again when it starts, so it does so before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
