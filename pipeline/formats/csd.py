"""CMU computational sequences (.csd): HDF5 files of timed features by video, read and written as a stream.

    <root>/data/<id>/{features (n, d) float32, or (n, 1) bytes for words; intervals (n, 2) float64, seconds}
    <root>/metadata/<key>   each a (1,) string that holds JSON

Layout from the CMU Multimodal SDK. Its template of metadata keys lacks a comma, so that files exist with one key
"dimension namescomputational sequence version"; it is read as "dimension names", and written beside the right
ones, because the SDK asks for it on the terminal where it is missing. An id with "/" becomes nested groups.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import MimdataError

LARGEST = 2**30  # bytes of one dataset: 713 OpenFace columns at 30/s over three hours
DEFLATE, SLACK = 1040, 2**20  # deflate packs 1032 to 1; below a MiB a file may claim what it likes
FUSED_KEY = "dimension namescomputational sequence version"
METADATA_KEYS = (
    "root name",
    "computational sequence description",
    "dimension names",
    "computational sequence version",
    "alignment compatible",
    "dataset name",
    "dataset version",
    "creator",
    "contact",
    "featureset bib citation",
    "dataset bib citation",
    "uuid",
    "md5",
)


@dataclass(frozen=True)
class TimedFeatures:
    """What a sequence holds for one id: intervals (n, 2) float64 in seconds, features (n, d) float32 or bytes."""

    intervals: npt.NDArray[np.float64]
    features: npt.NDArray[Any]

    def __post_init__(self) -> None:
        n = len(self.features)
        if self.features.ndim != 2 or self.intervals.shape != (n, 2):
            raise ValueError(
                f"features must be (n, d) and intervals (n, 2), not {self.features.shape} and {self.intervals.shape}"
            )

    def numbers(self, where: str) -> npt.NDArray[np.float64]:
        """(n, d) the features as numbers. Raises MimdataError that names `where` for words."""
        if self.features.dtype.kind not in "fiu":
            raise MimdataError(
                f"{where}: expected numbers, found {self.features.dtype}. Fetch the file again."
            )
        return self.features.astype(np.float64)

    def strings(self) -> list[str]:
        """The first column as text, for sequences of words. Raises ValueError for numbers."""
        if self.features.size == 0 and len(self.features) == 0:
            return []
        if self.features.dtype.kind not in "SUO" or not self.features.shape[1]:
            raise ValueError(
                f"features hold {self.features.shape[1]} columns of {self.features.dtype}, not words"
            )
        column = self.features[:, 0]
        return [
            item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
            for item in column.tolist()
        ]


@dataclass(frozen=True)
class ComputationalSequence:
    """A sequence on disk. Iterating opens the file and reads one id at a time, in the order of the file."""

    path: Path
    root_name: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[str, TimedFeatures]]:
        """(id, its features) of each id. Raises MimdataError where an entry is damaged."""
        with _opened(self.path) as file:
            data = self._data(file)
            for name in _entry_names(data):
                yield name, self._read(data, name)

    def ids(self) -> tuple[str, ...]:
        """All ids, without reading their features."""
        with _opened(self.path) as file:
            return tuple(_entry_names(self._data(file)))

    def entry(self, name: str) -> TimedFeatures:
        """The features of one id. Raises KeyError if the sequence does not hold it."""
        with _opened(self.path) as file:
            data = self._data(file)
            if name in data:
                return self._read(data, name)
        raise KeyError(name)

    def _data(self, file: Any) -> Any:
        return _child(_child(file, self.root_name), "data")

    def _read(self, data: Any, name: str) -> TimedFeatures:
        try:
            group = data
            for part in name.split("/"):
                group = _child(group, part)
            return TimedFeatures(_array(group, "intervals").astype(np.float64), _array(group, "features"))
        except Exception as error:  # noqa: BLE001  # damage shows as whatever HDF5 stumbles over
            raise MimdataError(
                f'damaged entry "{name}" in {self.path}: expected features (n, d) and intervals (n, 2); {error}. '
                "Fetch the file again."
            ) from None


def read_csd(path: Path) -> ComputationalSequence:
    """Open a .csd file and read its metadata; the data stay on disk until they are asked for.

    Raises MimdataError for a file that is absent, no HDF5, or HDF5 of another layout.
    """
    import h5py

    if not path.is_file():
        raise MimdataError(f"no computational sequence at {path}: give the path of a .csd file.")
    try:
        with h5py.File(path, "r"):
            pass
    except Exception as error:  # noqa: BLE001
        raise MimdataError(
            f"{path} is no HDF5 file, or damaged: a .csd file is HDF5 ({error}). Fetch it again."
        ) from None
    with _opened(path) as file:
        groups = [name for name in file if isinstance(_child(file, name), h5py.Group)]
        roots = [name for name in groups if "data" in file[name]]
        if len(roots) != 1 or not isinstance(_child(file[roots[0]], "data"), h5py.Group):
            raise MimdataError(
                f"{path} is no computational sequence: expected one group with data/ and metadata/, "
                f"found {sorted(file)}. Check that it was written by the CMU SDK, or by mimdata."
            )
        return ComputationalSequence(path, roots[0], _read_metadata(file[roots[0]]))


def dimension_names(sequence: ComputationalSequence) -> tuple[str, ...]:
    """The names of its columns as the metadata have them: a list, or a list of one list; () where there is nothing of use."""
    said = sequence.metadata.get("dimension names")
    if isinstance(said, Sequence) and not isinstance(said, str | bytes):
        inner = said[0] if len(said) == 1 and isinstance(said[0], list) else said
        return tuple(str(name) for name in inner)
    return ()


def write_csd(
    path: Path,
    root_name: str,
    entries: Iterable[tuple[str, TimedFeatures]],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write `entries` one by one, and all metadata keys; the file appears whole or not at all.

    Numbers become float32, words bytes. The uuid is made from root name, description and version unless it is
    given, so that equal content gives equal files. Raises MimdataError for an id that occurs twice.
    """
    import h5py

    partial = path.with_name(path.name + ".partial")
    try:
        with h5py.File(partial, "w") as file:
            root = file.create_group(root_name)
            data = root.create_group("data")
            for name, entry in entries:
                if name in data:
                    raise MimdataError(f'two entries of the id "{name}" for {path}: ids must be unique.')
                group = data.create_group(name)
                group.create_dataset("features", data=_storable(entry.features))
                group.create_dataset("intervals", data=entry.intervals.astype(np.float64))
            _write_metadata(root.create_group("metadata"), _complete(root_name, metadata or {}))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The HDF5 file. Whatever HDF5 stumbles over in it becomes a MimdataError."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except MimdataError:
        raise
    except Exception as error:  # OSError, RuntimeError, KeyError, ValueError …: as the damage has it
        raise MimdataError(f"{path} is damaged ({error}). Fetch it again.") from error


def _child(group: Any, name: str) -> Any:
    """A member of a group. Raises ValueError for a link: it may lead into another file, or round in a circle."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is a link, expected data of the file itself")
    return group[name]


def _array(group: Any, name: str) -> npt.NDArray[Any]:
    """A whole dataset. Raises ValueError for one that lies in another file, or claims far more than it holds."""
    dataset = _child(group, name)
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{name} lie in another file")
    claimed, held = dataset.nbytes, min(dataset.id.get_storage_size(), dataset.file.id.get_filesize())
    if claimed > LARGEST or claimed > SLACK + DEFLATE * held:
        raise ValueError(f"{name} claim {claimed:,} bytes and hold {held:,}")
    found = dataset[()]
    if not isinstance(found, np.ndarray):
        raise ValueError(f"{name} are no array")
    return found


def _entry_names(group: Any, prefix: str = "", seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """Ids of all entries: a group that holds no features is a part of an id with "/"."""
    import h5py

    here = h5py.h5o.get_info(group.id).addr
    if here in seen:
        raise ValueError(f"the group {prefix!r} holds itself")
    for key in group:
        item = _child(group, key)
        name = f"{prefix}{key}"
        if not isinstance(item, h5py.Group) or "features" in item or "intervals" in item:
            yield name
        else:
            yield from _entry_names(item, name + "/", seen | {here})


def _storable(features: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if features.dtype.kind in "SUO":
        encoded = [str(item).encode() if not isinstance(item, bytes) else item for item in features.flat]
        return np.array(encoded or [b""], dtype=np.bytes_)[: len(encoded)].reshape(features.shape)
    return features.astype(np.float32)


def _read_metadata(root: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    group = _child(root, "metadata") if "metadata" in root else {}
    for key in group:
        metadata[key] = _decoded(_array(group, key).tolist()[0])
    if FUSED_KEY in metadata:
        metadata.setdefault("dimension names", metadata.pop(FUSED_KEY))
        metadata.pop(FUSED_KEY, None)
    return metadata


def _decoded(value: Any) -> Any:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):  # the SDK once wrote bare strings
        return text


def _complete(root_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {key: given.get(key, "") for key in METADATA_KEYS}
    metadata |= {**given, "root name": root_name}
    metadata["alignment compatible"] = given.get("alignment compatible", True)
    metadata["dimension names"] = given.get("dimension names", [])
    described = [root_name, *(metadata[key] for key in METADATA_KEYS[1:4])]
    metadata["uuid"] = given.get("uuid") or str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(described)))
    metadata["md5"] = given.get("md5")  # the SDK fills it on download; a file cannot hold its own
    metadata[FUSED_KEY] = metadata["dimension names"]
    return metadata


def _write_metadata(group: Any, metadata: Mapping[str, Any]) -> None:
    import h5py

    for key, value in metadata.items():
        group.create_dataset(key, data=np.array([json.dumps(value)], dtype=object), dtype=h5py.string_dtype())
