"""Where the media of a corpus lie: one listing of each folder instead of a question for each clip."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".flv", ".mpg")
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg")


@dataclass(frozen=True)
class MediaIndex:
    """Media files by stem, "sub/folder/stem" where they lie deeper; paths are relative to the corpus root."""

    files: Mapping[str, str] = field(default_factory=dict)

    def find(self, stem: str) -> str | None:
        """The file of `stem`; a "/" in it may be a folder or, as some copies have it, an underscore."""
        return self.files.get(stem) or self.files.get(stem.replace("/", "_"))


def index_media(root: Path, folder: str, suffixes: tuple[str, ...]) -> MediaIndex:
    """List `folder` under `root`, with its sub-folders. Of two files of a stem the first suffix counts."""
    ranks = {suffix: rank for rank, suffix in enumerate(suffixes)}
    found: dict[str, tuple[int, str]] = {}
    for directory, _, files in os.walk(root / folder):
        for name in files:
            path = Path(directory, name)
            rank = ranks.get(path.suffix.lower())
            if rank is None:
                continue
            stem = path.relative_to(root / folder).with_suffix("").as_posix()
            entry = (rank, path.relative_to(root).as_posix())
            found[stem] = min(entry, found.get(stem, entry))
    return MediaIndex({stem: path for stem, (_, path) in found.items()})
