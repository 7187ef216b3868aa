"""A dataset version of a store elsewhere, fetched once: training reads it from this machine's disk. Imports no torch.

    CACHE/datasets/DIGEST/…      manifest.json and the files that it names, each compared with its sha256

A folder appears whole, by one rename, and may be removed at any time.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from mimdata.pipeline.dataset.manifest import FILE, LAST, LATEST, Manifest, parse_manifest
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.files import cache_folder, file_digest

ENDED = (OSError, ValueError, ImportError)  # what a filesystem raises that is not there, or not installed


def fetched(store: str, corpus: str | None = None, version: str = "latest") -> Path:
    """The folder on this machine of a version of the store at a URL: by its name or how that begins, or the latest.

    corpus: None for the one that was published last. Raises MimdataError where there is none, or a file differs.
    """
    import fsspec

    try:
        filesystem, place = fsspec.core.url_to_fs(store)
        there = _folder(filesystem, f"{place.rstrip('/')}/datasets", corpus, version)
        manifest = parse_manifest(filesystem.cat_file(f"{there}/{FILE}"), f"{store}: {FILE}")
    except ENDED as error:
        raise MimdataError(
            f"no dataset version {version!r} can be read in {store} ({error or type(error).__name__}): see to the address, the "
            "credentials, and that `mimdata align` has published one there"
        ) from error
    folder = cache_folder("datasets") / manifest.digest
    if not (folder / FILE).is_file():
        _fetch(filesystem, there, manifest, folder, store)
    return folder


def _folder(filesystem: Any, datasets: str, corpus: str | None, version: str) -> str:
    corpus = corpus or filesystem.cat_file(f"{datasets}/{LAST}").decode().strip()
    if version == "latest":
        version = filesystem.cat_file(f"{datasets}/{corpus}/{LATEST}").decode().strip()
    names = [
        str(path).rstrip("/").rpartition("/")[2]
        for path in filesystem.ls(f"{datasets}/{corpus}", detail=False)
    ]
    found = [name for name in names if name == version] or [
        name for name in names if name.startswith(version)
    ]
    if len(found) != 1:
        raise ValueError(f"there are {', '.join(sorted(found or names))}")
    return f"{datasets}/{corpus}/{found[0]}"


def _fetch(filesystem: Any, there: str, manifest: Manifest, folder: Path, store: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        for about in manifest.files:
            name = about["file"]
            try:
                filesystem.get_file(f"{there}/{name}", str(staging / name))
            except ENDED as error:
                raise MimdataError(
                    f"{store}: {name} of {manifest.version} cannot be fetched: {error}"
                ) from error
            if file_digest(staging / name) != about["sha256"]:
                raise MimdataError(
                    f"{store}: {name} of {manifest.version} is not what its manifest says: run `mimdata verify` there"
                )
        (staging / FILE).write_text(manifest.to_json(), encoding="utf-8")
        with suppress(OSError):  # another process was first
            staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
