"""kill -9 of the driver alone: at moments drawn by chance, and before each file of a version appears."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.faults.conftest import Reference
from tests.faults.place import MIMDATA, PATIENCE, Place, end, temporaries

KILLS = 20
SEED = 20


def kill_after(place: Place, job: str, seconds: float) -> tuple[bool, list[psutil.Process]]:
    """Kill the driver alone, as the kernel does when memory is short: (was it alive, its orphans)."""
    process = place.start(job)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        orphans = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True, orphans
    end(process)
    return False, []


def test_twenty_kills_of_the_driver_lose_nothing(media: Path, tmp_path: Path, reference: Reference) -> None:
    """Stores that are killed again and again on their way to a version, up to five times at each job."""
    draw = random.Random(SEED)
    orphans: list[psutil.Process] = []
    kills = stores = 0
    while kills < KILLS:
        place = Place(media, tmp_path / str(stores))
        for job, longest in (("extract", 2.4), ("align", 1.8)):
            for _ in range(5):
                alive, left = kill_after(place, job, draw.uniform(0.6, longest))
                kills, orphans = kills + alive, orphans + left
                if not alive:
                    break
            place.run(job)
        assert place.run("extract").stages()["audio"]["computed"] == 0
        assert (place.digest(), temporaries(place.store)) == (reference.digest, [])
        stores += 1
    _, left_behind = psutil.wait_procs(orphans, timeout=10)
    assert left_behind == []


def test_a_kill_at_every_write_on_the_way_to_a_version_is_made_good(
    filled: Place, reference: Reference, tmp_path: Path
) -> None:
    """SIGKILL with each file written and not yet renamed: rows, books, shards, publication. The next run makes it good."""
    for made in ("rows", "index/rows", "datasets"):
        shutil.rmtree(filled.store / made)
    call = filled.call("align", "--workers", "0")[len(MIMDATA) :]
    script = [sys.executable, "-m", "tests.faults.every_write", str(filled.store), str(tmp_path), *call]
    done = subprocess.run(script, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) >= 15
    assert {(kill["digest"], kill["temporaries"]) for kill in found} == {(reference.digest, 0)}
