"""From clips and steps to what must be computed: keys, what the store has of them, and tasks for the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mimdata.pipeline.records import Clip
from mimdata.pipeline.steps import HasSidecar, Resources, Step
from mimdata.pipeline.store.fingerprint import canonical, digest, result_identity, step_identity
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.index import Index
from mimdata.pipeline.store.parts import Failure
from mimdata.pipeline.store.sources import Sources
from mimdata.pipeline.work import ClipWork, Limits, MediaTask, Want

CLIPS_PER_TASK = 16  # what a crash can cost at most
ROUNDS = 2  # of tasks that each worker still has before it, when they begin to get smaller


@dataclass(frozen=True)
class Planned:
    """A clip and what each step wants of it: a result under a key, or a failure before it could have one."""

    clip: Clip
    path: Path
    wants: Mapping[str, Want | Failure]

    def keys(self) -> dict[str, str]:
        """The keys by kind."""
        return {kind: want.key for kind, want in self.wants.items() if isinstance(want, Want)}


def plan(
    clips: Sequence[Clip],
    root: Path,
    steps: Mapping[str, Step],
    sources: Sources,
    advance: Callable[[], None] = lambda: None,
) -> list[Planned]:
    """The keys of each clip under each step. Reads no file whose digest is remembered; `advance` is called after each."""
    identities = {kind: step_identity(step) for kind, step in steps.items()}
    sidecars = {kind: step for kind, step in steps.items() if isinstance(step, HasSidecar)}
    needs_media = any(step.reads.audio or step.reads.fps for step in steps.values())
    paths = {clip.source: root / clip.source for clip in clips}
    beside = {
        (kind, source): step.sidecar(path)
        for kind, step in sidecars.items()
        for source, path in paths.items()
    }
    wanted = [*(paths.values() if needs_media else ()), *(path for path in beside.values() if path)]
    digests = sources.digests(wanted, advance)

    def want(kind: str, clip: Clip) -> Want | Failure:
        step, path = steps[kind], paths[clip.source]
        source = digests.get(path)
        if isinstance(source, OSError) and (step.reads.audio or step.reads.fps):
            return _unreadable(path, source)
        sidecar = beside.get((kind, clip.source))
        sidecar_digest = digests[sidecar] if sidecar else None
        if isinstance(sidecar_digest, OSError):
            assert sidecar is not None
            return _unreadable(sidecar, sidecar_digest)
        text = canonical(
            result_identity(
                clip,
                step,
                identities[kind],
                source=source if isinstance(source, str) else None,
                sidecar=sidecar_digest,
            )
        )
        return Want(digest(text), text)

    return [Planned(clip, paths[clip.source], {kind: want(kind, clip) for kind in steps}) for clip in clips]


def _unreadable(path: Path, error: OSError) -> Failure:
    cause = "missing file" if isinstance(error, FileNotFoundError) else "unreadable file"
    return Failure(
        cause,
        f"{path.name}: {error.strerror or error}",
        "put the file in place, then run again",
        permanent=False,
    )


def missing(
    planned: Iterable[Planned], indexes: Mapping[str, Index], *, retry_failed: bool = False
) -> Iterator[ClipWork]:
    """The clips that lack a result, each with the kinds it lacks; of equal keys only the first."""
    asked: set[tuple[str, str]] = set()
    for item in planned:
        wants: dict[str, Want] = {}
        for kind, want in item.wants.items():
            if isinstance(want, Failure) or (kind, want.key) in asked:
                continue
            location = indexes[kind].find(want.key)
            if location is None or (location.failed and retry_failed):
                asked.add((kind, want.key))
                wants[kind] = want
        if wants:
            yield ClipWork(item.clip, wants)


def tasks(
    work: Iterable[ClipWork],
    root: Path,
    store: Folder,
    steps: Mapping[str, Step],
    sources: Sources,
    resources: Resources,
    limits: Limits,
    workers: int = 1,
) -> list[MediaTask]:
    """Tasks of up to CLIPS_PER_TASK clips of one source file, so that each worker stays with one file.

    The first clip goes alone: there is something to see soon, and what is wrong with every clip shows at once. The last
    tasks get smaller and smaller, so that all workers end at about the same time (guided self-scheduling, Polychronopoulos
    and Kuck 1987).
    """
    by_source: defaultdict[str, list[ClipWork]] = defaultdict(list)
    for item in work:
        by_source[item.clip.source].append(item)
    left = sum(map(len, by_source.values()))
    made: list[MediaTask] = []
    for source, items in by_source.items():
        path = root / source
        while items:
            size = min(CLIPS_PER_TASK, -(-left // (ROUNDS * workers))) if made else 1
            chunk, items = tuple(items[:size]), items[size:]
            left -= len(chunk)
            used = {kind: steps[kind] for kind in steps if any(kind in item.wants for item in chunk)}
            made.append(MediaTask(store, path, sources.stamp_of(path), chunk, used, resources, limits))
    return made
