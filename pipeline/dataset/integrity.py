"""Whether the files of a version are still the bytes that were written, and how damaged ones are put right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.store.folder import Folder

BLOCK = 1 << 22  # bytes read at once


def damaged_files(folder: Folder, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """The files of a version that are not what its manifest says, and how."""
    for about in manifest.files:
        try:
            size, sha256 = _digest(folder, about["file"])
        except OSError as error:
            yield about["file"], f"cannot be read: {error.strerror or error}"
            continue
        if size != about["bytes"]:
            yield about["file"], f"has {size:,} bytes, the manifest says {about['bytes']:,}"
        elif sha256 != about["sha256"]:
            yield about["file"], f"has sha256 {sha256[:12]}…, the manifest says {about['sha256'][:12]}…"


def _digest(folder: Folder, name: str) -> tuple[int, str]:
    found, size = hashlib.sha256(), 0
    with folder.filesystem.open(folder.path(name), "rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
            size += len(block)
    return size, found.hexdigest()


def put_right(folder: Folder, damaged: Iterable[str], fresh: Folder) -> None:
    """Replace damaged files of a version by those of `fresh`, a version of the same digest: readers see whole files only."""
    for name in damaged:
        folder.write(name, fresh.read(name))
