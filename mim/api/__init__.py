"""mimdata from Python: `mimdata.open(version)` gives a dataset version to look at and to train on.

This file is the package `mimdata` itself (pyproject.toml maps it). Importing it imports nothing else.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mimdata.mim.dataset import Dataset

__all__ = ["open"]


def open(  # noqa: A001  # as in gzip.open and PIL.Image.open
    version: str | os.PathLike[str] = "latest",
    *,
    store: str | os.PathLike[str] = ".mimdata",
    corpus: str | None = None,
) -> Dataset:
    """A dataset version; its shards are read when their rows are asked for.

    version: the folder of a version, or the name of one in the store or how it begins, or "latest": the newest of
    `corpus`, or of any. store: a folder, or a URL such as s3://, from which the version is fetched once.
    Raises MimdataError when there is none, or several begin so.
    """
    from mimdata.mim.dataset import find_dataset

    return find_dataset(version, store, corpus)
