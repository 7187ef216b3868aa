"""The two jobs of the pipeline: extract features from a corpus, and align them into a dataset version."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mimdata.pipeline.books import Account, StageReport, keep_books
from mimdata.pipeline.dataset.integrity import damaged_files, put_right
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.pooling import TRACKS, WORDS
from mimdata.pipeline.dataset.rows import VERSION
from mimdata.pipeline.dataset.splits import with_splits
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.dataset.writer import (
    DatasetRow,
    Description,
    canonical_order,
    inputs_digest,
    write_version,
)
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.mending import mended
from mimdata.pipeline.progress import progress
from mimdata.pipeline.run import Run
from mimdata.pipeline.stages import media_stage, rows_stage, stored
from mimdata.pipeline.steps import Extractor, HasNotes, Step, WordAligner
from mimdata.pipeline.store.fingerprint import library_version, step_identity
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parts import Location

log = logging.getLogger("mimdata")


@dataclass(frozen=True)
class JobReport:
    """What a job did, stage by stage; `failed` counts the clips that the failures table now holds for it."""

    stages: tuple[StageReport, ...]
    failed: int
    manifest: Manifest | None = None


def notes(run: Run) -> list[str]:
    """What the steps of a run want whoever starts it to know, each thing once."""
    steps = run.config.build_extractors().values()
    return [note for step in steps if isinstance(step, HasNotes) for note in step.notes()]


@mended
def extract(run: Run) -> JobReport:
    """Extract every modality of every chosen clip that the store does not have yet."""
    extractors = run.config.build_extractors()
    steps: dict[str, Step] = {TRACKS + modality: step for modality, step in extractors.items()}
    accounts = media_stage(run, steps, "extract")
    keep_books(run, accounts)
    run.stop.check(_done(accounts))
    return _report(run, accounts)


def align(run: Run) -> JobReport:
    """Place the words in time, pool the features into rows, and publish a dataset version.

    Raises MimdataError when not one clip has all it needs.
    """
    report = build(run)
    assert report.manifest is not None
    run.stop.check()
    Versions(run.store, run.corpus).publish(report.manifest.version)
    return report


@mended
def build(run: Run) -> JobReport:
    """As `align`, but a new version waits among the candidates."""
    extractors = run.config.build_extractors()
    aligner = run.config.build_aligner()
    tracks = stored(run, {TRACKS + modality: step for modality, step in extractors.items()})
    words = media_stage(run, {WORDS: aligner}, "align words")
    rows, locations = rows_stage(run, [*words, *tracks])
    keep_books(run, [*words, rows])
    run.stop.check(_done([*words, rows]))
    if not locations:
        failure = next(iter(rows.failures.values()))
        raise MimdataError(f"no clip could be aligned; the first says: {failure.message}; {failure.hint}")
    ready = _dataset_rows(run, rows, [*words, *tracks], locations)
    written, manifest = _version(run, ready, _description(run, extractors, aligner))
    return _report(run, [*words, rows], (written,), manifest)


def _done(accounts: Sequence[Account]) -> str:
    """How far the stages came, "text 12, audio 9 of 80 clips"; what was in the store before counts as well."""
    parts = ", ".join(f"{a.stage} {a.report.planned - a.report.failed}" for a in accounts)
    return f"{parts} of {accounts[0].report.planned} clips"


def _report(
    run: Run,
    accounts: Sequence[Account],
    more: tuple[StageReport, ...] = (),
    manifest: Manifest | None = None,
) -> JobReport:
    failed = {clip_id for account in accounts for clip_id in account.failures}
    excluded = sum(problem.excludes for problem in run.listing.problems)
    return JobReport((*(account.report for account in accounts), *more), len(failed) + excluded, manifest)


def _description(run: Run, extractors: Mapping[str, Extractor], aligner: WordAligner) -> Description:
    return Description(
        corpus=run.corpus,
        modalities={name: _modality(run, step) for name, step in extractors.items()},
        aligner=step_identity(aligner),
        pooling={"version": VERSION, **run.config.pooling.model_dump(mode="json")},
        libraries={name: library_version(name) for name in ("mimdata", "pyarrow", "numpy")},
    )


def _modality(run: Run, step: Extractor) -> dict[str, Any]:
    names = step.feature_names
    over_time = not step.reads.text  # what reads text gives tokens, everything else a track
    return {
        "dim": len(names),
        "feature_names": list(names),
        "statistics": list(run.config.pooling.statistics) if over_time else ["mean"],
        "step": step_identity(step),
    }


def _dataset_rows(
    run: Run, rows: Account, inputs: Sequence[Account], locations: Mapping[str, Location]
) -> list[DatasetRow]:
    chosen = with_splits(run.listing.chosen) if run.config.dataset.assign_splits else run.listing.chosen
    return canonical_order(
        [
            DatasetRow(
                clip,
                rows.keys[clip.clip_id],
                locations[clip.clip_id],
                {account.kind: account.keys[clip.clip_id] for account in inputs},
            )
            for clip in chosen
            if clip.clip_id in locations
        ]
    )


def _version(run: Run, ready: Sequence[DatasetRow], description: Description) -> tuple[StageReport, Manifest]:
    """The version of these rows: the one that there is, put right where its files were damaged, or a new candidate."""
    began = time.perf_counter()
    versions = Versions(run.store, run.corpus)
    manifest = versions.made_from(inputs_digest(ready, description, run.config.dataset))
    damaged = dict(damaged_files(versions.folder_of(manifest), manifest)) if manifest else {}
    computed = len(ready) if manifest is None or damaged else 0
    if manifest is None:
        versions.clear()
        manifest = _write(run, versions.candidates, ready, description)
    elif damaged:
        _mend(
            run,
            versions.folder_of(manifest),
            manifest,
            damaged,
            lambda place: _write(run, place, ready, description),
        )
    seconds = time.perf_counter() - began
    return StageReport("dataset", len(ready), computed, len(ready) - computed, 0, seconds), manifest


def _write(run: Run, place: Folder, ready: Sequence[DatasetRow], description: Description) -> Manifest:
    with progress("write shards", len(ready)) as advance:

        def written(rows: int) -> None:
            run.stop.check()
            advance(rows)

        return write_version(run.store, place, ready, description, run.config.dataset, written)


def _mend(
    run: Run,
    folder: Folder,
    manifest: Manifest,
    damaged: Mapping[str, str],
    write: Callable[[Folder], Manifest],
) -> None:
    """Write the same version once more and take the damaged files from there."""
    for name, what in damaged.items():
        log.warning("%s/%s %s: it is written again", manifest.version, name, what)
    with run.store.staging() as place:
        again = write(place)
        if again.digest != manifest.digest:
            raise MimdataError(
                f"{manifest.version} is damaged and cannot be made again from the store: remove {folder.path()}, then run again"
            )
        put_right(folder, damaged, place.sub(again.version))
