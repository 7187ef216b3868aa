"""`mimdata import pickle` and `export pickle` on the real valid fold of MOSI."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import mimdata
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


def test_real_fold_in_mmsas_form_is_the_same_version_of_values(real: tuple[Command, list[Any]]) -> None:
    call, _ = real
    call("import", "pickle", "three.pkl")
    call("export", "pickle", "--form", "mmsa", "--corpus", "three", "-o", "mmsa.pkl")
    done = call("import", "pickle", "mmsa.pkl", "--corpus", "back", "--json").lines()[0]
    assert (done["rows"], done["form"]) == (229, "mmsa")
    stores = (
        mimdata.open(store=call.folder / ".mimdata", corpus="three"),
        mimdata.open(store=call.folder / ".mimdata", corpus="back"),
    )
    for name in stores[0].splits:
        ours, theirs = (store.split(name) for store in stores)
        assert list(ours) == list(theirs)
        for one, other in zip(ours.rows(), theirs.rows(), strict=True):
            assert (one["words"], one["sentiment"]) == (other["words"], other["sentiment"])
            for m in ("text", "audio", "vision"):
                assert np.array_equal(one[f"{m}_mean"], other[f"{m}_mean"])
                assert np.array_equal(one[f"{m}_valid"], other[f"{m}_valid"])


def test_other_commands_take_what_was_imported(real: tuple[Command, list[Any]]) -> None:
    call, rows = real
    call("import", "pickle", "three.pkl")
    call("train", "--epochs", "2")
    call("verify")
    call("status")
    assert "–" in call("inspect", rows[0][2]).out


def made_up(folder: Path, **folds: int) -> Path:
    """A file of MAG-BERT's form: so many utterances a fold, with an infinite number in the first one's voice."""
    random = np.random.default_rng(0)
    content: dict[str, list[Any]] = {}
    for fold, n in folds.items():
        content[fold] = []
        for i in range(n):
            words = ["so", "good", f"n{i}"]
            visual, acoustic = random.normal(size=(3, 4)), random.normal(size=(3, 5))
            if i == 0:
                acoustic[1, 2] = -np.inf
                visual[2] = 0
            content[fold].append(((words, visual, acoustic), np.array([[i / n]]), f"{fold}{i}[0]"))
    path = folder / "made.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def test_what_is_not_finite_or_all_zero_is_masked_and_said(tmp_path: Path) -> None:
    call = Command(tmp_path)
    made_up(tmp_path, train=4, dev=2, test=2)
    done = call("import", "pickle", "made.pkl", "--json").lines()[0]
    assert (done["rows"], done["masked"]) == (8, {"audio": 3})
    folder = tmp_path / ".mimdata" / "datasets" / "made" / done["version"]
    row = pq.read_table(folder / "train-00000.parquet").to_pylist()[0]
    assert row["audio_valid"] == [True, False, True]
    assert row["vision_valid"] == [True, True, False]
    assert row["audio_mean"][1] == [0.0] * 5
    assert row["word_start"] == [None] * 3
    assert np.isfinite(row["text_mean"]).all()
    assert call("verify", "--json").lines()[0]["differences"] == []


def test_an_import_takes_no_extracted_corpus_over(tmp_path: Path) -> None:
    from tests.workflows.little import little

    corpus = little(tmp_path)
    corpus.rebuild()
    made_up(tmp_path, train=2, dev=1, test=1)
    refused = Command(tmp_path)(
        "import", "pickle", "made.pkl", "--corpus", "manifest", "--store", str(corpus.store), code=1
    )
    assert "give the import another name" in refused.err
