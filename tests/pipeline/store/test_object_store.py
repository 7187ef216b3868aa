"""A store on an object store: moto's S3 server, over HTTP, as s3fs talks to the real one."""

from __future__ import annotations

import pytest

from mimdata.pipeline.errors import MimdataError, UsageError
from mimdata.pipeline.store.folder import TEMPORARY, Folder, filesystem_of, own_temporary
from tests.s3 import bucket, s3_server

__all__ = ["bucket", "s3_server"]

SEAL = "manifest.json"


def test_files_are_written_listed_moved_and_removed(bucket: str) -> None:
    store = Folder(f"{bucket}/store")
    assert not store.exists()
    assert store.files() == []
    assert store.folders() == []
    store.write("a/b.txt", b"one")
    store.write("a/b.txt", b"two")
    store.write("c/d/e.bin", b"three")
    assert store.read("a/b.txt") == b"two"
    assert store.files() == ["a/b.txt", "c/d/e.bin"]
    assert store.files(".bin") == ["c/d/e.bin"]
    assert store.folders() == ["a", "c"]
    store.move("a/b.txt", "aside/b.txt")
    store.move("c/d", "aside/d")
    store.move("never/there", "aside/x")
    assert store.files() == ["aside/b.txt", "aside/d/e.bin"]
    store.remove("aside/b.txt")
    store.remove("aside/b.txt")
    assert store.files() == ["aside/d/e.bin"]
    with pytest.raises(FileNotFoundError):
        store.read("aside/b.txt")


def test_what_another_process_writes_is_seen_at_once(bucket: str) -> None:
    ours, theirs = Folder(f"{bucket}/store"), Folder(f"{bucket}/store")
    ours.write("x/1", b"")
    assert ours.files() == ["x/1"]
    theirs.write("x/2", b"")
    assert ours.files() == ["x/1", "x/2"]
    assert ours.exists("x/2")


def test_a_folder_is_published_with_its_seal_last(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Folder(f"{bucket}/store")
    copied: list[str] = []
    real = store.filesystem.cp_file

    def counted(source: str, target: str) -> None:
        if len(copied) == 2:
            raise OSError("the connection is gone")
        copied.append(target.rpartition("/")[2])
        real(source, target)

    def staged(staging: Folder) -> None:
        for name in (SEAL, "train-00000.parquet", "valid-00000.parquet"):
            staging.write(name, name.encode())

    monkeypatch.setattr(store.filesystem, "cp_file", counted, raising=False)
    with store.staging() as staging:
        staged(staging)
        with pytest.raises(MimdataError, match="the connection is gone"):
            store.publish(staging, "v1", SEAL)
    assert not store.exists(f"v1/{SEAL}")  # nobody takes it for a version
    assert copied == ["train-00000.parquet", "valid-00000.parquet"]
    monkeypatch.setattr(store.filesystem, "cp_file", real)
    with store.staging() as staging:
        staged(staging)
        store.publish(staging, "v1", SEAL)
    assert store.files() == [f"v1/{SEAL}", "v1/train-00000.parquet", "v1/valid-00000.parquet"]
    assert [n for n in store.filesystem.find(store.path()) if TEMPORARY in n] == []


def test_a_folder_is_removed_with_its_seal_first(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Folder(f"{bucket}/store")
    for name in (SEAL, "train-00000.parquet"):
        store.write(f"v1/{name}", b"x")

    def fail(*_: object, **__: object) -> None:
        raise OSError("the connection is gone")

    monkeypatch.setattr(store.filesystem, "rm", fail, raising=False)
    with pytest.raises(MimdataError, match="the connection is gone"):
        store.remove_folder("v1", SEAL)
    assert store.files() == ["v1/train-00000.parquet"]
    monkeypatch.undo()


def test_what_a_killed_writer_staged_is_swept(bucket: str) -> None:
    store = Folder(f"{bucket}/store")
    mine = own_temporary()
    dead = mine.replace(f"~{mine.split('~')[1]}~", "~4194305~")  # beyond any process there is
    for name in (mine, dead):
        store.write(f"candidates/mosi/{name}/train-00000.parquet", b"half")
    store.sweep()
    left = store.filesystem.find(store.path())
    assert [mine in path for path in left] == [True]


def test_a_bucket_that_is_not_there_is_no_bucket_made(bucket: str) -> None:
    store = Folder("s3://misspelt-bucket/store")
    with pytest.raises(MimdataError, match=r"cannot write misspelt-bucket/store/x"):
        store.write("x", b"")
    assert not filesystem_of(bucket)[0].exists("misspelt-bucket")


def test_no_credentials_is_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    filesystem_of(bucket)[0].clear_instance_cache()
    store = Folder(f"{bucket}/store")
    with pytest.raises(MimdataError) as caught:
        store.write("x", b"")
    assert "credentials" in str(caught.value)
    assert "\n" not in str(caught.value)
    filesystem_of(bucket)[0].clear_instance_cache()


def test_an_address_of_no_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="nonsense"):
        Folder("nonsense://x/y").exists()
