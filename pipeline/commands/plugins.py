"""`mimdata corpora`, `extractors` and `completion`: what is installed."""

from __future__ import annotations

from dataclasses import fields
from inspect import getdoc
from pathlib import Path
from typing import Any

import click

from mimdata.pipeline import registry
from mimdata.pipeline.commands.options import JSON, print_json
from mimdata.pipeline.commands.tables import show, table
from mimdata.pipeline.terminal import say


def _about(group: registry.Group, name: str) -> dict[str, Any]:
    found = registry.load(group, name)
    origin = registry.installed(group)[name].dist
    return {
        "name": name,
        "about": (getdoc(found) or "").splitlines()[0],
        "from": origin.name if origin else "",
    }


def _step(group: registry.Group, name: str) -> dict[str, Any]:
    step = registry.load(group, name)
    parameters = {field.name: getattr(step(), field.name) for field in fields(step)}
    return {**_about(group, name), "gives": getattr(step, "modality", "words"), "parameters": parameters}


@click.group("corpora", invoke_without_command=True)
@JSON
@click.pass_context
def corpora_command(context: click.Context, as_json: bool) -> None:
    """List the corpora that are installed; `corpora check` looks at one before hours are spent."""
    if context.invoked_subcommand:
        return
    found = [_about("corpora", name) for name in registry.installed("corpora")]
    if as_json:
        for line in found:
            print_json(line)
        return
    show(table("", ("corpus", "layout", "from"), [tuple(line.values()) for line in found]))


@corpora_command.command("check")
@click.option("--corpus", required=True, metavar="NAME", help="One of `mimdata corpora`.")
@click.option("--root", required=True, metavar="PATH", help="Where the raw corpus lies: a folder or a URL.")
@JSON
def check_command(corpus: str, root: str, as_json: bool) -> None:
    """What is there, what is missing, and what will be skipped."""
    from mimdata.pipeline.corpora.check import summary
    from mimdata.pipeline.store.mirror import local_root

    found = summary(registry.corpus(corpus), local_root(root))
    if as_json:
        print_json(found.to_json())
        return
    say(*found.to_text().split("\n"))


@corpora_command.command("build-demo")
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--utterances", type=click.IntRange(min=3), default=24, show_default=True)
@click.option("--videos", type=click.IntRange(min=3), default=4, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def build_demo_command(root: Path, utterances: int, videos: int, seed: int) -> None:
    """Build a demo corpus of any size in ROOT, in MOSEI's raw layout."""
    from mimdata.pipeline.corpora.demo_builder import build_demo

    build_demo(root, utterances=utterances, videos=videos, seed=seed)
    say(f"{utterances} utterances in {videos} videos in {root}")


@click.command("extractors")
@JSON
def extractors_command(as_json: bool) -> None:
    """List extractors and word aligners with their parameters and defaults."""
    for group in ("extractors", "aligners"):
        found = [_step(group, name) for name in registry.installed(group)]
        if as_json:
            for line in found:
                print_json({"kind": group, **line})
            continue
        rows = [
            (
                line["name"],
                line["gives"],
                line["about"],
                ", ".join(f"{k} = {v!r}" for k, v in line["parameters"].items()),
            )
            for line in found
        ]
        show(table(group, ("name", "gives", "what", "parameters"), rows))


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the completion script of a shell: eval "$(mimdata completion bash)"."""
    from click.shell_completion import get_completion_class

    from mimdata.pipeline.cli import main

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "mimdata", "_MIMDATA_COMPLETE").source())  # noqa: TID251  # lines of our own
