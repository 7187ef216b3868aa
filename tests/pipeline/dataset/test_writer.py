"""Dataset versions: canonical, complete, reproducible to the byte, published whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mimdata.pipeline.config import PoolingConfig
from mimdata.pipeline.dataset.manifest import latest_version, read_manifest
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.store.folder import Folder
from tests.pipeline.dataset.fixtures import publish


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "store"))


def version(store: Folder) -> Path:
    return latest_version(Path(store.path()), "fixture")


def read(store: Folder, split: str) -> pa.Table:
    manifest = read_manifest(version(store))
    files = [version(store) / shard["file"] for shard in manifest.shards if shard["split"] == split]
    return pa.concat_tables([pq.read_table(file) for file in files])


def test_shards_and_manifest_agree(store: Folder) -> None:
    manifest = publish(store, range(20))
    assert [(s["file"], s["rows"]) for s in manifest.shards] == [
        ("train-00000.parquet", 4), ("train-00001.parquet", 4), ("train-00002.parquet", 4),
        ("valid-00000.parquet", 4), ("test-00000.parquet", 4),
    ]  # fmt: skip
    for shard in manifest.shards:
        content = (version(store) / shard["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == shard["sha256"]
        assert len(content) == shard["bytes"]
    assert manifest.content["splits"] == {"train": 12, "valid": 4, "test": 4}
    assert version(store).name.endswith(manifest.digest[:12])
    for split in ("train", "valid", "test"):
        written = {column.name: str(column.type) for column in read(store, split).schema}
        assert written == manifest.content["schema"]
    assert manifest.content["config"]["shard_rows"] == 4


def test_order_is_split_video_segment(store: Folder) -> None:
    publish(store, range(20))
    table = read(store, "train")
    order = list(zip(table.column("video_id").to_pylist(), table.column("segment").to_pylist(), strict=True))
    assert order == sorted(order)


def test_the_same_rows_in_any_order_give_the_same_digest(store: Folder, tmp_path: Path) -> None:
    first = publish(store, range(20))
    other = publish(Folder(str(tmp_path / "other")), list(range(20))[::-1])
    assert other.digest == first.digest
    for file in version(store).glob("*.parquet"):
        assert (
            file.read_bytes()
            == (tmp_path / "other/datasets/fixture" / other.version / file.name).read_bytes()
        )


def test_anything_that_differs_moves_the_digest(store: Folder, tmp_path: Path) -> None:
    digests = {
        publish(store, range(20)).digest,
        publish(store, range(19)).digest,
        publish(store, range(20), shard_rows=5).digest,
        publish(store, range(20), pooling=PoolingConfig(weights="mean")).digest,
    }
    assert len(digests) == 4


def test_statistics_are_those_of_the_valid_train_words(store: Folder) -> None:
    manifest = publish(store, range(20))
    table = read(store, "train")
    for modality in ("audio", "vision"):
        values = np.array([v for row in table.column(f"{modality}_mean").to_pylist() for v in row])
        valid = np.array([v for row in table.column(f"{modality}_valid").to_pylist() for v in row])
        found = manifest.content["statistics"][f"{modality}_mean"]
        np.testing.assert_allclose(found["mean"], values[valid].mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(found["std"], values[valid].std(axis=0), rtol=1e-6)
        assert found["count"] == valid.sum()
    assert manifest.content["coverage"]["train"] == {"words": 24, "text": 24, "audio": 24, "vision": 12}


def test_labels_are_null_where_there_are_none(store: Folder) -> None:
    publish(store, range(20))
    table = read(store, "valid")
    assert table.column("emotion_happy").to_pylist() == [
        1.0 if s % 2 else None for s in table.column("segment").to_pylist()
    ]


def test_a_version_that_breaks_off_leaves_nothing(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = publish(store, range(5))
    written: list[str] = []
    write = Folder.write

    def breaks(self: Folder, name: str, content: bytes) -> None:
        written.append(name)
        if len(written) == 8:
            raise OSError(28, "No space left on device")
        write(self, name, content)

    monkeypatch.setattr(Folder, "write", breaks)
    with pytest.raises(OSError, match="No space"):
        publish(store, range(5, 12), shard_rows=1)
    assert read_manifest(version(store)).digest == before.digest
    assert [p.name for p in version(store).parent.iterdir() if p.is_dir()] == [before.version]


def test_a_manifest_that_was_changed_is_refused(store: Folder) -> None:
    publish(store, range(5))
    path = version(store) / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 5', '"rows": 6'))
    with pytest.raises(MimdataError, match="does not match its own digest"):
        read_manifest(version(store))


def test_a_store_without_datasets_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MimdataError, match="mimdata align"):
        latest_version(tmp_path, "mosei")


def test_no_time_and_no_path_is_in_what_the_digest_covers(store: Folder, tmp_path: Path) -> None:
    manifest = publish(store, range(5))
    covered = {k: v for k, v in manifest.content.items() if k not in ("version", "digest", "created")}
    assert str(tmp_path) not in json.dumps(covered)
