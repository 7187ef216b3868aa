"""`mimdata train`: a thin skin over trainer.train. Imports torch only when it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mimdata.mim.commands.places import RUNS, asked_dataset, local_store
from mimdata.mim.config import TABLE, TrainConfig, load_train_config, parse_value, read_document
from mimdata.pipeline.errors import UsageError

if TYPE_CHECKING:
    from mimdata.mim.dataset import Dataset
    from mimdata.mim.run_folder import RunFolder


@click.command()
@click.option("--corpus", metavar="NAME", help="The corpus.  [default: the newest dataset's, or else demo]")
@click.option("--store", metavar="PATH", help="The store.  [default: .mimdata; env MIMDATA_STORE]")
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
    run_dir: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Train MIM on an aligned dataset.

    The command line goes before the file's table [train], that before MIMDATA_TRAIN_* of the environment.
    The checkpoint is the one of the lowest validation loss; the test split is read once, with it.
    """
    from mimdata.mim.run_folder import new_run_folder, run_name

    document = read_document(file)
    config = load_train_config(
        document, _assigned(assignments) | {k: v for k, v in given.items() if v is not None}
    )
    place = local_store(store, document)
    dataset = asked_dataset(version, place, corpus, document)
    folder = new_run_folder(run_dir or place / RUNS / run_name(dataset.corpus, config.fusion))
    report = _run(config, dataset, folder)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    from mimdata.mim.display import show_report

    show_report(report)
    click.echo(f"Run: {folder.path}")


def _run(config: TrainConfig, dataset: Dataset, folder: RunFolder) -> dict[str, Any]:
    from mimdata.mim.display import watching
    from mimdata.mim.trainer import train as run

    with watching(config.epochs) as (say, on_epoch):
        return run(config, dataset, folder, say, on_epoch).to_json()


def _assigned(assignments: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, raw = assignment.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes KEY=VALUE, such as mean=kept, found {assignment!r}")
        values[key.removeprefix(f"{TABLE}.")] = parse_value(raw)
    return values
