"""Files of a corpus or of weights: their digests, and the stamp by which a change is noticed."""

from __future__ import annotations

import hashlib
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
