"""An orderly end: SIGTERM or Ctrl-C lets the clips under way be finished, stores them, and leaves with 143 or 130.

The driver hands out no more tasks; workers, which may be anywhere, see a file in the store between two clips. A second
signal ends at once, as if nobody listened.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.store.folder import Folder, own_temporary
from mimdata.pipeline.terminal import say

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedError(MimdataError):
    """A run that was asked to end; `exit_code` is the one that says by which signal."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__(
            f"stopped by {name}: what is done is stored, and the same command goes on from there"
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

    def check(self) -> None:
        """Raise StoppedError if a signal came."""
        if self.asked:
            raise StoppedError(self.number)


@contextmanager
def stoppable(store: Folder) -> Iterator[Stop]:
    """Meanwhile the first signal is noted, here and in the store. Only the main thread of a process can listen."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def listen(number: int, _: FrameType | None) -> None:
        stop.number = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        say(f"{signal.Signals(number).name}: finishing the clips under way; once more ends at once", err=True)
        with suppress(OSError, MimdataError):  # on a full disk the tasks under way are finished whole
            store.write(stop.name, b"")

    for number in SIGNALS:
        signal.signal(number, listen)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if stop.asked:
            with suppress(OSError):
                store.remove(stop.name)
