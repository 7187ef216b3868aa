"""Two versions compared: clips added, removed, changed and in what; features whose mean moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mimdata.pipeline.dataset.lineage import Line, read_lineage
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.records import SINGLE
from mimdata.pipeline.store.fingerprint import differences
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import opened

LABELS = ("split", "speaker", "language", "sentiment")
POOLED = "pooled row"  # same inputs, pooled in another way


@dataclass(frozen=True)
class Difference:
    """From one version to another.

    changed: what moved by clip id: labels by name, and kinds of results ("words", "tracks/audio") whose keys did.
    other_steps: modalities that another step or pooling made, each with what is different about it.
    """

    before: Manifest
    after: Manifest
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]
    other_steps: Mapping[str, str]

    @property
    def before_rows(self) -> int:
        """Utterances of the older version."""
        return self.before.rows

    def with_change(self, *names: str) -> list[str]:
        """The clips in which one of these changed."""
        return [clip_id for clip_id, what in self.changed.items() if set(what) & set(names)]

    def to_json(self) -> dict[str, Any]:
        """The document that `mimdata diff --json` prints."""
        moved = {
            modality: [shift.to_json() for shift in sorted(found, key=lambda s: -s.size)[:10]]
            for modality in self.after.modalities
            if (found := shifts(self.before, self.after, modality))
        }
        return {
            "before": self.before.version,
            "after": self.after.version,
            "equal": self.before.digest == self.after.digest,
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": {clip_id: list(what) for clip_id, what in self.changed.items()},
            "by_change": dict(Counter(name for what in self.changed.values() for name in what)),
            "other_steps": dict(self.other_steps),
            "drift": moved,
        }


def compare(before: tuple[Folder, Manifest], after: tuple[Folder, Manifest]) -> Difference:
    """Compare two versions, each given by its folder and manifest. Reads labels and lineage, no features."""
    old, new = read_lineage(before[0]), read_lineage(after[0])
    old_labels, new_labels = dict(_labels(*before)), dict(_labels(*after))
    changed = {
        clip_id: what
        for clip_id in new
        if clip_id in old
        and (what := (*_moved(old_labels[clip_id], new_labels[clip_id]), *_keys(old[clip_id], new[clip_id])))
    }
    return Difference(
        before=before[1],
        after=after[1],
        added=tuple(clip_id for clip_id in new if clip_id not in old),
        removed=tuple(clip_id for clip_id in old if clip_id not in new),
        changed=changed,
        other_steps=_other_steps(before[1], after[1]),
    )


def _labels(version: Folder, manifest: Manifest) -> Iterator[tuple[str, dict[str, Any]]]:
    for shard in manifest.shards:
        with version.filesystem.open(version.path(shard["file"]), "rb") as file:
            parquet = opened(file)
            there = parquet.schema_arrow.names
            single = [name for name in there if name in SINGLE.values()]
            emotions = [name for name in there if name.startswith("emotion_")]
            more = [*single, *emotions]
            table: pa.Table = parquet.read(columns=["clip_id", *LABELS, *more], use_threads=False)
        for row in table.to_pylist():
            found = {name: value for name in more if (value := row.pop(name)) is not None}
            kinds = {
                kind: {name: found[name] for name in names if name in found}
                for kind, names in (("emotions", emotions), ("sentiments", single))
            }
            yield row.pop("clip_id"), row | kinds


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in new if old[name] != new[name])


def _keys(old: Line, new: Line) -> tuple[str, ...]:
    kinds = sorted({*old.inputs, *new.inputs})
    moved = tuple(kind for kind in kinds if old.inputs.get(kind) != new.inputs.get(kind))
    return moved or ((POOLED,) if old.row != new.row else ())


def _other_steps(before: Manifest, after: Manifest) -> dict[str, str]:
    pooling = differences(before.content["pooling"], after.content["pooling"], "pooling")
    found = {}
    for modality, about in after.modalities.items():
        old = before.modalities.get(modality)
        moved = pooling if old else ["new"]
        moved = moved + (differences(old["step"], about["step"]) if old else [])
        if moved:
            found[modality] = "; ".join(moved[:3])
    return found


@dataclass(frozen=True)
class Shift:
    """One feature's mean over the train split's valid words; `size` in the older version's standard deviations."""

    feature: str
    before: float
    after: float
    size: float

    def to_json(self) -> dict[str, Any]:
        """One document."""
        return dict(vars(self))


def shifts(before: Manifest, after: Manifest, modality: str) -> list[Shift]:
    """How far the features of a modality moved; empty where the versions cannot be compared."""
    old, new = before.modalities.get(modality), after.modalities.get(modality)
    if old is None or new is None or old["feature_names"] != new["feature_names"]:
        return []
    found = []
    for statistic in new["statistics"]:
        name = f"{modality}_{statistic}"
        a, b = (m.content["statistics"].get(name) for m in (before, after))
        if not a or not b or not a["count"] or not b["count"]:
            continue
        values = zip(new["feature_names"], a["mean"], b["mean"], a["std"], strict=True)
        found += [Shift(f"{feature} {statistic}", x, y, _size(x, y, std)) for feature, x, y, std in values]
    return found


def _size(before: float, after: float, std: float) -> float:
    """The shift in standard deviations; of a feature that never changed any real shift is counted as infinite."""
    if abs(after - before) <= 1e-6 * max(abs(before), abs(after)):
        return 0.0
    return abs(after - before) / std if std else float("inf")
