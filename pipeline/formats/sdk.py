"""What the CMU Multimodal SDK does with computational sequences, as plain functions with its very semantics.

A dataset is {sequence: {id: TimedFeatures}}; `dict(read_csd(path))` gives a sequence, `csd_export.sequences_of` those of a
version. Every function returns a new dataset. Ours depart from the SDK's on purpose only where docs/csd.md says so: what
loses data is called so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.csd import TimedFeatures

EPSILON = 1e-3  # seconds; the SDK's: what is shorter is no time at all

Entries = Mapping[str, TimedFeatures]
Dataset = Mapping[str, Entries]
# (n, 2) intervals and (n, …) features of the frames of one word → one vector, or (m, …) rows that are put on end
Collapse = Callable[[npt.NDArray[np.float64], npt.NDArray[Any]], npt.NDArray[Any]]


def video_of(name: str) -> str:
    """The video of an id: `v[3]` belongs to `v`."""
    return name.split("[")[0]


def align(
    dataset: Dataset, reference: str, collapse: Sequence[Collapse] = ()
) -> dict[str, dict[str, TimedFeatures]]:
    """`mmdataset.align`: for each interval i of an id of the reference, the frames of every sequence that touch it, as `id[i]`.

    Frames are cut to the interval, and those cut to nothing are left out, as are intervals of no length, and an interval
    in which a sequence has no frame is missing from that sequence alone, as is a whole id that it lacks. With `collapse` the
    frames of an interval become one. The SDK's also leaves out of all what one lacks: `align(unify(dataset), …)`. Raises MimdataError without the
    reference.
    """
    if reference not in dataset:
        raise MimdataError(f"no sequence {reference!r} to align to: there are {', '.join(dataset)}")
    whole = {name: _by_video(entries) for name, entries in dataset.items() if name != reference}
    aligned: dict[str, dict[str, TimedFeatures]] = {name: {} for name in dataset}
    for entry, frames in dataset[reference].items():
        long = np.abs(frames.intervals[:, 0] - frames.intervals[:, 1]) >= EPSILON
        for i in np.flatnonzero(long).tolist():
            own = TimedFeatures(frames.intervals[i : i + 1], frames.features[i : i + 1])
            aligned[reference][f"{entry}[{i}]"] = _collapsed(own, collapse)
        for name, videos in whole.items():
            if video_of(entry) not in videos:
                continue
            found = _inside(videos[video_of(entry)], frames.intervals, np.flatnonzero(long))
            aligned[name].update((f"{entry}[{i}]", _collapsed(part, collapse)) for i, part in found)
    return aligned


def _by_video(entries: Entries) -> dict[str, TimedFeatures]:
    """All frames of each video, in order of their starts."""
    parts: defaultdict[str, list[TimedFeatures]] = defaultdict(list)
    for name, entry in entries.items():
        parts[video_of(name)].append(entry)
    joined = {}
    for video, mine in parts.items():
        intervals = np.concatenate([part.intervals for part in mine])
        order = np.argsort(intervals[:, 0], kind="stable")
        joined[video] = TimedFeatures(
            intervals[order], np.concatenate([part.features for part in mine])[order]
        )
    return joined


def _inside(
    frames: TimedFeatures, intervals: npt.NDArray[np.float64], wanted: npt.NDArray[np.intp]
) -> Iterator[tuple[int, TimedFeatures]]:
    """The frames of each wanted interval that has any, cut to it. Frames are in order of their starts."""
    starts, ends = frames.intervals[:, 0], frames.intervals[:, 1]
    reach = np.maximum.accumulate(ends) if len(ends) else ends  # how far any frame up to here goes
    first = np.searchsorted(reach, intervals[:, 0] - EPSILON, side="right")
    last = np.searchsorted(starts, intervals[:, 1] + EPSILON, side="left")
    for i in wanted.tolist():
        near = slice(int(first[i]), int(last[i]))
        cut = np.stack(
            [np.maximum(starts[near], intervals[i, 0]), np.minimum(ends[near], intervals[i, 1])], axis=1
        )
        touch = (ends[near] - intervals[i, 0] > -EPSILON) & (intervals[i, 1] - starts[near] > -EPSILON)
        kept = touch & (np.abs(cut[:, 0] - cut[:, 1]) > EPSILON)
        if kept.any():
            yield i, TimedFeatures(cut[kept], frames.features[near][kept])


def _collapsed(frames: TimedFeatures, functions: Sequence[Collapse]) -> TimedFeatures:
    if not functions:
        return frames
    times = np.array([[frames.intervals.min(), frames.intervals.max()]])
    made = np.concatenate(
        [np.asarray(function(frames.intervals, frames.features)) for function in functions], axis=0
    )
    return TimedFeatures(times, made[None, :] if made.ndim == 1 else made)


def mean(_: npt.NDArray[np.float64], features: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The usual function to collapse with: the mean of numbers, the first of words."""
    return features[0] if features.dtype.kind in "SUO" else np.asarray(np.average(features, axis=0))


def unify(dataset: Dataset) -> dict[str, dict[str, TimedFeatures]]:
    """Keep the ids of videos that every sequence has."""
    videos = (
        set.intersection(*({video_of(name) for name in entries} for entries in dataset.values()))
        if dataset
        else set()
    )
    return {
        name: {entry: frames for entry, frames in entries.items() if video_of(entry) in videos}
        for name, entries in dataset.items()
    }


def unify_losing_ids_that_begin_alike(dataset: Dataset) -> dict[str, dict[str, TimedFeatures]]:
    """`mmdataset.unify` as it is: a video counts as there when some id of the sequence begins with its name.

    So `25522` passes where only `255226` is there, and stays in the sequences that have it, as if it were in all.
    """
    videos = {video_of(name) for entries in dataset.values() for name in entries}
    missing = {
        video
        for video in videos
        if not all(any(name.startswith(video) for name in entries) for entries in dataset.values())
    }
    return {
        name: {entry: frames for entry, frames in entries.items() if entry not in missing}
        for name, entries in dataset.items()
    }


def hard_unify(dataset: Dataset) -> dict[str, dict[str, TimedFeatures]]:
    """`mmdataset.hard_unify`: keep the ids, segments and all, that every sequence has."""
    names = set.intersection(*(set(entries) for entries in dataset.values())) if dataset else set()
    return {
        sequence: {name: frames for name, frames in entries.items() if name in names}
        for sequence, entries in dataset.items()
    }


def impute(
    dataset: Dataset, reference: str, fill: Callable[[tuple[int, ...]], npt.NDArray[Any]] = np.zeros
) -> dict[str, dict[str, TimedFeatures]]:
    """`mmdataset.impute`: where a sequence lacks an id of the reference, one frame of `fill` over the id's whole time."""
    made: dict[str, dict[str, TimedFeatures]] = {}
    for sequence, entries in dataset.items():
        width = next((frames.features.shape[1] for frames in entries.values()), 0)
        made[sequence] = dict(entries)
        for name, frames in dataset[reference].items():
            if name not in entries and sequence != reference and len(frames.intervals):
                times = np.array([[frames.intervals[:, 0].min(), frames.intervals[:, 1].max()]])
                made[sequence][name] = TimedFeatures(times, fill((1, width)).astype(np.float32))
    return made


def revert(dataset: Dataset) -> dict[str, dict[str, TimedFeatures]]:
    """`mmdataset.revert`: the segments `v[0]`, `v[1]`, … of each video put on end again, in order of their numbers."""
    made: dict[str, dict[str, TimedFeatures]] = {}
    for sequence, entries in hard_unify(dataset).items():
        parts: defaultdict[str, list[tuple[int, TimedFeatures]]] = defaultdict(list)
        for name, frames in entries.items():
            parts[video_of(name)].append((int(name.rpartition("[")[2].rstrip("]")), frames))
        made[sequence] = {
            video: TimedFeatures(
                np.concatenate([frames.intervals for _, frames in sorted(mine, key=lambda part: part[0])]),
                np.concatenate([frames.features for _, frames in sorted(mine, key=lambda part: part[0])]),
            )
            for video, mine in parts.items()
        }
    return made


def get_tensors(
    dataset: Dataset,
    seq_len: int,
    folds: Sequence[Collection[str]],
    non_sequences: Collection[str] = (),
    *,
    pad_end: bool = False,
) -> list[dict[str, npt.NDArray[Any]]]:
    """`mmdataset.get_tensors`: for each fold (a collection of videos) the ids that all sequences have, as arrays.

    (n, seq_len, d) for sequences, zeros before (or, with `pad_end`, after) what is shorter; (n, …) for `non_sequences`, as
    they are. Ids of videos in no fold are left out. Raises MimdataError where a sequence is longer, as any is that was
    aligned without `collapse`: the SDK cuts it, and so does `get_tensors_losing_frames`.
    """
    for sequence, entries in hard_unify(dataset).items():
        lengths = {} if sequence in non_sequences else {n: len(f.features) for n, f in entries.items()}
        if long := [name for name, length in lengths.items() if length > seq_len]:
            raise MimdataError(
                f"{len(long)} entries of {sequence} are longer than seq_len = {seq_len}, such as {long[0]} of {lengths[long[0]]} frames: take "
                f"{max(lengths.values())}, collapse them in `align`, or cut them with `get_tensors_losing_frames`"
            )
    return get_tensors_losing_frames(dataset, seq_len, folds, non_sequences, pad_end=pad_end)


def get_tensors_losing_frames(
    dataset: Dataset,
    seq_len: int,
    folds: Sequence[Collection[str]],
    non_sequences: Collection[str] = (),
    *,
    pad_end: bool = False,
) -> list[dict[str, npt.NDArray[Any]]]:
    """`mmdataset.get_tensors` as it is: of what is longer than `seq_len` the last frames, or with `pad_end` the first."""
    shared = hard_unify(dataset)
    names = list(next(iter(shared.values()), {}))
    tensors = []
    for fold in folds:
        mine = [name for name in names if video_of(name) in fold]
        tensors.append(
            {
                sequence: np.array(
                    [
                        entries[name].features
                        if sequence in non_sequences
                        else _padded(entries[name].features, seq_len, pad_end)
                        for name in mine
                    ]
                )
                for sequence, entries in shared.items()
            }
        )
    return tensors


def _padded(features: npt.NDArray[Any], length: int, end: bool) -> npt.NDArray[Any]:
    blank = np.zeros((length, *features.shape[1:]), features.dtype)
    return np.concatenate([features, blank])[:length] if end else np.concatenate([blank, features])[-length:]
