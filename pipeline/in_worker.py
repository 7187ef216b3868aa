"""What Dask loads into each worker process: the signals of a terminal or a service are the driver's to answer."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from typing import Any


def dask_setup(_: Any) -> None:
    """Leave SIGINT and SIGTERM, which a whole process group gets, to the driver. SIGKILL still ends a worker."""
    main = threading.current_thread() is threading.main_thread()
    if main and multiprocessing.parent_process() is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
