"""The clips of a run: what the corpus lists, what is excluded and why, and what was asked for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mimdata.pipeline import registry
from mimdata.pipeline.corpora.fixes import apply_fixes, read_fixes
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem
from mimdata.pipeline.steps import Prepares
from mimdata.pipeline.store.snapshot import ledger_entry

log = logging.getLogger("mimdata")

NOT_SELECTED = "not selected"


@dataclass(frozen=True)
class Selection:
    """Which clips a run is about: `only` holds shell patterns of clip or video ids, `limit` a number of clips."""

    only: tuple[str, ...] = ()
    limit: int | None = None

    def choose(self, clips: Iterable[Clip]) -> list[Clip]:
        """The chosen clips, in corpus order."""
        chosen = [clip for clip in clips if not self.only or any(_matches(clip, p) for p in self.only)]
        return chosen[: self.limit]


def _matches(clip: Clip, pattern: str) -> bool:
    # A clip id holds brackets, which mean something else in a pattern: compare it whole first.
    return pattern in (clip.clip_id, clip.video_id) or any(
        fnmatchcase(name, pattern.replace("[", "[[]")) for name in (clip.clip_id, clip.video_id)
    )


@dataclass(frozen=True)
class Listing:
    """Every clip that the corpus has, those chosen for this run, and the problems met on the way."""

    clips: list[Clip]
    chosen: list[Clip]
    problems: list[Problem]

    def ledger(self) -> dict[str, Any]:
        """In: everything that the corpus names. Out: the clips of this run."""
        excluded = Counter(problem.cause for problem in self.problems if problem.excludes)
        excluded[NOT_SELECTED] = len(self.clips) - len(self.chosen)
        excluded += Counter()  # drops the zero
        return ledger_entry(
            len(self.clips) + sum(p.excludes for p in self.problems), len(self.chosen), excluded
        )


def list_corpus(name: str, root: Path, selection: Selection, fixes: Path | None = None) -> Listing:
    """Read a corpus, with the corrections of a fix file. Raises MimdataError when there is nothing to work on."""
    corpus = registry.corpus(name)
    if isinstance(corpus, Prepares):
        corpus.prepare(root)
    items = list(admit(apply_fixes(corpus.clips(root), read_fixes(fixes) if fixes else {})))
    clips = [item for item in items if isinstance(item, Clip)]
    problems = [item for item in items if isinstance(item, Problem)]
    for problem in problems:
        log.debug("%s: %s", problem.cause, problem.message)
    chosen = selection.choose(clips)
    if not clips:
        causes = ", ".join(f"{n} × {cause}" for cause, n in Counter(p.cause for p in problems).most_common(3))
        raise MimdataError(
            f"{name} has no usable clip in {root} ({causes or 'it is empty'}): run `mimdata corpora check --corpus {name} --root {root}`"
        )
    if not chosen:
        raise MimdataError(
            f"no clip of {name} matches {' '.join(selection.only)}: clip ids look like {clips[0].clip_id}"
        )
    return Listing(clips, chosen, problems)
