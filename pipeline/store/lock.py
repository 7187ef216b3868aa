"""A lock in a store that names its owner and cannot outlive it: the kernel lets go of it with the process."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.store.folder import Folder


@contextmanager
def locked(store: Folder, name: str, *, patient: bool = False) -> Iterator[None]:
    """Hold STORE/locks/NAME; `patient` waits for whoever has it, else that raises MimdataError and says who it is.

    The file stays, the lock does not: what a killed owner wrote into it is overwritten by the next one. A store that
    is not on a filesystem of this machine has no locks.
    """
    if not store.local:
        yield
        return
    path = Path(store.path(f"locks/{name}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise MimdataError(f"cannot lock {path}: {error.strerror}") from error
    with file:
        _take(file, path, patient)
        file.truncate(0)
        file.write(json.dumps(_me(), ensure_ascii=False))
        file.flush()
        yield
        file.truncate(0)


def _take(file: IO[str], path: Path, patient: bool) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
    except BlockingIOError:
        file.seek(0)
        raise MimdataError(
            f"{path.name} is locked by {_owner(file.read())}: wait for it to end, or stop it ({path})"
        ) from None


def _me() -> dict[str, object]:
    command = " ".join(["mimdata", *sys.argv[1:]])
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"command": command, "pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _owner(text: str) -> str:
    try:
        owner = json.loads(text)
        return f"`{owner['command']}`, process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
