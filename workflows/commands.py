"""`mimdata rebuild` and `mimdata gc`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mimdata.pipeline.commands.options import (
    CORPUS,
    EXIT_NOT_PUBLISHED,
    EXIT_SOME_FAILED,
    JSON,
    SET,
    STORE,
    configuration,
    print_json,
)
from mimdata.pipeline.config import RetentionConfig, RunConfig
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.terminal import say

if TYPE_CHECKING:
    from mimdata.pipeline.store.folder import Folder
    from mimdata.workflows.report import Report


POLICY = RetentionConfig()


@click.command("rebuild")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="WORKFLOW.toml")
@SET
@STORE
@click.option("--plan", is_flag=True, help="Say what would be computed, why and for how long; do nothing.")
@click.option("--retry-failed", is_flag=True, help="Try clips again whose failure is remembered.")
@click.option("--rehash", is_flag=True, help="Read every source file again, whatever its time of change.")
@JSON
def rebuild_command(
    file: Path,
    assignments: tuple[str, ...],
    store: str | None,
    plan: bool,
    retry_failed: bool,
    rehash: bool,
    as_json: bool,
) -> None:
    """Bring a dataset up to date: extract, align, check, publish, train where there is a table [train], report.

    Readers get a new version only when all checks pass. Exit codes: 0 published, or nothing changed; 3 the same, but
    some clips failed; 4 built but not published; 1 failed; 143 and 130 stopped by SIGTERM or Ctrl-C.
    """
    from mimdata.pipeline.run import Options

    config = configuration(file, assignments, (), store=store)
    options = Options(retry_failed=retry_failed, rehash=rehash)
    if plan:
        _plan(config, options, as_json)
        return
    from mimdata.workflows.rebuild import rebuild

    report, place = rebuild(config, f"mimdata rebuild {file}", options)
    if as_json:
        print_json(report.to_json())
    else:
        _show(report, place)
    sys.exit(_exit_code(report))


def _plan(config: RunConfig, options: Any, as_json: bool) -> None:
    from mimdata.pipeline.commands.tables import show, table
    from mimdata.pipeline.run import read_run
    from mimdata.workflows.forecast import forecast

    run = read_run(config, options)
    stages = forecast(run)
    if as_json:
        for stage in stages:
            print_json(stage.to_json())
        return
    rows = [
        (s.stage, s.planned, s.cached, s.failed, s.computed, _duration(s.seconds), _reasons(s.reasons))
        for s in stages
    ]
    columns = ("stage", "planned", "cached", "failed", "to compute", "about", "why")
    say(f"{run.corpus} in {run.root}: {len(run.listing.chosen)} clips")
    show(table("", columns, rows, columns[1:6]))
    known = [s.seconds for s in stages if s.seconds is not None]
    if not any(s.computed for s in stages):
        say("Nothing to compute.")
    elif len(known) == len(stages):
        say(f"All of it in about {_duration(sum(known))}, by the pace of past runs.")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _reasons(reasons: Any) -> tuple[str, ...]:
    return tuple(f"{n} × {reason}" for reason, n in sorted(reasons.items(), key=lambda item: -item[1])[:5])


def _show(report: Report, place: Folder) -> None:
    from mimdata.pipeline.commands.tables import show, stages_table, table

    show(stages_table(report.stages))
    failed = [check for check in report.checks if check.state == "failed"]
    if failed:
        rows = [(c.name, c.found, c.limit, tuple(c.evidence[:3])) for c in failed]
        show(table("", ("failed check", "found", "limit", "such as"), rows))
    say(f"{report.corpus}: {report.says}" + (f": {report.reason}" if report.reason else ""))
    if report.training:
        say(report.training.get("error") or f"Trained: {report.training['run']}")
    say(f"Readers have {report.latest or 'no version yet'}. Report: {place.path('report.html')}")


def _exit_code(report: Report) -> int:
    from mimdata.workflows.report import BROKEN, CANDIDATE

    if report.state == BROKEN or (report.training or {}).get("error"):
        return 1
    if report.state == CANDIDATE:
        return EXIT_NOT_PUBLISHED
    return EXIT_SOME_FAILED if report.failures else 0


@click.command("gc")
@CORPUS
@STORE
@click.option(
    "--keep", type=click.IntRange(min=1), default=POLICY.keep, show_default=True, help="Versions that stay."
)
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0),
    default=POLICY.grace_hours,
    show_default=True,
    help="How long readers may stay at a version after there is a newer one.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@JSON
def gc_command(
    corpus: str | None, store: str | None, keep: int, grace_hours: float, dry_run: bool, as_json: bool
) -> None:
    """Remove old dataset versions and candidates.

    Never the latest, a pinned one, one that a run in the store was trained on, or one that readers were sent to until a
    short while ago.
    """
    from mimdata.mim.commands.places import RUNS
    from mimdata.pipeline.dataset.versions import Versions, dataset_corpora
    from mimdata.pipeline.store.folder import Folder
    from mimdata.workflows.training import used_digests

    place = Folder(configuration(None, (), (), store=store).store)
    names = [corpus] if corpus else dataset_corpora(place)
    if corpus and corpus not in dataset_corpora(place):
        raise UsageError(
            f"{place.url} has no version of {corpus}: there are {', '.join(dataset_corpora(place)) or 'none'}"
        )
    used = used_digests(Path(place.path()) / RUNS) if place.local else set()
    for name in names:
        grace = timedelta(hours=grace_hours)
        for kept in Versions(place, name).gc(keep, grace, used, now=datetime.now(UTC), dry_run=dry_run):
            if as_json:
                print_json(
                    {
                        "corpus": name,
                        "version": kept.version,
                        "removed": not kept.reason,
                        "reason": kept.reason,
                    }
                )
            else:
                done = "would be removed" if dry_run else "removed"
                say(f"{name} {kept.version}: {f'stays, {kept.reason}' if kept.reason else done}")
