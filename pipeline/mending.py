"""A job that meets a damaged part of the store sets it aside, computes what was lost anew, and starts over."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from mimdata.pipeline.dataset.pooling import ROWS, TRACKS, WORDS
from mimdata.pipeline.plan import plan
from mimdata.pipeline.run import Run
from mimdata.pipeline.stages import media_stage
from mimdata.pipeline.steps import Step
from mimdata.pipeline.store.index import Index
from mimdata.pipeline.store.parts import DamageError

log = logging.getLogger("mimdata")

R = TypeVar("R")


def mended(job: Callable[[Run], R]) -> Callable[[Run], R]:
    """A job that starts over, from what is stored, when a part that it reads turns out to be damaged.

    One damaged part casts doubt on its kind: all parts of that kind are read then. So no kind takes more than one
    turn, unless the disk damages parts faster than they are read.
    """

    @functools.wraps(job)
    def until_whole(run: Run) -> R:
        steps = _steps(run)
        for _ in (WORDS, ROWS, *steps):
            try:
                return job(run)
            except DamageError as damage:
                lost = Index(run.store, damage.kind).weed()
                if damage.kind.startswith(TRACKS) and damage.kind in steps:
                    _extract_again(run, damage.kind, steps[damage.kind], lost)
        return job(run)

    return until_whole


def _steps(run: Run) -> dict[str, Step]:
    return {TRACKS + modality: step for modality, step in run.config.build_extractors().items()}


def _extract_again(run: Run, kind: str, step: Step, lost: set[str]) -> None:
    """Tracks are made by `extract`, yet `align` must not leave out clips whose tracks it has just taken away."""
    planned = plan(run.listing.chosen, run.media_root, {kind: step}, run.sources)
    mine = [item.clip for item in planned if item.keys().get(kind) in lost]
    if mine:
        media_stage(
            replace(run, listing=replace(run.listing, chosen=mine)),
            {kind: step},
            f"{kind.removeprefix(TRACKS)} anew",
        )
