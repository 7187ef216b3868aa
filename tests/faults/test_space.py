"""A store that cannot be written, for want of space or of leave: one line, exit code 1, and the next run completes it."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Reference
from tests.faults.place import Ended, Place, end, temporaries, until

SMALL = 200_000  # bytes; the features of all clips need more


def mount(*words: str) -> None:
    """Mount a filesystem, or skip the test where that takes more rights than we have."""
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a filesystem here: {done.stderr.strip()}")


@pytest.fixture
def disk(place: Place) -> Iterator[Place]:
    """A store on a disk of its own that is too small."""
    place.store.mkdir()
    mount("-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place.store))
    yield place
    subprocess.run(["umount", str(place.store)], check=True)


def refused(done: Ended, why: str) -> None:
    """One line that says why, where, and what to do."""
    (line,) = done.said()
    assert line.startswith(f"Error: {why}: cannot write /"), line
    assert "; " in line
    assert done.code == 1


def test_a_full_disk_is_one_line_and_costs_nothing_that_was_stored(disk: Place, reference: Reference) -> None:
    refused(disk.run("extract", "--workers", "2", code=1), "No space left on device")
    there = len(disk.parts())
    assert there > 0
    assert temporaries(disk.store) == []
    mount("-o", "remount,size=100m", str(disk.store))
    assert disk.run("extract").stages()["audio"]["cached"] > 0
    disk.run("align")
    assert disk.digest() == reference.digest


def test_a_disk_that_fills_while_a_version_is_written(disk: Place, reference: Reference) -> None:
    mount("-o", "remount,size=100m", str(disk.store))
    disk.copy_of(reference.store)
    shutil.rmtree(disk.store / "datasets")
    ballast = disk.store / "ballast"
    free = shutil.disk_usage(disk.store).free
    ballast.write_bytes(bytes(free - 20_000))
    refused(disk.run("align", code=1), "No space left on device")
    ballast.unlink()
    assert temporaries(disk.store) == []
    assert disk.complete() == reference.digest


def test_a_limit_of_file_sizes_is_one_line(place: Place, reference: Reference) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    refused(place.run("extract", code=1, before=limited), "File too large")
    assert temporaries(place.store) == []
    assert place.complete() == reference.digest


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("job", ["extract", "align"])
def test_a_read_only_store_is_one_line_and_stays_as_it_is(filled: Place, tmp_path: Path, job: str) -> None:
    before = tree(filled.store)
    mount("--bind", str(filled.store), str(filled.store))
    try:
        mount("-o", "remount,ro,bind", str(filled.store))
        refused(filled.run(job, code=1), "Read-only file system")
    finally:
        subprocess.run(["umount", str(filled.store)], check=True)
    assert tree(filled.store) == before


def test_a_disk_that_turns_read_only_under_way(disk: Place, reference: Reference) -> None:
    """As the kernel does with a disk that fails."""
    mount("-o", "remount,size=100m", str(disk.store))
    process = disk.start("extract")
    until(lambda: disk.parts())
    while subprocess.run(
        ["mount", "-o", "remount,ro", str(disk.store)], check=False, capture_output=True
    ).returncode:
        assert process.poll() is None
    refused(end(process, code=1), "Read-only file system")
    mount("-o", "remount,rw", str(disk.store))
    assert disk.complete() == reference.digest


def test_a_store_that_is_a_file_is_one_line(place: Place) -> None:
    place.store.write_text("mine")
    refused(place.run("extract", code=1), "Not a directory")
    assert place.store.read_text() == "mine"
