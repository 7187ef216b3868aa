"""Which checkpoint, dataset and store a command means, by its options, a file and the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.files import is_remote

if TYPE_CHECKING:
    from mimdata.mim.checkpoint import Description
    from mimdata.mim.dataset import Dataset

DEFAULT_STORE = ".mimdata"
RUNS = "runs"  # STORE/runs/RUN


def asked_store(store: str | None, document: Mapping[str, Any] | None = None) -> str:
    """The store of an option, a file, MIMDATA_STORE or the default: a folder or a URL."""
    return store or (document or {}).get("store") or os.environ.get("MIMDATA_STORE") or DEFAULT_STORE


def runs_folder(store: str) -> Path:
    """Where runs lie: in the store, or in the default one of this machine where the store is elsewhere."""
    return Path(DEFAULT_STORE if is_remote(store) else store) / RUNS


def asked_dataset(
    version: Path | None, store: str, corpus: str | None, document: Mapping[str, Any] | None = None
) -> Dataset:
    """The folder of a version, or the latest version of a corpus in the store. Raises MimdataError."""
    from mimdata.mim.dataset import open_dataset

    if version:
        return open_dataset(version)
    return open_dataset(store, corpus or (document or {}).get("corpus") or os.environ.get("MIMDATA_CORPUS"))


def weights_of(checkpoint: Path) -> Path:
    """The weights of a run's folder, or the file itself. Raises UsageError where there are none."""
    from mimdata.mim.run_folder import CHECKPOINT

    path = checkpoint / CHECKPOINT if checkpoint.is_dir() else checkpoint
    if path.is_file():
        return path
    inside = sorted(p.parent for p in checkpoint.glob(f"*/*/{CHECKPOINT}"))
    if inside:
        raise UsageError(f"{checkpoint} holds {len(inside)} trainings: give one of them, such as {inside[0]}")
    raise UsageError(f"no checkpoint at {path}: give a run's folder or a model.safetensors")


def asked_dataset_of(
    weights: Path, description: Description, version: Path | None, store: str | None, corpus: str | None
) -> Dataset:
    """The dataset that is asked for, or the run's own while it is there, or the latest of its corpus."""
    from mimdata.mim.dataset import open_dataset

    own = None if version or store or corpus else _own_dataset(weights)
    if own:
        return open_dataset(own)
    learned = description.content["dataset"]["corpus"]
    return asked_dataset(version, asked_store(store), corpus or os.environ.get("MIMDATA_CORPUS") or learned)


def _own_dataset(weights: Path) -> Path | None:
    """The folder of the version that the run beside the weights was trained on, if it is still there."""
    from mimdata.mim.run_folder import CONFIG

    try:
        own = Path(json.loads(weights.with_name(CONFIG).read_text(encoding="utf-8"))["dataset"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return own if own.is_dir() else None
