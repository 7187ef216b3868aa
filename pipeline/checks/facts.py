"""What the checks need to know of a version, gathered in one pass over its shards as a reader sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.statistics import matrix
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import opened

ROWS = 256  # of a shard that are in memory at once
UTTERANCE = ("clip_id", "video_id", "speaker", "split", "text", "sentiment", "start", "end", "suspect")
UNSPLIT = "unsplit"


@dataclass(frozen=True)
class ClipFacts:
    """One utterance. unplaced: words that were not found in the sound; has: modalities with a valid word."""

    clip_id: str
    video_id: str
    speaker: str | None
    split: str
    text: str
    sentiment: float | None
    start: float | None
    end: float | None
    suspect: tuple[str, ...]
    words: int
    unplaced: int
    confidence: float
    has: frozenset[str]


@dataclass
class Facts:
    """A version. valid[split][modality]: words with values; constant: columns whose valid words are all equal."""

    manifest: Manifest
    clips: list[ClipFacts] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)
    valid: dict[str, Counter[str]] = field(default_factory=dict)
    non_finite: Counter[str] = field(default_factory=Counter)  # numbers by column
    lowest: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    highest: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have clips."""
        return tuple(self.words)

    def constant(self, modality: str) -> tuple[int, int]:
        """Features of a modality that never change, and all of them, over its pooled statistics."""
        columns = [name for name in self.lowest if name.rpartition("_")[0] == modality]
        flat = sum(int((self.lowest[name] == self.highest[name]).sum()) for name in columns)
        return flat, sum(len(self.lowest[name]) for name in columns)

    def coverage(self, split: str, modality: str) -> float:
        """The share of a split's words that have values."""
        return self.valid[split][modality] / self.words[split] if self.words[split] else 0.0


def gather(version: Folder, manifest: Manifest) -> Facts:
    """Read a version. Raises OSError or pa.ArrowException where a shard cannot be read."""
    facts = Facts(manifest)
    for shard in manifest.shards:
        with version.filesystem.open(version.path(shard["file"]), "rb") as file:
            parquet = opened(file)
            for batch in parquet.iter_batches(ROWS, use_threads=False):
                _add(facts, pa.Table.from_batches([batch]), shard["split"])
    return facts


def _add(facts: Facts, table: pa.Table, split: str) -> None:
    modalities = facts.manifest.modalities
    masks = {m: _flat(table, f"{m}_valid").astype(bool) for m in modalities}
    facts.clips += _clips(table, masks)
    counts = facts.valid.setdefault(split, Counter())
    facts.words[split] += len(_flat(table, "word_confidence"))
    for modality, about in modalities.items():
        counts[modality] += int(masks[modality].sum())
        for statistic in about["statistics"]:
            name = f"{modality}_{statistic}"
            _values(facts, name, matrix(table.column(name), about["dim"])[masks[modality]])


def _values(facts: Facts, name: str, values: npt.NDArray[np.float32]) -> None:
    if not len(values):
        return
    facts.non_finite[name] += int((~np.isfinite(values)).sum())
    low, high = values.min(axis=0), values.max(axis=0)
    facts.lowest[name] = np.minimum(facts.lowest.get(name, low), low)
    facts.highest[name] = np.maximum(facts.highest.get(name, high), high)


def _clips(table: pa.Table, masks: dict[str, npt.NDArray[np.bool_]]) -> Iterator[ClipFacts]:
    """The clips of some rows; what is counted over words is counted for all of them at once."""
    edges = _edges(table)
    real = np.array(_list(table, "word_type").to_pylist(), dtype=object) == "word"
    aligned = np.array(_list(table, "word_status").to_pylist(), dtype=object) == "aligned"
    words = _sums(real, edges)
    unplaced = _sums(real & ~aligned, edges)
    confidence = _sums(_flat(table, "word_confidence") * real, edges) / np.maximum(words, 1)
    valid = {m: _sums(mask, edges) for m, mask in masks.items()}
    for i, row in enumerate(table.select(UTTERANCE).to_pylist()):
        yield ClipFacts(
            **{**row, "split": row["split"] or UNSPLIT, "suspect": tuple(row["suspect"])},
            words=int(words[i]),
            unplaced=int(unplaced[i]),
            confidence=float(confidence[i]),
            has=frozenset(m for m, n in valid.items() if n[i]),
        )


def _list(table: pa.Table, name: str) -> pa.Array:
    return table.column(name).combine_chunks().flatten()


def _flat(table: pa.Table, name: str) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = _list(table, name).to_numpy(zero_copy_only=False)
    return found


def _edges(table: pa.Table) -> npt.NDArray[np.int64]:
    """(rows + 1,) where each row's words begin and the last ones end."""
    lengths = table.column("words").combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths)])


def _sums(
    values: npt.NDArray[np.generic], edges: Sequence[int] | npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """(rows,) sums over each row's words."""
    total = np.concatenate([[0.0], np.cumsum(values.astype(np.float64))])
    sums: npt.NDArray[np.float64] = np.diff(total[edges])
    return sums
