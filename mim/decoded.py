"""A split's numbers, decoded once: flat files that every process maps into memory, beside no dataset but on this disk.

Shards are read a buffer at a time, found column by column and standardised. While the first epoch streams from them, what it
reads is also written here; later epochs, other runs and other processes copy their batches out of the mapped files.

    FOLDER/KEY/copy.json              [what it is: sizes, checksums of some row groups; the digest of that]
    FOLDER/KEY/index.arrow            clip ids, lengths, labels: one row an utterance
    FOLDER/KEY/{M}.values, {M}.valid  (W, d) float32 and (W,) bool of each modality
    FOLDER/KEY/token_ids, token_steps (K,) int32

KEY is a digest of the dataset's digest, the split, what is selected of it and its statistics. A copy appears whole, by one
rename, or not at all. FOLDER is $MIMDATA_CACHE or mimdata/decoded in the user's cache folder, and holds at most so many bytes:
the copies that were used longest ago go first. Deleting it costs one epoch's decoding, and disturbs no process that
has it mapped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mimdata.mim.blocks import Block, Selected, begins
from mimdata.mim.dataset import Dataset
from mimdata.mim.shards import Source

FORMAT = 2
ABOUT, INDEX = "copy.json", "index.arrow"
CHECKED = 8  # row groups whose checksums are compared whenever a copy is opened
ABANDONED = 86_400.0  # seconds after which a folder that nobody published is a crash's
FREE = 0.5  # of the disk's free space, that a copy may take


def key_of(dataset: Dataset, split: str, selected: Selected) -> str:
    """The name of the copy: equal only where its bytes are."""
    names = [f"{m}_{s}" for m in selected.modalities for s in dataset.pooled(m, selected.pooled)]
    about = {
        "format": FORMAT,
        "dataset": dataset.manifest.digest,
        "split": split,
        "modalities": list(selected.modalities),
        "columns": names,
        "tokens": selected.tokens,
        "statistics": {n: dataset.statistics(n) for n in names} if selected.standardise else None,
    }
    text = json.dumps(about, sort_keys=True, allow_nan=False)
    return _digest(text.encode())[:32]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def open_copy(folder: Path, key: str) -> Block | None:
    """The whole split as one block of mapped files; None where there is no sound copy. A damaged one is removed."""
    place = folder / key
    if not place.is_dir():
        return None
    try:
        about, digest = json.loads((place / ABOUT).read_text(encoding="utf-8"))
        if (
            _digest(json.dumps(about).encode()) != digest
            or _digest((place / INDEX).read_bytes()) != about["index"]
        ):
            raise ValueError("a digest differs")
        block = _mapped(place, about)
        _check(block, about)
    except (OSError, ValueError, KeyError, pa.ArrowException):
        shutil.rmtree(place, ignore_errors=True)
        return None
    with contextlib.suppress(OSError):
        os.utime(place / ABOUT)  # what was used last goes last
    return block


def _mapped(place: Path, about: Mapping[str, Any]) -> Block:
    with pa.memory_map(str(place / INDEX)) as source:
        index = pa.ipc.open_file(source).read_all().combine_chunks()
    words, pieces = int(about["words"]), int(about["pieces"])

    def numbers(name: str, kind: npt.DTypeLike, shape: tuple[int, ...]) -> Any:
        if (place / name).stat().st_size != int(np.prod(shape)) * np.dtype(kind).itemsize:
            raise ValueError(f"{name} is cut off")
        if not np.prod(shape):
            return np.zeros(shape, kind)
        return np.memmap(place / name, kind, "r", shape=shape).view(np.ndarray)

    emotions = [index.column(f"emotion_{i}").to_numpy() for i in range(about["emotions"])]
    return Block(
        clip_ids=index.column("clip_id").combine_chunks(),
        first=begins(index.column("words").to_numpy()),
        values={m: numbers(f"{m}.values", np.float32, (words, d)) for m, d in about["dims"].items()},
        valid={m: numbers(f"{m}.valid", np.bool_, (words,)) for m in about["dims"]},
        sentiment=index.column("sentiment").to_numpy(),
        emotions=np.stack(emotions, axis=1) if emotions else np.zeros((len(index), 0), np.float32),
        token_first=begins(index.column("pieces").to_numpy()),
        token_ids=numbers("token_ids", np.int32, (pieces,)),
        token_steps=numbers("token_steps", np.int32, (pieces,)),
    )


def _check(block: Block, about: Mapping[str, Any]) -> None:
    """Compare the row groups that have checksums."""
    bounds = about["groups"]
    for g, checksum in about["checksums"]:
        if _checksum(_part(block, bounds[g], bounds[g + 1])) != checksum:
            raise ValueError("a checksum differs")


def _part(block: Block, begin: int, end: int) -> Sequence[npt.NDArray[Any]]:
    words = slice(int(block.first[begin]), int(block.first[end]))
    pieces = slice(int(block.token_first[begin]), int(block.token_first[end]))
    numbers = [a[words] for m in sorted(block.values) for a in (block.values[m], block.valid[m])]
    return [*numbers, block.token_ids[pieces], block.token_steps[pieces]]


def _checksum(arrays: Sequence[npt.NDArray[Any]]) -> int:
    found = 0
    for array in arrays:
        found = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, found)
    return found


class Writer:
    """Takes the blocks of a split's row groups in any order, from any thread, and publishes the copy when all are in.

    Where the disk is full or the copy would be too large, it gives up and the training goes on without.
    """

    def __init__(self, folder: Path, key: str, source: Source, limit: int) -> None:
        self._folder, self._key, self._source, self._limit = folder, key, source, limit
        count = len(source.rows.groups)
        self._ends = np.cumsum(source.rows.words)
        self._checked = {int(g) for g in np.linspace(0, count - 1, min(CHECKED, count))}
        self._staging: Path | None = None
        self._files: dict[str, int] = {}
        self._asked: set[int] = set()
        self._index: dict[int, pa.Table] = {}
        self._sums: dict[int, int] = {}
        self._pieces: dict[int, tuple[Any, Any]] = {}
        self._lock = Lock()  # of what says whether there still is a copy to be written
        self._published: Future[bool] | None = None
        try:
            self._begin()
        except OSError:
            self._remove()

    def add(self, group: int, block: Block) -> None:
        """Write the numbers of a row group to their place, unless that was done or the copy was given up."""
        with self._lock:
            if self._staging is None or group in self._asked:
                return
            self._asked.add(group)
            files = {name: os.dup(file) for name, file in self._files.items()}
        try:
            end = int(self._ends[group])
            begin = end - int(self._source.rows.words[group])
            for m, numbers in block.values.items():
                _write(files[f"{m}.values"], numbers, begin * numbers.shape[1] * numbers.itemsize)
                _write(files[f"{m}.valid"], block.valid[m], begin)
        except OSError:
            self._remove()
            return
        finally:
            for file in files.values():
                os.close(file)
        if group in self._checked:
            self._sums[group] = _checksum(_part(block, 0, len(block)))
        self._pieces[group] = block.token_ids, block.token_steps
        self._index[group] = _index(block)  # last: this says that the group is in

    def lacking(self) -> list[int]:
        """The row groups that nobody has brought; none where there will be no copy."""
        there = range(len(self._source.rows.groups)) if self._staging else ()
        return [g for g in there if g not in self._asked]

    def finish(self) -> None:
        """Publish the copy if every row group is in, behind the caller's back: the disk may take seconds to hold it.

        A process that ends waits for it. Whatever happens, nothing half-written stays.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="mimdata-copy")
        self._published = thread.submit(self._finish)
        thread.shutdown(wait=False)

    def published(self) -> bool:
        """Wait for what `finish` began; whether the copy is there now."""
        return self._published is not None and self._published.result()

    def give_up(self) -> None:
        """Remove what was written, unless it is finished."""
        if self._published is None:
            self._remove()

    def _finish(self) -> bool:
        if self._staging is None or len(self._index) < len(self._source.rows.groups):
            self._remove()
            return False
        try:
            self._publish(self._staging)
        except OSError:  # a full disk, or another process that was first
            self._remove()
            return False
        self._staging = None
        self._pieces.clear()
        self._index.clear()
        _make_room(self._folder, self._limit, self._key)
        return True

    def _publish(self, staging: Path) -> None:
        self._close()
        rows = self._source.rows
        order = range(len(rows.groups))
        for i, name in enumerate(("token_ids", "token_steps")):
            np.concatenate([self._pieces[g][i] for g in order]).tofile(staging / name)
        index = pa.concat_tables([self._index[g] for g in order])
        with pa.OSFile(str(staging / INDEX), "wb") as sink, pa.ipc.new_file(sink, index.schema) as file:
            file.write_table(index)
        about = {
            "format": FORMAT,
            "dims": self._source.dims,
            "emotions": len(self._source.dataset.emotions),
            "words": int(self._ends[-1]),
            "pieces": sum(len(ids) for ids, _ in self._pieces.values()),
            "groups": [int(n) for n in rows.first],
            "checksums": sorted(self._sums.items()),
            "index": _digest((staging / INDEX).read_bytes()),
        }
        both = [about, _digest(json.dumps(about).encode())]
        (staging / ABOUT).write_text(json.dumps(both), encoding="utf-8")
        for written in staging.iterdir():
            _sync(written)
        staging.rename(self._folder / self._key)

    def _begin(self) -> None:
        dims, words = self._source.dims, int(self._ends[-1])
        size = words * (4 * sum(dims.values()) + len(dims))
        self._folder.mkdir(parents=True, exist_ok=True)
        if size > min(self._limit, FREE * shutil.disk_usage(self._folder).free):
            return
        self._staging = Path(tempfile.mkdtemp(prefix=f".{self._key}-", dir=self._folder))
        for m, dim in dims.items():
            for name, width in ((f"{m}.values", 4 * dim), (f"{m}.valid", 1)):
                self._files[name] = os.open(self._staging / name, os.O_WRONLY | os.O_CREAT)
                # Its length first: writing into a file that grows is several times slower.
                os.ftruncate(self._files[name], width * words)

    def _remove(self) -> None:
        with self._lock:
            self._close()
            self._pieces.clear()
            self._index.clear()
            if self._staging is not None:
                shutil.rmtree(self._staging, ignore_errors=True)
                self._staging = None

    def _close(self) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):
                os.close(file)
        self._files.clear()


def _write(file: int, numbers: npt.NDArray[Any], at: int) -> None:
    content = numbers.reshape(-1).view(np.uint8).data
    while content:
        done = os.pwrite(file, content, at)
        content, at = content[done:], at + done


def _index(block: Block) -> pa.Table:
    columns: dict[str, Any] = {
        "clip_id": block.clip_ids,
        "words": block.lengths,
        "pieces": np.diff(block.token_first),
        "sentiment": block.sentiment,
    }
    return pa.table(columns | {f"emotion_{i}": block.emotions[:, i] for i in range(block.emotions.shape[1])})


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _make_room(folder: Path, limit: int, newest: str) -> None:
    """Remove the copies that were used longest ago until the rest fits, and staging folders that a crash has left."""
    copies = []
    for place in folder.iterdir():
        if place.name.startswith(".") and time.time() - place.stat().st_mtime > ABANDONED:
            shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):
            used = (place / ABOUT).stat().st_mtime
            copies.append((used, sum(f.stat().st_size for f in place.iterdir()), place))
    total = sum(size for _, size, _ in copies)
    for _, size, place in sorted(copies):
        if total <= limit:
            break
        if place.name != newest:
            shutil.rmtree(place, ignore_errors=True)
            total -= size
