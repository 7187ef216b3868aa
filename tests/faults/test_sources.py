"""Corpus files that are replaced, clocks that go backwards, and two runs at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mimdata.mim.dataset import newest_corpus
from tests.faults.conftest import Reference
from tests.faults.place import CLIPS, FILMS, MIMDATA, Place, end, temporaries, until


@pytest.fixture
def own(place: Place, media: Path, tmp_path: Path) -> Place:
    """The corpus as files that a test may replace."""
    films = tmp_path / "films"
    shutil.copytree(media, films)
    return Place(films, place.store)


def films_by_length(place: Place) -> list[Path]:
    """The films, the shortest first."""
    rows = map(json.loads, (place.media / "manifest.jsonl").read_text().splitlines())
    ends = {row["source"]: row["end"] for row in rows}  # the last row of each counts
    return [place.media / source for source in sorted(ends, key=lambda source: float(ends[source]))]


def replace(victim: Path, content: bytes, keep_time: bool = False) -> None:
    """As a careful copy does it: by one rename. `keep_time` gives the new file the old one's time of change."""
    status = victim.stat()
    fresh = victim.with_suffix(".part")
    fresh.write_bytes(content)
    if keep_time:
        os.utime(fresh, ns=(status.st_atime_ns, status.st_mtime_ns))
    fresh.replace(victim)


@pytest.mark.parametrize("by", ["a longer film", "half of it"])
def test_a_file_that_is_replaced_while_it_is_read_is_a_failure_that_passes(
    own: Place, reference: Reference, by: str
) -> None:
    """The driver, which computes as well, stands still from the moment it has digests until the file is another."""
    process = own.start("extract", "--workers", "0")
    until(lambda: (own.store / "sources.parquet").exists() or process.poll() is not None)
    process.send_signal(signal.SIGSTOP)
    shortest, *_, longest = films_by_length(own)
    before = shortest.read_bytes()
    replace(shortest, longest.read_bytes() if by == "a longer film" else before[: len(before) // 2])
    process.send_signal(signal.SIGCONT)
    end(process, code=3)
    assert {(f["source"], f["cause"]) for f in failures_of(own)} == {(shortest.name, "source changed")}
    replace(shortest, before)
    assert own.run("extract").stages()["audio"]["computed"] == CLIPS // FILMS
    own.run("align")
    assert own.digest() == reference.digest


def failures_of(place: Place) -> list[dict[str, str]]:
    """The failures table."""
    call = [*MIMDATA, "failures", "--store", str(place.store), "--json"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_file_with_the_size_and_time_of_the_old_one_is_found_by_rehash(
    own: Place, reference: Reference
) -> None:
    own.run("extract")
    shortest, *_, longest = films_by_length(own)
    before = shortest.read_bytes()
    replace(shortest, longest.read_bytes(), keep_time=True)
    assert own.run("extract").stages()["audio"]["computed"] == 0  # size and time are trusted
    assert own.run("extract", "--rehash").stages()["audio"]["computed"] == CLIPS // FILMS
    replace(shortest, before, keep_time=True)
    assert own.run("extract", "--rehash").stages()["audio"]["computed"] == 0
    own.run("align")
    assert own.digest() == reference.digest


def test_a_store_from_tomorrow_is_as_good_as_one_of_today(filled: Place, reference: Reference) -> None:
    """The clock was ahead when all was written, and has been set right since."""
    tomorrow = time.time() + 86_400
    folder = filled.store / "datasets/manifest"
    name = (folder / "latest").read_text().strip()
    later = f"29991231-{name.partition('-')[2]}"
    content = json.loads((folder / name / "manifest.json").read_text())
    content |= {"version": later, "created": "2999-12-31T23:59:59+00:00"}
    (folder / name / "manifest.json").write_text(json.dumps(content))
    (folder / name).rename(folder / later)
    (folder / "latest").write_text(f"{later}\n")
    for file in (*filled.store.rglob("*"),):
        os.utime(file, (tomorrow, tomorrow))
    for job in ("extract", "align"):
        assert {line["computed"] for line in filled.run(job).stages().values()} == {0}
    assert (folder / "latest").read_text().strip() == later
    assert filled.digest() == reference.digest
    sweep_from_tomorrow = filled.store / "tracks" / ".tmp-elsewhere~1~0~x.parquet"
    sweep_from_tomorrow.write_bytes(b"half")
    os.utime(sweep_from_tomorrow, (tomorrow, tomorrow))
    filled.run("extract")
    assert sweep_from_tomorrow.exists()  # another machine may be at it: a day must have passed
    os.utime(sweep_from_tomorrow, (time.time() - 2 * 86_400,) * 2)
    filled.run("extract")
    assert temporaries(filled.store) == []


def test_source_files_from_tomorrow_are_read_by_each_run_and_never_confused(own: Place) -> None:
    for file in own.media.glob("*.mp4"):
        os.utime(file, (time.time() + 86_400,) * 2)
    own.run("extract")
    shortest, *_, longest = films_by_length(own)
    replace(shortest, longest.read_bytes(), keep_time=True)
    assert own.run("extract").stages()["audio"]["computed"] == CLIPS // FILMS


def test_the_newest_corpus_is_the_one_published_last_whatever_the_clock_says(filled: Place) -> None:
    """Another corpus was published before this one, by a clock that was a day ahead."""
    other = filled.store / "datasets/other/latest"
    other.parent.mkdir()
    other.write_text("whatever\n")
    os.utime(other, (time.time() + 86_400,) * 2)
    assert newest_corpus(filled.store) == "manifest"


def test_two_runs_on_one_store_at_once_end_well(place: Place, reference: Reference) -> None:
    for job in ("extract", "align"):
        both = [place.start(job, "--workers", "1") for _ in range(2)]
        for process in both:
            done = end(process)
            assert "Traceback" not in done.err
            assert {line["failed"] for line in done.stages().values()} == {0}
    assert place.digest() == reference.digest
    assert len(place.parts()) == len(list((reference.store / "tracks").rglob("*.parquet")))
    versions = [p for p in (place.store / "datasets/manifest").iterdir() if p.is_dir()]
    assert len(versions) == 1
    assert temporaries(place.store) == []
    assert place.run("extract").stages()["audio"]["computed"] == 0
