"""Parts: Parquet files of the store, each written whole by one task and never changed.

A row is one outcome: its key, the clip that asked for it, the identity as JSON, and either a payload (what
the step returned) or the permanent failure that stands under the same key. A part's name is a digest of its
keys and one of its bytes: two workers that compute the same part write the same file, and a damaged one is
known for it whoever reads it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from mimdata.pipeline.errors import StoreError
from mimdata.pipeline.store.fingerprint import digest
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import UnreadableError, from_bytes, opened, to_bytes

log = logging.getLogger("mimdata")

# KEYS-BYTES.parquet; parts of stores older than that have no digest of their bytes in their names.
NAMED = re.compile(r"[0-9a-f]{32}-([0-9a-f]{16})\.parquet$")
DAMAGED = "damaged"

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


class DamageError(StoreError):
    """A part that is not what its writer wrote. The job that meets it sets it aside and computes its results again."""

    def __init__(self, kind: str, part: str, reason: str) -> None:
        super().__init__(kind, part, reason)
        self.kind, self.part, self.reason = kind, part, reason

    def __str__(self) -> str:
        return f"{self.kind}/{self.part} is damaged ({self.reason}): the next `mimdata extract` or `align` that needs it computes it again"


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
    sha256 = hashlib.sha256(content).hexdigest()
    name = digest("\n".join(outcome.key for outcome in outcomes))[:32]
    part = f"{name[:2]}/{name}-{sha256[:16]}.parquet"
    store.sub(kind).write(part, content)
    return Receipt(
        kind=kind,
        part=part,
        sha256=sha256,
        keys=tuple(outcome.key for outcome in outcomes),
        failed=tuple(failure is not None for failure in failures),
    )


def scan_part(store: Folder, kind: str, part: str) -> Receipt:
    """The receipt of a part found on disk. Raises DamageError."""
    content = read_part(store, kind, part)
    try:
        table = from_bytes(content, ["key", "error_cause"])
    except UnreadableError as error:
        raise DamageError(kind, part, str(error)) from error
    return Receipt(
        kind=kind,
        part=part,
        sha256=hashlib.sha256(content).hexdigest(),
        keys=tuple(table.column("key").to_pylist()),
        failed=tuple(table.column("error_cause").is_valid().to_pylist()),
    )


def read_part(store: Folder, kind: str, part: str) -> bytes:
    """The bytes of a part, which are those that were written. Raises DamageError."""
    try:
        content = store.sub(kind).read(part)
    except OSError as error:
        raise DamageError(kind, part, error.strerror or str(error)) from error
    named = NAMED.search(part)
    if named and not hashlib.sha256(content).hexdigest().startswith(named[1]):
        raise DamageError(kind, part, "its bytes are not those that were written")
    return content


def set_aside(store: Folder, damage: DamageError) -> None:
    """Move a damaged part to `damaged/`, where nothing looks for it, and say so."""
    name = f"{damage.kind}/{damage.part}"
    store.move(name, f"{DAMAGED}/{name}")
    log.warning(
        "%s is damaged (%s): set aside in %s, its results are computed again", name, damage.reason, DAMAGED
    )


def read_rows(
    store: Folder, kind: str, part: str, rows: Sequence[int], columns: list[str] | None = None
) -> pa.Table:
    """The given rows of a part, in that order, with the outcome's own columns unless `columns` says which.

    Raises DamageError.
    """
    content = read_part(store, kind, part)
    wanted = sorted(set(rows))
    try:
        parquet = opened(pa.BufferReader(content))
        table = parquet.read_row_groups(wanted, columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:  # a part of an older store, without a digest in its name
        raise DamageError(kind, part, str(error).splitlines()[0]) from error
    position = {row: i for i, row in enumerate(wanted)}
    return table.take([position[row] for row in rows])


def failure_at(store: Folder, kind: str, location: Location) -> Failure:
    """The failure that is stored at a location."""
    columns = ["error_cause", "error_message", "error_hint"]
    row = read_rows(store, kind, location.part, [location.row], columns).to_pylist()[0]
    return Failure(row["error_cause"], row["error_message"], row["error_hint"])
