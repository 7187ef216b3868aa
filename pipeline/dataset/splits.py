"""Splits for a corpus that brings none: whole videos (or speakers), dealt out by a hash of their names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from mimdata.pipeline.records import Clip, Split

# Shares of train and train + valid; a video's split never moves when others come or go.
TRAIN, TRAIN_AND_VALID = 0.7, 0.8


def split_of(group: str) -> Split:
    """The split of a group of clips: 70% train, 10% valid, 20% test of all names, independent of the others."""
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) / 2**64
    if share < TRAIN:
        return "train"
    return "valid" if share < TRAIN_AND_VALID else "test"


def with_splits(clips: Sequence[Clip]) -> list[Clip]:
    """The clips, each with a split: the corpus's own, or, where no clip at all has one, one by hash.

    Groups are speakers where they are known, else videos, so that nobody is in two splits.
    """
    if any(clip.split is not None for clip in clips):
        return list(clips)
    return [replace(clip, split=split_of(clip.speaker or clip.video_id)) for clip in clips]
