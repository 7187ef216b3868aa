"""The `mimdata` command as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """What a call printed, and its exit code."""

    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Command:
    """Calls in one folder; `environment` adds to that of the tests."""

    folder: Path
    environment: tuple[tuple[str, str], ...] = ()

    def __call__(self, *arguments: str, code: int | None = 0) -> Done:
        """Run and check the exit code (None: any)."""
        ours = {key: value for key, value in os.environ.items() if not key.startswith("MIMDATA_")}
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from mimdata.pipeline.cli import main; main(prog_name='mimdata')",
                *arguments,
            ],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**ours, **dict(self.environment)},
            check=False,
        )
        assert code is None or done.returncode == code, (
            f"{arguments} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        return Done(done.returncode, done.stdout, done.stderr)
