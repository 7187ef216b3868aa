"""The whole path on real recordings: faces that vanish, files without sound, foreign codecs, damage."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.command import Command

pytestmark = pytest.mark.shared_data

SAID = "don't forget a jacket"


def manifest(folder: Path, rows: list[dict[str, object]]) -> None:
    """A corpus of one's own: manifest.csv."""
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["clip_id", "source", "text", "sentiment", "split"])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def built(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Six real films, four damaged or missing files and two bad rows, extracted and aligned."""
    folder = tmp_path_factory.mktemp("real")
    root = folder / "corpus"
    root.mkdir()
    real = sorted((shared_data / "clips/edge_cases").iterdir())
    rows: list[dict[str, object]] = []
    for file in real:
        (root / file.name).symlink_to(file)
        rows.append({"clip_id": f"{file.stem}[0]", "source": file.name, "text": SAID, "split": "train"})
    talking = (shared_data / "clips/edge_cases/talking_head.mp4").read_bytes()
    (root / "cut.mp4").write_bytes(talking[: len(talking) // 3])
    (root / "empty.mp4").write_bytes(b"")
    (root / "text.mp4").write_text("this is no film")
    names = ("cut.mp4", "empty.mp4", "text.mp4", "gone.mp4")
    rows += [{"clip_id": f"{Path(n).stem}[0]", "source": n, "text": SAID, "split": "train"} for n in names]
    rows.append({"clip_id": "outside[0]", "source": "../x.mp4", "text": SAID, "split": "train"})
    rows.append({"clip_id": "wordless[0]", "source": real[0].name, "text": " ", "split": "train"})
    manifest(root, rows)
    command = Command(folder)
    command("extract", "--corpus", "manifest", "--root", str(root), "--workers", "0", code=3)
    command("align", "--workers", "0", code=3)
    return command


def shown(built: Command, clip: str) -> dict[str, object]:
    (row,) = built("inspect", clip, "--json").lines()
    return row


def test_every_clip_is_in_the_dataset_or_in_the_failures(built: Command) -> None:
    (status,) = built("status", "--json").lines()
    clips = status["corpora"]["manifest"]
    failed = {line["clip_id"] for line in built("failures", "--json").lines()}
    (dataset,) = status["datasets"]
    assert {"cut[0]", "empty[0]", "text[0]", "gone[0]", "outside[0]", "wordless[0]"} <= failed
    assert dataset["rows"] == 6
    assert clips["clips"] == 9  # without the missing file, the path out of the root and the empty text


@pytest.mark.parametrize(
    ("clip", "vision", "audio"),
    [
        ("talking_head[0]", "all", "some"),
        ("no_face[0]", "none", "all"),
        ("no_audio_track[0]", "all", "none"),
        ("face_then_no_face[0]", "some", "some"),
        ("1001_DFA_ANG_XX[0]", "all", "some"),
    ],
)
def test_masks_say_what_was_found(built: Command, clip: str, vision: str, audio: str) -> None:
    row = shown(built, clip)
    modalities = row["modalities"]
    assert isinstance(modalities, dict)
    for name, expected in (("vision", vision), ("audio", audio)):
        found, frames = modalities[name]["valid"], modalities[name]["frames"]
        assert expected == ("none" if not found else "all" if found == frames else "some"), (found, frames)


def test_words_without_sound_are_marked(built: Command) -> None:
    row = shown(built, "no_audio_track[0]")
    assert row["words"] == SAID.split()
    assert max(row["confidence"]) < 0.11  # type: ignore[type-var]
    assert "suspect: not aligned: no audio track" in built("inspect", "no_audio_track[0]").out


def test_the_sentence_of_the_flash_films_is_aligned(built: Command) -> None:
    row = shown(built, "1001_DFA_HAP_XX[0]")
    assert row["words"] == SAID.split()
    assert min(row["confidence"]) > 0.2  # type: ignore[type-var]
