"""How long until something happens? `mimdata --help`, and `mimdata train` to the end of its first update.

The training reads 64 random utterances, one update of them, and is timed to its end, checkpoint, evaluation and curves
included: more than the first update takes.

    python benchmarks/bench_startup.py

Writes its section of docs/performance.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench_loader import generate
from report import in_turn, markdown, publish


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        version = generate(Path(folder), 64)
        runs = Path(folder) / "runs"
        settings = ["--set", "batch_size=64", "--set", "epochs=1", "--device", "cpu"]
        calls = {
            "`mimdata --help`": _call("--help"),
            "`mimdata train`, one update": _call(
                "train", "--dataset", str(version), "--store", str(runs), *settings
            ),
        }
        seconds = in_turn(list(calls.values()))
    rows = [(name, f"{s:.2f}") for name, s in zip(calls, seconds, strict=True)]
    publish(
        "Start-up",
        "benchmarks/bench_startup.py",
        "Medians of 5 calls, each a process of its own.\n\n" + markdown(("command", "seconds"), rows),
        ("mimdata", "torch"),
    )


def _call(*arguments: str) -> Callable[[], None]:
    call = [sys.executable, "-c", "from mimdata.pipeline.cli import main; main()", *arguments]
    return lambda: subprocess.run(call, check=True, capture_output=True) and None


if __name__ == "__main__":
    main()
