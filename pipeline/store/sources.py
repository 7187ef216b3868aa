"""Digests of source files, remembered by path, size and time of change, so that a quiet night reads no video."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from mimdata.pipeline.files import Stamp, file_digest, stamp
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import CHECKED, UnreadableError, from_bytes, to_bytes

log = logging.getLogger("mimdata")

SOURCES = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("sha256", pa.string()),
    ]
)
FILE = "sources.parquet"
# A file changed within the clock's grain of being read could change again and look the same.
SETTLED_NS = 2_000_000_000


class Sources:
    """What is known of the corpus files. `rehash` distrusts all that is remembered."""

    def __init__(self, store: Folder, *, rehash: bool = False) -> None:
        self._store = store
        self._known: dict[str, tuple[Stamp, str]] = {}
        self._changed = rehash
        if not rehash and store.exists(FILE):
            self._load()

    def _load(self) -> None:
        try:
            table = from_bytes(self._store.read(FILE), schema=SOURCES)
        except UnreadableError as error:
            log.warning(
                "%s cannot be read (%s): every source file is read again", self._store.path(FILE), error
            )
            self._changed = True
            return
        for path, size, mtime_ns, sha256 in zip(*(c.to_pylist() for c in table.columns), strict=True):
            self._known[path] = ((size, mtime_ns), sha256)

    def digests(
        self, paths: Iterable[Path], advance: Callable[[], None] = lambda: None
    ) -> dict[Path, str | OSError]:
        """The digest of each file, or the error that keeps it from being read."""
        unique = list(dict.fromkeys(paths))
        found = {}
        with ThreadPoolExecutor(max_workers=4) as pool:  # hashing releases the interpreter
            try:
                for path, result in zip(unique, pool.map(self._digest, unique), strict=True):
                    found[path] = result
                    advance()
            finally:
                pool.shutdown(cancel_futures=True)  # where `advance` raises, the rest is not read
        return found

    def stamp_of(self, path: Path) -> Stamp | None:
        """Size and time of change of a file when its digest was taken; None if it never was."""
        known = self._known.get(str(path.absolute()))
        return known[0] if known else None

    def save(self) -> None:
        """Remember what was read, for files that have settled."""
        if not self._changed:
            return
        newest = time.time_ns() - SETTLED_NS
        rows = [
            {"path": path, "size": size, "mtime_ns": mtime_ns, "sha256": sha256}
            for path, ((size, mtime_ns), sha256) in sorted(self._known.items())
            if mtime_ns < newest
        ]
        table = pa.Table.from_pylist(rows, SOURCES)
        self._store.write(FILE, to_bytes(table, **CHECKED))
        self._changed = False

    def _digest(self, path: Path) -> str | OSError:
        try:
            now = stamp(path)
            known = self._known.get(str(path.absolute()))
            if known is not None and known[0] == now:
                return known[1]
            sha256 = file_digest(path)
        except OSError as error:
            return error
        self._known[str(path.absolute())] = (now, sha256)
        self._changed = True
        return sha256
