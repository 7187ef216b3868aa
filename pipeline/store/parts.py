"""Parts: Parquet files of the store, each written whole by one task and never changed.

A row is one outcome: its key, the clip that asked for it, the identity as JSON, and either a payload (what
the step returned) or the permanent failure that stands under the same key. A part's name is a digest of its
keys, so that two workers that compute the same part write the same file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from mimdata.pipeline.store.fingerprint import digest
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import from_bytes, opened, to_bytes

OUTCOME = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("clip_id", pa.string()),
        pa.field("identity", pa.string()),
        pa.field("error_cause", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("error_hint", pa.string()),
    ]
)


@dataclass(frozen=True)
class Failure:
    """Why a step has no result for a clip; see ClipError for the fields."""

    cause: str
    message: str
    hint: str = ""
    permanent: bool = True


@dataclass(frozen=True)
class Outcome:
    """What became of one key. `identity` is the JSON whose digest the key is."""

    key: str
    clip_id: str
    identity: str
    failure: Failure | None = None


@dataclass(frozen=True)
class Receipt:
    """A part that was written: what the index needs to know of it."""

    kind: str
    part: str
    sha256: str
    keys: tuple[str, ...]
    failed: tuple[bool, ...]


@dataclass(frozen=True)
class Location:
    """Where an outcome lies."""

    part: str
    row: int
    failed: bool


def write_part(store: Folder, kind: str, outcomes: Sequence[Outcome], payload: pa.Table) -> Receipt:
    """Write one part: row i of `payload` belongs to outcome i and is null where that failed."""
    failures = [outcome.failure for outcome in outcomes]
    columns = [
        pa.array([outcome.key for outcome in outcomes], pa.string()),
        pa.array([outcome.clip_id for outcome in outcomes], pa.string()),
        pa.array([outcome.identity for outcome in outcomes], pa.string()),
        pa.array([failure and failure.cause for failure in failures], pa.string()),
        pa.array([failure and failure.message for failure in failures], pa.string()),
        pa.array([failure and failure.hint for failure in failures], pa.string()),
    ]
    table = pa.table(columns, schema=OUTCOME)
    for name in payload.column_names:
        table = table.append_column(payload.schema.field(name), payload.column(name))
    # A row group a clip: one clip is read without its neighbours.
    content = to_bytes(table, use_dictionary=False, row_group_size=1)
    name = digest("\n".join(outcome.key for outcome in outcomes))[:32]
    part = f"{name[:2]}/{name}.parquet"
    store.sub(kind).write(part, content)
    return Receipt(
        kind=kind,
        part=part,
        sha256=hashlib.sha256(content).hexdigest(),
        keys=tuple(outcome.key for outcome in outcomes),
        failed=tuple(failure is not None for failure in failures),
    )


def scan_part(store: Folder, kind: str, part: str) -> Receipt:
    """The receipt of a part found on disk. Raises pa.ArrowException or OSError for a damaged one."""
    content = store.sub(kind).read(part)
    table = from_bytes(content, ["key", "error_cause"])
    return Receipt(
        kind=kind,
        part=part,
        sha256=hashlib.sha256(content).hexdigest(),
        keys=tuple(table.column("key").to_pylist()),
        failed=tuple(table.column("error_cause").is_valid().to_pylist()),
    )


def read_rows(
    store: Folder, kind: str, part: str, rows: Sequence[int], columns: list[str] | None = None
) -> pa.Table:
    """The given rows of a part, in that order, with the outcome's own columns unless `columns` says which."""
    folder = store.sub(kind)
    with folder.filesystem.open(folder.path(part), "rb") as file:
        parquet = opened(file)
        wanted = sorted(set(rows))
        table = parquet.read_row_groups(wanted, columns=columns, use_threads=False)
    position = {row: i for i, row in enumerate(wanted)}
    return table.take([position[row] for row in rows])


def failure_at(store: Folder, kind: str, location: Location) -> Failure:
    """The failure that is stored at a location."""
    columns = ["error_cause", "error_message", "error_hint"]
    row = read_rows(store, kind, location.part, [location.row], columns).to_pylist()[0]
    return Failure(row["error_cause"], row["error_message"], row["error_hint"])
