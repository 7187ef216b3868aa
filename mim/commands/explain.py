"""`mimdata explain`: what a checkpoint made of one clip of a dataset, as a table or JSON."""

from __future__ import annotations

from pathlib import Path

import click

from mimdata.mim.commands.places import asked_dataset_of, weights_of
from mimdata.pipeline.terminal import json_line, say


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("clip")
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
    from mimdata.mim.display import show_explanation
    from mimdata.mim.explain import explain as explanations
    from mimdata.mim.files import write_whole
    from mimdata.mim.fitting import fitted
    from mimdata.mim.one_clip import one_clip

    weights = weights_of(checkpoint)
    model, description = load(weights)
    dataset = asked_dataset_of(weights, description, version, store, corpus)
    found = fitted(dataset, description, description.config.modalities)
    read = one_clip(found.dataset, clip, description)
    for remark in found.remarks:
        say(remark, err=True)
    if read.cut:
        say(f"The model reads {description.config.steps} words: the last {read.cut} are left out", err=True)
    content = explanations(model, read.batch)[0].to_json() | {"words": list(read.words)}
    text = json_line(content, allow_nan=False)
    if output:
        write_whole(output, (text + "\n").encode())
    if as_json:
        say(text)
    else:
        show_explanation(content)
