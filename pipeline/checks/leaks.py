"""Checks that the splits share nothing: videos, speakers, the same sound or the same sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping

from mimdata.pipeline.checks.check import Check, at_most, skipped
from mimdata.pipeline.checks.facts import UNSPLIT, ClipFacts, Facts
from mimdata.pipeline.config import ChecksConfig
from mimdata.pipeline.dataset.lineage import Line

FEW_WORDS = 5  # shorter sentences are said by many


def check_leaks(facts: Facts, limits: ChecksConfig, lineage: Mapping[str, Line]) -> Iterator[Check]:
    """Clips of valid and test whose video, speaker, recording or sentence is in train as well."""
    if not {"train"} < set(facts.splits) - {UNSPLIT}:
        yield skipped("leaks between splits", "there are no splits to leak between")
        return
    kinds: dict[str, tuple[float | str, Callable[[ClipFacts], Hashable | None]]] = {
        "videos in two splits": (limits.shared_videos, lambda clip: clip.video_id),
        "speakers in two splits": (limits.shared_speakers, lambda clip: clip.speaker),
        "recordings in two splits": (
            limits.shared_recordings,
            lambda clip: _recording(lineage.get(clip.clip_id)),
        ),
        "sentences in two splits": (limits.shared_sentences, _sentence),
    }
    for name, (limit, of) in kinds.items():
        yield _shared(facts, name, of, limit)
    yield _repeated(facts, limits, lineage)


def _shared(facts: Facts, name: str, of: Callable[[ClipFacts], Hashable | None], limit: float | str) -> Check:
    trained: dict[Hashable, str] = {}
    for clip in facts.clips:
        if clip.split == "train" and (value := of(clip)) is not None:
            trained.setdefault(value, clip.clip_id)
    others = [clip for clip in facts.clips if clip.split not in ("train", UNSPLIT)]
    leaking = [(clip, trained[value]) for clip in others if (value := of(clip)) in trained]
    evidence = [f"{clip.clip_id} ({clip.split}) and {there} (train)" for clip, there in leaking]
    found = f"{len(leaking)} of {len(others)} clips of valid and test"
    return at_most(name, len(leaking) / max(len(others), 1), limit, found, evidence)


def _repeated(facts: Facts, limits: ChecksConfig, lineage: Mapping[str, Line]) -> Check:
    """One recording under two ids, in whatever split."""
    ids: defaultdict[Hashable, list[str]] = defaultdict(list)
    for clip in facts.clips:
        if (recording := _recording(lineage.get(clip.clip_id))) is not None:
            ids[recording].append(clip.clip_id)
    twice = [same for same in ids.values() if len(same) > 1]
    extra = sum(len(same) - 1 for same in twice)
    evidence = [" = ".join(same) for same in twice]
    return at_most(
        "repeated recordings",
        extra / max(len(facts.clips), 1),
        limits.repeated_recordings,
        f"{extra} clips",
        evidence,
    )


def _recording(line: Line | None) -> Hashable | None:
    """The same bytes and span give the same key of the voice or the face."""
    if line is None:
        return None
    keys = tuple(
        key for kind, key in sorted(line.inputs.items()) if kind in ("tracks/audio", "tracks/vision")
    )
    return keys or None


def _sentence(clip: ClipFacts) -> Hashable | None:
    words = "".join(c for c in clip.text.casefold() if c.isalnum() or c.isspace()).split()
    return tuple(words) if len(words) >= FEW_WORDS else None
