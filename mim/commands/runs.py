"""`mimdata runs`: the runs of a store as a list, or some of them side by side. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mimdata.mim.commands.places import asked_store, runs_folder
from mimdata.pipeline.terminal import json_line, say

if TYPE_CHECKING:
    from mimdata.mim.comparison import Comparison, Interval
    from mimdata.mim.runs import Group, Spread

COLUMNS = ("mae", "corr", "acc2_non0", "acc", "f1")  # of the list: of sentiment and of emotions, where there
DIGITS = 12  # of a dataset's digest


@click.command()
@click.argument("run", nargs=-1)
@click.option("--store", metavar="PATH", help="The store.  [default: .mimdata; env MIMDATA_STORE]")
@click.option("--each", is_flag=True, help="Every training of a series on a line of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a line a run, or one for a comparison.")
def runs(run: tuple[str, ...], store: str | None, each: bool, as_json: bool) -> None:
    """List the runs of a store, those written last first; or compare RUN with another RUN.

    A RUN is a name in the list or a folder. Of a series, the variants are compared; RUN/VARIANT and
    RUN/VARIANT/seed-SEED are parts of it. One RUN shows the settings that are not the defaults.
    """
    from mimdata.mim.comparison import compare
    from mimdata.mim.runs import find_groups, list_runs

    folder = runs_folder(asked_store(store))
    if run:
        groups = [group for place in run for group in find_groups(place, folder)]
        comparison = compare(groups)
        if as_json:
            _print_json(comparison.to_json())
        else:
            _show_comparison(comparison)
        _show_trouble(groups)
        return
    groups = list_runs(folder, each=each)
    if as_json:
        for group in groups:
            _print_json(group.to_json())
    elif groups:
        _show_list(folder, groups)
    else:
        say(f"No runs in {folder}: `mimdata train` makes one.")
    _show_trouble(groups)


def _print_json(value: Any) -> None:
    say(json_line(value, allow_nan=False))


def _show_list(folder: Path, groups: Sequence[Group]) -> None:
    from mimdata.mim.display import print_table

    measures = [name for name in COLUMNS if any(group.test(name) for group in groups)]
    columns = ("run", "written", "corpus", "fusion", "seed", "best/epochs", "valid loss")
    rows = [
        (
            group.name,
            f"{datetime.fromtimestamp(group.written):%Y-%m-%d %H:%M}",
            group.first.corpus,
            str(group.first.settings.get("fusion", "–")),
            _seeds(group),
            _epochs(group),
            _number(group.valid_loss),
            *(_number(group.test(name)) for name in measures),
            group.state,
        )
        for group in groups
    ]
    print_table(
        f"Runs in {folder}, the last written first",
        (*columns, *(f"test {name}" for name in measures), "state"),
        rows,
    )


def _show_comparison(comparison: Comparison) -> None:
    from mimdata.mim.display import print_table

    names = [group.name for group in comparison.runs]
    rows = [(name, *map(_setting, values)) for name, values in comparison.settings.items()]
    rows.append(("state", *(group.state for group in comparison.runs)))
    rows.append(("best/epochs", *map(_epochs, comparison.runs)))
    rows.append(("valid loss", *map(_number, comparison.valid_loss)))
    rows += [
        (f"test {name}", *map(_measure, values, comparison.intervals[name]))
        for name, values in comparison.test.items()
    ]
    title = "What differs" if len(names) > 1 else "What is not the default"
    print_table(f"{title}, and measures of the test split", ("", *names), rows)
    if any(any(pairs) for pairs in comparison.intervals.values()):
        say("[ ]: 95% bootstrap interval over the test utterances; it does not cover other seeds.")


def _show_trouble(groups: Sequence[Group]) -> None:
    for run in (run for group in groups for run in group.runs if run.trouble):
        say(f"{run.path} cannot be read: {run.trouble}", err=True)


def _seeds(group: Group) -> str:
    seeds = group.seeds
    if group.planned == 1:
        return str(seeds[0]) if seeds else "–"
    return f"{len(seeds)} of {group.planned}" if len(seeds) < group.planned else f"{len(seeds)} seeds"


def _epochs(group: Group) -> str:
    """Of one training: its best epoch and those that are done."""
    if len(group.runs) > 1:
        return "–"
    return f"{group.first.best_epoch or '–'}/{group.first.epochs}"


def _number(value: Spread | None) -> str:
    if value is None:
        return "–"
    return f"{value.mean:.3f}" + ("" if value.std is None else f" ± {value.std:.3f}")


def _measure(value: Spread | None, interval: Interval | None) -> str:
    return _number(value) + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _setting(value: Any) -> str:
    if isinstance(value, str) and len(value) == 64:
        return value[:DIGITS]
    return "–" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
