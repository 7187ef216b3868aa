"""`mimdata status`, `inspect`, `why` and `failures`: looking into the store."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import click

from mimdata.pipeline import looking
from mimdata.pipeline.commands.options import (
    CONFIG,
    CORPUS,
    JSON,
    ROOT,
    SET,
    STORE,
    chain,
    configuration,
    print_json,
)
from mimdata.pipeline.commands.tables import show, table
from mimdata.pipeline.dataset.pooling import TRACKS, WORDS
from mimdata.pipeline.listing import Selection
from mimdata.pipeline.run import Options, read_run
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.snapshot import FailureRow, Snapshot, corpora
from mimdata.pipeline.terminal import say

LOOKING = chain(STORE, CONFIG, JSON)
CLIP = click.argument("clip", metavar="CLIP")


def _store(file: Any, store: str | None) -> Folder:
    return Folder(configuration(file, (), (), store=store).store)


@click.command("status")
@LOOKING
def status_command(file: Any, store: str | None, as_json: bool) -> None:
    """What the store holds: corpora with their ledgers, and dataset versions."""
    found = looking.status(_store(file, store))
    if as_json:
        print_json(found)
        return
    if not found["corpora"]:
        say("The store is empty: `mimdata demo`, or `mimdata extract --corpus NAME --root FOLDER`, fills it.")
    for name, corpus in found["corpora"].items():
        tracks = ", ".join(f"{n} {modality}" for modality, n in corpus["tracks"].items())
        say(
            f"{name}: {corpus['clips']} clips; tracks: {tracks or 'none'}; {corpus['words']} aligned; "
            f"{corpus['rows']} rows; {corpus['failures']} in the failures table"
        )
        rows = [
            (stage, e["in"], e["out"], ", ".join(f"{n} {cause}" for cause, n in e["excluded"].items()))
            for stage, e in corpus["ledger"].items()
        ]
        show(table("", ("stage", "in", "out", "excluded"), rows, ("in", "out")))
    for d in found["datasets"]:
        mark = "  ← latest" if d["latest"] else "  candidate, not published" if d["candidate"] else ""
        say(f"dataset {d['corpus']}/{d['version']}: {d['rows']} utterances, digest {d['digest'][:16]}…{mark}")


@click.command("inspect")
@CLIP
@CORPUS
@LOOKING
def inspect_command(clip: str, corpus: str | None, file: Any, store: str | None, as_json: bool) -> None:
    """One clip: its words in time, its features, and where its row lies."""
    place = _store(file, store)
    found = looking.inspect(place, looking.find_clip(place, clip, corpus))
    if as_json:
        print_json(found)
        return
    sentiment = "unknown" if found["sentiment"] is None else f"{found['sentiment']:+.2f}"
    labels = f"sentiment {sentiment}, split {found['split'] or 'none'}"
    say(f"{found['clip_id']} ({found['corpus']}): {labels}", found["text"])
    if found["words"]:
        say(f"aligned by {found['alignment']}{_suspicion(found['suspect'])}")
    rows = [
        (word, _seconds(start), _seconds(end), f"{confidence:.2f}", status)
        for word, (start, end), confidence, status in zip(
            found["words"], found["intervals"], found["confidence"], found["status"], strict=True
        )
    ]
    show(
        table(
            "", ("word", "start s", "end s", "confidence", "status"), rows, ("start s", "end s", "confidence")
        )
    )
    modalities = [
        (name, m["source"], m["dim"], m["frames"], m["valid"], m.get("absent", ""))
        for name, m in found["modalities"].items()
    ]
    show(
        table(
            "", ("modality", "source", "dim", "frames", "valid", ""), modalities, ("dim", "frames", "valid")
        )
    )
    say(f"row {found['row']} of {found['shard']}" if found["shard"] else "in no dataset version yet")


def _seconds(time: float | None) -> str:
    """A time that nobody knows, as published features have none, is a dash."""
    return "–" if time is None else f"{time:.2f}"


def _suspicion(suspect: list[str]) -> str:
    return f"; suspect: {', '.join(suspect)}" if suspect else ""


@click.command("why")
@CLIP
@CORPUS
@ROOT
@SET
@LOOKING
def why_command(
    clip: str,
    corpus: str | None,
    root: Any,
    assignments: tuple[str, ...],
    file: Any,
    store: str | None,
    as_json: bool,
) -> None:
    """Which part of a clip's keys changed, and so what was or will be recomputed."""
    place = _store(file, store)
    found = looking.find_clip(place, clip, corpus)
    takes = ("root", "reader", "fixes", "extractors", "aligner")
    config = configuration(file, assignments, takes, store=store, corpus=found.corpus, root=root)
    run = read_run(config, Options(Selection(only=(found.entry.clip.clip_id,))))
    extractors = {TRACKS + name: step for name, step in config.build_extractors().items()}
    for line in looking.why(run, {**extractors, WORDS: config.build_aligner()}):
        if as_json:
            print_json(line)
            continue
        say(f"{line['stage']}: {line['state']}")
        for change in line["changes"]:
            say(f"    {change}")


@click.command("failures")
@CORPUS
@LOOKING
def failures_command(corpus: str | None, file: Any, store: str | None, as_json: bool) -> None:
    """Clips that failed: stage, cause, and the command that retries each."""
    place = _store(file, store)
    names = [corpus] if corpus else corpora(place)
    rows = [(name, row) for name in names for row in Snapshot(place, name).failures()]
    if as_json:
        for name, row in rows:
            print_json({"corpus": name, **asdict(row)})
        return
    if not rows:
        say("No clip has failed.")
        return
    _show_failures(rows)


def _show_failures(rows: list[tuple[str, FailureRow]]) -> None:
    causes = Counter((row.stage, row.cause) for _, row in rows)
    show(table("", ("stage", "cause", "clips"), [(*key, n) for key, n in causes.most_common()], ("clips",)))
    for name, row in rows:
        say(f"{name} {row.clip_id or row.source} [{row.stage}] {row.message}")
        say(f"    {row.hint}; {row.retry}" if row.hint else f"    {row.retry}")
