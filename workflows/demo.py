"""`mimdata demo`: build a small corpus, then extract, align, train and report, all on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from mimdata.pipeline.commands.options import STORE
from mimdata.pipeline.terminal import say
from mimdata.workflows.agreement import Agreement, agreement, demo_truth

EPOCHS = 20  # enough to see the loss fall on a dozen utterances; the figures mean nothing


@click.command("demo")
@STORE
@click.option("--workers", type=click.IntRange(min=0), help="Processes.  [default: one a core]")
@click.option("--epochs", type=click.IntRange(min=1), default=EPOCHS, show_default=True)
@click.pass_context
def demo_command(context: click.Context, store: str | None, workers: int | None, epochs: int) -> None:
    """Build a corpus of synthetic talking heads and run the whole path on it.

    A synthetic voice speaks over a photograph that moves. What comes out shows that everything works, and
    nothing about people.
    """
    from mimdata.mim.commands.train import train
    from mimdata.pipeline.commands.options import configuration
    from mimdata.pipeline.commands.tables import show, stages_table
    from mimdata.pipeline.jobs import align, extract
    from mimdata.pipeline.run import Options, open_run

    began = time.perf_counter()
    config = configuration(None, (), (), store=store, workers=workers, corpus="demo")
    with open_run(config, Options()) as run:
        say(f"1. The demo corpus: {len(run.listing.clips)} utterances in {run.root}")
        say("2. Extract text, voice and face features")
        show(stages_table(extract(run).stages))
        say("3. Align them to words, publish a dataset version")
        aligned = align(run)
        show(stages_table(aligned.stages))
        root, place = run.root, run.store
    assert aligned.manifest is not None
    say("4. Train MIM")
    context.invoke(train, store=config.store, corpus="demo", epochs=epochs)
    say("5. Report")
    rows = _rows(Path(place.path("datasets/demo")) / aligned.manifest.version, aligned.manifest.shards)
    _report(rows, _known(rows, demo_truth(root)), aligned.manifest.version)
    say(
        f"Everything lies in {config.store}; it took {time.perf_counter() - began:.0f} s. Run it again: nothing is extracted twice."
    )


def _rows(version: Path, shards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    columns = [
        "clip_id",
        "text",
        "sentiment",
        "words",
        "word_type",
        "word_start",
        "text_valid",
        "audio_valid",
        "vision_valid",
    ]
    return [
        row for shard in shards for row in pq.ParquetFile(version / shard["file"]).read(columns).to_pylist()
    ]


def _known(rows: list[dict[str, Any]], truth: dict[str, list[float]]) -> Agreement:
    """Found word starts against those at which the voice really spoke."""
    found = [
        [start for start, kind in zip(row["word_start"], row["word_type"], strict=True) if kind == "word"]
        for row in rows
    ]
    return agreement(found, [truth[row["clip_id"]] for row in rows])


def _report(rows: list[dict[str, Any]], words: Agreement, version: str) -> None:
    total = sum(len(row["words"]) for row in rows)
    shares = {
        m: sum(map(sum, (row[f"{m}_valid"] for row in rows))) / total for m in ("text", "audio", "vision")
    }
    covered = ", ".join(f"{modality} {share:.0%}" for modality, share in shares.items())
    say(f"   dataset {version}: {len(rows)} utterances, {total} words; with features: {covered}")
    say(
        f"   word starts against the voice's own: median {words.median_ms:.0f} ms, 95% within {words.p95_ms:.0f} ms "
        f"({words.words} words, {words.within_100_ms:.0%} within 100 ms)"
    )
    first = rows[0]
    timed = " ".join(
        f"{word}@{start:.2f}" for word, start in zip(first["words"], first["word_start"], strict=True)
    )
    say(f"   {first['clip_id']}, sentiment {first['sentiment']:+.1f}: {timed}")
    say(f"   next: mimdata inspect '{first['clip_id']}', mimdata status, mimdata why '{first['clip_id']}'")
