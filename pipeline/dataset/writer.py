"""Writing a dataset version: rows in canonical order, shards, lineage, manifest, one rename."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from mimdata.pipeline.config import DatasetConfig
from mimdata.pipeline.dataset.card import write_card
from mimdata.pipeline.dataset.lineage import write_lineage
from mimdata.pipeline.dataset.manifest import FILE, FORMAT, Manifest, digest_of
from mimdata.pipeline.dataset.plain import shard_bytes
from mimdata.pipeline.dataset.pooling import ROWS
from mimdata.pipeline.dataset.schema import UTTERANCE_FIELDS, label_fields
from mimdata.pipeline.dataset.statistics import Labels, Moments, matrix, valid_words
from mimdata.pipeline.progress import Advance
from mimdata.pipeline.records import SINGLE, SPLITS, Clip
from mimdata.pipeline.store.fingerprint import canonical, digest
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parts import OUTCOME, Location, read_rows

UNSPLIT = "unsplit"  # the shard name of clips without a split


@dataclass(frozen=True)
class DatasetRow:
    """One utterance of a version: the clip for its labels, its row's key, where that lies and what it came from."""

    clip: Clip
    key: str
    location: Location
    inputs: dict[str, str]  # keys by kind


@dataclass(frozen=True)
class Description:
    """What a manifest says beyond its shards: steps, pooling, library versions."""

    corpus: str
    modalities: Mapping[str, Mapping[str, Any]]
    aligner: Mapping[str, Any]
    pooling: Mapping[str, Any]
    libraries: Mapping[str, str]


@dataclass
class Totals:
    """What is summed up while the shards are written, in their order."""

    moments: dict[str, Moments] = field(default_factory=dict)
    coverage: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    labels: dict[str, dict[str, Labels]] = field(default_factory=lambda: defaultdict(dict))
    schema: dict[str, str] = field(default_factory=dict)

    def add(
        self, split: str, table: pa.Table, modalities: Mapping[str, Mapping[str, Any]], labels: Sequence[str]
    ) -> None:
        """Take note of a shard; `labels` are its columns beside the sentiment."""
        self.schema |= {column.name: str(column.type) for column in table.schema}
        for name in ("sentiment", *labels):
            mine = Labels.of(table.column(name))
            before = self.labels[split].get(name)
            self.labels[split][name] = mine if before is None else before.merge(mine)
        counts = self.coverage[split]
        counts["words"] += len(table.column("words").combine_chunks().flatten())
        for modality, about in modalities.items():
            mask = valid_words(table, modality)
            counts[modality] += int(mask.sum())
            for statistic in about["statistics"] if split == "train" else ():
                name = f"{modality}_{statistic}"
                seen = Moments.of(matrix(table.column(name), about["dim"])[mask])
                self.moments[name] = self.moments[name].merge(seen) if name in self.moments else seen


def canonical_order(rows: Sequence[DatasetRow]) -> list[DatasetRow]:
    """By split (train, valid, test, none), then video, then segment, then id."""
    rank: dict[str | None, int] = {split: i for i, split in enumerate(SPLITS)}
    return sorted(
        rows,
        key=lambda row: (
            rank.get(row.clip.split, len(rank)),
            row.clip.video_id,
            row.clip.segment,
            row.clip.clip_id,
        ),
    )


def inputs_digest(rows: Sequence[DatasetRow], description: Description, config: DatasetConfig) -> str:
    """One digest for all that shapes a version, known before a byte of it is written."""
    labels = [[row.key, _utterance(row.clip)] for row in rows]
    return digest(canonical([labels, config.model_dump(mode="json"), _json(description)]))


def write_version(
    store: Folder,
    folder: Folder,
    rows: Sequence[DatasetRow],
    description: Description,
    config: DatasetConfig,
    advance: Advance,
) -> Manifest:
    """Write a version of `rows`, which are in canonical order, into `folder`. It appears whole or not at all."""
    totals, shards = Totals(), []
    emotions = sorted({name for row in rows for name in row.clip.emotions})
    labels = sorted({name for row in rows for name in _more_labels(row.clip)})
    with folder.staging() as staging:
        for split, number, chunk in _chunks(rows, config.shard_rows):
            table = _shard(store, chunk, labels)
            totals.add(split, table, description.modalities, labels)
            shards.append(_write_shard(staging, f"{split}-{number:05d}.parquet", split, table))
            advance(len(chunk))
        files = {"shards": shards, "lineage": write_lineage(staging, rows)}
        manifest = _manifest(staging, rows, files, totals, emotions, description, config)
        staging.write(FILE, manifest.to_json().encode())
        folder.publish(staging, manifest.version, FILE)
    return manifest


def _chunks(rows: Sequence[DatasetRow], size: int) -> Iterator[tuple[str, int, Sequence[DatasetRow]]]:
    by_split: dict[str, list[DatasetRow]] = {}
    for row in rows:
        by_split.setdefault(row.clip.split or UNSPLIT, []).append(row)
    for split, mine in by_split.items():
        for number, first in enumerate(range(0, len(mine), size)):
            yield split, number, mine[first : first + size]


def _shard(store: Folder, rows: Sequence[DatasetRow], labels: Sequence[str]) -> pa.Table:
    """Labels from the clips, everything else from the rows' parts."""
    by_part: defaultdict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        by_part[row.location.part].append(i)
    tables, order = [], []
    for part, mine in by_part.items():
        tables.append(read_rows(store, ROWS, part, [rows[i].location.row for i in mine]))
        order += mine
    pooled = pa.concat_tables(tables).take(np.argsort(order)).drop_columns(OUTCOME.names)
    schema = pa.schema([*UTTERANCE_FIELDS, *label_fields(labels)])
    about = pa.Table.from_pylist([_label_row(row.clip, labels) for row in rows], schema)
    whole = pa.schema([*schema, *pooled.schema])
    return pa.table([*about.columns, *pooled.columns], schema=whole).combine_chunks()


def _utterance(clip: Clip) -> dict[str, Any]:
    row = {name: getattr(clip, name) for name in (f.name for f in UTTERANCE_FIELDS)}
    more = {"sentiments": dict(clip.sentiments)} if clip.sentiments else {}
    return row | {"emotions": dict(clip.emotions)} | more


def _more_labels(clip: Clip) -> dict[str, float]:
    """The labels beside the sentiment, by the names of their columns."""
    return {f"emotion_{name}": value for name, value in clip.emotions.items()} | {
        SINGLE[modality]: value for modality, value in clip.sentiments.items()
    }


def _label_row(clip: Clip, labels: Sequence[str]) -> dict[str, Any]:
    found = _more_labels(clip)
    row = {name: getattr(clip, name) for name in (f.name for f in UTTERANCE_FIELDS)}
    return row | {name: found.get(name) for name in labels}


def _write_shard(staging: Folder, name: str, split: str, table: pa.Table) -> dict[str, Any]:
    content = shard_bytes(table)
    staging.write(name, content)
    return {
        "file": name,
        "split": split,
        "rows": table.num_rows,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _manifest(
    staging: Folder,
    rows: Sequence[DatasetRow],
    files: Mapping[str, Any],
    totals: Totals,
    emotions: Sequence[str],
    description: Description,
    config: DatasetConfig,
) -> Manifest:
    content: dict[str, Any] = {
        "format": FORMAT,
        **_json(description),
        "rows": len(rows),
        "splits": dict(Counter(row.clip.split or UNSPLIT for row in rows)),
        **files,
        "emotions": list(emotions),
        "statistics": {name: moments.to_json() for name, moments in totals.moments.items()},
        "coverage": {split: dict(counts) for split, counts in totals.coverage.items()},
        "labels": {
            split: {name: labels.to_json() for name, labels in found.items() if labels.count}
            for split, found in totals.labels.items()
        },
        "schema": totals.schema,
        "config": config.model_dump(mode="json"),
        "inputs": inputs_digest(rows, description, config),
    }
    content["card"] = write_card(staging, content)
    sha256 = digest_of(content)
    now = datetime.now(UTC)
    name = f"{now:%Y%m%d}-{sha256[:12]}"
    return Manifest(
        {"version": name, "digest": sha256, "created": now.isoformat(timespec="seconds"), **content}
    )


def _json(description: Description) -> dict[str, Any]:
    return {
        "corpus": description.corpus,
        "modalities": {name: dict(about) for name, about in description.modalities.items()},
        "aligner": dict(description.aligner),
        "pooling": dict(description.pooling),
        "libraries": dict(description.libraries),
    }
