"""`mimdata extract` and `mimdata align`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mimdata.pipeline.commands.options import EXIT_SOME_FAILED, RUN_OPTIONS, configuration, print_json
from mimdata.pipeline.config import RunConfig
from mimdata.pipeline.jobs import JobReport, align, extract, notes
from mimdata.pipeline.listing import Selection
from mimdata.pipeline.run import Options, Run, open_run
from mimdata.pipeline.terminal import say


@click.command("extract")
@RUN_OPTIONS
@click.option(
    "--face-weights",
    type=click.Path(exists=True, dir_okay=False),
    help="VGGFace2 weights of InceptionResnetV1.",
)
@click.option("--text-model", metavar="PATH|NAME", help="A Hugging Face encoder.  [default: minilm]")
def extract_command(face_weights: str | None, text_model: str | None, **options: Any) -> None:
    """Extract text, voice and face features of every clip that the store lacks."""
    steps: dict[str, Any] = {}
    if face_weights:
        steps["vision"] = {"face_weights": str(Path(face_weights).absolute())}
    if text_model:
        steps["text"] = {"model": text_model}
    _job(extract, ("root", "reader", "fixes"), {**options, "extractors": steps})


@click.command("align")
@RUN_OPTIONS
@click.option(
    "--pauses",
    type=click.Choice(["drop", "keep"]),
    help="Rows for the pauses between words.  [default: drop]",
)
@click.option("--aligner", metavar="NAME", help="What places the words in time.  [default: pocketsphinx]")
def align_command(pauses: str | None, aligner: str | None, **options: Any) -> None:
    """Place words in time, pool features into rows, and publish a dataset version.

    Extractors are those of the corpus's last extraction unless the configuration names others.
    """
    more: dict[str, Any] = {"pooling": {"pauses": pauses} if pauses else {}}
    if aligner:
        more["aligner"] = {"name": aligner}
    _job(align, ("root", "reader", "fixes", "extractors"), {**options, **more})


def _job(job: Callable[[Run], JobReport], take_over: tuple[str, ...], options: dict[str, Any]) -> None:
    as_json, asked = (
        options.pop("as_json"),
        Options(
            Selection(options.pop("only"), options.pop("limit")),
            options.pop("retry_failed"),
            options.pop("rehash"),
        ),
    )
    config: RunConfig = configuration(options.pop("file"), options.pop("assignments"), take_over, **options)
    with open_run(config, asked) as run:
        for note in notes(run) if job is extract else ():
            say(note, err=True)
        report = job(run)
    if as_json:
        for stage in report.stages:
            print_json(stage.to_json())
    else:
        _show(run, report)
    sys.exit(EXIT_SOME_FAILED if report.failed else 0)


def _show(run: Run, report: JobReport) -> None:
    from mimdata.pipeline.commands.tables import show, stages_table

    show(stages_table(report.stages))
    excluded = sum(problem.excludes for problem in run.listing.problems)
    if excluded:
        say(f"{excluded} clips of the corpus were excluded before they could be read.")
    if report.failed:
        say(
            f"{report.failed} clips are in the failures table: `mimdata failures --store {run.config.store}` lists them."
        )
    if all(stage.computed == 0 for stage in report.stages) and not report.failed:
        say("Nothing to compute: everything was in the store.")
    if report.manifest is not None:
        m = report.manifest
        say(
            f"Dataset {run.corpus} {m.version}: {m.rows} utterances, {len(m.shards)} shards, digest {m.digest}"
        )
