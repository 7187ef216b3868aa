"""`mimdata rebuild`: extract, align, check, publish, train and report, for whoever is asleep meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mimdata.mim.commands.places import RUNS
from mimdata.pipeline.checks.judge import Judgement, judge, suspects_file
from mimdata.pipeline.config import RunConfig
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.errors import MimdataError, UsageError
from mimdata.pipeline.jobs import build, extract, notes
from mimdata.pipeline.run import Options, Run, corpus_of, open_run
from mimdata.pipeline.stopping import StoppedError, interruptible
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.lock import locked
from mimdata.workflows.report import (
    BROKEN,
    CANDIDATE,
    PUBLISHED,
    STOPPED,
    UNCHANGED,
    Report,
    Reports,
    coverage,
    grouped,
)
from mimdata.workflows.training import CURVES, train_on, used_digests
from mimdata.workflows.webhook import tell

log = logging.getLogger("mimdata")


@dataclass
class Rebuild:
    """One rebuild under way."""

    config: RunConfig
    store: Folder
    corpus: str
    report: Report
    beside: dict[str, bytes] = field(default_factory=dict)
    curves: Path | None = None

    @property
    def versions(self) -> Versions:
        """The versions of the corpus."""
        return Versions(self.store, self.corpus)


def rebuild(config: RunConfig, command: str, options: Options) -> tuple[Report, Folder]:
    """Bring the corpus's dataset up to date; returns the report, and the folder where it is written.

    Whatever goes wrong is in the report, and readers keep the version they had. Raises MimdataError when another
    rebuild of the corpus is at work, or when not even a report can be written.
    """
    store = Folder(config.store)
    if config.train is not None and not store.local:
        raise UsageError(
            f"a rebuild trains from a store on this machine, found {store.url}: leave [train] out, and train on a copy"
        )
    corpus = corpus_of(config, store)
    began = time.perf_counter()
    with locked(store, f"rebuild-{corpus}"):
        reports = reports_of(config, store, corpus)
        before = reports.last()
        report = Report(corpus, datetime.now(UTC), command, ledger_before=before.get("ledger", {}))
        work = Rebuild(config, store, corpus, report)
        try:
            with remarks(report.remarks):
                with open_run(config, options) as run:
                    _run(work, run)
                _train(work)
                _retain(work)
        except MimdataError as error:
            report.reason = str(error)
            if isinstance(error, StoppedError):
                report.state = report.state if report.training else STOPPED
                raise
            report.state = BROKEN
        except Exception as error:
            report.reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            report.latest = work.versions.latest()
            report.seconds = time.perf_counter() - began
            place = reports.write(report, work.beside, work.curves)
            tell(config.report.webhook_variable, _word(report, place))
    return report, place


@contextmanager
def remarks(lines: list[str]) -> Iterator[None]:
    """What is logged as a warning meanwhile (a damaged part, a file written again) is also noted."""

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    notes_of_run = Notes(logging.WARNING)
    log.addHandler(notes_of_run)
    try:
        yield
    finally:
        log.removeHandler(notes_of_run)


def reports_of(config: RunConfig, store: Folder, corpus: str) -> Reports:
    """Where the reports of a corpus are."""
    place = Folder(str(config.report.folder)) if config.report.folder else store.sub("reports")
    return Reports(place.sub(corpus))


def _run(work: Rebuild, run: Run) -> None:
    """From the corpus to a version that is published, or is not for a reason."""
    for note in notes(run):
        log.info("%s", note)
    log.info("%d clips of %s in %s", len(run.listing.chosen), run.corpus, run.root)
    report = work.report
    extracted = extract(run)
    report.stages += extracted.stages
    try:
        built = build(run)
        report.stages += built.stages
    finally:
        report.ledger = run.snapshot.ledger()
        report.failures = grouped(run.snapshot.failures(), work.config.store, run.corpus)
    assert built.manifest is not None
    report.version = _about(built.manifest)
    report.coverage = coverage(built.manifest.content)
    if built.manifest.version == work.versions.latest():
        report.state = UNCHANGED
        return
    listed = len(run.listing.clips) + sum(problem.excludes for problem in run.listing.problems)
    judgement = judge(work.versions, built.manifest.version, work.config.checks, listed)
    _judged(work, judgement)
    run.stop.check()
    _decide(work, built.manifest)


def _judged(work: Rebuild, judgement: Judgement) -> None:
    work.report.checks = judgement.checks
    work.report.suspects = len(judgement.suspects)
    if judgement.suspects:
        work.beside["suspects.jsonl"] = suspects_file(judgement.suspects)
    if judgement.difference is not None:
        work.report.difference = judgement.difference.to_json()


def _decide(work: Rebuild, manifest: Manifest) -> None:
    report, name = work.report, manifest.version
    withdrawn = work.versions.withdrawn(name)
    force = f"`mimdata publish {name} --force --reason …` publishes it all the same"
    if withdrawn:
        report.state, report.reason = CANDIDATE, f"{name} was {withdrawn}; {force}"
    elif report.failed_checks:
        report.state = CANDIDATE
        report.reason = (
            f"{len(report.failed_checks)} checks failed: {', '.join(report.failed_checks)}; {force}"
        )
    else:
        work.versions.publish(name)
        report.state = PUBLISHED


def _train(work: Rebuild) -> None:
    """Train on what was published. A training that fails takes no version back."""
    if work.config.train is None or work.report.state not in (PUBLISHED, UNCHANGED):
        return
    name = work.versions.latest()
    assert name is not None
    store = Path(work.store.path())
    try:
        with interruptible():
            trained = train_on(Path(work.versions.published.path(name)), store, work.config.train)
    except StoppedError:
        work.report.training = {"error": "the training was stopped: the next rebuild goes on with it"}
        raise
    except MimdataError as error:
        work.report.training = {"error": f"the training failed: {error}"}
        return
    work.report.training = trained
    work.curves = Path(trained["run"]) / CURVES


def _retain(work: Rebuild) -> None:
    policy = work.config.retention
    used = used_digests(Path(work.store.path()) / RUNS) if work.store.local else set()
    grace = timedelta(hours=policy.grace_hours)
    judged = work.versions.gc(policy.keep, grace, used, now=datetime.now(UTC))
    work.report.removed = [kept.version for kept in judged if not kept.reason]


def _about(manifest: Manifest) -> dict[str, Any]:
    return {"version": manifest.version, "digest": manifest.digest, "rows": manifest.rows}


def _word(report: Report, place: Folder) -> Mapping[str, Any]:
    """What a webhook is told; `text` is what chat services show."""
    text = f"{report.corpus}: {report.says}" + (f" ({report.reason})" if report.reason else "")
    clips = sum(group["clips"] for group in report.failures)
    return {
        "text": text,
        "corpus": report.corpus,
        "state": report.state,
        "version": report.version,
        "failed_checks": report.failed_checks,
        "failures": clips,
        "report": place.path("report.html"),
    }
