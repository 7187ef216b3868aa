"""The tracks that the rows of a version were pooled from, out of the store that made it."""

from __future__ import annotations

from collections import defaultdict

from mimdata.pipeline.dataset.lineage import read_lineage
from mimdata.pipeline.dataset.pooling import TRACKS
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Tokens, Track
from mimdata.pipeline.store.codec import decode
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.index import Index
from mimdata.pipeline.store.parts import read_rows


def tracks_of(store: Folder, version: Folder, modality: str) -> dict[str, Track | Tokens]:
    """A modality's track of every clip of a version, by clip id.

    Raises MimdataError where the store does not have them: a version that was imported word by word never had any.
    """
    kind = f"{TRACKS}{modality}"
    index, by_part = Index(store, kind), defaultdict(list)
    for line in read_lineage(version).values():
        location = index.find(line.inputs.get(kind, ""))
        if location is None or location.failed:
            raise MimdataError(
                f"the store has no frames of {modality} of {line.clip_id}: what was imported word by word has none, and others "
                "come back with `mimdata extract`"
            )
        by_part[location.part].append((line.clip_id, location.row))
    found: dict[str, Track | Tokens] = {}
    for part, rows in by_part.items():
        ordered = sorted(rows, key=lambda row: row[1])
        results = decode(read_rows(store, kind, part, [row for _, row in ordered]))
        for (clip_id, _), result in zip(ordered, results, strict=True):
            assert isinstance(result, Track | Tokens)
            found[clip_id] = result
    return found
