"""Where every column of a clip comes from: file, span, step, weights, parameters and library versions."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq

from mimdata.pipeline.dataset.lineage import Line, read_lineage
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.pooling import ROWS, TRACKS, WORDS
from mimdata.pipeline.dataset.schema import TOKEN_FIELDS, UTTERANCE_FIELDS, WORD_FIELDS
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.index import Index
from mimdata.pipeline.store.parquet import opened
from mimdata.pipeline.store.parts import read_rows

TEXT = "text"  # the modality of word pieces


def provenance(versions: Versions, version: str, clip_id: str) -> dict[str, Any]:
    """The JSON that `mimdata provenance` prints. Raises MimdataError where the version has no such clip."""
    folder, manifest = versions.find(version)
    lineage = read_lineage(folder)
    if clip_id not in lineage:
        raise MimdataError(
            f"{manifest.version} has no clip {clip_id!r}: its clips look like {next(iter(lineage), 'nothing')}"
        )
    line = lineage[clip_id]
    shard, number, columns = _place(folder, manifest, clip_id)
    return {
        "clip_id": clip_id,
        "version": manifest.version,
        "shard": shard,
        "row": number,
        "source": line.source,
        "columns": {
            "labels": {
                "columns": _labels(columns),
                "from": f"the corpus {versions.corpus}, as it was listed",
            },
            **{
                _group(kind): _origin(versions.store, kind, key, columns) for kind, key in line.inputs.items()
            },
        },
        "pooled": _pooled(versions.store, line),
    }


def _place(folder: Folder, manifest: Manifest, clip_id: str) -> tuple[str, int, list[str]]:
    for shard in manifest.shards:
        with folder.filesystem.open(folder.path(shard["file"]), "rb") as file:
            parquet: pq.ParquetFile = opened(file)
            ids = parquet.read(columns=["clip_id"], use_threads=False).column(0).to_pylist()
            if clip_id in ids:
                return shard["file"], ids.index(clip_id), list(parquet.schema_arrow.names)
    raise MimdataError(
        f"no shard of {manifest.version} holds {clip_id}, which its lineage names: run `mimdata verify`"
    )


def _labels(columns: list[str]) -> list[str]:
    names = {field.name for field in UTTERANCE_FIELDS}
    return [name for name in columns if name in names or name.startswith("emotion_")]


def _group(kind: str) -> str:
    return kind.removeprefix(TRACKS)


def _columns_of(kind: str, columns: list[str]) -> list[str]:
    if kind == WORDS:
        names = {field.name for field in WORD_FIELDS}
        return [name for name in columns if name in names]
    modality = kind.removeprefix(TRACKS)
    tokens = {field.name for field in TOKEN_FIELDS} if modality == TEXT else set()
    return [name for name in columns if name in tokens or name.startswith(f"{modality}_")]


def _origin(store: Folder, kind: str, key: str, columns: list[str]) -> dict[str, Any]:
    return {"columns": _columns_of(kind, columns), "key": key, **_identity(store, kind, key)}


def _identity(store: Folder, kind: str, key: str) -> dict[str, Any]:
    location = Index(store, kind).find(key)
    if location is None:
        return {"from": "the store has this result no more: `mimdata extract` computes it again"}
    text = read_rows(store, kind, location.part, [location.row], ["identity"]).column(0)[0].as_py()
    identity: dict[str, Any] = json.loads(text)
    return identity


def _pooled(store: Folder, line: Line) -> dict[str, Any]:
    return {"key": line.row, **_identity(store, ROWS, line.row)}
