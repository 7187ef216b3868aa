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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import MimdataError

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

    def strings(self) -> list[str]:
        """The first column as text, for sequences of words. Raises ValueError for numbers."""
        column = self.features[:, 0] if self.features.size else self.features.reshape(-1)
        if column.dtype.kind not in "SUO" and column.size:
            raise ValueError(f"features hold numbers ({column.dtype}), not words")
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
        import h5py

        with h5py.File(self.path, "r") as file:
            data = file[self.root_name]["data"]
            for name in _entry_names(data, ""):
                yield name, self._read(data[name], name)

    def ids(self) -> tuple[str, ...]:
        """All ids, without reading their features."""
        import h5py

        with h5py.File(self.path, "r") as file:
            return tuple(_entry_names(file[self.root_name]["data"], ""))

    def entry(self, name: str) -> TimedFeatures:
        """The features of one id. Raises KeyError if the sequence does not hold it."""
        import h5py

        with h5py.File(self.path, "r") as file:
            return self._read(file[self.root_name]["data"][name], name)

    def _read(self, group: Any, name: str) -> TimedFeatures:
        try:
            return TimedFeatures(group["intervals"][()].astype(np.float64), group["features"][()])
        except (KeyError, ValueError, OSError, AttributeError) as error:
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
        with h5py.File(path, "r") as file:
            roots = [name for name, item in file.items() if isinstance(item, h5py.Group) and "data" in item]
            if len(roots) != 1 or not isinstance(file[roots[0]]["data"], h5py.Group):
                raise MimdataError(
                    f"{path} is no computational sequence: expected one group with data/ and metadata/, "
                    f"found {sorted(file)}. Check that it was written by the CMU SDK, or by mimdata."
                )
            return ComputationalSequence(path, roots[0], _read_metadata(file[roots[0]]))
    except OSError as error:
        raise MimdataError(
            f"{path} is no HDF5 file, or damaged: a .csd file is HDF5 ({error}). Fetch it again."
        ) from None


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


def _entry_names(group: Any, prefix: str) -> Iterator[str]:
    """Ids of all entries: a group that holds no features is a part of an id with "/"."""
    for key in group:
        item = group[key]
        name = f"{prefix}{key}"
        if "features" in item or "intervals" in item or not hasattr(item, "keys"):
            yield name
        else:
            yield from _entry_names(item, name + "/")


def _storable(features: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if features.dtype.kind in "SUO":
        encoded = [str(item).encode() if not isinstance(item, bytes) else item for item in features.flat]
        return np.array(encoded or [b""], dtype=np.bytes_)[: len(encoded)].reshape(features.shape)
    return features.astype(np.float32)


def _read_metadata(root: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for key, item in root.get("metadata", {}).items():
        metadata[key] = _decoded(np.atleast_1d(item[()]).tolist()[0])
    if FUSED_KEY in metadata:
        metadata.setdefault("dimension names", metadata.pop(FUSED_KEY))
        metadata.pop(FUSED_KEY, None)
    return metadata


def _decoded(value: Any) -> Any:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    try:
        return json.loads(text)
    except (TypeError, ValueError):  # the SDK once wrote bare strings
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
