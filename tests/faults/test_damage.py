"""Bytes that change on the disk: found by their digest, put right from the corpus, the damaged ones kept for whoever asks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults.conftest import Reference
from tests.faults.place import CLIPS, Place


def cut(path: Path) -> None:
    """Half of the file, as a disk that was full or a copy that broke off leaves it."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """One bit, of the values where the file has any."""
    content = bytearray(path.read_bytes())
    at = len(content) // 3
    if path.suffix == ".parquet":
        column = pq.read_metadata(path).row_group(0).column(0)
        at = (
            column.data_page_offset + column.total_compressed_size - 3
        )  # the page's end: it begins with a header
    content[at] ^= 0x04
    path.write_bytes(content)


def damaged(store: Path) -> list[str]:
    """What was set aside."""
    return sorted(str(p.relative_to(store / "damaged")) for p in (store / "damaged").rglob("*.parquet"))


def without(place: Place, *names: str) -> None:
    """Remove what is computed from the damaged files, so that they are read."""
    for name in names:
        shutil.rmtree(place.store / name)


AFTER = {"tracks/audio": ("rows", "datasets"), "words": ("rows", "datasets"), "rows": ("datasets",)}


@pytest.mark.parametrize("kind", list(AFTER))
def test_damaged_parts_are_computed_again_when_they_are_read(
    filled: Place, reference: Reference, kind: str
) -> None:
    """By `align` alone: it must not leave out the clips whose features it finds damaged."""
    without(filled, *AFTER[kind])
    victims = filled.parts(kind)[:2]
    names = [f"{kind}/{path.relative_to(filled.store / kind)}" for path in victims]
    for harm, path in zip((flip, cut), victims, strict=False):
        harm(path)
    done = filled.run("align")
    lines = done.said()
    assert [line.partition(" is damaged (")[0] for line in lines] == names
    assert all("set aside in damaged, its results are computed again" in line for line in lines)
    assert done.stages()["dataset"]["planned"] == CLIPS
    assert filled.digest() == reference.digest
    assert damaged(filled.store) == names
    assert filled.run("extract").stages()["audio"]["cached"] == CLIPS


def test_damaged_parts_are_known_without_the_index(filled: Place, reference: Reference) -> None:
    """The index is a cache: what it knew of digests must not be all that there is."""
    without(filled, "index", "rows", "datasets")
    for harm, path in zip((cut, flip), filled.parts()[:2], strict=True):
        harm(path)
    assert filled.run("extract").stages()["audio"]["computed"] > 0
    assert len(damaged(filled.store)) == 2
    assert filled.complete() == reference.digest


CACHES = (
    "sources.parquet",
    "corpora/manifest/clips.parquet",
    "corpora/manifest/failures.parquet",
    "index/tracks/audio",
    "corpora/manifest/ledger.json",
)
NO_VALUES = (
    "corpora/manifest/failures.parquet",
    "corpora/manifest/ledger.json",
)  # whose bits could be flipped


@pytest.mark.parametrize("harm", [cut, flip])
def test_damaged_caches_are_rebuilt_and_stop_nothing(
    filled: Place, reference: Reference, harm: Callable[[Path], None]
) -> None:
    for name in CACHES:
        path = filled.store / name
        (cut if name in NO_VALUES else harm)(path if path.is_file() else next(path.glob("*.parquet")))
    done = filled.run("extract")
    assert done.stages()["audio"]["cached"] == CLIPS
    said = [line.partition(" cannot be read (")[0] for line in done.said()]
    assert len(said) == len(set(said)) == len(CACHES), done.err
    filled.run("align")
    assert filled.digest() == reference.digest
    assert filled.run("extract").said() == []


def test_a_damaged_configuration_of_the_last_run_says_what_to_do(filled: Place, reference: Reference) -> None:
    path = filled.store / "corpora/manifest/run.toml"
    path.write_bytes(b"\x00" * 100)
    (line,) = filled.run("align", code=1).said()
    assert "run.toml" in line
    assert "remove it, then give --root" in line
    path.unlink()
    assert filled.complete() == reference.digest


def version(place: Place) -> Path:
    """The folder of the latest version."""
    folder = place.store / "datasets/manifest"
    return folder / (folder / "latest").read_text().strip()


@pytest.mark.parametrize("harm", [cut, flip])
def test_damaged_files_of_a_version_are_written_again_to_the_same_bytes(
    filled: Place, harm: Callable[[Path], None]
) -> None:
    paths = [version(filled) / name for name in ("train-00000.parquet", "lineage.parquet")]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        harm(path)
    said = filled.run("align").said()
    assert [path.name in line for path, line in zip(paths, said, strict=True)] == [True, True]
    assert [path.read_bytes() for path in paths] == before
    assert filled.run("align").said() == []


@pytest.mark.parametrize("harm", [cut, flip])
def test_a_damaged_manifest_is_written_again(
    filled: Place, reference: Reference, harm: Callable[[Path], None]
) -> None:
    path = version(filled) / "manifest.json"
    harm(path)
    assert "set aside in damaged" in filled.run("align").err
    assert filled.digest() == reference.digest
    assert [p.name for p in (filled.store / "damaged/datasets/manifest").iterdir()] == [path.parent.name]
    assert filled.run("align").said() == []


def test_a_damaged_candidate_is_written_again(filled: Place, reference: Reference) -> None:
    """Of a run that was killed before it published: the name is taken, and nothing can be published from it."""
    waiting = filled.store / "candidates/manifest" / version(filled).name
    waiting.parent.mkdir(parents=True, exist_ok=True)
    version(filled).rename(waiting)
    cut(waiting / "manifest.json")
    (filled.store / "datasets/manifest/latest").unlink()
    filled.run("align")
    assert filled.digest() == reference.digest


def test_a_damaged_latest_is_written_again(filled: Place, reference: Reference) -> None:
    path = filled.store / "datasets/manifest/latest"
    for content in (b"", b"2026", b"\xff\xfe\x00", b"../../elsewhere\n"):
        path.write_bytes(content)
        filled.run("align")
        assert filled.digest() == reference.digest
