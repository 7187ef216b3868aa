"""The books of a run: what became of every clip at every stage, and where that is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mimdata.pipeline.records import Clip
from mimdata.pipeline.run import Run
from mimdata.pipeline.store.parts import Failure
from mimdata.pipeline.store.snapshot import Entry, FailureRow, ledger_entry
from mimdata.pipeline.terminal import printable


@dataclass(frozen=True)
class StageReport:
    """One stage's account, in clips: planned = computed + cached + failed.

    seconds: of the wall clock, shared by stages that run together; busy: of all workers, for this stage alone.
    """

    stage: str
    planned: int
    computed: int
    cached: int
    failed: int
    seconds: float
    busy: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The line that `--json` prints."""
        return asdict(self) | {"seconds": round(self.seconds, 3), "busy": round(self.busy, 3)}


@dataclass(frozen=True)
class Account:
    """What became of one kind of result: keys of all clips, failures by clip id, and how many were computed."""

    kind: str
    stage: str
    keys: Mapping[str, str]
    failures: Mapping[str, Failure]
    report: StageReport


def keep_books(run: Run, accounts: Sequence[Account]) -> None:
    """Write keys, failures and ledger of these stages into the corpus's snapshot; other stages' stay."""
    _save_entries(run, accounts)
    chosen = {clip.clip_id for clip in run.listing.chosen}
    there = {clip.clip_id: clip for clip in run.listing.clips}
    stages = {account.stage for account in accounts}
    kept = [
        row
        for row in run.snapshot.failures()
        if row.stage != "corpus"
        and not (row.stage in stages and row.clip_id in chosen)
        and row.clip_id in there
    ]
    made = [
        _failure_row(run, account.stage, there[clip_id], failure)
        for account in accounts
        for clip_id, failure in account.failures.items()
    ]
    run.snapshot.save_failures([*_problem_rows(run), *kept, *made])
    ledger = run.snapshot.ledger() | {"corpus": run.listing.ledger()}
    for account in accounts:
        causes = Counter(failure.cause for failure in account.failures.values())
        out = account.report.computed + account.report.cached
        ledger[account.stage] = ledger_entry(account.report.planned, out, causes)
    run.snapshot.save_ledger(ledger)
    reports = [account.report for account in accounts if account.report.computed]
    run.snapshot.save_pace(run.snapshot.pace() | {r.stage: r.busy / r.computed for r in reports})


def _save_entries(run: Run, accounts: Sequence[Account]) -> None:
    before = run.snapshot.entries()
    entries = []
    for clip in run.listing.clips:
        keys = {a.kind: a.keys[clip.clip_id] for a in accounts if clip.clip_id in a.keys}
        old = before.get(clip.clip_id, Entry(clip))
        entries.append(replace(old, clip=clip).with_keys(keys))
    run.snapshot.save_entries(entries)


def _failure_row(run: Run, stage: str, clip: Clip, failure: Failure) -> FailureRow:
    command = "align" if stage in ("words", "rows") else "extract"
    retry = f"mimdata {command} --store {run.config.store} --corpus {run.corpus} --only '{clip.clip_id}' --retry-failed"
    return FailureRow(
        stage,
        clip.clip_id,
        clip.source,
        failure.cause,
        failure.message,
        failure.hint,
        failure.permanent,
        retry,
    )


def _problem_rows(run: Run) -> list[FailureRow]:
    retry = f"mimdata corpora check --corpus {run.config.reader or run.corpus} --root {run.root}"
    return [
        FailureRow(
            "corpus",
            printable(p.clip_id or ""),
            printable(p.source or ""),
            p.cause,
            p.message,
            p.hint,
            True,
            retry,
        )
        for p in run.listing.problems
        if p.excludes
    ]
