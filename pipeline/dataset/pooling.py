"""The task that pools: reads words and tracks of some clips from the store, writes their aligned rows."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from mimdata.pipeline.config import PoolingConfig
from mimdata.pipeline.dataset.rows import VERSION, row
from mimdata.pipeline.records import Words
from mimdata.pipeline.store.codec import Result, decode
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parts import Location, Outcome, read_rows, write_part
from mimdata.pipeline.work import TaskResult, Want

ROWS = "rows"
WORDS = "words"
TRACKS = "tracks/"  # followed by the modality


@dataclass(frozen=True)
class RowWork:
    """One clip's row: what it is stored under and where its inputs lie, by kind."""

    clip_id: str
    want: Want
    inputs: Mapping[str, Location]


@dataclass(frozen=True)
class RowsTask:
    """Some clips to pool in one go."""

    store: Folder
    rows: tuple[RowWork, ...]
    pooling: PoolingConfig

    def __len__(self) -> int:
        return len(self.rows)

    def split(self) -> list[RowsTask]:
        """One task a clip."""
        return [replace(self, rows=(row,)) for row in self.rows]

    def wanted(self) -> list[tuple[str, str]]:
        """Kind and key of each row."""
        return [(ROWS, work.want.key) for work in self.rows]


def row_identity(inputs: Mapping[str, str], pooling: PoolingConfig) -> dict[str, object]:
    """What shapes a row: the keys of its inputs by kind, and how they are pooled."""
    return {
        "step": {"step": "pool", "version": VERSION, "parameters": pooling.model_dump(mode="json")},
        "inputs": dict(inputs),
    }


def run_rows_task(task: RowsTask) -> TaskResult:
    """Pool each clip of a task and write the rows as one part."""
    began = time.perf_counter()
    results = _inputs(task)
    outcomes, tables = [], []
    for work in task.rows:
        mine = {kind: results[kind, at] for kind, at in work.inputs.items()}
        words = mine.pop(WORDS)
        assert isinstance(words, Words)
        tracks = {kind.removeprefix(TRACKS): track for kind, track in mine.items()}
        tables.append(row(words, tracks, task.pooling))  # type: ignore[arg-type]
        outcomes.append(Outcome(work.want.key, work.clip_id, work.want.identity))
    receipt = write_part(task.store, ROWS, outcomes, pa.concat_tables(tables))
    return TaskResult((receipt,), seconds={ROWS: time.perf_counter() - began})


def _inputs(task: RowsTask) -> dict[tuple[str, Location], Result]:
    """All inputs of a task, each part opened once."""
    by_part: defaultdict[tuple[str, str], set[Location]] = defaultdict(set)
    for work in task.rows:
        for kind, location in work.inputs.items():
            by_part[kind, location.part].add(location)
    found: dict[tuple[str, Location], Result] = {}
    for (kind, part), wanted in by_part.items():
        for location, result in _read(task.store, kind, part, wanted):
            found[kind, location] = result
    return found


def _read(store: Folder, kind: str, part: str, wanted: Iterable[Location]) -> list[tuple[Location, Result]]:
    locations = sorted(wanted, key=lambda location: location.row)
    table = read_rows(store, kind, part, [location.row for location in locations])
    return list(zip(locations, decode(table), strict=True))
