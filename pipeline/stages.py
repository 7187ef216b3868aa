"""The stages of a run: each plans, computes what the store lacks, and accounts for every clip."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mimdata.pipeline.books import Account, StageReport
from mimdata.pipeline.dataset.pooling import ROWS, RowsTask, RowWork, row_identity, run_rows_task
from mimdata.pipeline.errors import StoreError
from mimdata.pipeline.plan import CLIPS_PER_TASK, Planned, missing, plan, tasks
from mimdata.pipeline.progress import progress
from mimdata.pipeline.records import Clip
from mimdata.pipeline.run import Run
from mimdata.pipeline.steps import Step
from mimdata.pipeline.store.fingerprint import canonical, digest
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.index import Index
from mimdata.pipeline.store.parts import Failure, Location, failure_at
from mimdata.pipeline.work import Limits, Task, TaskResult, Want, no_memory, run_media_task

SAVE_EVERY = 60.0  # seconds between two savings of an index; what a kill costs is a scan of the newest parts

Wants = Mapping[str, Want | Failure]  # by clip id
Transient = Mapping[tuple[str, str], Failure]  # by kind and key


def media_stage(run: Run, steps: Mapping[str, Step], label: str) -> list[Account]:
    """Run steps that read clips. `steps` maps a kind of the store to its step."""
    began = time.perf_counter()
    planned = _planned(run, steps)
    indexes = {kind: Index(run.store, kind) for kind in steps}
    work = list(missing(planned, indexes, retry_failed=run.options.retry_failed))
    limits = Limits(run.config.clip_seconds, run.stop.name)
    todo = tasks(
        work, run.media_root, run.store, steps, run.sources, run.resources, limits, run.workers.expected
    )
    transient, busy = _compute(run, label, run_media_task, todo, indexes)
    asked = {kind: {item.wants[kind].key for item in work if kind in item.wants} for kind in steps}
    seconds = time.perf_counter() - began
    return [
        _account(
            run.store,
            kind,
            _wants(planned, kind),
            indexes[kind],
            asked[kind],
            transient,
            seconds,
            busy.get(kind, 0.0),
        )
        for kind in steps
    ]


def _planned(run: Run, steps: Mapping[str, Step]) -> list[Planned]:
    """The plan; what was read of the sources is remembered also when the run is asked to end meanwhile."""
    try:
        return plan(run.listing.chosen, run.media_root, steps, run.sources, run.stop.check)
    finally:
        run.sources.save()


def _wants(planned: Iterable[Planned], kind: str) -> Wants:
    return {item.clip.clip_id: item.wants[kind] for item in planned}


def rows_stage(run: Run, inputs: Sequence[Account]) -> tuple[Account, dict[str, Location]]:
    """Pool the clips whose words and tracks are all there; also says where each clip's row lies, by clip id.

    `inputs` are the accounts of the words and of every modality, in the order of the row's columns.
    """
    began = time.perf_counter()
    sources = {account.kind: Index(run.store, account.kind) for account in inputs}
    wants: dict[str, Want | Failure] = {
        clip.clip_id: _row_want(run, clip, inputs) for clip in run.listing.chosen
    }
    index = Index(run.store, ROWS)
    lacking = {
        want.key: RowWork(clip_id, want, _locations(inputs, sources, clip_id))
        for clip_id, want in wants.items()
        if isinstance(want, Want) and index.find(want.key) is None
    }
    work = list(lacking.values())
    todo = [
        RowsTask(run.store, tuple(work[first : first + CLIPS_PER_TASK]), run.config.pooling)
        for first in range(0, len(work), CLIPS_PER_TASK)
    ]
    transient, busy = _compute(run, "pool", run_rows_task, todo, {ROWS: index})
    seconds = time.perf_counter() - began
    account = _account(run.store, ROWS, wants, index, set(lacking), transient, seconds, busy.get(ROWS, 0.0))
    found = {
        clip_id: index.find(key) for clip_id, key in account.keys.items() if clip_id not in account.failures
    }
    return account, {clip_id: location for clip_id, location in found.items() if location is not None}


def _row_want(run: Run, clip: Clip, inputs: Sequence[Account]) -> Want | Failure:
    for account in inputs:
        failure = account.failures.get(clip.clip_id)
        if failure is not None:
            return Failure(
                f"no {account.stage}: {failure.cause}", failure.message, failure.hint, permanent=False
            )
    identity = canonical(row_identity({a.kind: a.keys[clip.clip_id] for a in inputs}, run.config.pooling))
    return Want(digest(identity), identity)


def _locations(inputs: Sequence[Account], indexes: Mapping[str, Index], clip_id: str) -> dict[str, Location]:
    found = {account.kind: indexes[account.kind].find(account.keys[clip_id]) for account in inputs}
    return {kind: location for kind, location in found.items() if location is not None}


def stored(run: Run, steps: Mapping[str, Step]) -> list[Account]:
    """Accounts of what the store already has of these steps, without computing anything."""
    began = time.perf_counter()
    planned = _planned(run, steps)
    accounts = []
    for kind in steps:
        index = Index(run.store, kind)
        absent = Failure(
            f"not extracted ({kind.removeprefix('tracks/')})",
            "the store has no features of this clip under the present configuration",
            "run `mimdata extract` with the same configuration first",
            permanent=False,
        )
        wants = _wants(planned, kind)
        transient = {
            (kind, want.key): absent
            for want in wants.values()
            if isinstance(want, Want) and index.find(want.key) is None
        }
        accounts.append(
            _account(run.store, kind, wants, index, set(), transient, time.perf_counter() - began, 0.0)
        )
    return accounts


def _compute(
    run: Run,
    label: str,
    function: Callable[[Any], TaskResult],
    todo: Sequence[Task],
    indexes: Mapping[str, Index],
) -> tuple[Transient, Counter[str]]:
    """Run the tasks and index what they store; returns the failures that are not stored, and the workers' seconds by kind."""
    transient: dict[tuple[str, str], Failure] = {}
    busy: Counter[str] = Counter()
    with progress(label, sum(map(len, todo))) as advance:
        for task, result in _results(run, function, todo):
            advance(len(task))
            busy.update(result.seconds)
            transient |= {(kind, key): failure for kind, key, failure in result.transient}
            for receipt in result.receipts:
                index = indexes[receipt.kind]
                index.add(receipt)
                if index.age > SAVE_EVERY:
                    index.save()
    for index in indexes.values():
        index.save()
    return transient, busy


def _results(
    run: Run, function: Callable[[Any], TaskResult], todo: Sequence[Task]
) -> Iterator[tuple[Task, TaskResult]]:
    """The results of all tasks; one whose worker died is cut into single clips, to find the one to blame.

    Those go one at a time: a worker that dies takes the blameless tasks that wait for it along.
    """
    lost: list[Task] = []
    for task, result in run.workers.run(function, todo, run.stop):
        if isinstance(result, StoreError):
            raise result
        if isinstance(result, Exception):
            lost += task.split()
        else:
            yield task, result
    for clip in lost:
        for task, result in run.workers.run(function, [clip], run.stop):
            yield task, _loss(task, result) if isinstance(result, Exception) else result


def _loss(task: Task, error: Exception) -> TaskResult:
    said = str(error).splitlines()
    if isinstance(error, MemoryError):
        failure = no_memory(said[0] if said else "a worker could not have the memory that it asked for")
    else:
        failure = Failure(
            "worker lost",
            f"{type(error).__name__}: {said[0] if said else 'no message'}",
            "it may have run out of memory: look at the machine's, or set worker_memory; then run again",
            permanent=False,
        )
    return TaskResult(transient=tuple((kind, key, failure) for kind, key in task.wanted()))


def _account(
    store: Folder,
    kind: str,
    wants: Wants,
    index: Index,
    asked: set[str],
    transient: Transient,
    seconds: float,
    busy: float,
) -> Account:
    keys = {clip_id: want.key for clip_id, want in wants.items() if isinstance(want, Want)}
    failures: dict[str, Failure] = {}
    for clip_id, want in wants.items():
        failure = want if isinstance(want, Failure) else _failure(store, index, kind, want.key, transient)
        if failure is not None:
            failures[clip_id] = failure
    computed = len({key for clip_id, key in keys.items() if clip_id not in failures} & asked)
    stage = kind.removeprefix("tracks/")
    cached = len(wants) - computed - len(failures)
    report = StageReport(stage, len(wants), computed, cached, len(failures), seconds, busy)
    return Account(kind, stage, keys, failures, report)


def _failure(store: Folder, index: Index, kind: str, key: str, transient: Transient) -> Failure | None:
    if (kind, key) in transient:
        return transient[kind, key]
    location = index.find(key)
    if location is None:
        return Failure("interrupted", "the run ended before this clip", "run again", permanent=False)
    return failure_at(store, kind, location) if location.failed else None
