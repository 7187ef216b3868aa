"""A corpus, a store for it, and the commands that fill the store, each a process of its own that may be killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIMDATA = (sys.executable, "-c", "from mimdata.pipeline.cli import main; main(prog_name='mimdata')")
PATIENCE = 90.0  # seconds; what takes longer hangs
CLIPS, FILMS = 12, 6


@dataclass(frozen=True)
class Ended:
    """A process that ended: its exit code, and what it said."""

    code: int
    out: str
    err: str
    seconds: float

    def stages(self) -> dict[str, dict[str, Any]]:
        """The JSON lines of a job by stage."""
        return {line["stage"]: line for line in map(json.loads, self.out.splitlines())}

    def said(self) -> list[str]:
        """The lines of standard error, less the progress."""
        return [line for line in self.err.splitlines() if line.strip()]


@dataclass(frozen=True)
class Place:
    """Where one test works. The voice alone, and word times as given: seconds for the whole path, and no torch."""

    media: Path
    store: Path

    def call(self, job: str, *more: str) -> list[str]:
        """The command line of `extract` or `align`."""
        aligner = ["--aligner", "given"] if job == "align" else []
        options = ["--corpus", "manifest", "--root", str(self.media), "--modality", "audio", "--json"]
        return [*MIMDATA, job, *options, "--store", str(self.store), *aligner, *more]

    def start(self, job: str, *more: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        """A job under way, with two workers unless `more` says otherwise."""
        ours = {key: value for key, value in os.environ.items() if not key.startswith("MIMDATA_")}
        return subprocess.Popen(
            self.call(job, "--workers", "2", *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ours,
            preexec_fn=before,
        )

    def run(
        self, job: str, *more: str, code: int | None = 0, before: Callable[[], None] | None = None
    ) -> Ended:
        """A job to its end, in one process unless `more` says otherwise."""
        return end(self.start(job, "--workers", "0", *more, before=before), code)

    def complete(self) -> str:
        """Extract and align what is missing; the digest of the version. Nothing half-written is left then."""
        self.run("extract")
        self.run("align")
        assert temporaries(self.store) == []
        return self.digest()

    def digest(self) -> str:
        """The digest that the latest version says it has."""
        folder = self.store / "datasets" / "manifest"
        manifest = json.loads(
            (folder / (folder / "latest").read_text().strip() / "manifest.json").read_text()
        )
        return str(manifest["digest"])

    def parts(self, kind: str = "tracks/audio") -> list[Path]:
        """The whole parts of a kind."""
        return sorted(p for p in (self.store / kind).rglob("*.parquet") if not p.name.startswith(".tmp-"))

    def copy_of(self, filled: Path) -> Place:
        """The same store as another one."""
        shutil.copytree(filled, self.store, dirs_exist_ok=True)
        return self


def end(process: subprocess.Popen[str], code: int | None = 0) -> Ended:
    """Wait for a process. What hangs is killed, and fails the test."""
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args} hangs:\n{out}\n{err}") from None
    assert code is None or process.returncode == code, f"gave {process.returncode}:\n{out}\n{err}"
    return Ended(process.returncode, out, err, time.monotonic() - began)


def temporaries(store: Path) -> list[Path]:
    """What writers left half-written, anywhere in a store."""
    return list(store.rglob(".tmp-*"))


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
