"""A corpus with our voice features and other people's face features, from raw files to a version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mimdata
from mimdata.pipeline.corpora.demo_builder import build_demo
from mimdata.pipeline.corpora.mosei import LAYOUT
from tests.command import Command
from tests.pipeline.extractors.test_elsewhere import HEADER

CONFIG = """
corpus = "demo"
root = "raw"

[extractors.vision]
name = "openface"
folder = "openface"
columns = ["pose", "AU"]
"""


@pytest.fixture
def place(tmp_path: Path) -> Command:
    build_demo(tmp_path / "raw", utterances=4, videos=3)
    (tmp_path / "mimdata.toml").write_text(CONFIG)
    (tmp_path / "openface").mkdir()
    for film in sorted((tmp_path / "raw" / LAYOUT.full_video).glob("*.mp4"))[:2]:
        lay(tmp_path / "openface" / f"{film.stem}.csv", 1.0)
    return Command(tmp_path)


def lay(path: Path, level: float) -> None:
    rows = [f"{i + 1},0,{i / 25:.3f},0.98,1,0,0,{level},{level},0" for i in range(25 * 60)]
    path.write_text("\n".join([HEADER, *rows]) + "\n")


def run(command: Command) -> dict[str, int]:
    config = ("--config", "mimdata.toml")
    lines = command("extract", *config, "--workers", "0", "--json").lines()
    command("align", *config, "--workers", "0")
    return {line["stage"]: line["computed"] for line in lines}


def test_their_faces_beside_our_voices(place: Command) -> None:
    assert run(place)["vision"] > 0
    data = mimdata.open(store=place.folder / ".mimdata")
    rows = [row for name in data.splits for row in data.split(name).rows()]
    with_face = {row["video_id"] for row in rows if row["vision_valid"].any()}
    assert len(with_face) == 2
    for row in rows:
        assert row["audio_valid"].any()
        if row["video_id"] in with_face:
            assert row["vision_valid"].all()
            np.testing.assert_allclose(row["vision_mean"], [[1, 1, 0]] * len(row["words"]), atol=1e-6)

    changed = min((place.folder / "openface").glob("*.csv"))
    lay(changed, 2.0)
    again = run(place)
    assert again["audio"] == again["text"] == 0
    assert again["vision"] == sum(row["video_id"] == changed.stem for row in rows)  # its clips and no others
