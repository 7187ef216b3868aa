"""A folder on any fsspec filesystem in which files appear whole or not at all.

On this machine's own filesystem a file or folder appears by one rename. An object store has no rename: there an object
appears whole, by one put, and of a folder one file, its seal, is written last and removed first, so that whoever looks
for the seal sees all of the folder or nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from mimdata.pipeline.errors import StoreError, UsageError

# What is being written is named after its writer, so that what a killed one left behind is known for it.
TEMPORARY = ".tmp-"
FORGOTTEN = timedelta(days=1)  # nobody writes one file for a day, on whatever machine
BUCKETS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}  # no folders there; makedirs would make a bucket
PACKAGES = {"s3": "mimdata[s3]", "s3a": "mimdata[s3]", "gs": "mimdata[gs]", "gcs": "mimdata[gs]"}
HINTS = {
    errno.ENOSPC: "free some space, then run again: what was stored stays",
    errno.EDQUOT: "free some space, then run again: what was stored stays",
    errno.EFBIG: "raise the limit (`ulimit -f`), then run again: what was stored stays",
    errno.EROFS: "make it writable, or choose another folder with --store",
    errno.EACCES: "make it writable, or choose another folder with --store",
    errno.EPERM: "make it writable, or choose another folder with --store",
    errno.ENOTDIR: "a file is in the way: choose a folder with --store, existing or new",
    errno.EEXIST: "a file is in the way: choose a folder with --store, existing or new",
}


def own_temporary() -> str:
    """A new name for what this process will take away again."""
    return f"{TEMPORARY}{socket.gethostname()}~{os.getpid()}~{uuid.uuid4().hex}"


def _abandoned(name: str) -> bool:
    """Whether the writer of a temporary file or folder ran on this machine and is gone."""
    host, _, rest = name.removeprefix(TEMPORARY).partition("~")
    pid = rest.partition("~")[0]
    return host == socket.gethostname() and pid.isdecimal() and not _alive(int(pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _old(path: Path) -> bool:
    """Whether a file or folder was last changed longer ago than anybody writes."""
    try:
        return time.time() - path.stat().st_mtime > FORGOTTEN.total_seconds()
    except OSError:
        return False


@contextmanager
def _writing(path: str) -> Iterator[None]:
    """Turn an error of the filesystem into one line: what went wrong, where, and what to do."""
    try:
        yield
    except OSError as error:
        hint = HINTS.get(error.errno or 0, "see to it, then run again: what was stored stays")
        raise StoreError(f"{error.strerror or error}: cannot write {path}; {hint}") from error


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """The same for what the library of a remote filesystem raises, which need be no OSError: no credentials, no network."""
    try:
        yield
    except (OSError, StoreError):
        raise
    except Exception as error:
        raise StoreError(
            f"cannot reach {url} ({str(error).splitlines()[0] if str(error) else type(error).__name__}): "
            "see to the address, the network and the credentials, then run again"
        ) from error


class _Reached:
    """A remote filesystem whose errors are one line each."""

    def __init__(self, filesystem: Any, url: str) -> None:
        self._filesystem, self._url = filesystem, url

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._filesystem, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            with _reaching(self._url):
                return found(*arguments, **options)

        return call


def filesystem_of(url: str) -> tuple[Any, str]:
    """The fsspec filesystem of a URL or path, and the path there. Raises UsageError for a kind that is not installed.

    Nothing that a filesystem lists is remembered: others write there too.
    """
    kind = url.partition("://")[0]
    try:
        filesystem, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        package = PACKAGES.get(kind, f"the fsspec filesystem of {kind}://")
        raise UsageError(f"{url} needs a package that is not installed: pip install '{package}'") from error
    except ValueError as error:
        raise UsageError(f"{url} is no address that fsspec knows: {error}") from error
    remote = "file" not in (filesystem.protocol, *filesystem.protocol)
    return (_Reached(filesystem, url) if remote else filesystem), path.rstrip("/")


@dataclass(frozen=True)
class Folder:
    """A place for files, named by URL or path; picklable, so that workers open the same one."""

    url: str

    def __reduce__(self) -> tuple[type[Folder], tuple[str]]:
        return Folder, (self.url,)  # without the connection

    @cached_property
    def _place(self) -> tuple[Any, str]:
        return filesystem_of(self.url)

    @property
    def filesystem(self) -> Any:
        """The fsspec filesystem that holds the folder."""
        return self._place[0]

    @property
    def local(self) -> bool:
        """Whether the folder lies on this machine's own filesystem."""
        return "file" in (self.filesystem.protocol, *self.filesystem.protocol)

    def _make_folder(self, path: str) -> None:
        if not BUCKETS & {self.filesystem.protocol, *self.filesystem.protocol}:
            self.filesystem.makedirs(path, exist_ok=True)

    def path(self, name: str = "") -> str:
        """The full path of a file in the folder, as the filesystem names it."""
        return f"{self._place[1]}/{name}" if name else self._place[1]

    def sub(self, name: str) -> Folder:
        """A folder inside this one."""
        return Folder(f"{self.url.rstrip('/')}/{name}")

    def exists(self, name: str = "") -> bool:
        """Whether a file or folder of this name is there."""
        return bool(self.filesystem.exists(self.path(name)))

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        content: bytes = self.filesystem.cat_file(self.path(name))
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole: a reader sees the old bytes or the new ones, also after a crash. Raises StoreError."""
        with _writing(self.path(name)):
            self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        target = self.path(name)
        self._make_folder(str(PurePosixPath(target).parent))
        if not self.local:
            self.filesystem.pipe_file(target, content)  # object stores replace an object atomically
            return
        whole = Path(target)
        temporary = whole.with_name(f"{own_temporary()}~{whole.name}")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(whole)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    @contextmanager
    def staging(self) -> Iterator[Folder]:
        """A temporary folder inside this one, for what `publish` then makes visible; gone afterwards."""
        temporary = self.sub(own_temporary())
        with _writing(temporary.path()):
            self._make_folder(temporary.path())
        try:
            yield temporary
        finally:
            if temporary.exists():
                self.filesystem.rm(temporary.path(), recursive=True)

    def publish(self, staging: Folder, name: str, seal: str) -> None:
        """Make a staged folder appear under its name: by one rename, or where there is none with its file `seal` last.

        A folder of that name is left as it is: names carry the digest of what they hold.
        """
        if self.exists(name if self.local else f"{name}/{seal}"):
            return
        with _writing(self.path(name)):
            if not self.local:
                self._copy(staging, name, seal)
                return
            self._make_folder(self.path())
            try:
                Path(staging.path()).replace(self.path(name))
            except OSError:
                if not self.exists(name):  # else another run has just published the same
                    raise

    def _copy(self, staging: Folder, name: str, seal: str) -> None:
        for file in sorted(staging.files(), key=lambda file: file == seal):
            target = self.path(f"{name}/{file}")
            self._make_folder(str(PurePosixPath(target).parent))
            self.filesystem.cp_file(staging.path(file), target)
        staging.remove_folder("", seal)

    def sweep(self) -> None:
        """Remove what killed writers left half-written: those of this machine, and what nobody touched for a day."""
        if not self.local:
            self._sweep_objects()
            return
        for parent, folders, files in os.walk(self.path()):
            for name in (name for name in (*files, *folders) if name.startswith(TEMPORARY)):
                path = Path(parent) / name
                if not (_abandoned(name) or _old(path)):
                    continue
                if name in folders:
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    with suppress(
                        OSError
                    ):  # gone, or the store is read-only, which its first writer says better
                        path.unlink()

    def _sweep_objects(self) -> None:
        """No object is ever half-written; the folders that killed writers staged are what there is to remove."""
        if not self.exists():
            return
        for path, about in self.filesystem.find(self.path(), detail=True).items():
            staged = [part for part in PurePosixPath(path).parts if part.startswith(TEMPORARY)]
            changed = about.get("LastModified") or about.get("updated") or about.get("created")
            old = isinstance(changed, datetime) and datetime.now(UTC) - changed.astimezone(UTC) > FORGOTTEN
            if staged and (_abandoned(staged[0]) or old):
                with suppress(FileNotFoundError):
                    self.filesystem.rm_file(path)

    def files(self, suffix: str = "") -> list[str]:
        """Names of all files below the folder, relative to it, sorted; temporary ones are left out."""
        if not self.exists():
            return []
        root = self.path() + "/"
        found = (str(path).removeprefix(root) for path in self.filesystem.find(self.path()))
        return sorted(
            name for name in found if name.endswith(suffix) and TEMPORARY not in PurePosixPath(name).name
        )

    def folders(self) -> list[str]:
        """Names of the folders directly inside, sorted; temporary ones are left out."""
        if not self.exists():
            return []
        entries = self.filesystem.ls(self.path(), detail=True)
        names = (PurePosixPath(e["name"]).name for e in entries if e["type"] == "directory")
        return sorted(name for name in names if not name.startswith(TEMPORARY))

    def remove(self, name: str) -> None:
        """Delete a file; one that is gone already is no error."""
        with _writing(self.path(name)), suppress(FileNotFoundError):
            if self.exists(name):
                self.filesystem.rm_file(self.path(name))

    def move(self, name: str, to: str) -> None:
        """Rename a file or folder within the folder; one that is gone already is no error."""
        with _writing(self.path(to)):
            self._make_folder(str(PurePosixPath(self.path(to)).parent))
            with suppress(FileNotFoundError):
                if self.local:
                    Path(self.path(name)).replace(self.path(to))
                else:
                    self._move_objects(self.path(name), self.path(to))

    def _move_objects(self, path: str, to: str) -> None:
        """One by one, each there before it is gone here."""
        for source in self.filesystem.find(path):
            target = to + source.removeprefix(path)
            self._make_folder(str(PurePosixPath(target).parent))
            self.filesystem.cp_file(source, target)
            self.filesystem.rm_file(source)

    def remove_folder(self, name: str, seal: str = "") -> None:
        """Delete a folder: out of sight by one rename, or where there is none its file `seal` first; then its files.

        One that is gone already is no error.
        """
        if not self.exists(name):
            return
        if not self.local:
            with _writing(self.path(name)), suppress(FileNotFoundError):
                if seal and self.exists(f"{name}/{seal}".lstrip("/")):
                    self.filesystem.rm_file(self.path(f"{name}/{seal}".lstrip("/")))
                self.filesystem.rm(self.path(name), recursive=True)
            return
        hidden = Path(self.path(own_temporary()))
        Path(self.path(name)).replace(hidden)
        shutil.rmtree(hidden)
