"""Parts and index: what was written is found again, whatever died in between."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mimdata.pipeline.errors import StoreError
from mimdata.pipeline.records import Reason, Tokens, Track, Words
from mimdata.pipeline.store.codec import Result, decode, encode, schema_of, table
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.index import Index, count_done
from mimdata.pipeline.store.parts import Failure, Outcome, Receipt, failure_at, read_rows, write_part

TRACK = Track(
    np.array([[0, 0.1], [0.1, 0.2]], np.float32),
    np.array([[1.5, -2], [0, 0]], np.float32),
    np.array([Reason.VALID, Reason.SILENT], np.uint8),
)
TOKENS = Tokens(
    np.array([101, 7, 102], np.int32), np.array([-1, 0, -1], np.int32), np.ones((3, 4), np.float32)
)
WORDS = Words(
    ("so", "good!"),
    np.array([[0, 0.5], [0.5, 1]], np.float32),
    np.array([0.9, 0.4], np.float32),
    np.array([0, 1], np.uint8),
    np.array([[1, 1.2]], np.float32),
    "pocketsphinx",
    ("odd",),
)


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "store"))


def write(store: Folder, keys: list[str], result: Result = TRACK) -> Receipt:
    payload = table([encode(result) for _ in keys], schema_of(result))
    return write_part(store, "tracks/audio", [Outcome(key, "v[0]", "{}") for key in keys], payload)


@pytest.mark.parametrize("result", [TRACK, TOKENS, WORDS, Track.empty(3, "no audio track")])
def test_results_come_back_as_they_were(store: Folder, result: Result) -> None:
    receipt = write(store, ["a"], result)
    (found,) = decode(read_rows(store, "tracks/audio", receipt.part, [0]))
    assert type(found) is type(result)
    for name, value in vars(result).items():
        np.testing.assert_array_equal(getattr(found, name), value)


def test_the_same_part_is_the_same_bytes(store: Folder) -> None:
    assert write(store, ["a", "b"]) == write(store, ["a", "b"])


def test_a_part_whose_index_was_never_saved_is_found(store: Folder) -> None:
    write(store, ["a", "b"])
    index = Index(store, "tracks/audio")
    assert index.find("b") is not None
    assert index.find("c") is None


def test_index_files_are_replaced_by_one(store: Folder) -> None:
    for key in "abc":
        index = Index(store, "tracks/audio")
        index.add(write(store, [key]))
        index.save()
    assert len(store.sub("index/tracks/audio").files()) == 1
    assert len(Index(store, "tracks/audio")) == 3


def test_two_runs_that_index_at_once_lose_nothing(store: Folder) -> None:
    first, second = Index(store, "tracks/audio"), Index(store, "tracks/audio")
    first.add(write(store, ["a"]))
    second.add(write(store, ["b"]))
    first.save()
    second.save()
    assert len(Index(store, "tracks/audio")) == 2


def test_a_damaged_part_is_set_aside_and_its_keys_are_missing(store: Folder) -> None:
    receipt = write(store, ["a"])
    path = Path(store.path(f"tracks/audio/{receipt.part}"))
    path.write_bytes(path.read_bytes()[:-20])
    assert Index(store, "tracks/audio").find("a") is None
    assert store.files(".parquet") == [f"damaged/tracks/audio/{receipt.part}"]


def test_a_deleted_part_is_forgotten(store: Folder) -> None:
    index = Index(store, "tracks/audio")
    receipt = write(store, ["a"])
    index.add(receipt)
    index.save()
    store.remove(f"tracks/audio/{receipt.part}")
    assert Index(store, "tracks/audio").find("a") is None


def test_failures_lie_under_their_keys_beside_results(store: Folder) -> None:
    failure = Failure("damaged stream", "v.mp4 ends at 3 s", "copy it again")
    outcomes = [Outcome("a", "v[0]", "{}"), Outcome("b", "v[1]", "{}", failure)]
    receipt = write_part(store, "tracks/audio", outcomes, table([encode(TRACK), None], schema_of(TRACK)))
    index = Index(store, "tracks/audio")
    good, bad = index.find("a"), index.find("b")
    assert good is not None
    assert bad is not None
    assert (good.failed, bad.failed) == (False, True)
    assert failure_at(store, "tracks/audio", bad) == failure
    assert read_rows(store, "tracks/audio", receipt.part, [0]).column("dim").to_pylist() == [2]


def test_rows_come_in_the_order_that_was_asked(store: Folder) -> None:
    receipt = write(store, ["a", "b", "c"])
    table_ = read_rows(store, "tracks/audio", receipt.part, [2, 0], ["key"])
    assert table_.column("key").to_pylist() == ["c", "a"]


def test_a_file_appears_whole_or_not_at_all(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("x", b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match=r"No space left on device: cannot write .*; free some space"):
        store.write("x", b"new")
    assert store.read("x") == b"old"
    assert [p.name for p in Path(store.path()).iterdir()] == ["x"]


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(store: Folder) -> None:
    import subprocess

    script = (
        "import os; from mimdata.pipeline.store.folder import Folder; os.fsync = lambda _: os._exit(9);"
        f"Folder({store.url!r}).write('sub/x', b'half')"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    with store.staging() as staging:
        staging.write("y", b"being written")
        assert len(list(Path(store.path()).rglob(".tmp-*"))) == 2
        store.sweep()
        assert [path.name for path in Path(store.path()).rglob("*") if path.is_file()] == ["y"]


def test_results_are_counted_as_the_index_finds_them(store: Folder) -> None:
    def counted(*keys: str) -> int:
        return count_done(store, "tracks/audio", pa.array(keys, pa.string()))

    assert counted("a") == 0
    index = Index(store, "tracks/audio")
    receipts = [write(store, ["a", "b"]), write(store, ["c"])]
    outcomes = [Outcome("d", "v[1]", "{}", Failure("no audio track", "v.mp4 has no sound", "", True))]
    receipts.append(write_part(store, "tracks/audio", outcomes, pa.table({})))
    assert counted("a", "b", "c", "d", "e") == 3  # no index file yet: the parts say
    for receipt in receipts:
        index.add(receipt)
    index.save()
    assert counted("a", "b", "c", "d", "e") == 3
    write(store, ["e"])  # a part that no index file names
    assert counted("a", "b", "c", "d", "e") == 4
    store.sub("tracks/audio").remove(receipts[1].part)
    assert counted("a", "b", "c", "d", "e") == 3


def test_a_store_in_memory_works_like_one_on_disk() -> None:
    store = Folder("memory://test-store")
    receipt = write(store, ["a"])
    assert isinstance(read_rows(store, "tracks/audio", receipt.part, [0]), pa.Table)
    assert Index(store, "tracks/audio").find("a") is not None


THREADS = """
import os, sys
import pyarrow.parquet
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.index import Index
from mimdata.pipeline.store.parts import read_rows
before = len(os.listdir("/proc/self/task"))
store = Folder(sys.argv[1])
read_rows(store, "tracks/audio", Index(store, "tracks/audio").find("a").part, [0])
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted as Linux lists them")
def test_no_thread_of_arrow_touches_what_is_read(store: Folder, tmp_path: Path) -> None:
    """A thread that lets go of a Python object while the interpreter ends aborts the process."""
    index = Index(store, "tracks/audio")
    index.add(write(store, ["a"]))
    index.save()
    call = [sys.executable, "-c", THREADS, str(tmp_path / "store")]
    assert subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip() == "0"
