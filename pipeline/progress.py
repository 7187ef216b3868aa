"""Progress bars with rate and time left on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def progress(label: str, total: int, unit: str = "clips") -> Iterator[Advance]:
    """A bar on standard error, if that is a terminal. The block calls what it is given with what was done."""
    if total == 0 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import Task as Row

    class Rate(TextColumn):
        """Units a second since the start."""

        def render(self, task: Row) -> object:  # type: ignore[override]  # rich wants Text, takes str
            speed = task.finished_speed or task.speed
            return super().render(task) if speed is None else f"{speed:.1f} {unit}/s"

    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(""),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        row = bars.add_task(label, total=total)
        yield lambda done: bars.advance(row, done)
