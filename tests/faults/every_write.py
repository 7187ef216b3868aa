"""Kill a command with SIGKILL before each of its renames in turn, let another run complete the store, and print its digest.

    python -m tests.faults.every_write STORE SCRATCH COMMAND…

COMMAND works on a copy of STORE each time. Everything is imported once and forked, so that a kill costs little.
One JSON line a kill: {event, name, digest, temporaries}.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distributed  # noqa: F401  # imported before the forks

import mimdata.pipeline.commands.jobs
import mimdata.pipeline.mending  # noqa: F401
from mimdata.pipeline.cli import main as mimdata_main
from tests.faults.place import Place, temporaries

WORKERS = 2  # stores that are worked on at once


def main() -> None:
    store, scratch, command = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    children = [fork(lambda first=first: sweep(store, scratch, command, first)) for first in range(WORKERS)]
    sys.exit(max(os.waitpid(child, 0)[1] for child in children))


def sweep(store: Path, scratch: Path, command: list[str], first: int) -> None:
    """Kill at events first, first + WORKERS, … until the command ends by itself."""
    event = first
    while True:
        place = Place(scratch, scratch / f"copy{event}")
        place.copy_of(store)
        mine = [str(place.store) if word == str(store) else word for word in command]
        if not killed(mine, event):
            return
        assert not killed(mine, None)
        said = {"event": event, "digest": place.digest(), "temporaries": len(temporaries(place.store))}
        os.write(1, f"{json.dumps(said)}\n".encode())
        shutil.rmtree(place.store)
        event += WORKERS


def killed(command: list[str], event: int | None) -> bool:
    """Run a command in a child that is killed before its write of that number; whether it came to that."""

    def job() -> None:
        if event is not None:
            _arm(event)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        mimdata_main(command, prog_name="mimdata")

    _, status = os.waitpid(fork(job), 0)
    assert status in (0, signal.SIGKILL), f"{command} ended with {status}"
    return status == signal.SIGKILL


def _arm(event: int) -> None:
    left = [event]

    def armed(call: Callable[..., Any]) -> Callable[..., Any]:
        def doing(*arguments: Any, **options: Any) -> Any:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return call(*arguments, **options)

        return doing

    os.replace = armed(os.replace)  # all that a store writes is renamed in the end


def fork(job: Callable[[], None]) -> int:
    """The process id of a child that does a job and ends."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        job()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
