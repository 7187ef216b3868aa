"""Where each row of a version comes from: source, span, and the keys of the results that it was pooled from.

    VERSION/lineage.parquet   clip_id, source, start, end, row (key of the pooled row), inputs {kind: key}

In the order of the rows. The keys lead to the store's identities, and so to files, weights, parameters and
library versions; two versions differ in a clip exactly where its keys or labels do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from mimdata.pipeline.records import Clip
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import from_bytes, to_bytes

FILE = "lineage.parquet"
LINEAGE = pa.schema(
    [
        pa.field("clip_id", pa.string()),
        pa.field("source", pa.string()),
        pa.field("start", pa.float64()),
        pa.field("end", pa.float64()),
        pa.field("row", pa.string()),
        pa.field("inputs", pa.map_(pa.string(), pa.string())),
    ]
)


class HasLineage(Protocol):
    """A row of a version that is about to be written."""

    @property
    def clip(self) -> Clip:
        """The clip."""
        ...

    @property
    def key(self) -> str:
        """The key of its pooled row."""
        ...

    @property
    def inputs(self) -> dict[str, str]:
        """The keys of its words and tracks by kind."""
        ...


@dataclass(frozen=True)
class Line:
    """One row's origin."""

    clip_id: str
    source: str
    start: float | None
    end: float | None
    row: str
    inputs: dict[str, str]


def write_lineage(staging: Folder, rows: Sequence[HasLineage]) -> dict[str, Any]:
    """Write the file; returns what the manifest says of it."""
    lines = [
        {
            "clip_id": row.clip.clip_id,
            "source": row.clip.source,
            "start": row.clip.start,
            "end": row.clip.end,
            "row": row.key,
            "inputs": sorted(row.inputs.items()),
        }
        for row in rows
    ]
    content = to_bytes(pa.Table.from_pylist(lines, LINEAGE))
    staging.write(FILE, content)
    return {"file": FILE, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def read_lineage(version: Folder) -> dict[str, Line]:
    """The lines of a version by clip id, in the order of its rows. Raises FileNotFoundError, pa.ArrowException."""
    return {line.clip_id: line for line in _lines(from_bytes(version.read(FILE)))}


def _lines(table: pa.Table) -> Iterator[Line]:
    for values in table.to_pylist():
        yield Line(**{**values, "inputs": dict(values["inputs"])})
