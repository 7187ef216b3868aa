"""`mimdata evaluate`: the report's own numbers again, without modalities, on other data, and as a file."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mimdata.pipeline.cli import main
from tests.mim.conftest import SMALL, Row, WriteVersion

SETTINGS = ("--set", "width=20", "--set", "layers=1", "--set", "steps=12", "--device", "cpu", "--epochs", "2")


@pytest.fixture(scope="module")
def run(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    done = CliRunner().invoke(main, ["train", "--dataset", str(made), "--run-dir", str(folder), *SETTINGS])
    assert done.exit_code == 0, done.output
    return folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments), "--device", "cpu"])


def measured(*arguments: object) -> dict[str, Any]:
    done = call(*arguments, "--json")
    assert done.exit_code == 0, done.output
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_a_run_gives_the_numbers_of_its_report_again(run: Path, made: Path, tmp_path: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    found = measured(run)
    assert found["measures"] == report["test"]
    assert measured(run / "model.safetensors", "--split", "valid")["measures"] == report["valid"]
    shutil.copy(run / "model.safetensors", tmp_path / "alone.safetensors")
    elsewhere = measured(tmp_path / "alone.safetensors", "--store", made.parents[2])  # its corpus's latest
    assert elsewhere | {"checkpoint": found["checkpoint"]} == found


def test_a_model_answers_on_fewer_modalities(run: Path) -> None:
    whole, text = measured(run), measured(run, "--modalities", "text")
    assert text["modalities"] == ["text"]
    assert text["measures"]["n"] == whole["measures"]["n"] == 24
    assert text["measures"]["mae"] != whole["measures"]["mae"]
    assert measured(run, "--modalities", "vision, text,audio") == whole  # the order asks for nothing


def test_a_dataset_of_text_alone_is_enough_for_text_alone(
    run: Path, made_rows: list[Row], write_version: WriteVersion, tmp_path: Path
) -> None:
    only = write_version(
        tmp_path,
        [replace(row, valid={"text": row.valid["text"]}) for row in made_rows],
        {"text": SMALL["text"]},
    )
    asked = ("--dataset", only, "--modalities", "text")
    assert measured(run, *asked)["measures"] == measured(run, "--modalities", "text")["measures"]
    refused = call(run, "--dataset", only)
    assert refused.exit_code == 1
    assert "has no modality 'audio'" in refused.stderr


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_predictions_are_a_file_that_others_read(suffix: str, run: Path, tmp_path: Path) -> None:
    file = tmp_path / f"predictions.{suffix}"
    found = measured(run, "--predictions", file)
    read = {
        "csv": pd.read_csv,
        "parquet": pd.read_parquet,
        "jsonl": lambda path: pd.read_json(path, lines=True, precise_float=True),
    }
    table = read[suffix](file)
    assert list(table.columns) == [
        "clip_id",
        "target",
        "prediction",
        "prediction_text",
        "prediction_audio",
        "prediction_vision",
    ]
    assert table["clip_id"].tolist() == [f"test{i // 4}[{i % 4}]" for i in range(24)]
    error = (table["prediction"].astype(float) - table["target"].astype(float)).abs().mean()
    assert found["measures"]["mae"] == pytest.approx(error, abs=1e-6)
    assert not list(tmp_path.glob("*.tmp"))


def test_an_absent_modality_has_no_prediction_of_its_own(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    measured(run, "--modalities", "text,audio", "--predictions", file)
    rows = list(csv.DictReader(file.open()))
    assert {row["prediction_vision"] for row in rows} == {""}
    assert all(row["prediction_text"] and row["prediction_audio"] for row in rows)


def test_emotions_have_a_column_each(made: Path, tmp_path: Path) -> None:
    folder, file = tmp_path / "run", tmp_path / "p.parquet"
    train = ["train", "--dataset", str(made), "--run-dir", str(folder), "--set", "task=emotions", *SETTINGS]
    assert CliRunner().invoke(main, train).exit_code == 0
    found = measured(folder, "--predictions", file)["measures"]
    table = pd.read_parquet(file)
    assert {"target_happy", "prediction_sad", "prediction_text_happy"} <= set(table.columns)
    right = np.mean((table["prediction_happy"] > 0) == (table["target_happy"] > 0.5))
    assert found["acc_happy"] == pytest.approx(right)
    assert found["intervals"]["acc_happy"] is not None


def test_the_table_has_intervals_and_does_not_break_its_title(run: Path) -> None:
    done = call(run)
    assert done.exit_code == 0, done.output
    title = done.stdout.splitlines()[0]
    assert title == f"{run / 'model.safetensors'}: text, audio, vision, with 95% intervals"
    low = measured(run)["measures"]["intervals"]["mae"][0]
    assert f"[{low:.3f}, " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--modalities", "text,smell"), 2, "which the model reads, found 'smell'"),
        (("--predictions", "p.xlsx"), 2, ".csv, .jsonl, .parquet, found 'p.xlsx'"),
        (("--predictions", "nowhere/p.csv"), 2, "no folder"),
        (("--store", "nowhere"), 1, "`mimdata align`"),
    ],
)
def test_a_mistake_is_one_line(run: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = call(run, *arguments)
    assert done.exit_code == code, done.output
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_is_no_checkpoint_is_said(run: Path, tmp_path: Path) -> None:
    assert "no checkpoint at" in call(tmp_path / "nothing").stderr
    (tmp_path / "some.safetensors").write_bytes(b"nothing")
    assert "is no checkpoint of mimdata" in call(tmp_path / "some.safetensors").stderr
    series = tmp_path / "series"
    shutil.copytree(run, series / "full/seed-1")
    done = call(series)
    assert done.exit_code == 2
    assert "holds 1 trainings: give one of them, such as" in done.stderr


def test_a_split_without_labels_is_said(
    run: Path, made_rows: list[Row], write_version: WriteVersion, tmp_path: Path
) -> None:
    rows = [replace(row, sentiment=None if row.split == "test" else row.sentiment) for row in made_rows]
    done = call(run, "--dataset", write_version(tmp_path, rows, SMALL))
    assert done.exit_code == 1
    assert "no utterance with a label in the test split" in done.stderr


def test_other_features_are_refused_in_one_line(
    run: Path, made_rows: list[Row], write_version: WriteVersion, tmp_path: Path
) -> None:
    wider = [
        replace(row, values={**row.values, "vision_mean": np.tile(row.values["vision_mean"], 2)})
        for row in made_rows
    ]
    version = write_version(tmp_path, wider, {**SMALL, "vision": (6, ("mean",))})
    done = call(run, "--dataset", version)
    assert done.exit_code == 2
    assert "vision feature names: trained on ['f0', 'f1', 'f2'], the dataset has" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert measured(run, "--dataset", version, "--modalities", "text,audio")["measures"]["n"] == 24
