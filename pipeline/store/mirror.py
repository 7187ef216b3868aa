"""A raw corpus that lies elsewhere, as a folder of this machine: what is new or changed there is fetched, once.

    CACHE/roots/KEY/files/…        the corpus, as it lies there
    CACHE/roots/KEY/fetched.json   {path: [size, tag]}: what was fetched of each file; the tag changes with its content

KEY is a digest of the URL. Media files are sought in, read by several libraries and read again by later runs, so that a
whole copy is what serves them; it needs the room. A file appears whole, by one rename, with the time of change that it has
there, and goes when it is gone there.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.files import cache_folder, is_remote
from mimdata.pipeline.progress import progress
from mimdata.pipeline.store.fingerprint import digest
from mimdata.pipeline.store.folder import Folder, filesystem_of, own_temporary
from mimdata.pipeline.store.lock import locked

log = logging.getLogger("mimdata")

FILES, FETCHED = "files", "fetched.json"
AT_ONCE = 4
TAGS = ("ETag", "etag", "md5Hash", "md5", "sha256", "LastModified", "mtime", "updated", "created")
TIMES = ("LastModified", "mtime", "updated", "created")

Known = dict[str, list[Any]]  # path → [size, tag]


@dataclass(frozen=True)
class _There:
    """A file of the corpus, elsewhere."""

    path: str  # as its filesystem names it
    size: int
    tag: str
    changed: float | None  # seconds since 1970


def local_root(root: Path | str) -> Path:
    """Where the raw corpus lies on this machine, fetched if `root` is a URL. Raises MimdataError."""
    return mirrored(str(root)) if is_remote(root) else Path(root)


def mirrored(url: str) -> Path:
    """The folder (or the file, where the URL is one's) on this machine, brought up to date. Raises MimdataError."""
    filesystem, place = filesystem_of(url)
    name = ""
    try:
        if filesystem.isfile(place):
            place, _, name = place.rpartition("/")
            url = url.rstrip("/").rpartition("/")[0]
        there = _listed(filesystem.find(place, detail=True), place)
    except OSError as error:
        raise MimdataError(f"cannot list {url} ({error}): see to the address and the credentials") from error
    if not there:
        raise MimdataError(f"{url} holds no file: point --root at the folder of the corpus")
    key = digest(url)[:32]
    cache = cache_folder("roots")
    with locked(Folder(str(cache)), key, patient=True):
        _update(filesystem, url, cache / key, there)
    return cache / key / FILES / name


def _listed(found: Mapping[str, Mapping[str, Any]], root: str) -> dict[str, _There]:
    """The files below `root` by their paths relative to it; a name that would lead out of the folder is left out."""
    files = {}
    for path, about in sorted(found.items()):
        name = path.removeprefix(root.rstrip("/") + "/")
        if about.get("type", "file") != "file" or name.endswith("/"):
            continue
        if (
            PurePosixPath(name).as_posix() != name
            or ".." in name.split("/")
            or "\0" in name
            or name[0] == "/"
        ):
            log.warning("%s is left out: its name is no path of a file in a folder", path)
            continue
        tag = next((str(about[t]) for t in TAGS if about.get(t) is not None), "")
        changed = next((_seconds(about[t]) for t in TIMES if about.get(t) is not None), None)
        files[name] = _There(path, int(about.get("size") or 0), tag, changed)
    return files


def _seconds(time: Any) -> float | None:
    if isinstance(time, datetime):
        return time.timestamp()
    return float(time) if isinstance(time, int | float) else None


def _update(filesystem: Any, url: str, place: Path, there: Mapping[str, _There]) -> None:
    files, record = place / FILES, place / FETCHED
    known = _read(record)
    wanted = [n for n, f in there.items() if known.get(n) != [f.size, f.tag] or not _whole(files / n, f.size)]
    _room(files, url, sum(there[name].size for name in wanted))
    for name in (n for n in known if n not in there):
        (files / name).unlink(missing_ok=True)
    now = {name: about for name, about in known.items() if name in there and name not in wanted}
    if wanted:
        log.info("%s: %d of %d files are fetched to %s", url, len(wanted), len(there), files)
    try:
        with progress("fetch", len(wanted), "files") as advance:
            for _ in _fetched(filesystem, files, {name: there[name] for name in wanted}, now):
                advance(1)
    except OSError as error:
        raise MimdataError(
            f"cannot fetch {url} ({error.strerror or error}): run again, what was fetched stays"
        ) from error
    finally:
        Folder(str(place)).write(FETCHED, json.dumps(now, ensure_ascii=False).encode())


def _fetched(filesystem: Any, files: Path, wanted: Mapping[str, _There], now: Known) -> Iterable[None]:
    """Fetch files, a few at a time, and note in `now` what has come."""

    def fetch(name: str) -> None:
        there, path = wanted[name], files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(own_temporary())
        try:
            filesystem.get_file(there.path, str(temporary))
            if temporary.stat().st_size != there.size:
                raise OSError(f"{there.path} has changed while it was fetched")
            if there.changed is not None:
                os.utime(temporary, (there.changed, there.changed))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        now[name] = [there.size, there.tag]

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mimdata-fetch") as pool:
        try:
            yield from pool.map(fetch, wanted)
        finally:
            pool.shutdown(cancel_futures=True)


def _whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _room(files: Path, url: str, size: int) -> None:
    """Raise MimdataError where the disk cannot take what is to be fetched."""
    files.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(files).free
    if size > free:
        raise MimdataError(
            f"{url} needs {size / 2**30:.1f} GiB in {files}, where {free / 2**30:.1f} GiB are free: "
            "free some space, or set MIMDATA_CACHE to a larger disk"
        )


def _read(record: Path) -> Known:
    """What was fetched before; nothing where that cannot be read, so that all is fetched again."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
