"""Which dataset and which store a command means, by its options, a file and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimdata.pipeline.errors import UsageError

if TYPE_CHECKING:
    from mimdata.mim.dataset import Dataset

DEFAULT_STORE = ".mimdata"
RUNS = "runs"  # STORE/runs/RUN


def local_store(store: str | None, document: Mapping[str, Any] | None = None) -> Path:
    """The store of an option, a file, MIMDATA_STORE or the default. Raises UsageError for one elsewhere."""
    place = store or (document or {}).get("store") or os.environ.get("MIMDATA_STORE") or DEFAULT_STORE
    if "://" in place:
        raise UsageError(
            f"training reads a store on this machine, found {place}: copy the dataset here first"
        )
    return Path(place)


def asked_dataset(
    version: Path | None, store: Path, corpus: str | None, document: Mapping[str, Any] | None = None
) -> Dataset:
    """The folder of a version, or the latest version of a corpus in the store. Raises MimdataError."""
    from mimdata.mim.dataset import open_dataset

    if version:
        return open_dataset(version)
    return open_dataset(store, corpus or (document or {}).get("corpus") or os.environ.get("MIMDATA_CORPUS"))
