"""What a person sees of a run: a bar or plain lines while it trains, a table when it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click


def epoch_line(line: Mapping[str, Any]) -> str:
    """One epoch in one line."""
    parts = [f"epoch {line['epoch']}", f"train {line['train']['fused']:.4f}"]
    if line["valid"]:
        parts.append(f"valid {line['valid']['loss']:.4f}")
    parts.append("open " + " ".join(f"{name} {share:.0%}" for name, share in line["open"].items()))
    return ", ".join(parts) + f" ({line['seconds']:.1f} s)"


@contextmanager
def watching(epochs: int) -> Iterator[tuple[Callable[[str], None], Callable[[Mapping[str, Any]], None]]]:
    """(say, on_epoch) for the trainer: a bar on a terminal, plain lines elsewhere, both on standard error."""
    if not sys.stderr.isatty():

        def echo(text: str) -> None:
            click.echo(text, err=True)

        yield echo, lambda line: echo(epoch_line(line))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epochs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.description}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console) as bars:
        row = bars.add_task("", total=epochs)
        yield (
            lambda text: console.print(text, highlight=False, markup=False),
            lambda line: bars.update(row, advance=1, description=epoch_line(line)),
        )


def show_report(report: Mapping[str, Any]) -> None:
    """The measures of the best epoch on the validation and the test split, as a table."""
    from rich.console import Console
    from rich.table import Table

    splits = [split for split in ("valid", "test") if report[split]]
    table = Table(
        title=f"{report['run']}: best epoch {report['best_epoch']} of {report['epochs']}",
        title_justify="left",
    )
    table.add_column("measure")
    for split in splits:
        table.add_column(f"{split} (n = {report[split]['n']})", justify="right")
    names = list(dict.fromkeys(name for split in splits for name in report[split]))
    for name in names:
        if name not in ("n", "reasons"):
            table.add_row(name, *(_cell(report[split].get(name)) for split in splits))
    Console().print(table)
    for split in splits:
        for name, reason in report[split].get("reasons", {}).items():
            click.echo(f"{split} {name}: none, {reason}")


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
