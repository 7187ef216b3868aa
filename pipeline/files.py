"""Files of a corpus or of weights: their digests, and the stamp by which a change is noticed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

Stamp = tuple[int, int]  # size in bytes, time of change in nanoseconds


def stamp(path: Path) -> Stamp:
    """Size and time of change of a file. Raises OSError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, read in blocks. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder(kind: str) -> Path:
    """Where this machine keeps what it can fetch or make again: $MIMDATA_CACHE, or mimdata in the user's cache folder."""
    if asked := os.environ.get("MIMDATA_CACHE"):
        return Path(asked) / kind
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mimdata" / kind


def is_remote(place: object) -> bool:
    """Whether a place is named by a URL, and so is not a path of this machine."""
    return "://" in str(place) and not str(place).startswith(("file://", "local://"))
