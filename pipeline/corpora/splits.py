"""Which split a video belongs to: a `folds.json` under the root, or else the official folds that come with us."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import SPLITS, Split

FILE_NAME = "folds.json"
OFFICIAL = Path(__file__).parent / "folds"


def read_folds(root: Path, corpus: str) -> dict[str, Split]:
    """The split of each video id. Raises MimdataError for a damaged file or a video in two splits."""
    own = root / FILE_NAME
    path = own if own.is_file() else OFFICIAL / f"{corpus}.json"
    try:
        folds = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise MimdataError(
            f'cannot read the folds {path} ({error}): expected {{"train": [video ids], "valid": […], "test": […]}}.'
        ) from None
    return _by_video(folds, path)


def _by_video(folds: Any, path: Path) -> dict[str, Split]:
    lists = isinstance(folds, Mapping) and all(isinstance(ids, list) for ids in folds.values())
    if not lists or not set(folds) <= set(SPLITS):
        found = sorted(folds) if isinstance(folds, Mapping) else type(folds).__name__
        raise MimdataError(f"{path} must map train, valid and test to lists of video ids, found {found}.")
    splits: dict[str, Split] = {}
    for split in SPLITS:
        for video in folds.get(split, ()):
            if splits.setdefault(str(video), split) != split:
                raise MimdataError(
                    f"video {video} is in the splits {splits[str(video)]} and {split} of {path}: keep it in one."
                )
    return splits
