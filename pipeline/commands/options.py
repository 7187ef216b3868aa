"""Options that several commands share, and the configuration that they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from mimdata.pipeline.config import RunConfig, load_config, nested
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.snapshot import Snapshot, last_corpus
from mimdata.pipeline.terminal import json_line, say

F = TypeVar("F", bound=Callable[..., Any])
EXIT_SOME_FAILED, EXIT_NOT_PUBLISHED = 3, 4

STORE = click.option(
    "--store", metavar="PATH", help="The store: a folder, or a URL such as s3://.  [default: .mimdata]"
)
CORPUS = click.option("--corpus", metavar="NAME", help="The corpus.  [default: the last one, or else demo]")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON lines for a script.")
CONFIG = click.option(
    "--config",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML file; see docs/configuration.md.",
)
SET = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key of the configuration."
)
ROOT = click.option(
    "--root",
    metavar="PATH",
    help="Where the raw corpus lies: a folder, or a URL such as s3://.  [default: as in the last run]",
)
ONLY = click.option(
    "--only", multiple=True, metavar="PATTERN", help="Only clips or videos of these names (* and ?)."
)
LIMIT = click.option("--limit", type=click.IntRange(min=1), help="Only the first so many clips.")
MODALITY = click.option(
    "--modality", "modalities", multiple=True, metavar="NAME", help="Only these modalities."
)


def chain(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, listed by --help in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


RUN_OPTIONS = chain(
    CORPUS,
    click.option("--reader", metavar="NAME", help="What reads it, where the corpus has a name of its own."),
    ROOT,
    STORE,
    CONFIG,
    SET,
    MODALITY,
    ONLY,
    LIMIT,
    click.option(
        "--workers", type=click.IntRange(min=0), help="Processes; 0 stays in this one.  [default: one a core]"
    ),
    click.option("--scheduler", metavar="ADDRESS", help="A running Dask scheduler, such as tcp://host:8786."),
    click.option(
        "--device", metavar="NAME", help="cpu or cuda; results are reproducible on cpu.  [default: cpu]"
    ),
    click.option("--retry-failed", is_flag=True, help="Try clips again whose failure is remembered."),
    click.option("--rehash", is_flag=True, help="Read every source file again, whatever its time of change."),
    JSON,
)


def configuration(
    file: Path | None,
    assignments: tuple[str, ...],
    take_over: Iterable[str] = ("root", "reader", "fixes"),
    **given: Any,
) -> RunConfig:
    """The configuration of a call. `take_over` names what comes from the corpus's last run if nothing else says it."""
    values: dict[str, Any] = {**given, "modalities": given.get("modalities") or None}
    for key, value in nested(assignments).items():
        both = isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
        values[key] = {**values[key], **value} if both else value
    first = load_config(file, values)
    store = Folder(first.store)
    last = Snapshot(store, first.corpus or last_corpus(store) or "demo").last_run()
    return load_config(file, values, last={key: last[key] for key in take_over if key in last})


def print_json(value: object) -> None:
    """One JSON document on one line of standard output."""
    say(json_line(value))
