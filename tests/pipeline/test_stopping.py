"""SIGTERM, Ctrl-C and clips that take too long: what was done stays, what was not is said, and workers end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mimdata.pipeline.dataset.pooling import TRACKS
from tests.command import Command
from tests.workflows.little import little

AUDIO = TRACKS + "audio"


@pytest.mark.parametrize(
    ("number", "code", "to"),
    [(signal.SIGTERM, 143, "the driver"), (signal.SIGINT, 130, "all"), (signal.SIGTERM, 143, "all")],
)
def test_a_stopped_run_stores_what_is_done_and_goes_on(
    tmp_path: Path, number: signal.Signals, code: int, to: str
) -> None:
    corpus = little(tmp_path, videos=40)
    workflow = corpus.toml(tmp_path / "little.toml")
    call = ("rebuild", str(workflow), "--set", "workers=2")
    process = subprocess.Popen(
        [sys.executable, "-c", "from mimdata.pipeline.cli import main; main(prog_name='mimdata')", *call],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    parts = corpus.store / "tracks" / "audio"
    while not list(parts.glob("*/*.parquet")):
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    if to == "all":
        os.killpg(process.pid, number)  # as a terminal does, and a service manager
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, (out, err)
    assert "stopped by" in err
    assert "Traceback" not in err
    assert not (corpus.store / "datasets").exists()
    stored = sum(1 for _ in parts.glob("*/*.parquet"))
    assert stored > 0
    assert (
        "the next run goes on"
        in next((corpus.store / "reports" / "manifest").glob("*/report.md")).read_text()
    )
    done = Command(tmp_path)("rebuild", str(workflow), "--json").lines()[-1]
    audio = next(stage for stage in done["stages"] if stage["stage"] == "audio")
    assert audio["cached"] > 0
    assert audio["computed"] + audio["cached"] == 80
    assert not list(corpus.store.rglob(".tmp-*"))
    assert not subprocess.run(["pgrep", "-g", str(process.pid)], check=False, capture_output=True).stdout
