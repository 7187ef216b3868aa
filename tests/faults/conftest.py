"""One small corpus for all faults, and the store and digest of a run that nothing disturbed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mimdata.pipeline.corpora.demo_builder import build_demo
from tests.faults.place import CLIPS, FILMS, Place


@dataclass(frozen=True)
class Reference:
    """What a run gives that nothing disturbs."""

    store: Path
    digest: str


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's films and their true word times, as a manifest."""
    demo = tmp_path_factory.mktemp("faults") / "demo"
    build_demo(demo, utterances=CLIPS, videos=FILMS)
    films = demo / "Raw/Videos/Full/Combined"
    size = max(file.stat().st_size for file in films.glob("*.mp4"))
    for file in films.glob("*.mp4"):  # padded to one size, so that one may stand for another
        with file.open("ab") as film:
            film.truncate(size)
        os.utime(file, (0, 0))  # long settled: digests of files that have just changed are not remembered
    truth = [json.loads(line) for line in (demo / "Truth/words.jsonl").read_text().splitlines()]
    rows = [
        {
            "clip_id": said["clip_id"],
            "source": said["clip_id"].partition("[")[0] + ".mp4",
            "text": " ".join(word["word"] for word in said["words"]),
            **{name: said[name] for name in ("start", "end", "words")},
        }
        for said in truth
    ]
    (films / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return films


@pytest.fixture(scope="session")
def reference(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """A complete store, never touched by a test, and its digest."""
    place = Place(media, tmp_path_factory.mktemp("reference") / "store")
    return Reference(place.store, place.complete())


@pytest.fixture
def place(media: Path, tmp_path: Path) -> Place:
    """An empty store."""
    return Place(media, tmp_path / "store")


@pytest.fixture
def filled(place: Place, reference: Reference) -> Place:
    """A store that is complete."""
    return place.copy_of(reference.store)
