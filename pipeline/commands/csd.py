"""`mimdata import csd` and `mimdata export csd`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mimdata.pipeline.commands.options import CORPUS, EXIT_SOME_FAILED, JSON, STORE, configuration, print_json
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.terminal import say


@click.command("csd")
@click.argument("places", metavar="FOLDER|FILES", nargs=-1, required=True)
@click.option("--corpus", metavar="NAME", help="What the store calls it.  [default: the folder's name]")
@STORE
@click.option(
    "--modality",
    "named",
    multiple=True,
    metavar="FILE=NAME",
    help="The modality of a sequence, by its file's name without .csd.",
)
@click.option("--no-bert", is_flag=True, help="No BERT of the words where no sequence is text.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes.  [default: one a core]")
@JSON
def import_command(
    places: tuple[str, ...],
    corpus: str | None,
    store: str | None,
    named: tuple[str, ...],
    no_bert: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Computational sequences of the CMU SDK as a dataset version.

    They are one sequence of words, one of labels, and any of features, as a folder or as files, here or at a URL;
    docs/csd.md has the details. What was imported is a corpus like any other: a second import computes what changed.
    """
    from mimdata.pipeline.commands.tables import show, stages_table
    from mimdata.pipeline.csd_import import configuration_of, folder_of
    from mimdata.pipeline.jobs import align, extract
    from mimdata.pipeline.run import Options, open_run

    folder, called = folder_of(places)
    given = configuration_of(folder, dict(_pair(text) for text in named), bert=not no_bert)
    name = corpus or called
    config = configuration(None, (), (), store=store, corpus=name, workers=workers, **given)
    with open_run(config, Options()) as run:
        stages = extract(run).stages
        report = align(run)
        excluded = len(run.listing.problems)
    assert report.manifest is not None
    m = report.manifest
    if as_json:
        print_json(
            {
                "corpus": name,
                "version": m.version,
                "digest": m.digest,
                "rows": m.rows,
                "failed": report.failed,
            }
        )
    else:
        show(stages_table((*stages, *report.stages)))
        if excluded:
            say(f"{excluded} problems with the sequences; `mimdata failures` lists clips that are left out.")
        say(f"Dataset {name} {m.version}: {m.rows} utterances, digest {m.digest}")
    sys.exit(EXIT_SOME_FAILED if report.failed else 0)


def _pair(text: str) -> tuple[str, str]:
    stem, equals, name = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--modality takes FILE=NAME, such as CMU_MOSI_COVAREP=audio, found {text!r}")
    return stem.removesuffix(".csd"), name


@click.command("csd")
@click.argument("version", default="latest")
@CORPUS
@STORE
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="A folder."
)
def export_command(version: str, corpus: str | None, store: str | None, output: Path) -> None:
    """A dataset version as sequences that the CMU SDK opens: words, labels, and one for each modality."""
    from mimdata.pipeline.commands.versions import versions_of
    from mimdata.pipeline.csd_export import export_csd

    done = export_csd(*versions_of(corpus, store).find(version), output)
    for path in done.files:
        say(path)
    if done.words_without_times:
        say(f"{done.words_without_times:,} words have no time and are left out.")
