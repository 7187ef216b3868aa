"""`mimdata explain`: what a checkpoint made of one clip of a dataset, as a table or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mimdata.mim.commands.places import asked_dataset, local_store
from mimdata.pipeline.errors import UsageError

if TYPE_CHECKING:
    from mimdata.mim.checkpoint import Description
    from mimdata.mim.dataset import Dataset

NO_VALUE = "no value"


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("clip")
@click.option("--corpus", metavar="NAME", help="The corpus.  [default: the newest dataset's, or else demo]")
@click.option("--store", metavar="PATH", help="The store.  [default: .mimdata; env MIMDATA_STORE]")
@click.option(
    "--dataset",
    "version",
    type=click.Path(path_type=Path),
    help="The folder of one dataset version, instead of a corpus's latest.",
)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Also write the JSON here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line instead of the table.")
def explain(
    checkpoint: Path,
    clip: str,
    corpus: str | None,
    store: str | None,
    version: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Show each modality's gate on every word of CLIP, what each modality predicts, and which one taught.

    CHECKPOINT is a run's folder or a model.safetensors. Features are standardised as the model was trained.
    """
    from mimdata.mim.checkpoint import load
    from mimdata.mim.explain import explain as explanations
    from mimdata.mim.loader import collate

    model, description = load(checkpoint / "model.safetensors" if checkpoint.is_dir() else checkpoint)
    dataset = _as_trained(asked_dataset(version, local_store(store), corpus), description)
    utterance, words, loading = _read(dataset, clip, description)
    found = explanations(model, collate([utterance], dataset, loading))[0]
    content = found.to_json() | {"words": words[: utterance.length]}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    if output:
        output.write_text(text + "\n", encoding="utf-8")
    if as_json:
        click.echo(text)
    else:
        _show(content)


def _as_trained(dataset: Dataset, description: Description) -> Dataset:
    """The dataset with the statistics and the order of emotions that the model was trained with."""
    from mimdata.mim.dataset import Dataset
    from mimdata.pipeline.dataset.manifest import Manifest

    dims = dataset.dims(description.config.modalities, description.config.pooled)
    if dims != description.dims or (
        description.config.task == "emotions" and list(dataset.emotions) != description.content["emotions"]
    ):
        raise UsageError(
            f"the model was trained on features {description.dims} and emotions {description.content['emotions']}, "
            f"the dataset in {dataset.folder} has {dims} and {list(dataset.emotions)}: choose another with --dataset"
        )
    content = dict(dataset.manifest.content)
    content["statistics"] = {**content["statistics"], **description.content["statistics"]}
    return Dataset(dataset.folder, Manifest(content))


def _read(dataset: Dataset, clip: str, description: Description) -> tuple[Any, list[dict[str, Any]], Any]:
    """The clip's utterance, its words with times, and how it is loaded. Raises UsageError for an unknown clip."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from mimdata.mim.loader import Loading
    from mimdata.mim.rows import columns, decode

    config = description.config
    tokens = description.content["text_encoder"] is not None
    loading = Loading(
        config.modalities, config.pooled, config.steps, 1, config.standardise, tokens, labelled=False
    )
    wanted = columns(dataset, config.modalities, config.pooled, tokens=tokens)
    more = ["words", "word_start", "word_end", "word_status"]
    for shard in dataset.manifest.shards:
        file = dataset.folder / shard["file"]
        ids = pq.read_table(file, columns=["clip_id"]).column(0)
        row = pc.index(ids, clip).as_py()
        if row < 0:
            continue
        table = pq.read_table(file, columns=[*wanted, *more]).slice(row, 1).combine_chunks()
        there = table.take([0])
        (utterance,) = decode(
            there, dataset, config.modalities, config.pooled, config.steps, standardise=config.standardise
        )
        said = {name: there.column(name)[0].as_py() for name in more}
        names = ("word", "start", "end", "status")
        return (
            utterance,
            [dict(zip(names, each, strict=True)) for each in zip(*said.values(), strict=True)],
            loading,
        )
    raise UsageError(f"no clip {clip!r} in {dataset.folder}: `mimdata status` and its shards name the clips")


def _show(content: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)
    branches = content["modalities"]
    gates = Table(box=box.SIMPLE, title=f"{content['clip_id']}: gate and openness")
    for column in ("start", "end", "word", *branches):
        gates.add_column(column, justify="left" if column == "word" else "right", overflow="fold")
    for i, word in enumerate(content["words"]):
        cells = (_gate(b["gates"][i]) for b in branches.values())
        gates.add_row(f"{word['start']:.2f}", f"{word['end']:.2f}", word["word"], *cells)
    console.print(gates)
    made = Table(box=box.SIMPLE)
    for column in ("modality", "unpurified", "purified", "L^p", "weight", "taught within"):
        made.add_column(column, overflow="fold")
    for name, b in branches.items():
        loss, weight = (NO_VALUE if b["purified"] is None else _number(b[k]) for k in ("loss", "weight"))
        made.add_row(name, _list(b["unpurified"]), _list(b["purified"]), loss, weight, b["within"] or "-")
    console.print(made)
    console.print(
        f"Fused prediction: {_list(content['prediction'])}; label: {_list(content['label'], 'none')}"
    )
    console.print(f"Teacher between modalities: {content['teacher'] or 'needs a label'}")


def _gate(gate: dict[str, Any] | None) -> str:
    if gate is None:
        return NO_VALUE
    soft = gate["openness"]
    return str(gate["gate"]) if soft is None else f"{gate['gate']} {soft:.2f}"


def _number(value: float | None) -> str:
    return "needs a label" if value is None else f"{value:.3f}"


def _list(values: Any, none: str = NO_VALUE) -> str:
    return none if values is None else " ".join("?" if v is None else f"{v:+.3f}" for v in values)
