"""Training: epochs of updates, the checkpoint of the lowest validation loss, the test split once at the end.

One process, on the CPU or one GPU. On the CPU equal configurations, data and numbers of threads give equal
bytes of the checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mimdata.mim.checkpoint import describe, load, save
from mimdata.mim.config import TrainConfig
from mimdata.mim.dataset import Dataset
from mimdata.mim.device import accelerated, repeatable
from mimdata.mim.evaluation import Evaluation, evaluate
from mimdata.mim.loader import Loading, batches
from mimdata.mim.model import TEXT, Mim
from mimdata.mim.run_folder import REPORT, RunFolder, draw_curves, environment
from mimdata.mim.text_encoder import load_text_encoder
from mimdata.mim.update import Optimizers, Updated, optimizers, update
from mimdata.pipeline.errors import MimdataError

Say = Callable[[str], None]
OnEpoch = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Report:
    """What a run came to; `valid` and `test` are measures of the best epoch, empty where a split is."""

    run: str
    epochs: int
    best_epoch: int
    seconds: float
    valid: Mapping[str, Any]
    test: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """One document."""
        return dict(vars(self))


@dataclass
class Best:
    """The lowest loss so far, its epoch, and how many epochs have gone since."""

    loss: float = math.inf
    epoch: int = 0
    since: int = 0

    def better(self, loss: float, epoch: int) -> bool:
        """Take note of an epoch's loss; whether it is the lowest."""
        if loss < self.loss:
            self.loss, self.epoch, self.since = loss, epoch, 0
            return True
        self.since += 1
        return False


def train(config: TrainConfig, dataset: Dataset, folder: RunFolder, say: Say, on_epoch: OnEpoch) -> Report:
    """Train a model on a dataset and write the run's folder. Raises MimdataError.

    `say` gets each remark a person should read, `on_epoch` each line of metrics.jsonl.
    """
    began = time.perf_counter()
    with repeatable(config.deterministic):
        device, prepare = accelerated(config.device, config.precision)
        torch.manual_seed(config.seed)
        loading = loading_of(config, device)
        has_valid = _survey(dataset, config, say)
        model = build_model(config, dataset)
        folder.write_json("config.json", {"train": config.to_dict(), "dataset": str(dataset.folder)})
        folder.write_json("environment.json", environment(device.type) | {"dataset": dataset.manifest.digest})
        say(_introduction(model, device))
        best, epochs = _epochs(prepare(model), dataset, loading, folder, device, on_epoch, has_valid)
        report = _conclude(dataset, loading, folder, device, prepare, best, epochs, began)
    folder.write_json(REPORT, report.to_json())
    draw_curves(folder.path / "curves.png", folder.epochs())
    return report


def loading_of(config: TrainConfig, device: torch.device) -> Loading:
    """How the loader feeds this run: rows padded to T for a GPU, which likes equal shapes, else to the longest."""
    return Loading(
        modalities=config.modalities,
        pooled=config.pooled,
        steps=config.steps,
        batch_size=config.batch_size,
        standardise=config.standardise,
        tokens=config.finetune_text,
        fixed=device.type != "cpu",
        task=config.task,
        shuffle_rows=config.shuffle_rows,
        pin=device.type == "cuda",
    )


def build_model(config: TrainConfig, dataset: Dataset) -> Mim:
    """A new model for a dataset's features and labels. Raises MimdataError where they do not fit."""
    if config.finetune_text and not dataset.has_tokens:
        raise MimdataError(
            f"finetune_text needs token ids, and {dataset.folder} has none: extract the text with the bert "
            "extractor and align again, or train on stored features"
        )
    if config.task == "emotions" and not dataset.emotions:
        raise MimdataError(f"{dataset.folder} has no emotion labels: train with task = sentiment")
    encoder = (
        load_text_encoder(config.text_encoder, gradient_checkpointing=config.gradient_checkpointing)
        if config.finetune_text
        else None
    )
    outputs = 1 if config.task == "sentiment" else len(dataset.emotions)
    return Mim(config, dataset.dims(config.modalities, config.pooled), outputs, encoder)


def _survey(dataset: Dataset, config: TrainConfig, say: Say) -> bool:
    """Say what will not be used; whether there is a validation split. Raises MimdataError without training data."""
    dataset.dims(config.modalities, config.pooled)
    counts = {split: dataset.census(split, config.steps, config.task) for split in ("train", "valid", "test")}
    if not counts["train"].labelled:
        raise MimdataError(
            f"{dataset.folder} has no labelled utterance in its train split ({counts['train'].rows} rows): "
            f"training needs a {config.task} label"
        )
    say("utterances: " + ", ".join(f"{split} {count.labelled}" for split, count in counts.items()))
    for split, count in counts.items():
        if count.rows > count.labelled:
            say(
                f"{split}: {count.rows - count.labelled} of {count.rows} utterances have no {config.task} label and are left out"
            )
        if count.truncated:
            say(f"{split}: {count.truncated} utterances are longer than {config.steps} steps and are cut")
    if not counts["valid"].labelled:
        say(
            "no validation split: the checkpoint is the one of the lowest train loss, which favours overfitting"
        )
    return counts["valid"].labelled > 0


def _introduction(model: Mim, device: torch.device) -> str:
    config = model.config
    weights = sum(p.numel() for p in model.parameters())
    text = ""
    if TEXT in config.modalities:
        text = f", text encoder {config.text_lr:g}" if model.text_encoder else ", text as stored features"
    return f"{weights:,} weights on {device.type}; learning rate {config.lr:g}{text}"


def _epochs(
    model: Mim,
    dataset: Dataset,
    loading: Loading,
    folder: RunFolder,
    device: torch.device,
    on_epoch: OnEpoch,
    has_valid: bool,
) -> tuple[Best, int]:
    """Train until the epochs or the patience are used up; the best epoch and the number of epochs."""
    from torch.utils.tensorboard import SummaryWriter

    config, best, both = model.config, Best(), optimizers(model, model.config)
    dims = dataset.dims(config.modalities, config.pooled)
    outputs = 1 if config.task == "sentiment" else len(dataset.emotions)
    with SummaryWriter(str(folder.path)) as events:
        for epoch in range(1, config.epochs + 1):
            began = time.perf_counter()
            line = {"epoch": epoch, **_epoch(model, dataset, loading, both, device, epoch)}
            if not all(math.isfinite(value) for value in line["train"].values()):
                raise MimdataError(
                    f"the loss is not finite in epoch {epoch}: lower lr ({config.lr:g}) or set clip_norm, and train again"
                )
            valid = evaluate(model, dataset, "valid", loading, device) if has_valid else None
            line |= {"valid": valid and valid.to_json(), "seconds": time.perf_counter() - began}
            chosen_by = line["train"]["fused"] if valid is None or valid.loss is None else valid.loss
            if best.better(chosen_by, epoch):
                save(folder.checkpoint, model, describe(model, dataset, dims, outputs, epoch))
            folder.add_epoch(line)
            _add_events(events, line)
            on_epoch(line)
            if config.patience and best.since >= config.patience:
                break
    return best, epoch


def _epoch(
    model: Mim, dataset: Dataset, loading: Loading, both: Optimizers, device: torch.device, epoch: int
) -> dict[str, Any]:
    """One pass over the train split: mean losses, and each modality's share of open gates."""
    model.train()
    config, count = model.config, 0
    sums: dict[str, Tensor] = {}
    opened = torch.zeros(2, len(config.modalities), device=device)
    for batch in batches(dataset, "train", loading, (config.seed, epoch)):
        done = update(model, batch.to(device), both, config)
        count += len(batch)
        for name, value in done.losses.named().items():
            sums[name] = sums.get(name, torch.zeros((), device=device)) + value * len(batch)
        opened += _open_steps(done)
    # Numbers leave the device once an epoch, so that no step waits for them.
    means = {name: float(total) / count for name, total in sums.items()}
    shares = (opened[0] / opened[1].clamp(min=1)).tolist()
    return {"train": means, "open": dict(zip(config.modalities, shares, strict=True))}


def _open_steps(done: Updated) -> Tensor:
    """(2, M): open gates and steps of each modality."""
    output = done.output
    return torch.stack([output.gates.detach().sum((0, 2)), output.steps.sum((0, 2)).float()])


def _add_events(events: Any, line: Mapping[str, Any]) -> None:
    for group in ("train", "valid", "open"):
        for name, value in (line[group] or {}).items():
            if isinstance(value, int | float):
                events.add_scalar(f"{group}/{name}", value, line["epoch"])


def _conclude(
    dataset: Dataset,
    loading: Loading,
    folder: RunFolder,
    device: torch.device,
    prepare: Callable[[Mim], Mim],
    best: Best,
    epochs: int,
    began: float,
) -> Report:
    """Measure the best checkpoint, as it lies on the disk, on the validation and the test split."""
    model = prepare(load(folder.checkpoint)[0])

    def measure(split: str) -> dict[str, Any]:
        found: Evaluation = evaluate(model, dataset, split, loading, device)
        return found.to_json() if found.clip_ids else {}

    valid, test = measure("valid"), measure("test")
    seconds = round(time.perf_counter() - began, 3)
    return Report(folder.path.name, epochs, best.epoch, seconds, valid, test)
