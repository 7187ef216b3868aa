"""Where the media of a corpus lie: one listing of each folder instead of a question for each clip."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mimdata.pipeline.corpora.rules import link_leaves_root

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".flv", ".mpg")
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg")


@dataclass(frozen=True)
class MediaIndex:
    """Media files by stem, "sub/folder/stem" where they lie deeper; paths are relative to the corpus root.

    `outside` holds those that a symbolic link leads out of the root.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)

    def find(self, stem: str) -> str | None:
        """The file of `stem`; a "/" in it may be a folder or, as some copies have it, an underscore."""
        return self.files.get(stem) or self.files.get(stem.replace("/", "_"))

    def find_outside(self, stem: str) -> str | None:
        """The same among the files that leave the root."""
        return self.outside.get(stem) or self.outside.get(stem.replace("/", "_"))


def index_media(root: Path, folder: str, suffixes: tuple[str, ...]) -> MediaIndex:
    """List `folder` under `root`, with its sub-folders. Of two files of a stem the first suffix counts."""
    resolved_root = root.resolve()
    ranks = {suffix: rank for rank, suffix in enumerate(suffixes)}
    found: dict[str, tuple[int, str, bool]] = {}
    for path, escapes in _walk(root / folder, resolved_root):
        rank = ranks.get(path.suffix.lower())
        if rank is None:
            continue
        stem = path.relative_to(root / folder).with_suffix("").as_posix()
        entry = (rank, PurePosixPath(path.relative_to(root)).as_posix(), escapes)
        found[stem] = min(entry, found.get(stem, entry))
    return MediaIndex(
        {stem: path for stem, (_, path, escapes) in found.items() if not escapes},
        {stem: path for stem, (_, path, escapes) in found.items() if escapes},
    )


def _walk(folder: Path, resolved_root: Path) -> Iterator[tuple[Path, bool]]:
    """Every file below `folder` and whether a link leads it out of the root; only links cost a look."""
    for directory, names, files in os.walk(folder):
        names.sort()
        escapes = link_leaves_root(Path(directory), resolved_root)
        with os.scandir(directory) as entries:
            links = {entry.name for entry in entries if entry.is_symlink()}
        for name in files:
            path = Path(directory, name)
            yield path, escapes if name not in links else link_leaves_root(path, resolved_root)
