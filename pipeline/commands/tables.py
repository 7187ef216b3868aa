"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from mimdata.pipeline.books import StageReport
from mimdata.pipeline.terminal import printable


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[str] = ()
) -> Table:
    """A plain table; the columns in `numbers` stand flush right. What cannot be printed is written out."""
    made = Table(title=printable(title) or None, box=box.SIMPLE, title_justify="left")
    right = set(numbers)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*map(_cell, row))
    return made


def _cell(value: object) -> str:
    """One line, or a line for each part of a tuple."""
    return "\n".join(printable(str(line)) for line in (value if isinstance(value, tuple) else (value,)))


def show(made: Table) -> None:
    """Print a table to standard output; markup in a transcript stays text."""
    Console(markup=False, emoji=False, highlight=False).print(made)


def stages_table(stages: Iterable[StageReport]) -> Table:
    """One line a stage: planned = computed + cached + failed."""
    columns = ("stage", "planned", "computed", "cached", "failed", "seconds")
    rows = [(s.stage, s.planned, s.computed, s.cached, s.failed, f"{s.seconds:.1f}") for s in stages]
    return table("", columns, rows, columns[1:])
