"""What Dask loads into each worker process that a run starts: the process ends with the driver, whatever it is at."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from contextlib import suppress
from typing import Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def dask_setup(_: Any) -> None:
    """Have the kernel kill this process when its parent dies.

    Dask sees to that in a thread of Python, which waits for ever where a library keeps the interpreter to itself.
    Only Linux has it.
    """
    if multiprocessing.parent_process() is not None:
        with suppress(AttributeError, OSError, TypeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def dask_teardown(_: Any) -> None:
    """Leave at once: all that was made is stored, and taking torch apart in order takes a second."""
    if multiprocessing.parent_process() is not None:
        os._exit(0)
