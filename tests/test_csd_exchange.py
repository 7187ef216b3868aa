"""Computational sequences in and out by the commands, with the real SDK as a reader."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimdata.pipeline.csd_export import export_csd, sequences_of
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.formats import sdk
from mimdata.pipeline.formats.csd import TimedFeatures, read_csd, write_csd
from mimdata.pipeline.store.folder import Folder
from tests.command import Command
from tests.csd_files import labels_csd, words_csd
from tests.workflows.little import little


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Versions]:
    """A version of the little corpus as sequences, and its versions."""
    folder = tmp_path_factory.mktemp("exported")
    corpus = little(folder)
    corpus.rebuild(pooling={"weights": "mean", "statistics": ["mean"]})
    versions = Versions(Folder(str(corpus.store)), "manifest")
    version, manifest = versions.find("latest")
    export_csd(version, manifest, folder / "csd")
    return folder / "csd", versions


def rows(versions: Versions) -> dict[str, dict[str, Any]]:
    import pyarrow.parquet as pq

    folder, manifest = versions.find("latest")
    return {
        r["clip_id"]: r for s in manifest.shards for r in pq.read_table(folder.path(s["file"])).to_pylist()
    }


def mean(_: Any, features: Any) -> Any:
    """As the SDK's documentation writes it; it is asked to collapse the words as well."""
    return features[0] if features.dtype.kind == "S" else np.average(features, axis=0)


def test_the_sdk_reads_and_aligns_what_is_exported(exported: tuple[Path, Versions]) -> None:
    folder, versions = exported
    with contextlib.redirect_stdout(io.StringIO()):
        from mmsdk import mmdatasdk

        dataset = mmdatasdk.mmdataset({name: str(folder / f"{name}.csd") for name in ("words", "audio")})
        dataset.align("words", collapse_functions=[mean])
        dataset.add_computational_sequences({"labels": str(folder / "labels.csd")}, destination=None)
        dataset.align("labels")
    found = dataset["audio"].data
    assert set(found) == {f"v{i}[{k}]" for i in range(5) for k in range(2)}
    for clip_id, row in rows(versions).items():
        assert np.allclose(found[clip_id]["features"], np.array(row["audio_mean"]), rtol=0, atol=1e-6)
        assert float(dataset["labels"].data[clip_id]["features"][0, 0]) == pytest.approx(row["sentiment"])


def test_a_version_is_a_dataset_of_the_sdks_functions(exported: tuple[Path, Versions]) -> None:
    folder, versions = exported
    found = sequences_of(*versions.find("latest"))
    assert set(found) == {"words", "labels", "audio"}
    for name, entries in found.items():
        written = dict(read_csd(folder / f"{name}.csd"))
        assert set(entries) == set(written)
        for key, entry in entries.items():
            assert np.array_equal(entry.intervals, written[key].intervals)
            assert entry.features.tolist() == written[key].features.tolist()
    words = sdk.align(sdk.unify({name: found[name] for name in ("words", "audio")}), "words", [sdk.mean])
    aligned = sdk.align({**words, "labels": found["labels"]}, "labels")
    for clip_id, row in rows(versions).items():
        assert np.allclose(aligned["audio"][clip_id].features, np.array(row["audio_mean"]), rtol=0, atol=1e-6)


def test_what_is_exported_comes_back_the_same(exported: tuple[Path, Versions], tmp_path: Path) -> None:
    folder, versions = exported
    before = rows(versions)
    splits: dict[str, list[str]] = {}
    for row in before.values():
        splits.setdefault(row["split"], []).append(row["video_id"])
    (folder / "folds.json").write_text(json.dumps({s: sorted(set(v)) for s, v in splits.items()}))
    call = Command(tmp_path)
    call("import", "csd", str(folder), "--corpus", "back", "--store", "store", "--workers", "0")
    after = rows(Versions(Folder(str(tmp_path / "store")), "back"))
    assert set(after) == set(before)
    for clip_id, row in after.items():
        old = before[clip_id]
        assert (row["words"], row["split"]) == (old["words"], old["split"])
        assert row["sentiment"] == pytest.approx(old["sentiment"])
        assert np.allclose(row["audio_mean"], old["audio_mean"], rtol=0, atol=1e-6)
        assert np.allclose(np.diff(row["word_start"]), np.diff(old["word_start"]), atol=1e-5)


def test_files_of_several_folders_are_a_corpus(exported: tuple[Path, Versions], tmp_path: Path) -> None:
    """Words of one folder, labels and voice of another, which holds a second sequence of words that is not wanted."""
    folder, versions = exported
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name, place in (("words", "a"), ("labels", "b"), ("audio", "b")):
        shutil.copy(folder / f"{name}.csd", tmp_path / place)
    shutil.copy(folder / "words.csd", tmp_path / "b" / "other_words.csd")
    call = Command(tmp_path, (("MIMDATA_CACHE", str(tmp_path / "cache")),))
    more = ("--corpus", "files", "--store", "store", "--workers", "0", "--json")
    shutil.copy(folder / "words.csd", tmp_path / "b")
    assert "found 2 and 1" in call("import", "csd", "b", *more, code=1).err
    first = call("import", "csd", "a/words.csd", "b/labels.csd", "b/audio.csd", *more).lines()[0]
    again = call("import", "csd", "b/audio.csd", "b/labels.csd", "a/words.csd", *more).lines()[0]
    assert (first["rows"], first["digest"]) == (10, again["digest"])
    after = rows(Versions(Folder(str(tmp_path / "store")), "files"))
    for clip_id, row in rows(versions).items():
        assert after[clip_id]["words"] == row["words"]
        assert np.allclose(after[clip_id]["audio_mean"], row["audio_mean"], rtol=0, atol=1e-6)
    for places, said in (
        (("a/words.csd", "b"), "b is a folder"),
        (("a/none.csd",), "a/none.csd does not exist"),
        (("a/words.csd", "folder/words.csd"), "does not exist"),
    ):
        assert said in call("import", "csd", *places, *more, code=2).err


def peak(folder: Path, corpus: str, store: Path) -> int:
    """MiB that an import in one process held at most."""
    call = [
        "import",
        "csd",
        str(folder),
        "--corpus",
        corpus,
        "--store",
        str(store),
        "--no-bert",
        "--workers",
        "0",
    ]
    command = f"from mimdata.pipeline.cli import main; main({call!r}, prog_name='mimdata')"
    process = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss // 1024


def test_memory_does_not_grow_with_the_sequences(tmp_path: Path) -> None:
    """A minute of voice a video, as COVAREP has it: 2 MiB each, a hundred of them beside four."""
    times = np.arange(6000)[:, None] / 100 + np.array([[0.0, 0.01]])
    spoken = [(f"w{i}", i / 2, i / 2 + 0.5) for i in range(120)]
    found = {}
    for count in (4, 100):
        folder = tmp_path / str(count)
        folder.mkdir()
        names = [f"v{i}" for i in range(count)]
        random = np.random.default_rng(0)
        words_csd(folder, **dict.fromkeys(names, spoken))
        labels_csd(folder, **{name: [(0.0, 59.9, 1.0)] for name in names})
        values = (random.normal(size=(6000, 74)).astype(np.float32) for _ in names)
        features = ((v, TimedFeatures(times, x)) for v, x in zip(names, values, strict=True))
        write_csd(folder / "covarep.csd", "COVAREP", features)
        found[count] = peak(folder, f"n{count}", tmp_path / "store")
    size = (tmp_path / "100" / "covarep.csd").stat().st_size // 2**20
    assert size > 170
    assert found[100] - found[4] < size / 3, found


def test_emotions_come_back_under_their_names(tmp_path: Path) -> None:
    corpus = little(tmp_path)
    for i, row in enumerate(corpus.rows):
        row |= {"emotion_happy": i % 3, "emotion_anger": (i + 1) % 3}
    corpus.write()
    corpus.rebuild(pooling={"weights": "mean", "statistics": ["mean"]})
    versions = Versions(Folder(str(corpus.store)), "manifest")
    export_csd(*versions.find("latest"), tmp_path / "csd")
    Command(tmp_path)(
        "import", "csd", str(tmp_path / "csd"), "--corpus", "back", "--store", "store", "--workers", "0"
    )
    after = rows(Versions(Folder(str(tmp_path / "store")), "back"))
    for clip_id, row in rows(versions).items():
        for name in ("happy", "anger"):
            assert after[clip_id][f"emotion_{name}"] == row[f"emotion_{name}"]
    assert {row["emotion_happy"] for row in after.values()} == {0, 1, 2}


def test_a_version_without_times_is_no_sequence(tmp_path: Path, shared_data: Path) -> None:
    call = Command(tmp_path)
    call(
        "import",
        "pickle",
        str(shared_data / "mosi" / "dev229_misa_form.pkl"),
        "--split",
        "valid",
        "--store",
        "store",
    )
    done = call("export", "csd", "latest", "--store", "store", "-o", "out", code=1)
    assert "has a time" in done.err
    assert not (tmp_path / "out").exists()


def test_export_is_a_command(exported: tuple[Path, Versions], tmp_path: Path) -> None:
    _, versions = exported
    done = Command(tmp_path)(
        "export", "csd", "latest", "--corpus", "manifest", "--store", versions.store.url, "-o", "out"
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"words.csd", "labels.csd", "audio.csd"}
    assert "audio.csd" in done.out
