"""`mimdata evaluate`: a trained model on a split of a dataset, with intervals, also without some modalities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mimdata.mim.commands.places import asked_dataset_of, weights_of
from mimdata.pipeline.errors import MimdataError, UsageError
from mimdata.pipeline.terminal import json_line, say

if TYPE_CHECKING:
    from mimdata.mim.checkpoint import Description
    from mimdata.mim.dataset import Dataset
    from mimdata.mim.evaluation import Evaluation
    from mimdata.mim.model import Mim


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--corpus", metavar="NAME", help="The corpus.  [default: the one that the model learned from]")
@click.option(
    "--store",
    metavar="PATH",
    help="The store: a folder, or a URL such as s3://.  [default: .mimdata; env MIMDATA_STORE]",
)
@click.option(
    "--dataset",
    "version",
    type=click.Path(path_type=Path),
    help="The folder of one dataset version.  [default: the run's own, or else the corpus's latest]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    default="test",
    show_default=True,
    help="Which utterances.",
)
@click.option(
    "--modalities", metavar="A,B", help="Read these alone, as if nobody had the others.  [default: all]"
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where it runs.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write each utterance's predictions here: .csv, .jsonl or .parquet.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line instead of the table.")
def evaluate(
    checkpoint: Path,
    corpus: str | None,
    store: str | None,
    version: Path | None,
    split: str,
    modalities: str | None,
    device: str,
    predictions: Path | None,
    as_json: bool,
) -> None:
    """Measure CHECKPOINT, a run's folder or a model.safetensors, on a dataset's labelled utterances.

    The dataset must come from the same steps as the one that the model learned from; it is standardised as in
    training. Each measure comes with its 95% bootstrap interval (docs/evaluation.md).
    """
    from mimdata.mim.checkpoint import load
    from mimdata.mim.fitting import fitted
    from mimdata.mim.predictions import checked, write_predictions

    path = predictions and checked(predictions)
    weights = weights_of(checkpoint)
    model, description = load(weights)
    kept = _kept(modalities, model)
    found = fitted(asked_dataset_of(weights, description, version, store, corpus), description, kept)
    for remark in found.remarks:
        say(remark, err=True)
    made = _evaluated(model, description, found.dataset, split, kept, device)
    if made.without_any:
        say(
            f"{made.without_any} of {len(made.clip_ids)} utterances have no value of {', '.join(kept)}: "
            "their prediction is what the model says of nothing",
            err=True,
        )
    if path:
        write_predictions(path, made)
    content = _content(weights, found.dataset, split, kept, made)
    if as_json:
        say(json_line(content, allow_nan=False))
        return
    from mimdata.mim.display import show_measures

    show_measures(f"{weights}: {', '.join(kept)}", {split: content["measures"]})


def _kept(asked: str | None, model: Mim) -> tuple[str, ...]:
    """The modalities to read, in the model's order. Raises UsageError for one that it does not know."""
    if asked is None:
        return model.modalities
    wanted = [name.strip() for name in asked.split(",")]
    unknown = [name for name in wanted if name not in model.modalities]
    if unknown:
        raise UsageError(
            f"--modalities takes some of {', '.join(model.modalities)}, which the model reads, found {unknown[0]!r}"
        )
    return tuple(m for m in model.modalities if m in wanted)


def _evaluated(
    model: Mim, description: Description, dataset: Dataset, split: str, kept: tuple[str, ...], device: str
) -> Evaluation:
    """The split through the model on a device, in the precision of its training where the device has it."""
    from dataclasses import replace

    import torch

    from mimdata.mim.device import accelerated
    from mimdata.mim.evaluation import evaluate as run
    from mimdata.mim.loader import Feed
    from mimdata.mim.model import TEXT
    from mimdata.mim.trainer import loading_of

    config = description.config
    half = config.precision == "fp16" and (device == "cpu" or not torch.cuda.is_available())
    place = accelerated(device, "fp32" if half else config.precision)
    loading = loading_of(config, place.device)
    loading = replace(loading, modalities=kept, tokens=loading.tokens and TEXT in kept)
    absent = {m: dim for m, dim in description.dims.items() if m not in kept}
    made = run(place.prepare(model.to(place.device)), Feed(dataset, split, loading), place.device, absent)
    if not made.clip_ids:
        raise MimdataError(
            f"no utterance with a label in the {split} split of {dataset.folder} ({dataset.rows(split)} utterances): "
            "choose another with --split"
        )
    return made


def _content(
    weights: Path, dataset: Dataset, split: str, kept: tuple[str, ...], made: Evaluation
) -> dict[str, Any]:
    return {
        "checkpoint": str(weights),
        "corpus": dataset.corpus,
        "dataset": dataset.manifest.digest,
        "split": split,
        "modalities": list(kept),
        "measures": made.to_json(intervals=True),
    }
