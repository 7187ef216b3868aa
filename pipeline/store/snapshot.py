"""What the store knows of a corpus: its clips and their keys, the failures table and the ledger."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mimdata.pipeline.errors import StoreError
from mimdata.pipeline.records import Clip
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import CHECKED, UnreadableError, from_bytes, to_bytes

log = logging.getLogger("mimdata")
LAST = "corpora/last"
KEYS = pa.map_(pa.string(), pa.string())
CLIPS = pa.schema(
    [
        pa.field("clip_id", pa.string()),
        pa.field("video_id", pa.string()),
        pa.field("segment", pa.int32()),
        pa.field("source", pa.string()),
        pa.field("start", pa.float64()),
        pa.field("end", pa.float64()),
        pa.field("text", pa.string()),
        pa.field("language", pa.string()),
        pa.field("split", pa.string()),
        pa.field("sentiment", pa.float64()),
        pa.field("emotions", pa.map_(pa.string(), pa.float64())),
        pa.field("sentiments", pa.map_(pa.string(), pa.float64())),
        pa.field("speaker", pa.string()),
        pa.field("keys", KEYS),
        pa.field("previous", KEYS),
    ]
)
FAILURES = pa.schema(
    [
        pa.field("stage", pa.string()),
        pa.field("clip_id", pa.string()),
        pa.field("source", pa.string()),
        pa.field("cause", pa.string()),
        pa.field("message", pa.string()),
        pa.field("hint", pa.string()),
        pa.field("permanent", pa.bool_()),
        pa.field("retry", pa.string()),
    ]
)


@dataclass(frozen=True)
class FailureRow:
    """One row of the failures table. `retry` is the command that tries this clip again."""

    stage: str
    clip_id: str
    source: str
    cause: str
    message: str
    hint: str
    permanent: bool
    retry: str


@dataclass(frozen=True)
class Entry:
    """A clip with the keys of its results by kind, and the keys that they replaced."""

    clip: Clip
    keys: Mapping[str, str] = field(default_factory=dict)
    previous: Mapping[str, str] = field(default_factory=dict)

    def with_keys(self, keys: Mapping[str, str]) -> Entry:
        """The entry after a run; a key that moved leaves the old one under `previous`."""
        moved = {kind: self.keys[kind] for kind, key in keys.items() if self.keys.get(kind, key) != key}
        return replace(self, keys={**self.keys, **keys}, previous={**self.previous, **moved})


@dataclass(frozen=True)
class Snapshot:
    """The state of one corpus in the store; written by the driver alone."""

    store: Folder
    corpus: str

    @property
    def folder(self) -> Folder:
        """Where the three files lie."""
        return self.store.sub("corpora").sub(self.corpus)

    def entries(self) -> dict[str, Entry]:
        """The clips by id, in corpus order; empty before the first run."""
        rows = self._rows("clips.parquet", CLIPS)
        return {row["clip_id"]: _entry(row) for row in rows}

    def keys(self) -> tuple[int, dict[str, pa.Array]]:
        """How many clips there are, and the keys of their results by kind, without an object a clip."""
        if not self.folder.exists("clips.parquet"):
            return 0, {}
        column = self._table("clips.parquet", CLIPS, ["keys"]).column(0).combine_chunks()
        kinds = {str(kind) for kind in column.keys.unique().to_pylist()}
        return len(column), {k: column.items.filter(pc.equal(column.keys, k)) for k in sorted(kinds)}

    def save_entries(self, entries: Iterable[Entry]) -> None:
        """Replace the list of clips."""
        self._write("clips.parquet", [_clip_row(entry) for entry in entries], CLIPS)

    def failures(self) -> list[FailureRow]:
        """The failures table: by stage, then in corpus order."""
        return [FailureRow(**row) for row in self._rows("failures.parquet", FAILURES)]

    def failed(self) -> int:
        """Rows of the failures table."""
        name = "failures.parquet"
        return len(self._table(name, FAILURES, ["stage"])) if self.folder.exists(name) else 0

    def save_failures(self, rows: Iterable[FailureRow]) -> None:
        """Replace the failures table."""
        self._write("failures.parquet", [asdict(row) for row in rows], FAILURES)

    def ledger(self) -> dict[str, Any]:
        """By stage: {"in": n, "out": n, "excluded": {reason: n}}."""
        if not self.folder.exists("ledger.json"):
            return {}
        try:
            ledger: dict[str, Any] = json.loads(self.folder.read("ledger.json"))
        except ValueError as error:
            self._damaged("ledger.json", error)
            return {}
        return ledger

    def save_ledger(self, ledger: Mapping[str, Any]) -> None:
        """Replace the ledger."""
        self.folder.write("ledger.json", (json.dumps(ledger, indent=2, ensure_ascii=False) + "\n").encode())

    def pace(self) -> dict[str, float]:
        """Worker seconds a clip by stage, of the last run that computed any; empty when nothing is known."""
        try:
            found: dict[str, float] = json.loads(self.folder.read("pace.json"))
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def save_pace(self, pace: Mapping[str, float]) -> None:
        """Remember how long clips take."""
        self.folder.write("pace.json", (json.dumps(dict(pace), indent=1) + "\n").encode())

    def last_run(self) -> dict[str, Any]:
        """The configuration of the last run; empty before the first."""
        if not self.folder.exists("run.toml"):
            return {}
        try:
            return tomllib.loads(self.folder.read("run.toml").decode())
        except ValueError as error:
            raise StoreError(
                f"{self.folder.path('run.toml')}, the configuration of the last run, is damaged ({error}): remove it, "
                "then give --root and what else the last run was told once more"
            ) from error

    def save_run(self, toml: str) -> None:
        """Remember the configuration of this run, and that this corpus was the last one."""
        self.folder.write("run.toml", toml.encode())
        self.store.write(LAST, f"{self.corpus}\n".encode())

    def _rows(self, name: str, schema: pa.Schema) -> list[dict[str, Any]]:
        if not self.folder.exists(name):
            return []
        rows: list[dict[str, Any]] = self._table(name, schema).to_pylist()
        return rows

    def _table(self, name: str, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
        """A table, empty where it is damaged: each run writes it anew."""
        try:
            return from_bytes(self.folder.read(name), columns, None if columns else schema)
        except UnreadableError as error:
            self._damaged(name, error)
            return (pa.schema([schema.field(c) for c in columns]) if columns else schema).empty_table()

    def _damaged(self, name: str, error: Exception) -> None:
        log.warning("%s cannot be read (%s): the next run writes it anew", self.folder.path(name), error)

    def _write(self, name: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
        self.folder.write(name, to_bytes(pa.Table.from_pylist(rows, schema), **CHECKED))


def last_corpus(store: Folder) -> str | None:
    """The corpus that was worked on last, None in a new store."""
    return store.read(LAST).decode(errors="replace").strip() if store.exists(LAST) else None


def corpora(store: Folder) -> list[str]:
    """The corpora that the store has seen."""
    return store.sub("corpora").folders()


def ledger_entry(total: int, out: int, excluded: Mapping[str, int]) -> dict[str, Any]:
    """One stage of the ledger. Raises ValueError when clips in and clips out do not add up."""
    if total != out + sum(excluded.values()):
        raise ValueError(f"the ledger does not add up: {total} in, {out} out, excluded {dict(excluded)}")
    return {"in": total, "out": out, "excluded": dict(sorted(excluded.items()))}


def _entry(row: dict[str, Any]) -> Entry:
    keys, previous = dict(row.pop("keys")), dict(row.pop("previous"))
    row |= {name: dict(row.get(name) or ()) for name in ("emotions", "sentiments")}
    return Entry(Clip(**row), keys, previous)


def _clip_row(entry: Entry) -> dict[str, Any]:
    clip = entry.clip
    row = {name: getattr(clip, name) for name in CLIPS.names if hasattr(clip, name)}
    row |= {"emotions": list(clip.emotions.items()), "sentiments": list(clip.sentiments.items())}
    return row | {"keys": list(entry.keys.items()), "previous": list(entry.previous.items())}
