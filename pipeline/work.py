"""What a worker does with one task: open the steps, decode each clip once, store every outcome."""

from __future__ import annotations

import atexit
import ctypes
import gc
import logging
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, Self, cast

import pyarrow as pa

from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.files import Stamp, stamp
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip
from mimdata.pipeline.steps import Extractor, Resources, Step, WordAligner
from mimdata.pipeline.store.codec import Result, encode, schema_of, table
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parts import Failure, Outcome, Receipt, write_part
from mimdata.pipeline.watchdog import TooSlow, within

log = logging.getLogger("mimdata")

HUNG = "hung"  # STORE/hung/KEY: a worker ended over it


@dataclass(frozen=True)
class Want:
    """A result that is not in the store yet."""

    key: str
    identity: str


@dataclass(frozen=True)
class ClipWork:
    """One clip and the kinds of results that it lacks."""

    clip: Clip
    wants: Mapping[str, Want]


class Task(Protocol):
    """What the driver needs to know of a task to run it and to account for its loss."""

    def __len__(self) -> int:
        """Clips in it."""
        ...

    def split(self) -> Sequence[Self]:
        """The same work, one clip a task."""
        ...

    def wanted(self) -> Sequence[tuple[str, str]]:
        """Kind and key of each result that it was to make."""
        ...


@dataclass(frozen=True)
class Limits:
    """Seconds that a step may take for a clip, and the file of the store that asks the run to end."""

    clip_seconds: float
    stop: str


@dataclass(frozen=True)
class MediaTask:
    """Some clips of one source file, processed in one go by one worker.

    `stamp` is the file's size and time of change when its digest was taken: a file that was replaced since
    must not be stored under the old digest. None where no step reads the file.
    """

    store: Folder
    path: Path
    stamp: Stamp | None
    clips: tuple[ClipWork, ...]
    steps: Mapping[str, Step]
    resources: Resources
    limits: Limits

    def __len__(self) -> int:
        return len(self.clips)

    def split(self) -> list[MediaTask]:
        """One task a clip."""
        return [replace(self, clips=(clip,)) for clip in self.clips]

    def wanted(self) -> list[tuple[str, str]]:
        """Kind and key of each result."""
        return [(kind, want.key) for work in self.clips for kind, want in work.wants.items()]


@dataclass(frozen=True)
class TaskResult:
    """What the driver learns: the parts written, and the failures that are not stored because they may pass."""

    receipts: tuple[Receipt, ...] = ()
    transient: tuple[tuple[str, str, Failure], ...] = ()  # kind, key, failure
    seconds: Mapping[str, float] = field(default_factory=dict)  # by kind


def run_media_task(task: MediaTask) -> TaskResult:
    """Process the clips of a task one after the other and write one part a kind."""
    _single_thread(task.steps)
    made: dict[str, list[tuple[Outcome, Result | None]]] = {kind: [] for kind in task.steps}
    transient: list[tuple[str, str, Failure]] = []
    seconds = dict.fromkeys(task.steps, 0.0)
    for work in task.clips:
        if task.store.exists(task.limits.stop):
            break  # the driver counts the rest as interrupted
        media = _media(task, work)
        for kind, want in work.wants.items():
            began = time.perf_counter()
            result = _attempt(task, kind, want.key, media, work.clip)
            seconds[kind] += time.perf_counter() - began
            if isinstance(result, Failure) and not result.permanent:
                transient.append((kind, want.key, result))
                continue
            failure = result if isinstance(result, Failure) else None
            outcome = Outcome(want.key, work.clip.clip_id, want.identity, failure)
            made[kind].append((outcome, None if isinstance(result, Failure) else result))
    receipts = tuple(_store(task.store, kind, rows) for kind, rows in made.items() if rows)
    _give_back_memory()
    return TaskResult(receipts, tuple(transient), seconds)


def _media(task: MediaTask, work: ClipWork) -> Media:
    reads = [task.steps[kind].reads for kind in work.wants]
    return Media(
        task.path,
        work.clip.start,
        work.clip.end,
        audio=any(read.audio for read in reads),
        fps={read.fps for read in reads if read.fps},
    )


def _attempt(task: MediaTask, kind: str, key: str, media: Media, clip: Clip) -> Result | Failure:
    """What a step makes of a clip. Of a file that changed meanwhile, neither a result nor a failure is to be believed."""
    result = _tried(task, kind, key, media, clip)
    reads = task.steps[kind].reads
    if not (reads.audio or reads.fps) or _stands(task):
        return result
    return Failure(
        "source changed",
        f"{task.path.name} changed while it was being read",
        "let the copy finish, then run again",
        permanent=False,
    )


def _stands(task: MediaTask) -> bool:
    """Whether the source is the file that its digest was taken of."""
    try:
        return stamp(task.path) == task.stamp
    except OSError:
        return False


def _tried(task: MediaTask, kind: str, key: str, media: Media, clip: Clip) -> Result | Failure:
    step, hung = task.steps[kind], f"{HUNG}/{key}"
    if task.store.exists(hung):
        return _too_slow(task, kind, clip)
    run = _opened(cast("Hashable", step), task.resources)
    try:
        result = within(
            task.limits.clip_seconds, lambda: run(media, clip), lambda: task.store.write(hung, b"")
        )
    except TooSlow:
        _opened.cache_clear()  # what was interrupted is in no state to be used for the next clip
        return _too_slow(task, kind, clip)
    except ClipError as error:
        return Failure(error.cause, str(error), error.hint, error.permanent)
    except MemoryError:
        return no_memory(f"{step.name} was refused the memory that it asked for, at {clip.clip_id}")
    except Exception as error:  # one clip must not cost the others; the row says what happened
        log.debug("%s failed on %s", kind, clip.clip_id, exc_info=True)
        return Failure(
            "unexpected error",
            f"{step.name} on {clip.clip_id}: {type(error).__name__}: {error}".splitlines()[0],
            "run again with --debug to see the traceback",
            permanent=False,
        )
    return cast("Result", result)


def no_memory(message: str) -> Failure:
    """The failure of a clip that takes more memory than a worker may have."""
    return Failure(
        "out of memory",
        message,
        "give each worker more, with fewer of them (--workers) or --set worker_memory=8GiB, then run again",
        permanent=False,
    )


def _too_slow(task: MediaTask, kind: str, clip: Clip) -> Failure:
    limit = task.limits.clip_seconds
    return Failure(
        "too slow",
        f"{task.steps[kind].name} took more than {limit:g} s for {clip.clip_id}",
        f"look at the recording, or give it more time with --set clip_seconds={2 * limit:g}",
        permanent=False,
    )


@lru_cache(maxsize=16)
def _opened(step: Step, resources: Resources) -> Any:
    """Weights are loaded once a worker, not once a task."""
    assert isinstance(step, Extractor | WordAligner)
    with _uncollected():
        return step.open(resources)


@contextmanager
def _uncollected() -> Iterator[None]:
    """What comes to be meanwhile is no garbage: looking whether it is takes a sixth of an import of transformers."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # or all of it is looked at once afterwards, for a third of a second
        atexit.register(gc.unfreeze)  # libraries complain of what they cannot clear away at the end
        if collects:
            gc.enable()


def _single_thread(steps: Mapping[str, Step]) -> None:
    """Sums over several threads round differently: one thread a worker keeps results equal to the byte."""
    if any("torch" in step.libraries for step in steps.values()):
        with _uncollected():
            import torch

        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)


def _give_back_memory() -> None:
    """Return the holes of the heap to the system: they grow by MiB a minute otherwise. Takes 5 ms, and glibc."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _store(store: Folder, kind: str, rows: list[tuple[Outcome, Result | None]]) -> Receipt:
    results = [result for _, result in rows]
    first = next((result for result in results if result is not None), None)
    if first is None:
        payload = pa.table({})
    else:
        payload = table([None if r is None else encode(r) for r in results], schema_of(first))
    return write_part(store, kind, [outcome for outcome, _ in rows], payload)
