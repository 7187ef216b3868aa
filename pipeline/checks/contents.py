"""Checks of a version by itself: coverage, words, faces, voices, values, labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mimdata.pipeline.checks.check import Check, at_least, at_most, skipped
from mimdata.pipeline.checks.facts import ClipFacts, Facts
from mimdata.pipeline.config import ChecksConfig

SPLITS = ("train", "valid", "test")


def check_contents(facts: Facts, limits: ChecksConfig, listed: int) -> Iterator[Check]:
    """Every check that needs this version alone. `listed`: clips that the corpus named, usable or not."""
    yield _kept(facts, limits, listed)
    yield _splits(facts, limits)
    yield from _coverage(facts, limits)
    yield _share("unplaced words", "words", _words(facts), facts.clips, limits.unplaced_words)
    yield _clips("suspect clips", [c for c in facts.clips if c.suspect], facts, limits.suspect_clips)
    yield from _without(facts, limits)
    yield _non_finite(facts)
    yield from _constant(facts, limits)
    yield from _labels(facts, limits)


def _kept(facts: Facts, limits: ChecksConfig, listed: int) -> Check:
    share = len(facts.clips) / listed if listed else 0.0
    return at_least(
        "kept clips", share, limits.kept_clips, f"{len(facts.clips)} of {listed} clips of the corpus"
    )


def _splits(facts: Facts, limits: ChecksConfig) -> Check:
    there = [split for split in facts.splits if split in SPLITS]
    if not there:
        return skipped("splits", "the corpus has none")
    empty = [split for split in SPLITS if split not in there]
    limit = 0.0 if limits.every_split else "off"
    return at_most("empty splits", len(empty), limit, f"{len(empty)} of 3", empty)


def _coverage(facts: Facts, limits: ChecksConfig) -> Iterator[Check]:
    for modality in facts.manifest.modalities:
        for split in facts.splits:
            share = facts.coverage(split, modality)
            limit = limits.coverage.get(modality, "off")
            found = f"{share:.1%} of the words in {split} have values"
            yield at_least(f"{modality} coverage in {split}", share, limit, found)


def _words(facts: Facts) -> list[tuple[ClipFacts, int]]:
    worst = sorted(facts.clips, key=lambda clip: -clip.unplaced / max(clip.words, 1))
    return [(clip, clip.unplaced) for clip in worst if clip.unplaced]


def _share(
    name: str,
    what: str,
    counted: Sequence[tuple[ClipFacts, int]],
    clips: Sequence[ClipFacts],
    limit: float | str,
) -> Check:
    total, part = sum(clip.words for clip in clips), sum(n for _, n in counted)
    evidence = [f"{clip.clip_id}: {n} of {clip.words}" for clip, n in counted]
    return at_most(name, part / max(total, 1), limit, f"{part} of {total} {what}", evidence)


def _clips(name: str, some: Sequence[ClipFacts], facts: Facts, limit: float | str) -> Check:
    evidence = [
        f"{clip.clip_id}: {', '.join(clip.suspect)}" if clip.suspect else clip.clip_id for clip in some
    ]
    share = len(some) / max(len(facts.clips), 1)
    return at_most(name, share, limit, f"{len(some)} of {len(facts.clips)} clips", evidence)


def _without(facts: Facts, limits: ChecksConfig) -> Iterator[Check]:
    for modality, name, limit in (
        ("audio", "silent clips", limits.silent_clips),
        ("vision", "faceless clips", limits.faceless_clips),
    ):
        if modality in facts.manifest.modalities:
            yield _clips(name, [clip for clip in facts.clips if modality not in clip.has], facts, limit)


def _non_finite(facts: Facts) -> Check:
    found = {name: n for name, n in facts.non_finite.items() if n}
    evidence = [f"{name}: {n} numbers" for name, n in found.items()]
    return at_most("NaN and infinity", sum(found.values()), 0.0, f"{sum(found.values())} numbers", evidence)


def _constant(facts: Facts, limits: ChecksConfig) -> Iterator[Check]:
    for modality in facts.manifest.modalities:
        flat, total = facts.constant(modality)
        found = f"{flat} of {total} never change"
        yield at_most(f"constant {modality} features", flat / max(total, 1), limits.constant_features, found)


def _labels(facts: Facts, limits: ChecksConfig) -> Iterator[Check]:
    labels = [clip.sentiment for clip in facts.clips if clip.sentiment is not None]
    if not labels:
        yield skipped("labels", "no clip has a sentiment")
        return
    missing = [clip for clip in facts.clips if clip.sentiment is None]
    yield _clips("unlabelled clips", missing, facts, limits.unlabelled_clips)
    outside = [c for c in facts.clips if c.sentiment is not None and not -3 <= c.sentiment <= 3]
    yield _clips("labels out of range", outside, facts, 0.0)
    values, counts = np.unique(np.array(labels), return_counts=True)
    share = float(counts.max()) / len(labels)
    found = f"{share:.1%} of the labels are {values[counts.argmax()]:+.2f}"
    yield at_most("commonest label", share, limits.commonest_label, found)
