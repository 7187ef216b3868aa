"""Training from shards to report: it learns, repeats itself to the byte, and writes whole files."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mimdata.mim.checkpoint import load, read_description, save
from mimdata.mim.config import TrainConfig
from mimdata.mim.dataset import open_dataset
from mimdata.mim.evaluation import Evaluation, evaluate
from mimdata.mim.loader import Feed
from mimdata.mim.run_folder import new_run_folder
from mimdata.mim.trainer import Report, loading_of, train
from mimdata.pipeline.errors import MimdataError, UsageError

CONFIG = TrainConfig(width=20, steps=12, layers=1, epochs=4, device="cpu", lr=3e-3)
CPU = torch.device("cpu")


def run(config: TrainConfig, dataset: Path, folder: Path) -> tuple[Report, list[str]]:
    said: list[str] = []
    report = train(config, open_dataset(dataset), new_run_folder(folder), said.append, lambda _: None)
    return report, said


@pytest.fixture(scope="module")
def trained(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report, list[str]]:
    folder = tmp_path_factory.mktemp("runs") / "first"
    return folder, *run(CONFIG, made, folder)


def test_a_run_learns_and_writes_its_folder(trained: tuple[Path, Report, list[str]]) -> None:
    folder, report, said = trained
    epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [e["epoch"] for e in epochs] == [1, 2, 3, 4]
    assert epochs[-1]["train"]["fused"] < 0.85 * epochs[0]["train"]["fused"]
    assert set(epochs[0]["open"]) == {"text", "audio", "vision"}
    assert report.best_epoch == min(epochs, key=lambda e: e["valid"]["loss"])["epoch"]
    assert report.valid["n"] == report.test["n"] == 24
    assert report.test["corr"] > 0.5
    assert json.loads((folder / "report.json").read_text()) == report.to_json()
    names = {p.name for p in folder.iterdir()}
    assert {"config.json", "environment.json", "metrics.jsonl", "model.safetensors", "curves.png"} <= names
    assert any(name.startswith("events.") for name in names)
    assert not any(name.endswith(".tmp") for name in names)
    assert said[0] == "utterances: train 64, valid 24, test 24"
    assert "text as stored features" in said[1]


def test_a_checkpoint_alone_gives_the_reported_numbers(
    trained: tuple[Path, Report, list[str]], made: Path
) -> None:
    folder, report, _ = trained
    model, description = load(folder / "model.safetensors")
    assert description.config == CONFIG.__class__(**{**vars(CONFIG), "device": "auto"})
    dataset = open_dataset(made)
    again = evaluate(model, Feed(dataset, "test", loading_of(CONFIG, CPU)), CPU)
    assert again.to_json(intervals=True) == report.test
    assert description.content["dataset"]["digest"] == dataset.manifest.digest
    assert description.content["statistics"]["text_mean"] == dataset.statistics("text_mean")
    assert description.content["epoch"] == report.best_epoch


@pytest.mark.parametrize("change", [{}, {"update": "sequential", "fusion": "tensor"}])
def test_equal_seeds_give_equal_bytes_and_others_do_not(
    made: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    config = replace(CONFIG, epochs=2, **change)
    seeds = {"a": config, "b": config, "c": replace(config, seed=1)}
    for name, each in seeds.items():
        run(each, made, tmp_path / name)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in seeds)
    assert a == b
    assert a != c


def test_patience_ends_a_run_and_keeps_the_best(made: Path, tmp_path: Path) -> None:
    report, _ = run(replace(CONFIG, epochs=30, patience=2, lr=0.05), made, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["valid"]["loss"] for line in lines]
    assert report.epochs == len(lines) == report.best_epoch + 2 < 30
    assert min(losses) == losses[report.best_epoch - 1] == pytest.approx(report.valid["loss"], abs=1e-6)


def test_without_a_validation_split_the_train_loss_chooses_and_it_is_said(
    tmp_path: Path, write_version: Callable[..., Path], made_rows: list[Any]
) -> None:
    rows = [row for row in made_rows if row.split == "train"][:20]
    rows[0] = replace(rows[0], sentiment=None)
    dataset = write_version(tmp_path, rows, {"text": (6, ("mean",))})
    config = replace(CONFIG, modalities=("text",), epochs=1, steps=6)
    report, said = run(config, dataset, tmp_path / "run")
    assert report.valid == report.test == {}
    assert any(line.startswith("no validation split") for line in said)
    assert "train: 1 of 20 utterances have no sentiment label and are left out" in said
    assert any("longer than 6 steps and are cut" in line for line in said)


def test_training_needs_labelled_utterances(
    tmp_path: Path, write_version: Callable[..., Path], made_rows: list[Any]
) -> None:
    dataset = write_version(tmp_path, made_rows[-5:], {"text": (6, ("mean",))})
    with pytest.raises(MimdataError, match="no labelled utterance in its train split"):
        run(replace(CONFIG, modalities=("text",)), dataset, tmp_path / "run")


def test_a_folder_with_a_run_is_not_written_over(trained: tuple[Path, Report, list[str]], made: Path) -> None:
    with pytest.raises(UsageError, match="holds a run already"):
        run(CONFIG, made, trained[0])


@pytest.mark.parametrize(
    "change",
    [
        {"modalities": ("audio",), "fusion": "multiplication"},
        {"padding": "reference", "granularity": "batch", "distillation": "tempered", "mean": "kept"},
        {"purify": False, "intra": False, "inter": False, "fusion": "add"},
        {"task": "emotions", "pooled": ("mean", "std"), "standardise": False},
        {"precision": "bf16", "clip_norm": 1.0, "deterministic": True},
    ],
)
def test_other_settings_train_and_give_finite_numbers(
    made: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    report, _ = run(replace(CONFIG, epochs=1, **change), made, tmp_path / "run")
    numbers = [v for v in report.test.values() if isinstance(v, float)]
    assert len(numbers) >= 5
    assert np.isfinite(numbers).all()
    assert torch.backends.cudnn.enabled
    assert not torch.are_deterministic_algorithms_enabled()  # as it was before the run


def test_the_test_split_is_read_once_with_the_chosen_checkpoint(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def recording(*arguments: Any) -> Evaluation:
        read.append(arguments[1].split)
        return evaluate(*arguments)

    monkeypatch.setattr("mimdata.mim.trainer.evaluate", recording)
    run(CONFIG, made, tmp_path / "run")
    assert read == ["valid"] * 4 + ["valid", "test"]


def test_a_loss_that_is_not_finite_is_said(made: Path, tmp_path: Path) -> None:
    with pytest.raises(MimdataError, match="not finite in epoch"):
        run(replace(CONFIG, lr=1e30), made, tmp_path / "run")


def test_a_text_encoder_is_fine_tuned_at_its_own_rate_and_saved(made: Path, tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=400, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(shape).save_pretrained(tmp_path / "tiny")
    config = replace(CONFIG, epochs=1, finetune_text=True, text_encoder=str(tmp_path / "tiny"), text_lr=1e-3)
    report, said = run(config, made, tmp_path / "run")
    assert "text encoder 0.001" in said[1]
    before = BertModel.from_pretrained(tmp_path / "tiny").encoder.layer[0].intermediate.dense.weight
    model, _ = load(tmp_path / "run" / "model.safetensors")
    assert model.text_encoder is not None
    after = model.text_encoder.encoder.encoder.layer[0].intermediate.dense.weight
    moved = (after - before).abs().max().item()
    assert 0 < moved < 1e-3 * 5 * 1.01  # five batches, at most one rate each
    again = evaluate(model, Feed(open_dataset(made), "test", loading_of(config, CPU)), CPU)
    assert again.to_json(intervals=True) == report.test
    assert str(tmp_path).encode() not in (tmp_path / "run" / "model.safetensors").read_bytes()


def test_gradient_checkpointing_changes_no_weight(made: Path, tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=400, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    BertModel(shape).save_pretrained(tmp_path / "tiny")
    config = replace(CONFIG, epochs=1, finetune_text=True, text_encoder=str(tmp_path / "tiny"), text_lr=1e-3)
    run(config, made, tmp_path / "plain")
    run(replace(config, gradient_checkpointing=True), made, tmp_path / "saving")
    plain, saving = (load(tmp_path / name / "model.safetensors")[0] for name in ("plain", "saving"))
    for (name, a), (_, b) in zip(plain.named_parameters(), saving.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


def test_fine_tuning_without_token_ids_is_refused(
    tmp_path: Path, write_version: Callable[..., Path], made_rows: list[Any]
) -> None:
    rows = [replace(row, token_ids=None) for row in made_rows]
    dataset = write_version(tmp_path, rows, {"text": (6, ("mean",))})
    with pytest.raises(MimdataError, match="needs token ids"):
        run(replace(CONFIG, modalities=("text",), finetune_text=True), dataset, tmp_path / "run")


def _save_for_ever(checkpoint: str, path: str) -> None:
    model, description = load(Path(checkpoint))
    while True:
        save(Path(path), model, description)


def test_kill_9_leaves_no_half_written_checkpoint(
    trained: tuple[Path, Report, list[str]], tmp_path: Path
) -> None:
    source, target = trained[0] / "model.safetensors", tmp_path / "model.safetensors"
    writer = multiprocessing.get_context("spawn").Process(
        target=_save_for_ever, args=(str(source), str(target))
    )
    writer.start()
    deadline = time.monotonic() + 60
    while not target.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert target.read_bytes() == source.read_bytes()


def test_what_is_no_checkpoint_is_named(tmp_path: Path, trained: tuple[Path, Report, list[str]]) -> None:
    broken = tmp_path / "model.safetensors"
    for content in (b"", b"\xff" * 100, (trained[0] / "model.safetensors").read_bytes()[:50]):
        broken.write_bytes(content)
        with pytest.raises(MimdataError, match="is no checkpoint of mimdata"):
            read_description(broken)
    broken.write_bytes((trained[0] / "model.safetensors").read_bytes()[:-40])
    with pytest.raises(MimdataError, match="do not fit"):
        load(broken)


@pytest.mark.shared_data
def test_real_word_aligned_features_of_mosi(
    tmp_path: Path, dev229: tuple[list[Any], dict[str, Any]], write_version: Callable[..., Path]
) -> None:
    """229 utterances of MOSI, split by video: the train loss falls and all measures are finite."""
    rows, modalities = dev229
    dataset = write_version(tmp_path, rows, modalities, corpus="dev229", row_group=32)
    config = TrainConfig(modalities=("audio", "vision"), epochs=3, device="cpu")
    report, said = run(config, dataset, tmp_path / "run")
    assert said[0] == "utterances: train 155, valid 34, test 40"
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["train"]["fused"] < lines[0]["train"]["fused"]
    for split in (report.valid, report.test):
        assert all(np.isfinite(v) for v in split.values() if isinstance(v, float))
        assert "reasons" not in split
