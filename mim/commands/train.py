"""`mimdata train`: a thin skin over trainer.train. Imports torch only when it runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mimdata.mim.commands.places import asked_dataset, asked_store, runs_folder
from mimdata.mim.config import (
    TABLE,
    TrainConfig,
    load_train_config,
    parse_value,
    read_document,
    train_config,
)
from mimdata.mim.series import Series, train_series
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.terminal import json_line, say

if TYPE_CHECKING:
    from mimdata.mim.dataset import Dataset
    from mimdata.mim.run_folder import RunFolder

_FIRST = os.environ.get("RANK", "0") == "0"  # what torchrun and accelerate launch call a process


@click.command()
@click.option("--corpus", metavar="NAME", help="The corpus.  [default: the newest dataset's, or else demo]")
@click.option(
    "--store",
    metavar="PATH",
    help="The store: a folder, or a URL such as s3://.  [default: .mimdata; env MIMDATA_STORE]",
)
@click.option(
    "--dataset",
    "version",
    type=click.Path(path_type=Path),
    help="The folder of one dataset version, instead of a corpus's latest.",
)
@click.option("--config", "file", type=click.Path(path_type=Path), help="A TOML file with a table [train].")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key of [train]; docs/model.md."
)
@click.option("--device", metavar="NAME", help="auto, cpu or cuda.  [default: auto]")
@click.option("--epochs", type=int, help="Most epochs.  [default: 100]")
@click.option("--batch-size", type=int, help="Utterances in a batch.  [default: 16]")
@click.option("--lr", type=float, help="Learning rate of all but the text encoder.  [default: 0.001]")
@click.option("--fusion", metavar="NAME", help="add, multiplication, concatenation (default) or tensor.")
@click.option("--seed", type=int, help="Seed of weights, order and noise.  [default: 3407]")
@click.option("--modalities", metavar="A,B", help="Which to read.  [default: text,audio,vision]")
@click.option("--finetune-text", is_flag=True, default=None, help="Train a text encoder on token ids.")
@click.option(
    "--preset", metavar="NAME", help="Published settings below all others: mosi-paper, mosei-paper."
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, help="Train so many seeds; report their mean."
)
@click.option("--ablate", is_flag=True, help="Also train without each part and with each other fusion.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with a run that was stopped, with its own settings.",
)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    help="A new folder.  [default: STORE/runs/TIME-CORPUS-FUSION]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line instead of the table.")
def train(
    corpus: str | None,
    store: str | None,
    version: Path | None,
    file: Path | None,
    assignments: tuple[str, ...],
    preset: str | None,
    seeds: int,
    ablate: bool,
    resume: Path | None,
    run_dir: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Train MIM on an aligned dataset.

    The command line goes before the file's table [train], that before MIMDATA_TRAIN_* of the environment, that before
    a preset. The checkpoint is the one of the lowest validation loss; the test split is read once, with it. A run
    that was stopped, even by kill -9, goes on with --resume and comes to the same bytes (docs/training.md).
    """
    asked = _assigned(assignments) | {k: v for k, v in given.items() if v is not None}
    if resume:
        others = (corpus, store, version, file, preset, run_dir, asked, ablate, seeds > 1)
        if any(others):
            raise UsageError("--resume takes no other settings: a run goes on with its own")
        todo = _resumed(resume)
    else:
        from mimdata.mim.run_folder import run_name

        document = read_document(file)
        config = load_train_config(document, asked, preset=preset)
        place = asked_store(store, document)
        dataset = asked_dataset(version, place, corpus, document)
        path = run_dir or runs_folder(place) / run_name(dataset.corpus, config.fusion)
        todo = _started(path, config, dataset, Series(seeds, ablate))
    report = _run(todo)
    if not _FIRST:
        return
    if as_json:
        say(json_line(report))
        return
    from mimdata.mim.display import show_report, show_series

    (show_report if todo.alone else show_series)(report)
    say(f"Run: {todo.folder.path}")


@dataclass(frozen=True)
class _Todo:
    """What to train, and where."""

    config: TrainConfig
    dataset: Dataset
    folder: RunFolder
    series: Series

    @property
    def alone(self) -> bool:
        """Whether it is one training."""
        return self.series == Series()


def _started(path: Path, config: TrainConfig, dataset: Dataset, series: Series) -> _Todo:
    from mimdata.mim.run_folder import CONFIG, RunFolder, new_run_folder, run_config

    if not _FIRST:  # the first process writes
        return _Todo(config, dataset, RunFolder(path), series)
    folder = new_run_folder(path)
    if series != Series():
        folder.write_json(CONFIG, run_config(config, dataset) | {"series": vars(series)})
    return _Todo(config, dataset, folder, series)


def _resumed(path: Path) -> _Todo:
    from mimdata.mim.dataset import open_dataset
    from mimdata.mim.run_folder import stopped_run

    folder, content = stopped_run(path)
    dataset = open_dataset(Path(content["dataset"]))
    if dataset.manifest.digest != content["digest"]:
        raise UsageError(
            f"{path} was trained on the dataset {content['digest'][:12]}, in {dataset.folder} there is now "
            f"{dataset.manifest.digest[:12]}: put that version back, or start a new run"
        )
    config = train_config(content["train"], f"{path}: ")
    return _Todo(config, dataset, folder, Series(**content.get("series", {})))


def _run(todo: _Todo) -> dict[str, Any]:
    from mimdata.mim.device import among_processes
    from mimdata.mim.display import watching
    from mimdata.mim.run_folder import REPORT

    epochs = todo.config.epochs * len(todo.series.runs(todo.config))
    with among_processes(), watching(epochs) as (say, on_epoch):
        if not todo.alone:
            report = train_series(todo.series, todo.config, todo.dataset, todo.folder, say, on_epoch)
            if _FIRST:
                todo.folder.write_json(REPORT, report)
            return report
        from mimdata.mim.trainer import train as run

        return run(todo.config, todo.dataset, todo.folder, say, on_epoch).to_json()


def _assigned(assignments: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, raw = assignment.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes KEY=VALUE, such as mean=kept, found {assignment!r}")
        values[key.removeprefix(f"{TABLE}.")] = parse_value(raw)
    return values
