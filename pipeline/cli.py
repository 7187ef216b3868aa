"""The `mimdata` command: names and one-line helps; each command is imported when it is called."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import click

from mimdata.pipeline.errors import MimdataError, UsageError
from mimdata.pipeline.terminal import OneLine, say

# Name → where the command lies, and its line in the list, so that --help imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "extract": (
        "mimdata.pipeline.commands.jobs:extract_command",
        "Extract text, voice and face features of a corpus.",
    ),
    "align": (
        "mimdata.pipeline.commands.jobs:align_command",
        "Align features to words and publish a dataset version.",
    ),
    "train": ("mimdata.mim.commands.train:train", "Train MIM on an aligned dataset."),
    "evaluate": ("mimdata.mim.commands.evaluate:evaluate", "Measure a model on a dataset, with intervals."),
    "predict": (
        "mimdata.workflows.predict:predict_command",
        "What a model makes of one new recording.",
    ),
    "explain": ("mimdata.mim.commands.explain:explain", "What a model made of one clip: gates, predictions."),
    "runs": ("mimdata.mim.commands.runs:runs", "List the trainings of a store, or compare some."),
    "demo": ("mimdata.workflows.demo:demo_command", "Build a small corpus and run the whole path on it."),
    "rebuild": (
        "mimdata.workflows.commands:rebuild_command",
        "The whole path from a workflow file, checked; for the night.",
    ),
    "import": (
        "mimdata.pipeline.commands.exchange:import_group",
        "Make a dataset version of what others have written.",
    ),
    "export": (
        "mimdata.pipeline.commands.exchange:export_group",
        "Write a dataset version as others read it.",
    ),
    "versions": (
        "mimdata.pipeline.commands.versions:versions_command",
        "List dataset versions, or their history.",
    ),
    "diff": ("mimdata.pipeline.commands.versions:diff_command", "What differs between two versions."),
    "publish": ("mimdata.pipeline.commands.versions:publish_command", "Give readers a version that waits."),
    "rollback": ("mimdata.pipeline.commands.versions:rollback_command", "Give readers an earlier version."),
    "pin": ("mimdata.pipeline.commands.versions:pin_command", "Keep a version from gc."),
    "unpin": ("mimdata.pipeline.commands.versions:unpin_command", "Let a version go to gc."),
    "gc": ("mimdata.workflows.commands:gc_command", "Remove old versions and candidates."),
    "verify": ("mimdata.pipeline.commands.proof:verify_command", "Prove that a version is what it says."),
    "provenance": (
        "mimdata.pipeline.commands.proof:provenance_command",
        "Where every column of a clip comes from.",
    ),
    "status": (
        "mimdata.pipeline.commands.looking:status_command",
        "What the store holds: corpora, ledgers, datasets.",
    ),
    "inspect": ("mimdata.pipeline.commands.looking:inspect_command", "One clip: words in time and features."),
    "why": (
        "mimdata.pipeline.commands.looking:why_command",
        "What changed in a clip's keys, and what it costs.",
    ),
    "failures": (
        "mimdata.pipeline.commands.looking:failures_command",
        "Clips that failed, why, and how to retry them.",
    ),
    "corpora": (
        "mimdata.pipeline.commands.plugins:corpora_command",
        "List corpora; check one; build a demo corpus.",
    ),
    "extractors": (
        "mimdata.pipeline.commands.plugins:extractors_command",
        "List extractors and word aligners.",
    ),
    "doctor": ("mimdata.pipeline.commands.doctor:doctor_command", "Is everything here that mimdata needs?"),
    "completion": (
        "mimdata.pipeline.commands.plugins:completion_command",
        "Print the completion script of a shell.",
    ),
}


class Misused(click.ClickException):
    """A call that cannot mean anything."""

    exit_code = 2


class Commands(click.Group):
    """Commands that are imported by name, and errors that are one line for a person."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MimdataError as error:
            if ctx.params.get("debug"):
                raise
            code = getattr(error, "exit_code", None)  # of a run that was asked to stop, which is no mistake
            if code is not None:
                say(error, err=True)
                raise click.exceptions.Exit(code) from error
            raise (Misused if isinstance(error, UsageError) else click.ClickException)(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks and everything that is logged.")
@click.version_option(package_name="mimdata")
def main(debug: bool) -> None:
    """Raw talking-head corpora in, word-aligned Parquet and a trained MIM out.

    Exit codes: 0 done, 1 failed, 2 wrong use, 3 done but some clips are in the failures table,
    4 built but not published, 143 and 130 stopped by SIGTERM or Ctrl-C.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(levelname)s %(name)s: %(message)s" if debug else "%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("mimdata").setLevel(logging.DEBUG if debug else logging.INFO)
