"""Checks against the version that readers have now: clips lost, labels and splits changed, features that moved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mimdata.pipeline.checks.check import Check, at_most, skipped
from mimdata.pipeline.checks.facts import Facts
from mimdata.pipeline.config import ChecksConfig
from mimdata.pipeline.dataset.diff import Difference, shifts


def check_drift(
    facts: Facts, difference: Difference | None, limits: ChecksConfig, absent: str = ""
) -> Iterator[Check]:
    """What moved since the version before; `absent` says why there is none to compare with."""
    if difference is None:
        yield skipped("drift", absent)
        return
    before = difference.before_rows
    common = before - len(difference.removed)
    yield at_most(
        "removed clips",
        len(difference.removed) / max(before, 1),
        limits.removed_clips,
        f"{len(difference.removed)} of {before}",
        difference.removed,
    )
    for name, limit, moved in (
        (
            "changed labels",
            limits.changed_labels,
            difference.with_change("sentiment", "sentiments", "emotions"),
        ),
        ("changed splits", limits.changed_splits, difference.with_change("split")),
    ):
        yield at_most(name, len(moved) / max(common, 1), limit, f"{len(moved)} of {common} clips", moved)
    yield from _features(facts, difference, limits)


def _features(facts: Facts, difference: Difference, limits: ChecksConfig) -> Iterator[Check]:
    for modality in facts.manifest.modalities:
        name = f"{modality} drift"
        if modality in difference.other_steps:
            yield skipped(name, f"its extractor or pooling changed: {difference.other_steps[modality]}")
            continue
        found = shifts(difference.before, facts.manifest, modality)
        if not found:
            yield skipped(name, "one of the versions has no statistics of it")
            continue
        worst = max(found, key=lambda shift: shift.size)
        evidence = [f"{s.feature}: {s.before:g} → {s.after:g}" for s in sorted(found, key=lambda s: -s.size)]
        yield at_most(
            name,
            worst.size,
            limits.feature_drift,
            f"{worst.feature} moved by {worst.size:.2f} standard deviations, the median one by "
            f"{np.median([shift.size for shift in found]):.2f}",
            evidence,
        )
