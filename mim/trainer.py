"""Training: epochs of updates, the checkpoint of the lowest validation loss, the test split once at the end.

On the CPU equal configurations, data and numbers of threads give equal bytes of the checkpoint, whether the run
was stopped and resumed or not. Several processes (torchrun, accelerate launch) each read their part of every
update; the first one evaluates, writes and speaks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mimdata.mim.checkpoint import describe, load, save
from mimdata.mim.config import TrainConfig
from mimdata.mim.dataset import Dataset
from mimdata.mim.device import Place, accelerated, repeatable
from mimdata.mim.evaluation import Evaluation, evaluate
from mimdata.mim.loader import Feed, Loading, Update
from mimdata.mim.model import TEXT, Mim
from mimdata.mim.order import read_rows
from mimdata.mim.run_folder import RunFolder, add_events
from mimdata.mim.schedule import factor
from mimdata.mim.state import LOSSES, Best, Progress, Running, load_state, save_state
from mimdata.mim.text_encoder import load_text_encoder
from mimdata.mim.update import optimizers, update
from mimdata.pipeline.errors import MimdataError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

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


def train(config: TrainConfig, dataset: Dataset, folder: RunFolder, say: Say, on_epoch: OnEpoch) -> Report:
    """Train a model on a dataset and write the run's folder, or go on with what a stopped run left there.

    `say` gets each remark a person should read, `on_epoch` each line of metrics.jsonl. Raises MimdataError.
    """
    began = time.perf_counter()
    with repeatable(config.deterministic):
        place = accelerated(config.device, config.precision)
        say, on_epoch = (say, on_epoch) if place.first else (_silent, _silent)
        torch.manual_seed(config.seed)
        loading = loading_of(config, place.device)
        labelled = _survey(dataset, config, say)
        running = _running(build_model(config, dataset), place)
        say(_introduction(running.model, place))
        resumed = folder.state.exists()
        if resumed:
            load_state(folder.state, running, place, dataset.manifest.digest)
            say(f"resumed in epoch {running.progress.epoch}, after {running.progress.updates} updates of it")
        else:
            torch.manual_seed(config.seed + place.process)  # each process draws noise of its own
        if place.first:
            folder.begin(config, dataset, place.device, running.progress.epoch)
        epochs = Training(config, dataset, loading, folder, place, running, labelled, on_epoch).run()
        return _conclude(dataset, loading, folder, place, running.progress.best, epochs, began)


def _silent(_: Any) -> None:
    pass


def loading_of(config: TrainConfig, device: torch.device) -> Loading:
    """How the loader feeds this run: rows padded to T for a GPU, which likes equal shapes, else to the longest."""
    return Loading(
        modalities=config.modalities,
        pooled=config.pooled,
        steps=config.steps,
        batch_size=config.batch_size,
        standardise=config.standardise,
        tokens=config.finetune_text,
        fixed=device.type != "cpu" or config.compile,
        task=config.task,
        shuffle_rows=config.shuffle_rows,
        by_length=config.by_length,
        workers=config.workers,
        copies_gib=config.copies_gib,
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


def _survey(dataset: Dataset, config: TrainConfig, say: Say) -> Mapping[str, int]:
    """Say what will not be used; labelled utterances by split. Raises MimdataError without training data."""
    dataset.dims(config.modalities, config.pooled)
    counts = {
        split: read_rows(dataset, split, config.task).census(config.steps)
        for split in ("train", "valid", "test")
    }
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
    return {split: count.labelled for split, count in counts.items()}


def _running(model: Mim, place: Place) -> Running:
    """The model on its device, averaged where asked, with fresh optimizers."""
    config = model.config
    model.to(place.device)
    average = None
    if config.ema:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema))  # type: ignore[no-untyped-call]
        place.prepare(cast(Mim, average.module))
    model = place.prepare(model)
    both, progress = optimizers(model, config), Progress.start(len(config.modalities), place.device)
    if config.compile:
        model.compile()
    return Running(model, both, average, progress)


def _introduction(model: Mim, place: Place) -> str:
    config = model.config
    weights = sum(p.numel() for p in model.parameters())
    text = ""
    if TEXT in config.modalities:
        text = f", text encoder {config.text_lr:g}" if model.text_encoder else ", text as stored features"
    where = place.device.type + (f" × {place.processes}" if place.processes > 1 else "")
    return f"{weights:,} weights on {where}; learning rate {config.lr:g}{text}"


@dataclass
class Training:
    """One run's epochs: `running` changes, everything else stays."""

    config: TrainConfig
    dataset: Dataset
    loading: Loading
    folder: RunFolder
    place: Place
    running: Running
    labelled: Mapping[str, int]
    on_epoch: OnEpoch

    def run(self) -> int:
        """Train until the epochs or the patience are used up; the number of epochs."""
        feed = Feed(self.dataset, "train", self.loading)
        valid = Feed(self.dataset, "valid", self.loading)
        with self.folder.events() if self.place.first else nullcontext() as events:
            return self._epochs(feed, valid, events)

    def _epochs(self, feed: Feed, valid: Feed, events: SummaryWriter | None) -> int:
        config, progress = self.config, self.running.progress
        while True:
            began = time.perf_counter()
            means = self._epoch(feed)
            found = self._validated(valid, means)
            if progress.best.better(found["chosen_by"], progress.epoch) and self.place.first:
                self._keep()
            if events is not None:
                seconds = time.perf_counter() - began
                line = {"epoch": progress.epoch, **means, "valid": found["valid"], "seconds": seconds}
                self.folder.add_epoch(line)
                add_events(events, line)
                self.on_epoch(line)
            if progress.epoch == config.epochs or (
                config.patience and progress.best.since >= config.patience
            ):
                return progress.epoch
            progress.next_epoch()
            if config.save_every:
                self._save()

    def _epoch(self, feed: Feed) -> dict[str, Any]:
        """The rest of the epoch: mean losses, and each modality's share of open gates."""
        running, config, place = self.running, self.config, self.place
        progress = running.progress
        running.model.train()
        parts = feed.updates(
            (config.seed, progress.epoch),
            accumulate=config.accumulate,
            start=progress.updates,
            process=place.process,
            processes=place.processes,
        )
        each = math.ceil(self.labelled["train"] / (config.batch_size * config.accumulate * place.processes))
        for part in parts:
            done = (progress.epoch - 1) * each + progress.updates + 1
            running.optimizers.scale_rates(factor(config.schedule, config.warmup, done, config.epochs * each))
            here = Update(tuple(piece.to(place.device) for piece in part.pieces), part.whole)
            progress.add(update(running.model, here, running.optimizers, config, place))
            if running.average is not None:
                running.average.update_parameters(running.model)
            if config.save_every and done % config.save_every == 0:
                self._save()
        return self._means()

    def _save(self) -> None:
        save_state(self.folder.state, self.running, self.place, self.dataset.manifest.digest)

    def _means(self) -> dict[str, Any]:
        """Numbers leave the device once an epoch, so that no update waits for them."""
        progress, config = self.running.progress, self.config
        count = torch.tensor([float(progress.count)], device=self.place.device)
        sums, opened, count = self.place.add_up([progress.sums.clone(), progress.open.clone(), count])
        losses = dict(zip(LOSSES, (sums / count).tolist(), strict=True))
        if not all(math.isfinite(value) for value in losses.values()):
            raise MimdataError(
                f"the loss is not finite in epoch {progress.epoch}: lower lr ({config.lr:g}) or set clip_norm, and train again"
            )
        shares = (opened[0] / opened[1].clamp(min=1)).tolist()
        return {"train": losses, "open": dict(zip(config.modalities, shares, strict=True))}

    def _validated(self, valid: Feed, means: Mapping[str, Any]) -> dict[str, Any]:
        """{valid: measures or None, chosen_by: the loss that chooses the best epoch}, equal in all processes."""
        if not self.labelled["valid"]:
            return {"valid": None, "chosen_by": means["train"]["fused"]}
        measures = None
        if self.place.first:
            measures = evaluate(self.running.judged, valid, self.place.device).to_json()
        measures = self.place.from_first(measures)
        return {"valid": measures, "chosen_by": measures["loss"]}

    def _keep(self) -> None:
        """Write the checkpoint of this epoch."""
        config, dataset = self.config, self.dataset
        dims = dataset.dims(config.modalities, config.pooled)
        outputs = 1 if config.task == "sentiment" else len(dataset.emotions)
        model = self.running.judged
        save(
            self.folder.checkpoint,
            model,
            describe(model, dataset, dims, outputs, self.running.progress.epoch),
        )


def _conclude(
    dataset: Dataset,
    loading: Loading,
    folder: RunFolder,
    place: Place,
    best: Best,
    epochs: int,
    began: float,
) -> Report:
    """The first process measures the best checkpoint, as it lies on the disk, on validation and test, and writes."""
    report = None
    if place.first:
        model = place.prepare(load(folder.checkpoint)[0])

        def measure(split: str) -> dict[str, Any]:
            found: Evaluation = evaluate(model, Feed(dataset, split, loading), place.device)
            return found.to_json(intervals=True) if found.clip_ids else {}

        valid, test = measure("valid"), measure("test")
        seconds = round(time.perf_counter() - began, 3)
        report = Report(folder.path.name, epochs, best.epoch, seconds, valid, test)
        folder.end(report.to_json())
    made: Report = place.from_first(report)
    return made
