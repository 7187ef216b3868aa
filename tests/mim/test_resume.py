"""A training that is killed and resumed comes to the bytes of one that never was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from mimdata.mim.config import TrainConfig
from mimdata.mim.dataset import open_dataset
from mimdata.mim.run_folder import RunFolder
from mimdata.mim.trainer import train
from mimdata.pipeline.cli import main
from mimdata.pipeline.errors import MimdataError

CONFIG = TrainConfig(
    width=20,
    steps=12,
    layers=1,
    epochs=12,
    patience=0,
    device="cpu",
    lr=3e-3,
    batch_size=6,
    save_every=4,
    ema=0.9,
    schedule="cosine",
    warmup=0.1,
    optimizer="adamw",
    weight_decay=0.01,
)
UPDATES = 11  # of an epoch: 64 utterances, 6 at a time


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in found]


@pytest.fixture(scope="module")
def undisturbed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(CONFIG, open_dataset(made), RunFolder(folder), lambda _: None, lambda _: None)
    return folder


def killed(made: Path, folder: Path, after: int) -> None:
    """Train in a process of its own, and kill -9 it once the state has been saved `after` times."""
    settings = CONFIG.to_dict() | {"modalities": list(CONFIG.modalities), "pooled": list(CONFIG.pooled)}
    call = [sys.executable, "-c", "from mimdata.pipeline.cli import main; main()", "train"]
    call += ["--dataset", str(made), "--run-dir", str(folder)]
    for name, value in settings.items():
        call += ["--set", f"{name}={json.dumps(value)}"]
    process = subprocess.Popen(call, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    state, seen, times = folder / "state.safetensors", 0, 0
    deadline = time.monotonic() + 120
    while times < after and process.poll() is None and time.monotonic() < deadline:
        now = state.stat().st_mtime_ns if state.exists() else 0
        if now != seen:
            seen, times = now, times + 1
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("after", [1, 7])
def test_kill_9_and_resume_give_the_bytes_of_an_undisturbed_run(
    made: Path, undisturbed: Path, tmp_path: Path, after: int
) -> None:
    folder = tmp_path / "run"
    killed(made, folder, after)
    assert (folder / "state.safetensors").exists()
    assert not (folder / "report.json").exists()
    done = CliRunner().invoke(main, ["train", "--resume", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    assert "resumed in epoch" in done.stderr
    assert (folder / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()
    assert lines(folder) == lines(undisturbed)
    assert not (folder / "state.safetensors").exists()
    ours, theirs = (json.loads((f / "report.json").read_text()) for f in (folder, undisturbed))
    assert ours["test"] == theirs["test"]
    assert ours["best_epoch"] == theirs["best_epoch"]
    assert [len(list(folder.glob("events.*")))] == [1]


def stopped(made: Path, folder: Path, epoch: int, config: TrainConfig = CONFIG) -> None:
    """A run that breaks off at the end of an epoch."""

    def stop(line: Any) -> None:
        if line["epoch"] == epoch:
            raise KeyboardInterrupt

    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(config, open_dataset(made), RunFolder(folder), lambda _: None, stop)


def test_a_run_that_saved_no_state_yet_starts_again(made: Path, undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stopped(made, folder, 1, replace(CONFIG, save_every=0))
    done = CliRunner().invoke(main, ["train", "--resume", str(folder)])
    assert done.exit_code == 0, done.output
    assert [line["epoch"] for line in lines(folder)] == list(range(1, 13))
    assert lines(folder) == lines(undisturbed)


def test_each_epoch_is_saved(made: Path, undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stopped(made, folder, 3, replace(CONFIG, save_every=500))  # more than the run's updates
    done = CliRunner().invoke(main, ["train", "--resume", str(folder)])
    assert done.exit_code == 0, done.output
    assert "resumed in epoch 3, after 0 updates of it" in done.stderr
    assert lines(folder) == lines(undisturbed)


def test_what_cannot_be_resumed_is_said_in_one_line(made: Path, undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stopped(made, folder, 2)
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps(config | {"digest": "0" * 64}))
    for path, words in (
        (undisturbed, "is finished"),
        (tmp_path, "holds no run"),
        (tmp_path / "other", "there is now"),
    ):
        done = CliRunner().invoke(main, ["train", "--resume", str(path)])
        assert done.exit_code == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    done = CliRunner().invoke(main, ["train", "--resume", str(folder), "--lr", "1"])
    assert done.exit_code == 2
    assert "takes no other settings" in done.stderr


def test_other_settings_or_data_are_refused_by_name(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stopped(made, folder, 2)
    state = (folder / "state.safetensors").read_bytes()
    dataset = open_dataset(made)
    content = {**dataset.manifest.content, "digest": "0" * 64}
    other = replace(dataset, manifest=replace(dataset.manifest, content=content))
    for config, data, words in (
        (replace(CONFIG, lr=0.5), dataset, r"other settings \(lr 0\.003 → 0\.5\)"),
        (CONFIG, other, "this is 000000000000"),
    ):
        with pytest.raises(MimdataError, match=words):
            train(config, data, RunFolder(folder), lambda _: None, lambda _: None)
    assert (folder / "state.safetensors").read_bytes() == state
    assert [line["epoch"] for line in lines(folder)] == [1, 2]


def test_a_run_may_be_saved_more_often_when_it_goes_on(made: Path, undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stopped(made, folder, 2)
    train(
        replace(CONFIG, save_every=1), open_dataset(made), RunFolder(folder), lambda _: None, lambda _: None
    )
    ours, theirs = (load_file(f / "model.safetensors") for f in (folder, undisturbed))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_damaged_state_is_named(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stopped(made, folder, 2)
    content = (folder / "state.safetensors").read_bytes()
    (folder / "state.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(MimdataError, match=r"state\.safetensors cannot be read"):
        train(CONFIG, open_dataset(made), RunFolder(folder), lambda _: None, lambda _: None)


def test_the_average_is_what_is_kept(made: Path, tmp_path: Path, undisturbed: Path) -> None:
    """EMA with decay 0.9 lags behind the weights, and without it other weights are kept."""
    folder = tmp_path / "plain"
    folder.mkdir()
    train(replace(CONFIG, ema=0.0), open_dataset(made), RunFolder(folder), lambda _: None, lambda _: None)
    from safetensors.torch import load_file

    plain, averaged = (load_file(f / "model.safetensors") for f in (folder, undisturbed))
    assert any(not torch.equal(plain[name], averaged[name]) for name in plain)
    first, other = lines(folder)[0], lines(undisturbed)[0]
    assert first["train"] == other["train"]  # averaging changes nothing of the training itself
    assert first["valid"] != other["valid"]
