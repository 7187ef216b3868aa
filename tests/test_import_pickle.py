"""`mimdata import pickle` and `export pickle` on the real valid fold of MOSI."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mimdata.pipeline.formats.unpickle import load
from tests.command import Command


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Command, list[Any]]:
    """The fold as three by video, imported twice."""
    rows = load(shared_data / "mosi" / "dev229_misa_form.pkl")
    videos = sorted({row[2].partition("[")[0] for row in rows})
    names = {video: "train" if i < 6 else "dev" if i < 8 else "test" for i, video in enumerate(videos)}
    folds: dict[str, list[Any]] = {"train": [], "dev": [], "test": []}
    for row in rows:
        folds[names[row[2].partition("[")[0]]].append(row)
    folder = tmp_path_factory.mktemp("import")
    (folder / "three.pkl").write_bytes(pickle.dumps(folds))
    return Command(folder), rows


def test_real_fold_goes_in_and_comes_out(real: tuple[Command, list[Any]]) -> None:
    call, rows = real
    first, second = (call("import", "pickle", "three.pkl", "--json").lines()[0] for _ in range(2))
    assert (first["rows"], first["computed"], second["computed"]) == (229, 229, 0)
    assert first["digest"] == second["digest"]
    call("export", "pickle", "--form", "mag-bert", "-o", "out.pkl")
    out = {row[2]: row for fold in load(call.folder / "out.pkl").values() for row in fold}
    for (_, visual, acoustic, words), label, name in rows:
        (got_words, got_visual, got_acoustic), got_label, _ = out[name]
        assert got_words == words
        assert np.array_equal(got_visual, visual)
        assert np.array_equal(got_acoustic, acoustic)
        assert np.array_equal(got_label, label)
    version = call.folder / ".mimdata" / "datasets" / "three" / first["version"]
    starts = pq.read_table(version / "train-00000.parquet").column("word_start").to_pylist()
    assert {time for row in starts for time in row} == {None}


def test_other_commands_take_what_was_imported(real: tuple[Command, list[Any]]) -> None:
    call, rows = real
    call("import", "pickle", "three.pkl")
    call("train", "--epochs", "2")
    call("verify")
    call("status")
    assert "–" in call("inspect", rows[0][2]).out
