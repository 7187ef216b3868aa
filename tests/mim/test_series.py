"""Several seeds, ablations, presets and schedules."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import pytest
from click.testing import CliRunner

from mimdata.mim.config import TrainConfig, load_train_config
from mimdata.mim.presets import PRESETS
from mimdata.mim.run_folder import RunFolder
from mimdata.mim.schedule import factor
from mimdata.mim.series import Series
from mimdata.pipeline.cli import main
from mimdata.pipeline.errors import UsageError

SMALL = ("--set", "width=20", "--set", "layers=1", "--set", "steps=12", "--device", "cpu", "--epochs", "2")


def test_two_seeds_give_their_mean_and_deviation(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    call = ["train", "--dataset", str(made), "--run-dir", str(folder), "--seeds", "2", "--json", *SMALL]
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report == json.loads((folder / "report.json").read_text())
    assert list(report["runs"]) == ["full/seed-3407", "full/seed-3408"]
    maes = [run["test"]["mae"] for run in report["runs"].values()]
    found = report["summary"]["full"]["test"]["mae"]
    assert maes[0] != maes[1]
    assert found == {"mean": statistics.fmean(maes), "std": statistics.stdev(maes), "n": 2}
    for name, run in report["runs"].items():
        assert json.loads((folder / name / "report.json").read_text()) == run


def test_ablations_are_one_table_and_go_on_where_they_stopped(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    call = ["train", "--dataset", str(made), "--run-dir", str(folder), "--ablate", *SMALL]
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 0, done.output
    names = ["full", "no-upn", "no-kgs", "no-intra", "no-inter", "fusion-add", "fusion-multiplication"]
    for name in [*names, "fusion-tensor"]:
        assert name in done.stdout
    assert "acc2_non0" in done.stdout
    before = (folder / "report.json").read_text()
    (folder / "report.json").unlink()
    kept = folder / "no-upn/seed-3407/report.json"
    stamp = kept.stat().st_mtime_ns
    (folder / "fusion-tensor/seed-3407/report.json").unlink()
    again = CliRunner().invoke(main, ["train", "--resume", str(folder)])
    assert again.exit_code == 0, again.output
    assert kept.stat().st_mtime_ns == stamp
    old, new = json.loads(before), json.loads((folder / "report.json").read_text())
    assert new["summary"] == old["summary"]


def test_variants_change_one_thing_each() -> None:
    config = TrainConfig(fusion="add", modalities=("a", "b", "c", "d"))
    found = Series(ablate=True).variants(config)
    assert set(found) == {
        "full", "no-upn", "no-kgs", "no-intra", "no-inter", "fusion-multiplication", "fusion-concatenation",
    }  # fmt: skip
    assert found["full"] == config
    assert not found["no-upn"].purify
    assert found["no-upn"].intra
    assert (found["no-kgs"].intra, found["no-kgs"].inter, found["no-kgs"].purify) == (False, False, True)
    assert list(Series(seeds=3).runs(config)) == [f"full/seed-{3407 + i}" for i in range(3)]


def test_a_preset_lies_below_everything_else() -> None:
    found = load_train_config({"train": {"batch_size": 8}}, {"epochs": 3}, {}, preset="mosi-paper")
    assert (found.lr, found.text_lr, found.finetune_text) == (1e-5, 1e-5, True)
    assert found.text_encoder == "bert-base-uncased"
    assert (found.width, found.steps, found.seed) == (80, 50, 3407)
    assert (found.batch_size, found.epochs) == (8, 3)
    with pytest.raises(UsageError, match="there are mosi-paper, mosei-paper"):
        load_train_config({}, {}, {}, preset="paper")
    for name in PRESETS:
        load_train_config({}, {}, {}, preset=name)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0]),
        ("cosine", [0.5, 1, *(0.5 * (1 + math.cos(math.pi * k / 6)) for k in range(1, 7))]),
    ],
)
def test_schedules_by_hand(schedule: str, expected: list[float]) -> None:
    assert [factor(schedule, 0.25, k, 8) for k in range(1, 9)] == pytest.approx(expected)


def test_without_warm_up_the_first_update_has_nearly_the_full_rate() -> None:
    assert factor("linear", 0.0, 1, 100) == 0.99
    assert factor("constant", 0.0, 1, 1) == 1.0


def test_a_folder_of_a_series_is_not_written_over(made: Path, tmp_path: Path) -> None:
    RunFolder(tmp_path).write_json("config.json", {})
    done = CliRunner().invoke(main, ["train", "--dataset", str(made), "--run-dir", str(tmp_path), *SMALL])
    assert done.exit_code == 2
    assert "holds a run already" in done.stderr
