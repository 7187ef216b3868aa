"""What every benchmark writes: the machine, the versions, one table, under its own heading of a page in docs/."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PERFORMANCE, RESULTS = DOCS / "performance.md", DOCS / "results.md"


def machine() -> str:
    """The processor and its cores, and the GPU where torch sees one."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        model = found.group(1).strip() if found else model
    return f"{os.cpu_count()} cores, {model}; {platform.system()}, Python {platform.python_version()}"


def versions(*distributions: str) -> str:
    """`name version` of each distribution."""
    return ", ".join(f"{name} {version(name)}" for name in distributions)


def median_seconds(run: Callable[[], object], times: int = 5) -> float:
    """The median wall time of some calls, after one that is not counted."""
    run()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def in_turn(runs: Sequence[Callable[[], object]], times: int = 5) -> list[float]:
    """The median wall time of each of several things, measured in turn so that a busy moment hits all."""
    for run in runs:
        run()
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(times):
        for i, run in enumerate(runs):
            began = time.perf_counter()
            run()
            found[i].append(time.perf_counter() - began)
    return [statistics.median(seconds) for seconds in found]


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; all columns but the first stand flush right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def publish(
    title: str, script: str, body: str, distributions: Sequence[str] = ("mimdata",), page: Path = PERFORMANCE
) -> None:
    """Print a section and put it into a page, in the place of its last one or at the end."""
    about = (
        f"`python {script}`, {datetime.now(UTC):%Y-%m-%d}. {machine()}. {versions(*distributions)}.".replace(
            "..", "."
        )
    )
    section = f"## {title}\n\n{about}\n\n{body.strip()}\n"
    print(section)
    parts = re.split(r"(?m)^(?=## )", page.read_text(encoding="utf-8"))
    parts = [part.rstrip() + "\n" for part in parts]
    mine = [i for i, part in enumerate(parts) if part.startswith(f"## {title}\n")]
    if mine:
        parts[mine[0]] = section
    else:
        parts.append(section)
    page.write_text("\n".join(parts), encoding="utf-8")
