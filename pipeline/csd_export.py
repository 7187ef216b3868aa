"""A dataset version as computational sequences that the CMU Multimodal SDK opens, aligns and turns into tensors.

    FOLDER/words.csd              a word an entry
    FOLDER/labels.csd             a segment an entry: sentiment, those of single modalities, then the emotions by name
    FOLDER/MODALITY.csd           a word an entry: the modality's pooled values, its statistics side by side

Entries are videos, and times are those of the video, as published sequences have it; where an utterance is a file of its
own, it is an entry of its own. Words that have no values in a modality have no entry in it, as the SDK knows no masks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.statistics import matrix
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.csd import TimedFeatures, write_csd
from mimdata.pipeline.records import SINGLE
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import opened

LABELS, WORDS = "labels", "words"


@dataclass(frozen=True)
class Exported:
    """The files that were written; how many words have no place in time, and so are in none of them."""

    files: tuple[Path, ...]
    words_without_times: int


def export_csd(version: Folder, manifest: Manifest, folder: Path) -> Exported:
    """Write the sequences of a version.

    Raises MimdataError for a modality of a name in use, and for a version whose words have no times.
    """
    taken = {LABELS, WORDS} & set(manifest.modalities)
    if taken:
        raise MimdataError(
            f"the modality {taken.pop()!r} would overwrite a sequence of the same name: export cannot tell them apart"
        )
    words, timed = _words(version, manifest)
    if words and not timed:
        raise MimdataError(
            f"no word of {manifest.content['corpus']} {manifest.version} has a time, and a computational sequence is features in "
            "time: pickles carry none. Export it as a pickle, or align its recordings"
        )
    folder.mkdir(parents=True, exist_ok=True)
    places = _places(version, manifest)
    about = {
        "dataset name": str(manifest.content["corpus"]),
        "dataset version": manifest.version,
        "creator": "mimdata",
        "alignment compatible": True,
    }
    made = []
    for name in (WORDS, LABELS, *manifest.modalities):
        path = folder / f"{name}.csd"
        described = {
            **about,
            "dimension names": _dimensions(manifest, name),
            "computational sequence description": name,
        }
        write_csd(path, name, _entries(version, manifest, name, places), described)
        made.append(path)
    return Exported(tuple(made), words - timed)


def sequences_of(version: Folder, manifest: Manifest) -> dict[str, dict[str, TimedFeatures]]:
    """The same sequences in memory, {sequence: {id: TimedFeatures}}, as `formats.sdk` takes them."""
    places = _places(version, manifest)
    names = (WORDS, LABELS, *manifest.modalities)
    return {name: dict(_entries(version, manifest, name, places)) for name in names}


def _labels(manifest: Manifest) -> list[str]:
    """The columns of labels."""
    single = sorted(name for name in manifest.content["schema"] if name in SINGLE.values())
    return ["sentiment", *single, *(f"emotion_{name}" for name in manifest.content["emotions"])]


def _words(version: Folder, manifest: Manifest) -> tuple[int, int]:
    """Words of all utterances, and those that have a time."""
    words = timed = 0
    for shard in manifest.shards:
        table = _read(version, shard["file"], ["word_start", "word_end", "word_type"])
        is_word = _list(table, "word_type") == "word"
        words += int(is_word.sum())
        timed += int((is_word & np.isfinite(_times(table)).all(axis=1)).sum())
    return words, timed


def _times(row: pa.Table) -> npt.NDArray[np.float64]:
    """(w, 2) where each word begins and ends, in seconds from its utterance's start; NaN where that is not known."""
    return np.stack([_list(row, "word_start"), _list(row, "word_end")], axis=1).astype(np.float64)


def _places(version: Folder, manifest: Manifest) -> dict[str, list[tuple[str, int]]]:
    """The rows of each entry, (shard, row) in order of time, so that one entry is in memory at a time."""
    found: defaultdict[str, list[tuple[str, int, float | None, str]]] = defaultdict(list)
    for shard in manifest.shards:
        table = _read(version, shard["file"], ["clip_id", "video_id", "start"])
        for i, row in enumerate(table.to_pylist()):
            found[row["video_id"]].append((shard["file"], i, row["start"], row["clip_id"]))
    entries: dict[str, list[tuple[str, int]]] = {}
    for video, rows in found.items():
        if len(rows) > 1 and any(start is None for *_, start, _ in rows):
            entries |= {clip_id: [(file, i)] for file, i, _, clip_id in rows}
        else:
            ordered = sorted(rows, key=lambda row: (row[2] or 0.0, row[3]))
            entries[video] = [(file, i) for file, i, *_ in ordered]
    return entries


def _read(version: Folder, file: str, columns: list[str]) -> pa.Table:
    with version.filesystem.open(version.path(file), "rb") as source:
        return opened(source).read(columns=columns, use_threads=False)


def _dimensions(manifest: Manifest, name: str) -> list[str]:
    if name == WORDS:
        return ["word"]
    if name == LABELS:
        return [name.removeprefix("emotion_") for name in _labels(manifest)]
    about = manifest.modalities[name]
    several = len(about["statistics"]) > 1
    return [
        f"{feature} {statistic}" if several else feature
        for statistic in about["statistics"]
        for feature in about["feature_names"]
    ]


def _entries(
    version: Folder, manifest: Manifest, name: str, places: Mapping[str, Sequence[tuple[str, int]]]
) -> Iterator[tuple[str, TimedFeatures]]:
    columns = _columns(manifest, name)
    held: dict[str, pa.Table] = {}
    for entry, rows in places.items():  # in the order of the shards, each of which is read once or so
        parts = []
        for file, i in rows:
            if file not in held:
                held = {file: _read(version, file, columns)}  # shards are read in turn: one is in memory
            parts.append(_part(held[file].slice(i, 1), manifest, name))
        intervals = np.concatenate([times for times, _ in parts])
        features = np.concatenate([values for _, values in parts])
        if len(features):
            yield entry, TimedFeatures(intervals, features)


def _columns(manifest: Manifest, name: str) -> list[str]:
    if name == LABELS:
        return ["start", "end", "word_end", *_labels(manifest)]
    times = ["start", "word_start", "word_end", "word_type"]
    if name == WORDS:
        return [*times, "words"]
    return [*times, f"{name}_valid", *(f"{name}_{s}" for s in manifest.modalities[name]["statistics"])]


def _part(row: pa.Table, manifest: Manifest, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
    """What one utterance gives to a sequence: intervals (n, 2) in the video's seconds, features (n, d)."""
    start = row.column("start")[0].as_py() or 0.0
    if name == LABELS:
        return _label(row, manifest, start)
    times = _times(row) + start
    known = np.isfinite(times).all(axis=1) & (_list(row, "word_type") == "word")
    if name == WORDS:
        words = np.array([word.encode() for word in row.column("words")[0].as_py()], dtype=object)
        return times[known], words[known].reshape(-1, 1)
    about = manifest.modalities[name]
    values = np.concatenate(
        [matrix(row.column(f"{name}_{s}"), about["dim"]) for s in about["statistics"]], axis=1
    )
    there = known & _list(row, f"{name}_valid").astype(bool)
    return times[there], values[there]


def _list(row: pa.Table, name: str) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = row.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return found


def _label(
    row: pa.Table, manifest: Manifest, start: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
    """The utterance's interval and its labels; an emotion that nobody gave is NaN, as the SDK has no other word for it."""
    values = row.to_pylist()[0]
    numbers = [values[name] for name in _labels(manifest)]
    if all(number is None for number in numbers):
        return np.zeros((0, 2)), np.zeros((0, len(numbers)), np.float32)
    end = (
        values["end"]
        if values["end"] is not None
        else start + max([t for t in values["word_end"] if t], default=0.0)
    )
    features = np.array([[np.nan if n is None else n for n in numbers]], np.float32)
    return np.array([[start, end]], np.float64), features
