"""What a rebuild would compute, and why, and how long that may take: `mimdata rebuild --plan`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mimdata.pipeline.dataset.pooling import ROWS, TRACKS, WORDS, row_identity
from mimdata.pipeline.plan import Planned, plan
from mimdata.pipeline.run import Run
from mimdata.pipeline.steps import Step
from mimdata.pipeline.store.fingerprint import canonical, differences, digest
from mimdata.pipeline.store.index import Index
from mimdata.pipeline.store.parts import read_rows
from mimdata.pipeline.store.snapshot import Entry
from mimdata.pipeline.work import Want

NEW, LOST = "new clip", "the store lost it"
DATA = (
    "text",
    "source",
    "start",
    "end",
    "words",
    "sidecar",
    "language",
)  # what a corpus changes, clip by clip


@dataclass(frozen=True)
class Forecast:
    """One stage: clips planned, those in the store, those that cannot be computed, and why the others must be.

    `seconds` is what the computing may take by this corpus's past runs; None where there were none.
    """

    stage: str
    planned: int
    cached: int
    failed: int
    reasons: Mapping[str, int]
    seconds: float | None

    @property
    def computed(self) -> int:
        """Clips to compute."""
        return sum(self.reasons.values())

    def to_json(self) -> dict[str, Any]:
        """The line that `--plan --json` prints."""
        return asdict(self) | {"computed": self.computed}


def forecast(run: Run) -> list[Forecast]:
    """Plan every stage of a rebuild. Reads and computes nothing that the store knows, and writes nothing at all."""
    steps: dict[str, Step] = {TRACKS + name: step for name, step in run.config.build_extractors().items()}
    steps[WORDS] = run.config.build_aligner()
    planned = plan(run.listing.chosen, run.media_root, steps, run.sources)
    entries, pace = run.snapshot.entries(), run.snapshot.pace()
    workers = run.workers.expected
    made = [_stage(run, kind, planned, entries, pace, workers) for kind in steps]
    return [*made, _rows(run, planned, entries, [WORDS, *(k for k in steps if k != WORDS)], pace, workers)]


def _stage(
    run: Run,
    kind: str,
    planned: Sequence[Planned],
    entries: Mapping[str, Entry],
    pace: Mapping[str, float],
    workers: int,
) -> Forecast:
    index = Index(run.store, kind)
    reasons: Counter[str] = Counter()
    cached = failed = 0
    for item in planned:
        want = item.wants[kind]
        if not isinstance(want, Want):
            failed += 1
        elif (location := index.find(want.key)) is None:
            reasons[_reason(run, index, entries.get(item.clip.clip_id), kind, want)] += 1
        elif location.failed:
            failed += 1
        else:
            cached += 1
    stage = kind.removeprefix(TRACKS)
    return Forecast(
        stage, len(planned), cached, failed, dict(reasons), _seconds(reasons, pace.get(stage), workers)
    )


def _rows(
    run: Run,
    planned: Sequence[Planned],
    entries: Mapping[str, Entry],
    kinds: Sequence[str],
    pace: Mapping[str, float],
    workers: int,
) -> Forecast:
    """Rows follow from keys, so they are known before a track is."""
    index = Index(run.store, ROWS)
    reasons: Counter[str] = Counter()
    cached = failed = 0
    for item in planned:
        keys = item.keys()
        if len(keys) < len(kinds):
            failed += 1
            continue
        key = digest(canonical(row_identity({kind: keys[kind] for kind in kinds}, run.config.pooling)))
        entry = entries.get(item.clip.clip_id)
        if index.find(key) is not None:
            cached += 1
        elif entry is None or ROWS not in entry.keys:
            reasons[NEW] += 1
        else:
            moved = [kind.removeprefix(TRACKS) for kind in kinds if entry.keys.get(kind) != keys[kind]]
            reasons[f"other {', '.join(moved)}" if moved else "other pooling"] += 1
    return Forecast(
        ROWS, len(planned), cached, failed, dict(reasons), _seconds(reasons, pace.get(ROWS), workers)
    )


def _reason(run: Run, index: Index, entry: Entry | None, kind: str, want: Want) -> str:
    old = entry.keys.get(kind) if entry else None
    if old is None:
        return NEW
    if old == want.key:
        return LOST
    location = index.find(old)
    if location is None:
        return "changed"
    stored = read_rows(run.store, kind, location.part, [location.row], ["identity"]).column(0)[0].as_py()
    lines = differences(json.loads(stored), json.loads(want.identity))
    return "; ".join(dict.fromkeys(_grouped(lines)))


def _grouped(lines: Sequence[str]) -> Iterator[str]:
    """Changes of a clip's own data by their name alone, so that clips group; those of a step whole."""
    for line in lines:
        name = line.partition(":")[0].partition(".")[0]
        yield f"other {name}" if name in DATA else line


def _seconds(reasons: Counter[str], pace: float | None, workers: int) -> float | None:
    todo = sum(reasons.values())
    if not todo:
        return 0.0
    return None if pace is None else todo * pace / workers
