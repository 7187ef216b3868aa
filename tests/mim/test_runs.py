"""Runs as a list and side by side: real trainings, finished, stopped, of several seeds, and damaged ones."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mimdata.mim.comparison import compare
from mimdata.mim.runs import DAMAGED, FINISHED, INTERRUPTED, QUIET, RUNNING, find_groups, list_runs, read_run
from mimdata.pipeline.cli import main
from mimdata.pipeline.errors import UsageError

SMALL = ("--set", "width=20", "--set", "layers=1", "--set", "steps=12", "--device", "cpu")
OLD = time.time() - 10 * QUIET


def train(made: Path, folder: Path, *more: str) -> None:
    done = CliRunner().invoke(
        main, ["train", "--dataset", str(made), "--run-dir", str(folder), *SMALL, *more]
    )
    assert done.exit_code == 0, done.output


def age(folder: Path, when: float) -> None:
    """As if the run had been written then."""
    for path in folder.rglob("*"):
        os.utime(path, (when, when))


@pytest.fixture(scope="module")
def trained(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's runs: one of three epochs, one by another fusion and rate, one of two seeds."""
    runs = tmp_path_factory.mktemp("kept") / "runs"
    train(made, runs / "plain", "--epochs", "3")
    train(made, runs / "added", "--epochs", "1", "--fusion", "add", "--lr", "0.01")
    train(made, runs / "twice", "--epochs", "1", "--seeds", "2")
    return runs


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy to change; plain is the newest, then added, then twice."""
    copy = tmp_path / "runs"
    shutil.copytree(trained, copy)
    for i, name in enumerate(("plain", "added", "twice")):
        age(copy / name, OLD - i)
    return copy


def report(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "report.json").read_text())
    return content


def test_a_run_is_what_its_files_say(runs: Path) -> None:
    run = read_run(runs / "plain")
    said = report(runs / "plain")
    assert (run.state, run.epochs, run.best_epoch) == (FINISHED, 3, said["best_epoch"])
    assert run.valid_loss == pytest.approx(said["valid"]["loss"], abs=1e-6)
    assert run.test == said["test"]
    assert (run.corpus, run.settings["fusion"]) == ("made", "concatenation")
    assert run.written == pytest.approx(OLD)


def test_the_list_is_newest_first_and_a_series_is_mean_and_deviation(runs: Path) -> None:
    groups = list_runs(runs)
    assert [group.name for group in groups] == ["plain", "added", "twice"]
    assert [group.state for group in groups] == [FINISHED] * 3
    series = groups[-1]
    assert series.seeds == (3407, 3408)
    for name in ("mae", "corr", "acc2_non0"):
        values = [report(runs / f"twice/full/seed-{seed}")["test"][name] for seed in series.seeds]
        found = series.test(name)
        assert found is not None
        assert found.mean == pytest.approx(statistics.fmean(values))
        assert found.std == pytest.approx(statistics.stdev(values))
        assert found.n == 2
    one = groups[0].test("mae")
    assert one is not None
    assert (one.mean, one.std, one.n) == (report(runs / "plain")["test"]["mae"], None, 1)
    assert not {"n", "reasons", "intervals"} & set(series.measures)


def test_each_lists_every_training(runs: Path) -> None:
    names = [group.name for group in list_runs(runs, each=True)]
    assert names == ["plain", "added", "twice/full/seed-3407", "twice/full/seed-3408"]
    assert all(group.planned == len(group.runs) == 1 for group in list_runs(runs, each=True))


def test_a_run_without_report_is_running_while_it_writes_and_interrupted_after(runs: Path) -> None:
    (runs / "plain/report.json").unlink()
    for quiet, state in ((QUIET - 5, RUNNING), (QUIET + 5, INTERRUPTED)):
        run = read_run(runs / "plain", now=OLD + quiet)
        assert run.state == state
        assert run.test == {}
        assert run.epochs == 3
    losses = [
        json.loads(line)["valid"]["loss"] for line in (runs / "plain/metrics.jsonl").read_text().splitlines()
    ]
    assert run.valid_loss == min(losses)
    assert run.best_epoch == losses.index(min(losses)) + 1


def test_a_slow_training_may_be_quiet_for_longer(runs: Path) -> None:
    (runs / "plain/report.json").unlink()
    metrics = runs / "plain/metrics.jsonl"
    lines = [json.loads(line) | {"seconds": QUIET} for line in metrics.read_text().splitlines()]
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"epoch": 4, "tra')  # cut off
    os.utime(metrics, (OLD, OLD))
    assert read_run(runs / "plain", now=OLD + 2.9 * QUIET).state == RUNNING
    assert read_run(runs / "plain", now=OLD + 3.1 * QUIET).state == INTERRUPTED
    assert read_run(runs / "plain").epochs == 3


def test_a_series_is_finished_when_all_its_trainings_are(runs: Path) -> None:
    (runs / "twice/full/seed-3408/report.json").unlink()
    age(runs / "twice", OLD - 2)
    (group,) = find_groups("twice", runs)
    assert group.state == INTERRUPTED
    assert group.planned == 2
    found = group.test("mae")
    assert found is not None
    assert found.n == 1
    shutil.rmtree(runs / "twice/full/seed-3408")
    assert find_groups("twice", runs)[0].state == INTERRUPTED
    shutil.rmtree(runs / "twice/full")
    (group,) = find_groups("twice", runs)
    assert (group.state, group.measures) == (INTERRUPTED, ())


def test_what_is_no_run_is_passed_over_and_what_is_damaged_is_told(runs: Path) -> None:
    (runs / "notes").mkdir()
    (runs / "file").write_text("")
    (runs / "added/config.json").write_text('{"train":')
    groups = {group.name: group for group in list_runs(runs)}
    assert set(groups) == {"plain", "added", "twice"}
    assert groups["added"].state == DAMAGED
    assert "JSONDecodeError" in groups["added"].first.trouble
    done = CliRunner().invoke(main, ["runs", "--store", str(runs.parent)])
    assert done.exit_code == 0, done.output
    assert "damaged" in done.stdout
    assert f"{runs / 'added'} cannot be read" in done.stderr


def test_comparison_tells_only_the_settings_that_differ(runs: Path) -> None:
    found = compare([*find_groups("plain", runs), *find_groups(str(runs / "added"), Path("nowhere"))])
    assert found.settings == {
        "fusion": ["concatenation", "add"],
        "epochs": [3, 1],
        "lr": [0.001, 0.01],
    }
    for name in ("mae", "acc7", "magbert_f1"):
        values = [spread and spread.mean for spread in found.test[name]]
        assert values == [report(runs / run)["test"][name] for run in ("plain", "added")]


def test_one_run_shows_what_is_not_the_default(runs: Path) -> None:
    (group,) = find_groups("added", runs)
    settings = compare([group]).settings
    assert set(settings) == {"width", "steps", "layers", "fusion", "epochs", "lr", "device"}


def test_a_runs_interval_stands_beside_its_measure(runs: Path) -> None:
    path = runs / "plain/report.json"
    content = report(runs / "plain")
    content["test"]["intervals"] = {"mae": [0.25, 0.75], "corr": None}
    path.write_text(json.dumps(content))
    found = compare([*find_groups("plain", runs), *find_groups("twice", runs)])
    assert found.intervals["mae"] == [(0.25, 0.75), None]
    assert found.intervals["corr"] == [None, None]
    done = CliRunner().invoke(main, ["runs", "plain", "twice", "--store", str(runs.parent)])
    assert "[0.250, 0.750]" in done.stdout
    assert "does not cover other seeds" in done.stdout


def test_variants_of_a_series_are_compared_in_the_order_of_their_training(runs: Path) -> None:
    """Two more variants, made of copies: their settings are what the folder of each training says."""
    for variant, change in (("fusion-add", {"fusion": "add"}), ("no-upn", {"purify": False})):
        shutil.copytree(runs / "twice/full", runs / "twice" / variant)
        for config in (runs / "twice" / variant).glob("*/config.json"):
            content = json.loads(config.read_text())
            content["train"] |= change
            config.write_text(json.dumps(content))
    groups = find_groups("twice", runs)
    assert [group.name for group in groups] == ["twice/full", "twice/no-upn", "twice/fusion-add"]
    settings = compare(groups).settings
    assert settings == {
        "fusion": ["concatenation", "concatenation", "add"],
        "purify": [True, False, True],
    }
    age(runs / "twice", OLD - 2)
    names = [group.name for group in list_runs(runs)]
    assert names == ["plain", "added", "twice/full", "twice/no-upn", "twice/fusion-add"]
    (variant,) = find_groups("twice/no-upn", runs)
    assert variant.seeds == (3407, 3408)
    (training,) = find_groups("twice/no-upn/seed-3408", runs)
    assert training.seeds == (3408,)


def test_an_unknown_run_is_one_line(runs: Path) -> None:
    with pytest.raises(UsageError, match=r"looked for config\.json"):
        find_groups("nothing", runs)
    done = CliRunner().invoke(main, ["runs", "nothing", "--store", str(runs.parent)])
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_list_and_comparison_as_json_and_as_tables(runs: Path) -> None:
    call = CliRunner().invoke
    store = ["--store", str(runs.parent)]
    lines = [json.loads(line) for line in call(main, ["runs", "--json", *store]).stdout.splitlines()]
    assert [line["name"] for line in lines] == ["plain", "added", "twice"]
    assert lines[0]["test"]["mae"] == {"mean": report(runs / "plain")["test"]["mae"], "std": None, "n": 1}
    assert [part["seed"] for part in lines[2]["runs"]] == [3407, 3408]
    side = json.loads(call(main, ["runs", "plain", "added", "--json", *store]).stdout)
    assert side["settings"]["fusion"] == ["concatenation", "add"]
    assert [run["name"] for run in side["runs"]] == ["plain", "added"]
    table = call(main, ["runs", *store]).stdout
    best = report(runs / "plain")["best_epoch"]
    for words in ("plain", f"{best}/3", "2 seeds", "finished", "test acc2_non0", "±"):
        assert words in table
    table = call(main, ["runs", "plain", "added", *store]).stdout
    assert "fusion" in table
    assert "granularity" not in table


def test_an_empty_store_says_what_makes_a_run(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["runs", "--store", str(tmp_path)])
    assert done.exit_code == 0
    assert "`mimdata train` makes one" in done.stdout


def test_listing_imports_no_torch() -> None:
    code = "import sys, mimdata.mim.comparison, mimdata.mim.display; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
