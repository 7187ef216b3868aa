"""SIGTERM and Ctrl-C: what was done stays, what was not is said, nothing is published, and no process is left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mimdata.pipeline.jobs import align, extract
from mimdata.pipeline.run import Options, open_run
from mimdata.pipeline.stopping import SIGNALS, Stop, StoppedError, deaf, stoppable
from mimdata.pipeline.store.folder import Folder
from tests.command import Command
from tests.workflows.little import Little, little

MIMDATA = (sys.executable, "-c", "from mimdata.pipeline.cli import main; main(prog_name='mimdata')")
CLIPS = 50


@pytest.fixture
def corpus(tmp_path: Path) -> Little:
    return little(tmp_path, videos=CLIPS // 2)


@contextmanager
def started(corpus: Little, command: str) -> Iterator[subprocess.Popen[str]]:
    """A command with two workers, in a process group of its own, as a terminal has it."""
    workflow = str(corpus.toml(corpus.root.parent / "little.toml"))
    options = (workflow,) if command == "rebuild" else ("--config", workflow)
    process = subprocess.Popen(
        [*MIMDATA, command, *options, "--set", "workers=2"],
        cwd=corpus.root.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)
        process.communicate()


def first_part(corpus: Little, process: subprocess.Popen[str]) -> None:
    """Wait until something is stored."""
    while not list((corpus.store / "tracks/audio").glob("*/[!.]*.parquet")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def group(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> list[int]:
    """The processes of its group that are left after a moment."""
    deadline = time.monotonic() + 5
    while members(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return members(process)


def members(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> list[int]:
    """The processes of its group, the dead that nobody has waited for left out."""
    return [
        p.pid
        for p in psutil.process_iter(["status"])
        if _group(p.pid) == process.pid and p.info["status"] != "zombie"
    ]


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of its group, so that a test that fails leaves nothing behind."""
    for pid in members(process):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def test_ctrl_c_in_a_terminal_keeps_what_is_done_and_the_next_run_goes_on(corpus: Little) -> None:
    with started(corpus, "extract") as process:
        first_part(corpus, process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, group(process)) == (130, "", [])
    finishing, stopped = [line for line in err.splitlines() if "SIGINT" in line]
    assert finishing == "SIGINT: finishing the clips under way; once more ends at once"
    assert f"of {CLIPS} clips: what is done is stored, and the same command goes on" in stopped
    assert "Traceback" not in err
    mimdata = Command(corpus.root.parent)
    store = ("--store", str(corpus.store))
    failures = mimdata("failures", *store, "--json").lines()
    assert {failure["cause"] for failure in failures} == {"interrupted"}
    (status,) = mimdata("status", *store, "--json").lines()
    ledger = status["corpora"]["manifest"]["ledger"]["audio"]
    assert (ledger["in"], ledger["excluded"]) == (CLIPS, {"interrupted": len(failures)})
    (again,) = mimdata("extract", "--config", "little.toml", "--json").lines()
    assert (again["cached"], again["computed"]) == (CLIPS - len(failures), len(failures))
    assert not list(corpus.store.rglob(".tmp-*"))


def test_a_stopped_rebuild_publishes_nothing_and_reports_it(corpus: Little) -> None:
    with started(corpus, "rebuild") as process:
        first_part(corpus, process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, group(process)) == (143, [])
    assert "stopped by SIGTERM, audio " in err
    assert "Traceback" not in err
    assert not (corpus.store / "datasets").exists()
    (report,) = (corpus.store / "reports/manifest").glob("*/report.md")
    assert "the next run goes on" in report.read_text()
    assert not list(corpus.store.rglob(".tmp-*"))


def test_ctrl_c_while_the_workers_start_is_as_orderly(corpus: Little) -> None:
    with started(corpus, "extract") as process:
        while not any("spawn_main" in " ".join(c.cmdline()) for c in psutil.Process(process.pid).children()):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, group(process)) == (130, []), err
    assert "Traceback" not in err


def test_a_second_signal_ends_at_once(corpus: Little) -> None:
    with started(corpus, "extract") as process:
        first_part(corpus, process)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert any("once more ends at once" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert (process.returncode, group(process)) == (-signal.SIGTERM, [])


def test_a_killed_driver_takes_its_workers_along_even_where_one_keeps_the_interpreter_to_itself() -> None:
    code = (
        "import re; from functools import partial; from mimdata.pipeline.execute import Workers\n"
        "with Workers(1) as workers:\n"
        "    list(workers.run(abs, [1])); print('up', flush=True)\n"
        "    list(workers.run(partial(re.match, '(a+)+$'), ['a' * 40 + 'b']))"  # takes years
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 30)[0], "no worker came up"
        (worker,) = (
            c for c in psutil.Process(process.pid).children() if "spawn_main" in " ".join(c.cmdline())
        )
        before = worker.cpu_times().user
        while worker.cpu_times().user < before + 0.3:  # until it is at it
            time.sleep(0.05)
        process.kill()
        process.wait()
        left = group(process)
    finally:
        end(process)
        process.communicate()
    assert left == []


def test_a_stop_while_shards_are_written_publishes_nothing(tmp_path: Path) -> None:
    corpus = little(tmp_path)

    class WhileWriting(Stop):
        """Asked for as soon as there is a version half-written."""

        number = signal.SIGTERM

        @property
        def asked(self) -> bool:
            return any((corpus.store / "candidates/manifest").glob(".tmp-*/*"))

        def __init__(self) -> None:
            self.name = "stop"

    with open_run(corpus.config(), Options()) as run:
        extract(run)
        with pytest.raises(StoppedError):
            align(replace(run, stop=WhileWriting()))
        assert not list(corpus.store.glob("*s/manifest/*/*"))
        assert align(run).manifest is not None


def test_a_signal_that_nobody_looked_at_is_not_lost(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with (
        pytest.raises(StoppedError, match="stopped by SIGTERM: what is done"),
        stoppable(Folder(str(tmp_path))),
    ):
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert not list(tmp_path.iterdir())


def test_a_signal_that_was_ignored_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `&` and nohup have it
    try:
        with stoppable(Folder(str(tmp_path))) as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_listen_to_no_signal(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    found: list[bool] = []

    def run() -> None:
        with stoppable(Folder(str(tmp_path))) as stop:
            found.append(stop.asked or signal.getsignal(signal.SIGTERM) is not before)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [False]


def test_what_is_started_deaf_hears_nothing() -> None:
    with deaf():
        process = subprocess.Popen(
            [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], stdout=-1
        )
    assert process.stdout is not None
    process.stdout.readline()
    for number in SIGNALS:
        process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.kill()
    process.communicate()
    assert not set(SIGNALS) & set(signal.pthread_sigmask(signal.SIG_BLOCK, []))
