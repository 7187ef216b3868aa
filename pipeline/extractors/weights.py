"""Digests of weight files, so that identities name what was loaded and not where it lay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.files import Stamp, file_digest, stamp


def digests(files: Iterable[Path]) -> Mapping[str, str]:
    """sha256 of each file by its name. Raises UsageError for one that cannot be read."""
    found = {}
    for file in files:
        try:
            found[file.name] = _digest(file, stamp(file))
        except OSError as error:
            raise UsageError(
                f"cannot read the weights {file}: {error.strerror}; docs/weights.md says where to get them"
            ) from error
    return found


@lru_cache(maxsize=64)
def _digest(file: Path, seen: Stamp) -> str:  # noqa: ARG001  # a changed file is another entry
    return file_digest(file)
