"""Shards are plain Parquet: pandas, DuckDB and `datasets` read them without us."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from mimdata.pipeline.dataset.card import card
from mimdata.pipeline.dataset.manifest import latest_version, read_manifest
from mimdata.pipeline.store.folder import Folder
from tests.pipeline.dataset.fixtures import publish


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    publish(Folder(str(store)), range(10))
    return latest_version(store, "fixture")


def test_pandas(version: Path) -> None:
    import pandas as pd

    frame = pd.read_parquet(version / "train-00000.parquet")
    assert np.stack(frame["audio_mean"][0]).shape == (2, 3)
    assert frame["words"][0].tolist() == ["so", "good"]


def test_duckdb(version: Path) -> None:
    import duckdb

    query = f"select clip_id, len(words), audio_mean[1][3], vision_valid from '{version}/train-*.parquet' order by clip_id"
    rows = duckdb.sql(query).fetchall()
    assert len(rows) == 6
    assert rows[0][1] == 2
    assert rows[0][3] == [True, False]


def test_hugging_face_datasets(version: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    files = {split: str(version / f"{split}-*.parquet") for split in ("train", "valid", "test")}
    found = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    assert {split: part.num_rows for split, part in found.items()} == {"train": 6, "valid": 2, "test": 2}
    assert np.array(found["train"][0]["text_mean"]).shape == (2, 4)


def test_a_version_is_a_hugging_face_dataset_by_its_card(version: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    found = load_dataset(str(version), cache_dir=str(tmp_path))
    assert {split: part.num_rows for split, part in found.items()} == {"train": 6, "validation": 2, "test": 2}
    assert np.array(found["validation"][0]["audio_mean"]).shape == (2, 3)


def test_polars(version: Path) -> None:
    import polars as pl

    frame = pl.read_parquet(version / "train-*.parquet")
    assert frame.height == 6
    assert np.array(frame["audio_mean"][0].to_list()).shape == (2, 3)


def test_labels_are_counted_by_split(version: Path) -> None:
    import pandas as pd

    labels = read_manifest(version).content["labels"]
    for split in ("train", "valid", "test"):
        frame = pd.concat(pd.read_parquet(file) for file in sorted(version.glob(f"{split}-*.parquet")))
        for column in ("sentiment", "emotion_happy"):
            values = frame[column].dropna().to_numpy(np.float64)
            found = labels[split].get(column)
            assert (found is None) == (len(values) == 0)
            if found:
                assert (found["count"], found["below"], found["above"]) == (
                    len(values), (values < 0).sum(), (values > 0).sum()
                )  # fmt: skip
                assert (found["min"], found["max"]) == (values.min(), values.max())
                assert np.allclose((found["mean"], found["std"]), (values.mean(), values.std()), atol=1e-6)
    line = labels["train"]["sentiment"]
    text = (version / "README.md").read_text()
    assert (
        f"| train | sentiment | 6 | {line['mean']:.3f} | {line['std']:.3f} | {line['min']:g} to {line['max']:g} |"
        in text
    )


def test_the_card_tells_licence_and_what_to_cite(version: Path) -> None:
    content = dict(read_manifest(version).content)
    of_mosei = card({**content, "corpus": "mosei"})
    assert "Dataset and Interpretable Dynamic Fusion Graph. ACL 2018" in of_mosei
    terms = {"license": 'CC-BY: "as is"', "citation": "Me, 2026"}
    own = card({**content, "corpus": "mosei", "config": {**content["config"], **terms}})
    assert "* Me, 2026\n* Zeng" in own
    assert "ACL 2018" not in own
    head = yaml.safe_load(own.split("---")[1])
    assert (head["license"], head["license_name"]) == ("other", terms["license"])
    assert [one["split"] for one in head["configs"][0]["data_files"]] == ["train", "validation", "test"]


def test_the_card_tells_counts_steps_and_terms(version: Path) -> None:
    text = (version / "README.md").read_text()
    assert "| train | 6 | 12 | 100.0% | 100.0% | 50.0% |" in text
    assert "* `audio`: 3 features by audio" in text
    assert "has not named them" in text
    assert "Multimodal Reaction" in text
