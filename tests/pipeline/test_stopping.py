"""SIGTERM, Ctrl-C and clips that take too long: what was done stays, what was not is said, and workers end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mimdata.pipeline.dataset.pooling import TRACKS
from mimdata.pipeline.execute import Workers
from mimdata.pipeline.jobs import keep_books
from mimdata.pipeline.stages import media_stage
from mimdata.pipeline.steps import Resources
from mimdata.pipeline.watchdog import TooSlow, Watchdog
from tests.command import Command
from tests.pipeline import fakes
from tests.pipeline.fakes import FakeTrack, make_clips, make_run
from tests.workflows.little import little

AUDIO = TRACKS + "audio"


def test_what_takes_too_long_is_interrupted_and_nothing_after_it() -> None:
    watchdog = Watchdog()
    began = time.perf_counter()
    with pytest.raises(TooSlow), watchdog.watching(0.2, lambda: None):
        all(iter(lambda: True, False))
    assert time.perf_counter() - began < 2
    for _ in range(2000):  # the limit falls anywhere: before, in and after the block, but never outside of it
        try:
            with watchdog.watching(0.00001, lambda: None):
                sum(range(20))
        except TooSlow:
            pass
    time.sleep(0.05)
    with watchdog.watching(5.0, lambda: None):
        time.sleep(0.02)


@dataclass(frozen=True)
class SlowTrack(FakeTrack):
    """Loops on a clip that says so; `deep` sleeps in one call of C, which no exception interrupts."""

    name: ClassVar[str] = "slow"
    deep: bool = False

    def open(self, resources: Resources) -> Any:
        quick = super().open(resources)

        def extract(media: Any, clip: Any) -> Any:
            while "number 1 " in clip.text:
                time.sleep(60 if self.deep else 0.01)
            return quick(media, clip)

        return extract


@pytest.mark.parametrize(("deep", "workers"), [(False, 0), (True, 1)], ids=["in Python", "in C"])
def test_a_clip_that_hangs_costs_itself_alone(tmp_path: Path, deep: bool, workers: int) -> None:
    (tmp_path / "corpus").mkdir()
    clips = make_clips(tmp_path / "corpus")
    run = make_run(tmp_path / "corpus", tmp_path / "store", clips, clip_seconds=1.0)
    with Workers(workers) as here:
        run = replace(run, workers=here)
        (account,) = media_stage(run, {AUDIO: SlowTrack(deep=deep)}, "extract")
    assert list(account.failures) == ["v1[0]"]
    failure = account.failures["v1[0]"]
    assert (failure.cause, failure.permanent) == ("too slow", False)
    assert "clip_seconds=2" in failure.hint
    assert account.report.computed == 5
    assert fakes.CALLS or workers
    keep_books(run, [account])


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


@dataclass(frozen=True)
class HungryTrack(FakeTrack):
    """Takes memory without end for a clip that says so."""

    name: ClassVar[str] = "hungry"

    def open(self, resources: Resources) -> Any:
        quick = super().open(resources)

        def extract(media: Any, clip: Any) -> Any:
            held = []
            while "number 1 " in clip.text:
                held.append(bytearray(b"x" * 20_000_000))
                time.sleep(0.02)
            return quick(media, clip)

        return extract


def test_a_clip_that_takes_all_memory_costs_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    run = make_run(tmp_path / "corpus", tmp_path / "store", make_clips(tmp_path / "corpus"))
    with Workers(1, memory="600MiB") as here:
        (account,) = media_stage(replace(run, workers=here), {AUDIO: HungryTrack()}, "extract")
    assert {name: failure.cause for name, failure in account.failures.items()} == {"v1[0]": "worker lost"}
    assert "memory" in account.failures["v1[0]"].hint
    assert account.report.computed == 5
