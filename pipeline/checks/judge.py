"""All checks of a version, and the clips whose transcript does not seem to match the sound."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from mimdata.pipeline.checks.check import FAILED, Check
from mimdata.pipeline.checks.contents import check_contents
from mimdata.pipeline.checks.drift import check_drift
from mimdata.pipeline.checks.facts import ClipFacts, gather
from mimdata.pipeline.checks.leaks import check_leaks
from mimdata.pipeline.config import ChecksConfig
from mimdata.pipeline.corpora.fixes import EXCLUDE
from mimdata.pipeline.dataset.diff import Difference, compare
from mimdata.pipeline.dataset.lineage import read_lineage
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.store.folder import Folder

log = logging.getLogger("mimdata")


@dataclass(frozen=True)
class Judgement:
    """What the checks say of a version. difference: to the version that readers have; None for a first one."""

    checks: tuple[Check, ...]
    suspects: tuple[ClipFacts, ...]
    difference: Difference | None

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that failed."""
        return tuple(check.name for check in self.checks if check.state == FAILED)


def judge(versions: Versions, name: str, limits: ChecksConfig, listed: int) -> Judgement:
    """Read a version and check it. `listed`: clips that the corpus named, usable or not."""
    folder, manifest = versions.find(name)
    facts, lineage = gather(folder, manifest), read_lineage(folder)
    difference, absent = _since_latest(versions, folder, manifest)
    checks = (
        *check_contents(facts, limits, listed),
        *check_leaks(facts, limits, lineage),
        *check_drift(facts, difference, limits, absent),
    )
    return Judgement(checks, tuple(ranked(facts.clips)), difference)


def _since_latest(versions: Versions, folder: Folder, manifest: Manifest) -> tuple[Difference | None, str]:
    """What differs from the version that readers have; or None, and why there is nothing to compare with."""
    latest = versions.latest()
    if latest is None or latest == manifest.version:
        return None, "there is no version before this one"
    try:
        return compare(versions.find(latest), (folder, manifest)), ""
    except (MimdataError, pa.ArrowException, OSError) as error:
        log.warning(
            "%s cannot be compared with the latest, %s, which is damaged: %s", manifest.version, latest, error
        )
        return None, f"the version before, {latest}, is damaged"


def ranked(clips: Iterable[ClipFacts]) -> list[ClipFacts]:
    """The suspect ones, least trusted first."""
    suspects = [clip for clip in clips if clip.suspect]
    return sorted(
        suspects, key=lambda clip: (clip.confidence, -clip.unplaced / max(clip.words, 1), clip.clip_id)
    )


def suspects_file(suspects: Iterable[ClipFacts]) -> bytes:
    """The suspects as a fix file (corpora/fixes.py) that leaves them out, with times and evidence for a person."""
    lines = [
        {
            "clip_id": clip.clip_id,
            "fix": EXCLUDE,
            "start": clip.start,
            "end": clip.end,
            "evidence": list(clip.suspect),
            "confidence": round(clip.confidence, 3),
            "unplaced": f"{clip.unplaced} of {clip.words} words",
            "transcript": clip.text,
        }
        for clip in suspects
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
