"""Proof that a version is what it says: its files have their digests, and clips computed anew come out the same."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mimdata.pipeline.config import RunConfig
from mimdata.pipeline.dataset.integrity import damaged_files
from mimdata.pipeline.dataset.lineage import Line, read_lineage
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.jobs import build, extract
from mimdata.pipeline.listing import Selection
from mimdata.pipeline.run import Options, open_run
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import opened


@dataclass(frozen=True)
class Verdict:
    """What was looked at, and every difference that was found: (file or clip id, what is wrong with it)."""

    version: str
    files: int
    clips: int
    equal: int
    differences: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """The document that `mimdata verify --json` prints."""
        return dict(vars(self)) | {"differences": [list(pair) for pair in self.differences]}


def verify(versions: Versions, name: str, config: RunConfig, sample: int | None) -> Verdict:
    """Check the files of a version, then compute `sample` clips of it (None: all) anew and compare their rows.

    `config` is that of the corpus's last run. The clips are drawn by the version's digest, so that the same ones are
    asked for again. Nothing of the store is used but the version itself; what is computed is thrown away.
    """
    folder, manifest = versions.find(name)
    broken = list(damaged_files(folder, manifest))
    if any(file == manifest.content["lineage"]["file"] for file, _ in broken):
        return Verdict(manifest.version, len(manifest.files), 0, 0, tuple(broken))
    lineage = read_lineage(folder)
    # What was imported with values of its words has no raw corpus to compute it from.
    ids = [] if manifest.content["aligner"]["step"] == "published" else list(lineage)
    if sample is not None and sample < len(ids):
        ids = sorted(random.Random(manifest.digest).sample(ids, sample))
    wrong = list(_recomputed(folder, manifest, lineage, config, ids)) if ids else []
    bad = {clip_id for clip_id, _ in wrong}
    equal = sum(clip_id not in bad for clip_id in ids)
    return Verdict(manifest.version, len(manifest.files), len(ids), equal, (*broken, *wrong))


def _recomputed(
    folder: Folder, manifest: Manifest, lineage: Mapping[str, Line], config: RunConfig, ids: Sequence[str]
) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory(prefix="mimdata-verify-") as place:
        anew = _anew(Path(place), config, manifest, ids)
        if anew is None:
            yield from ((clip_id, "could not be computed anew; see `mimdata failures`") for clip_id in ids)
            return
        other, content = anew
        if content.digest == manifest.digest:
            return
        keys = read_lineage(other)
        mine, theirs = _rows(folder, manifest, set(ids)), _rows(other, content, set(ids))
        for clip_id in ids:
            if clip_id not in keys:
                yield clip_id, "could not be computed anew, or is not in the corpus any more"
            elif moved := _moved(lineage[clip_id], keys[clip_id]):
                yield clip_id, f"the corpus or the configuration has changed since: other {', '.join(moved)}"
            elif not (clip_id in mine and mine[clip_id].equals(theirs[clip_id])):
                yield clip_id, f"other numbers in {', '.join(_differing(mine.get(clip_id), theirs[clip_id]))}"


def _anew(
    place: Path, config: RunConfig, manifest: Manifest, ids: Sequence[str]
) -> tuple[Folder, Manifest] | None:
    fresh = config.model_copy(update={"store": str(place), "modalities": tuple(manifest.modalities)})
    with open_run(fresh, Options(Selection(only=tuple(ids)))) as run:
        extract(run)
        try:
            built = build(run)
        except MimdataError:
            return None
        assert built.manifest is not None
        return Versions(run.store, run.corpus).find(built.manifest.version)


def _moved(old: Line, new: Line) -> list[str]:
    moved = [kind for kind, key in old.inputs.items() if new.inputs.get(kind) != key]
    return moved or ([] if old.row == new.row else ["pooling"])


def _rows(folder: Folder, manifest: Manifest, ids: set[str]) -> dict[str, pa.Table]:
    """Each clip's row, less its split: a sample's splits are dealt out anew."""
    found: dict[str, pa.Table] = {}
    for shard in manifest.shards:
        with folder.filesystem.open(folder.path(shard["file"]), "rb") as file:
            try:
                parquet = opened(file)
                for i in range(parquet.num_row_groups):
                    table = parquet.read_row_group(i, use_threads=False)
                    found |= _wanted(table, ids)
            except (pa.ArrowException, OSError):
                continue  # said by its digest already
    return found


def _wanted(table: pa.Table, ids: set[str]) -> dict[str, pa.Table]:
    names = table.column("clip_id").to_pylist()
    keep: Callable[[int], pa.Table] = lambda i: table.slice(i, 1).drop_columns(["split"]).combine_chunks()  # noqa: E731
    return {name: keep(i) for i, name in enumerate(names) if name in ids}


def _differing(mine: pa.Table | None, theirs: pa.Table) -> list[str]:
    if mine is None:
        return ["all columns: its row cannot be read"]
    names = [name for name in theirs.column_names if name in mine.column_names]
    return [name for name in names if not mine.column(name).equals(theirs.column(name))] or [
        "the columns themselves"
    ]
