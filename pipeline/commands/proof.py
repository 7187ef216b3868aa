"""`mimdata verify` and `mimdata provenance`."""

from __future__ import annotations

import sys
from typing import Any

import click

from mimdata.pipeline.commands.options import CORPUS, JSON, STORE, configuration, print_json
from mimdata.pipeline.commands.versions import versions_of
from mimdata.pipeline.terminal import say


@click.command("verify")
@click.argument("version", default="latest")
@CORPUS
@STORE
@click.option(
    "--sample", type=click.IntRange(min=0), default=8, show_default=True, help="Clips to compute anew."
)
@click.option("--all", "everything", is_flag=True, help="Compute every clip anew.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes.  [default: one a core]")
@JSON
def verify_command(
    version: str,
    corpus: str | None,
    store: str | None,
    sample: int,
    everything: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Prove that a version is what it says.

    Every file is compared with its digest; then some clips are computed anew from the raw corpus, with the configuration
    of its last run, and compared with their rows byte for byte. Exit code 1 if anything differs.
    """
    from mimdata.pipeline.verify import verify

    versions = versions_of(corpus, store)
    takes = ("root", "reader", "fixes", "extractors", "aligner", "pooling", "dataset", "device")
    config = configuration(None, (), takes, store=store, corpus=versions.corpus, workers=workers)
    found = verify(versions, version, config, None if everything else sample)
    if as_json:
        print_json(found.to_json())
    else:
        broken = len(found.differences) - (found.clips - found.equal)
        say(f"{found.version}: {found.files - broken} of {found.files} files have their digest")
        say(f"{found.equal} of {found.clips} clips computed anew are equal to their rows, byte for byte")
        for name, what in found.differences:
            say(f"  {name} {what}")
        if broken:
            say("`mimdata align` writes damaged files again.")
    sys.exit(1 if found.differences else 0)


@click.command("provenance")
@click.argument("clip")
@click.option("--version", default="latest", show_default=True, help="As `mimdata versions` lists it.")
@CORPUS
@STORE
@JSON
def provenance_command(clip: str, version: str, corpus: str | None, store: str | None, as_json: bool) -> None:
    """For every column of a clip: the file, span, step, weights and parameters that it came from."""
    from mimdata.pipeline.provenance import provenance

    found = provenance(versions_of(corpus, store), version, clip)
    if as_json:
        print_json(found)
        return
    say(f"{found['clip_id']}: row {found['row']} of {found['version']}/{found['shard']}")
    for group, about in found["columns"].items():
        say("", f"{group}: {', '.join(about['columns'])}")
        for line in _lines(about, found["source"]):
            say(f"    {line}")
    say(
        "",
        f"pooled as {found['pooled']['key'][:16]}…: {_settings(found['pooled'].get('step', {}).get('parameters', {}))}",
    )


def _lines(about: dict[str, Any], source: str) -> list[str]:
    if "step" not in about:
        return [about["from"]]
    step = about["step"]
    lines = [f"{step['step']} version {step['version']}: {_settings(step['parameters'])}"]
    if about.get("source"):
        lines.append(f"{source}, sha256 {about['source'][:16]}…, {_span(about)}")
    if "text" in about:
        lines.append(f"the transcript: {about['text']}")
    if about.get("sidecar"):
        lines.append(f"the file beside it, sha256 {about['sidecar'][:16]}…")
    lines += [f"weights {name}: {digest[:16]}…" for name, digest in step["weights"].items()]
    lines.append(f"libraries: {', '.join(f'{name} {number}' for name, number in step['libraries'].items())}")
    return [*lines, f"key {about['key'][:16]}…"]


def _span(about: dict[str, Any]) -> str:
    if about.get("start") is None and about.get("end") is None:
        return "all of it"
    end = "its end" if about.get("end") is None else f"{about['end']:g} s"
    return f"{about.get('start') or 0:g} s to {end}"


def _settings(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in parameters.items()) or "no parameters"
