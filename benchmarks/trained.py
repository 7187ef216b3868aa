"""Train and predict: one run of the trainer on a dataset version, remembered on disk so that a stopped script goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """One training: a name (a file's name), a dataset version's folder and settings of [train]."""

    name: str
    dataset: Path
    settings: Mapping[str, Any]
    work: Path


def trained(job: Job) -> dict[str, Any]:
    """{clip_ids, predictions, labels of the test split; valid: the lowest validation loss; best_epoch, epochs;
    open: each modality's share of open gates in the best epoch}."""
    kept = job.work / f"{job.name}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(_train(job)), encoding="utf-8")
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def _train(job: Job) -> dict[str, Any]:
    import torch

    from mimdata.mim.checkpoint import load
    from mimdata.mim.config import train_config
    from mimdata.mim.dataset import open_dataset
    from mimdata.mim.evaluation import evaluate
    from mimdata.mim.loader import Feed
    from mimdata.mim.run_folder import new_run_folder
    from mimdata.mim.trainer import loading_of, train

    torch.set_num_threads(1)
    config = train_config({"device": "cpu", **job.settings})
    dataset = open_dataset(job.dataset)
    place = job.work / "runs" / job.name
    shutil.rmtree(place, ignore_errors=True)
    folder = new_run_folder(place)
    report = train(config, dataset, folder, lambda _: None, lambda _: None)
    model, _ = load(folder.checkpoint)
    cpu = torch.device("cpu")
    found = evaluate(model, Feed(dataset, "test", loading_of(config, cpu)), cpu)
    lines = map(json.loads, (place / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    shares = next(line["open"] for line in lines if line["epoch"] == report.best_epoch)
    shutil.rmtree(place)
    return {
        "clip_ids": list(found.clip_ids),
        "predictions": found.predictions.flatten().tolist(),
        "labels": found.target.flatten().tolist(),
        "valid": report.valid["loss"],
        "best_epoch": report.best_epoch,
        "epochs": report.epochs,
        "open": shares,
        "seconds": report.seconds,
    }


def measures(predictions: Floats, labels: Floats) -> dict[str, float]:
    """The field's measures by mimdata's own functions, NaN where there is none."""
    import torch

    from mimdata.mim.metrics import sentiment_scores

    values = sentiment_scores(torch.from_numpy(predictions), torch.from_numpy(labels)).values
    return {name: float("nan") if value is None else value for name, value in values.items()}
