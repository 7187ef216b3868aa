"""`mimdata.open`: a version from Python, its rows, tables and batches."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.compute as pc
import pytest
import torch

import mimdata
from mimdata.mim.dataset import Dataset
from mimdata.pipeline.errors import MimdataError
from tests.mim.conftest import Row, learnable, write

N = {"train": 90, "valid": 7}
SMALL = {"text": (6, ("mean",)), "audio": (4, ("mean", "std")), "vision": (3, ("mean",))}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return learnable(N)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> Dataset:
    store = tmp_path_factory.mktemp("store")
    write(store, rows, SMALL)
    return mimdata.open(store=store)


def test_splits_and_rows(data: Dataset, rows: list[Row]) -> None:
    assert data.splits == N
    train = data.split("train")
    mine = [row for row in rows if row.split == "train"]
    assert len(train) == 90
    assert list(train) == [row.clip_id for row in mine]
    for wanted in (mine[0], mine[55], mine[89]):  # of several shards and row groups
        found = train[wanted.clip_id]
        assert (found["clip_id"], found["split"]) == (wanted.clip_id, "train")
        assert found["sentiment"] == pytest.approx(wanted.sentiment)
        np.testing.assert_allclose(found["text_mean"], wanted.values["text_mean"], rtol=1e-6)
        assert found["text_mean"].shape == (len(found["words"]), 6)
        assert found["audio_valid"].dtype == np.bool_
        assert found["audio_valid"].tolist() == wanted.valid["audio"].tolist()
        assert set(found["words"]) == {"w"}
    assert "nowhere[0]" not in train
    assert [row["clip_id"] for row in train.rows()] == list(train)


def test_tables(data: Dataset, rows: list[Row]) -> None:
    train = data.split("train")
    sentiment = np.array([row.sentiment for row in rows if row.split == "train"], np.float32)
    frame = train.pandas(["clip_id", "sentiment"])
    assert list(frame.columns) == ["clip_id", "sentiment"]
    np.testing.assert_allclose(frame["sentiment"], sentiment)
    lazy = train.polars().select("sentiment").collect()
    np.testing.assert_allclose(lazy["sentiment"].to_numpy(), sentiment)
    scan = train.scan()
    assert scan.count_rows(filter=pc.field("sentiment") > 0) == int((sentiment > 0).sum())
    assert duckdb.sql("select count(*) from scan where sentiment > 0").fetchall() == [
        (int((sentiment > 0).sum()),)
    ]
    with pytest.raises(MimdataError, match=r"no column 'sentimnt' .* it has clip_id"):
        train.table(["sentimnt"])


def test_batches_hold_every_utterance_once_and_whole(data: Dataset, rows: list[Row]) -> None:
    batches = list(data.split("train").batches(16, standardise=False))
    assert [len(b) for b in batches] == [16] * 5 + [10]
    by_id = {row.clip_id: row for row in rows}
    for batch in batches:
        for i, clip_id in enumerate(batch.clip_ids):
            wanted, n = by_id[clip_id], int(batch.lengths[i])
            assert n == len(wanted.valid["text"])  # none was cut
            masked = np.where(wanted.valid["text"][:, None], wanted.values["text_mean"], 0)
            np.testing.assert_allclose(batch.values["text"][i, :n].numpy(), masked, rtol=1e-6)
    one, two = ([b.clip_ids for b in data.split("train").batches(16, shuffle=(1, e))] for e in (0, 0))
    assert one == two
    assert one != [b.clip_ids for b in data.split("train").batches(16, shuffle=(1, 1))]


def test_batches_have_what_was_asked_for(data: Dataset) -> None:
    batch = next(data.split("valid").batches(4, modalities=("audio",), statistics=("mean", "std"), steps=3))
    assert list(batch.values) == ["audio"]
    assert batch.values["audio"].shape == (4, 3, 8)
    assert batch.values["audio"].dtype == torch.float32
    with pytest.raises(MimdataError, match="no modality 'smell'"):
        next(data.split("valid").batches(modalities=("smell",)))


def test_by_folder_by_name_by_its_beginning(data: Dataset) -> None:
    store = data.folder.parents[2]
    for version in (data.folder, str(data.folder), "version", "ver"):
        assert mimdata.open(version, store=store).folder == data.folder
    assert mimdata.open(store=store, corpus="made").folder == data.folder


def test_what_is_not_there_is_one_line(data: Dataset, tmp_path: Path) -> None:
    store = data.folder.parents[2]
    with pytest.raises(MimdataError, match=r"no version is named '2031' .* there is version"):
        mimdata.open("2031", store=store)
    with pytest.raises(MimdataError, match="no dataset of 'demo'"):
        mimdata.open(store=tmp_path)
    with pytest.raises(MimdataError, match="no version at all"):
        mimdata.open("x", store=tmp_path)
    with pytest.raises(MimdataError, match=r"no split 'dev' .* it has 'train', 'valid'"):
        data.split("dev")
    shutil.copytree(store, tmp_path / "two")
    shutil.copytree(data.folder, tmp_path / "two/datasets/other/version2")
    with pytest.raises(MimdataError, match=r"several versions are named 've'.*version, version2"):
        mimdata.open("ve", store=tmp_path / "two")
    (tmp_path / "two/datasets/made/version/train-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(MimdataError, match=r"train-00000.parquet cannot be read"):
        next(iter(mimdata.open("version", store=tmp_path / "two").split("train").rows()))


def test_looking_imports_no_torch(data: Dataset) -> None:
    code = (
        f"import sys, mimdata; d = mimdata.open({str(data.folder)!r}).split('valid'); d[next(iter(d))];"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
