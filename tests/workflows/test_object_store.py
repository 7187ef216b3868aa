"""Corpus and store on an object store: the same datasets as on a disk, and what changed there is what is fetched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import mimdata
from mimdata.pipeline.cli import main
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.errors import MimdataError, UsageError
from mimdata.pipeline.files import cache_folder
from mimdata.pipeline.store.folder import Folder, filesystem_of
from mimdata.pipeline.store.mirror import mirrored
from tests.command import Command
from tests.s3 import bucket, s3_server
from tests.workflows.little import Little, little

__all__ = ["bucket", "s3_server"]


@pytest.fixture
def corpus(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Little:
    monkeypatch.setenv("MIMDATA_CACHE", str(tmp_path / "cache"))
    made = little(tmp_path)
    upload(made, bucket)
    return made


def upload(corpus: Little, bucket: str) -> None:
    filesystem = filesystem_of(bucket)[0]
    for file in corpus.root.iterdir():
        filesystem.put_file(str(file), f"{bucket}/corpus/{file.name}")


def test_a_rebuild_on_an_object_store_equals_one_on_a_disk(corpus: Little, bucket: str) -> None:
    there = {"root": f"{bucket}/corpus", "store": f"{bucket}/store"}
    report, _ = corpus.rebuild(**there)
    assert report.state == "published", report.reason
    assert report.version is not None
    assert report.version["digest"] == corpus.digest()  # of the corpus and store on this disk
    versions = Versions(Folder(f"{bucket}/store"), "manifest")
    assert versions.latest() == report.version["version"]
    assert versions.candidates.folders() == []
    again, _ = corpus.rebuild(**there)
    assert again.state == "unchanged"
    assert again.version == report.version
    # A changed recording and one more: both arrive, the rest is neither fetched nor computed again.
    corpus.add("v9", "train")
    upload(corpus, bucket)
    later, _ = corpus.rebuild(**there)
    assert later.version is not None
    assert later.version["rows"] == report.version["rows"] + 2
    assert later.version["digest"] == corpus.digest()


def test_training_fetches_a_version_once_and_keeps_its_runs_here(
    corpus: Little, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = f"{bucket}/store"
    report, _ = corpus.rebuild(root=f"{bucket}/corpus", store=there)
    assert report.version is not None
    monkeypatch.chdir(tmp_path)
    small = [
        "--modalities",
        "audio",
        "--epochs",
        "1",
        "--set",
        "width=20",
        "--set",
        "layers=1",
        "--device",
        "cpu",
        "--json",
    ]
    done = CliRunner().invoke(main, ["train", "--store", there, *small])
    assert done.exit_code == 0, done.output
    (run,) = (tmp_path / ".mimdata" / "runs").iterdir()
    (folder,) = (tmp_path / "cache" / "datasets").iterdir()
    assert json.loads((run / "config.json").read_text())["dataset"] == str(folder)

    data = mimdata.open(store=there)
    assert (data.folder, data.manifest.digest) == (folder, report.version["digest"])
    assert mimdata.open(report.version["version"][:11], store=there, corpus="manifest").folder == folder
    assert sum(data.splits.values()) == report.version["rows"]
    with pytest.raises(MimdataError, match="no dataset version '2031' can be read"):
        mimdata.open("2031", store=there)

    # What differs from its manifest does not come here, and nothing half-fetched stays.
    filesystem = filesystem_of(there)[0]
    shutil.rmtree(folder)
    shard = f"{there}/datasets/manifest/{report.version['version']}/{data.manifest.shards[0]['file']}"
    filesystem.pipe_file(shard, b"other bytes")
    with pytest.raises(MimdataError, match="is not what its manifest says"):
        mimdata.open(store=there)
    assert list(folder.parent.iterdir()) == []


def test_a_rebuild_that_trains_wants_a_store_on_this_machine(corpus: Little, bucket: str) -> None:
    with pytest.raises(UsageError, match=r"leave \[train\] out"):
        corpus.rebuild(store=f"{bucket}/store", train={})


def test_the_commands_take_addresses(corpus: Little, bucket: str, tmp_path: Path) -> None:
    mimdata = Command(tmp_path, (("MIMDATA_CACHE", str(tmp_path / "cache")),))
    place = ("--corpus", "manifest", "--store", f"{bucket}/store", "--workers", "1")
    first = mimdata("extract", *place, "--root", f"{bucket}/corpus", "--modality", "audio", "--json")
    second = mimdata("extract", *place, "--modality", "audio", "--json")  # the root as in the last run
    assert [line["computed"] for line in first.lines() if line["stage"] == "audio"] == [10]
    assert [line["computed"] for line in second.lines() if line["stage"] == "audio"] == [0]
    mimdata("align", *place, "--modality", "audio", "--aligner", "given")
    (version,) = mimdata("versions", "--store", f"{bucket}/store", "--corpus", "manifest", "--json").lines()
    assert version["rows"] == 10
    assert version["latest"]
    assert "10" in mimdata("status", "--store", f"{bucket}/store").out
    seen = mimdata("inspect", "v1[1]", "--store", f"{bucket}/store", "--corpus", "manifest").out
    assert "v1[1]" in seen


def test_sequences_are_imported_from_an_address(corpus: Little, bucket: str, tmp_path: Path) -> None:
    corpus.rebuild(pooling={"weights": "mean", "statistics": ["mean"]})
    call = Command(tmp_path, (("MIMDATA_CACHE", str(tmp_path / "cache")),))
    call("export", "csd", "--corpus", "manifest", "--store", str(corpus.store), "-o", "csd")
    for file in (tmp_path / "csd").iterdir():
        filesystem_of(bucket)[0].put_file(str(file), f"{bucket}/csd/{file.name}")
    more = ("--store", f"{bucket}/store", "--workers", "0", "--json")
    whole = call("import", "csd", f"{bucket}/csd", "--corpus", "whole", *more).lines()[0]
    files = [f"{bucket}/csd/{name}.csd" for name in ("words", "labels", "audio")]
    named = call("import", "csd", *files, "--corpus", "named", *more).lines()[0]
    assert whole["rows"] == named["rows"] == 10


def test_what_changed_there_is_fetched_and_what_is_gone_goes(
    corpus: Little, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, filesystem = f"{bucket}/corpus", filesystem_of(bucket)[0]
    fetched: list[str] = []
    inner = filesystem._filesystem
    real = inner.get_file
    monkeypatch.setattr(inner, "get_file", lambda a, b: (fetched.append(a.rpartition("/")[2]), real(a, b)))
    folder = mirrored(url)
    assert sorted(fetched) == sorted(file.name for file in corpus.root.iterdir())
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == {
        f.name: f.read_bytes() for f in corpus.root.iterdir()
    }
    fetched.clear()
    stamps = {f.name: f.stat().st_mtime_ns for f in folder.iterdir()}
    assert mirrored(url) == folder
    assert fetched == []
    content = bytearray((corpus.root / "v1.wav").read_bytes())
    content[-1] ^= 1  # the same size
    filesystem.pipe_file(f"{url}/v1.wav", bytes(content))
    filesystem.rm_file(f"{url}/v2.wav")
    (folder / "v3.wav").write_bytes(b"cut")
    mirrored(url)
    assert sorted(fetched) == ["v1.wav", "v3.wav"]
    assert (folder / "v1.wav").read_bytes() == content
    assert not (folder / "v2.wav").exists()
    assert (folder / "v4.wav").stat().st_mtime_ns == stamps["v4.wav"]
    assert mirrored(f"{url}/manifest.jsonl") == folder / "manifest.jsonl"


def test_a_fetch_that_breaks_off_goes_on(
    corpus: Little, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = filesystem_of(bucket)[0]._filesystem
    real, count = inner.get_file, [0]

    def breaks(path: str, to: str) -> None:
        count[0] += 1
        if count[0] == 4:
            raise ConnectionResetError(104, "connection reset by peer")
        real(path, to)

    monkeypatch.setattr("mimdata.pipeline.store.mirror.AT_ONCE", 1)
    monkeypatch.setattr(inner, "get_file", breaks)
    with pytest.raises(MimdataError, match=r"connection reset by peer.*run again, what was fetched stays"):
        mirrored(f"{bucket}/corpus")
    there = len(list(corpus.root.iterdir()))
    mirrored(f"{bucket}/corpus")
    assert count[0] == there + 1  # nothing came twice
    assert not [p for p in cache_folder("roots").rglob("*") if p.name.startswith(".tmp")]


def test_names_that_lead_out_of_the_folder_are_left_out(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MIMDATA_CACHE", str(tmp_path / "cache"))
    filesystem = filesystem_of(bucket)[0]
    for name in ("a/../../../out", "b//c", "good.txt"):
        filesystem.pipe_file(f"{bucket}/corpus/{name}", b"x")
    folder = mirrored(f"{bucket}/corpus")
    assert [f.name for f in folder.rglob("*") if f.is_file()] == ["good.txt"]
    assert "is left out" in caplog.text
    assert not list(tmp_path.rglob("out"))
    record = json.loads((folder.parent / "fetched.json").read_text())
    assert list(record) == ["good.txt"]


def test_a_disk_too_small_is_said_before_anything_is_fetched(
    corpus: Little, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 10

    monkeypatch.setattr("mimdata.pipeline.store.mirror.shutil.disk_usage", lambda _: Full)
    with pytest.raises(MimdataError, match="MIMDATA_CACHE"):
        mirrored(f"{bucket}/corpus")
    assert not list(cache_folder("roots").rglob("*.wav"))


def test_a_root_that_holds_nothing_is_said(bucket: str) -> None:
    with pytest.raises(MimdataError, match="holds no file"):
        mirrored(f"{bucket}/nothing")
