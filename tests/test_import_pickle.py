"""`mimdata import pickle` and `export pickle` on the real valid fold of MOSI."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

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


def test_real_fold_in_misas_form_is_what_its_code_reads(real: tuple[Command, list[Any]]) -> None:
    """train.pkl, dev.pkl, test.pkl and the vocabulary, unpickled by Python itself; and back, the folder at once."""
    call, rows = real
    call("import", "pickle", "three.pkl")
    call("export", "pickle", "--form", "misa", "--corpus", "three", "-o", "misa")
    vectors, ids = torch.load(call.folder / "misa" / "embedding_and_mapping.pt")
    assert (vectors, ids["<unk>"], ids["<pad>"]) == (None, 0, 1)
    found = {}
    for fold in ("train", "dev", "test"):
        for row in pickle.loads((call.folder / "misa" / f"{fold}.pkl").read_bytes()):  # noqa: S301  # our own
            found[row[2]] = row
    for (_, visual, acoustic, words), label, name in rows:
        (numbers, got_visual, got_acoustic, got_words), got_label, _ = found[name]
        assert got_words == words
        assert numbers.tolist() == [ids[word] for word in words]
        assert np.array_equal(got_visual, visual)
        assert np.array_equal(got_acoustic, acoustic)
        assert np.array_equal(got_label, label)
    first = call("import", "pickle", "misa", "--corpus", "back-misa", "--json").lines()[0]
    again = call("import", "pickle", "misa", "--corpus", "back-misa", "--json").lines()[0]
    assert (first["rows"], first["form"], again["computed"]) == (229, "misa", 0)
    assert first["digest"] == again["digest"]
    assert "holds none of train.pkl" in call("import", "pickle", ".", code=1).err
    before = sorted(call.folder.iterdir())
    out = ("export", "pickle", "--corpus", "three", "--form")
    assert "cannot write misa: Is a directory" in call(*out, "mult", "-o", "misa", code=1).err
    assert "cannot make the folder three.pkl" in call(*out, "misa", "-o", "three.pkl", code=1).err
    assert sorted(call.folder.iterdir()) == before


def test_real_fold_in_mults_form_keeps_all_but_its_words(real: tuple[Command, list[Any]]) -> None:
    call, rows = real
    call("import", "pickle", "three.pkl")
    call("export", "pickle", "--form", "mult", "--corpus", "three", "-o", "mult.pkl")
    done = call("import", "pickle", "mult.pkl", "--corpus", "mult", "--json").lines()[0]
    assert (done["rows"], done["form"]) == (229, "mult")
    back = mimdata.open(store=call.folder / ".mimdata", corpus="mult")
    found = {row["clip_id"]: row for name in back.splits for row in back.split(name).rows()}
    for (_, visual, acoustic, _), label, name in rows:
        assert found[name]["sentiment"] == label.item()
        assert np.array_equal(found[name]["vision_mean"], visual)
        assert np.array_equal(found[name]["audio_mean"], acoustic)


def test_frames_without_times_are_shared_out_only_when_asked(real: tuple[Command, list[Any]]) -> None:
    """The real fold, each of its values held for three frames."""
    call, rows = real
    call("import", "pickle", "three.pkl")
    call("export", "pickle", "--form", "mmsa", "--corpus", "three", "-o", "mmsa.pkl")
    document = load(call.folder / "mmsa.pkl")
    held = {name: (acoustic, len(words)) for (_, _, acoustic, words), _, name in rows}
    for fold in document.values():
        longest = 3 * fold["audio"].shape[1]
        fold["audio_lengths"] = []
        frames = np.zeros((len(fold["id"]), longest, 74), np.float32)
        for i, name in enumerate(fold["id"]):
            acoustic, words = held[name.replace("$_$", "[") + "]"]
            frames[i, : 3 * words] = np.repeat(acoustic, 3, axis=0)
            fold["audio_lengths"].append(3 * words)
        fold["audio"] = frames
    (call.folder / "unaligned.pkl").write_bytes(pickle.dumps(document))
    assert "--spread-frames" in call("import", "pickle", "unaligned.pkl", code=1).err
    said = call("import", "pickle", "unaligned.pkl", "--spread-frames")
    assert "nobody knows when" in said.out
    back = mimdata.open(store=call.folder / ".mimdata", corpus="unaligned")
    whole = 0
    assert back.manifest.content["aligner"] == {"step": "spread"}
    for name in back.splits:
        for row in back.split(name).rows():
            acoustic, words = held[row["clip_id"]]
            assert row["alignment"] == "spread"
            there = acoustic[(acoustic != 0).any(axis=1)]
            if row["audio_valid"].all() and len(there) == words:
                whole += 1
                # whatever word a frame went to, none was lost: the words' means lie among the frames
                assert (row["audio_mean"] >= there.min(axis=0) - 1e-4).all()
                assert (row["audio_mean"] <= there.max(axis=0) + 1e-4).all()
    assert whole > 100


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
