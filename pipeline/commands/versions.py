"""`mimdata versions`, `diff`, `publish`, `rollback` and `pin`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mimdata.pipeline.commands.options import CORPUS, JSON, STORE, configuration, print_json
from mimdata.pipeline.dataset.versions import Versions, dataset_corpora
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.snapshot import last_corpus
from mimdata.pipeline.terminal import say

REASON = click.option("--reason", default="", metavar="TEXT", help="Why; it is kept in the history.")


def _store(store: str | None) -> Folder:
    return Folder(configuration(None, (), (), store=store).store)


def versions_of(corpus: str | None, store: str | None) -> Versions:
    """The versions of a corpus, by default the one last worked on."""
    place = _store(store)
    name = corpus or last_corpus(place) or next(iter(dataset_corpora(place)), "demo")
    if name not in dataset_corpora(place):
        there = ", ".join(dataset_corpora(place)) or "none"
        raise UsageError(f"{place.url} has no version of {name}: there are versions of {there}")
    return Versions(place, name)


@click.command("versions")
@CORPUS
@STORE
@click.option(
    "--history", is_flag=True, help="Every act instead: who published, rolled back or removed what."
)
@JSON
def versions_command(corpus: str | None, store: str | None, history: bool, as_json: bool) -> None:
    """List dataset versions: published, waiting as candidates, pinned, withdrawn."""
    from mimdata.pipeline.commands.tables import show, table
    from mimdata.pipeline.dataset.history import read_history

    place = _store(store)
    for name in [corpus] if corpus else dataset_corpora(place):
        versions = Versions(place, name)
        lines = [vars(act) for act in read_history(versions.published)] if history else _lines(versions)
        if as_json:
            for line in lines:
                print_json({"corpus": name, **line})
            continue
        if history:
            for line in lines:
                why = f": {line['why']}" if line["why"] else ""
                say(f"{name} {line['at']} {line['act']} {line['version']} by {line['by']}{why}")
            continue
        columns = ("version", "rows", "created", "state")
        rows = [tuple(line[column] for column in columns) for line in lines]
        show(table(name, columns, rows, ("rows",)))


def _lines(versions: Versions) -> list[dict[str, Any]]:
    lines = []
    for version in versions.all():
        words = {
            "latest": version.latest,
            "pinned": version.pinned,
            "candidate, not published": version.candidate,
            version.withdrawn: bool(version.withdrawn),
        }
        state = ", ".join(word for word, true in words.items() if true)
        lines.append(version.to_json() | {"state": state})
    return lines


@click.command("diff")
@click.argument("before")
@click.argument("after", default="latest")
@CORPUS
@STORE
@JSON
def diff_command(before: str, after: str, corpus: str | None, store: str | None, as_json: bool) -> None:
    """What differs between two versions: clips added, removed and changed, and features that drifted.

    BEFORE and AFTER are versions as `mimdata versions` lists them, the beginnings of their names or digests, or `latest`.
    """
    from mimdata.pipeline.dataset.diff import compare

    versions = versions_of(corpus, store)
    found = compare(versions.find(before), versions.find(after)).to_json()
    if as_json:
        print_json(found)
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    from mimdata.pipeline.commands.tables import show, table

    if found["equal"]:
        say(f"{found['before']} and {found['after']} are the same, byte for byte.")
        return
    say(
        f"{found['before']} → {found['after']}: {len(found['added'])} clips added, {len(found['removed'])} removed, "
        f"{len(found['changed'])} changed"
    )
    for sign, names in (("+", found["added"]), ("-", found["removed"])):
        for name in names[:10]:
            say(f"{sign} {name}")
        if len(names) > 10:
            say(f"{sign} … {len(names) - 10} more")
    if found["by_change"]:
        show(table("", ("changed", "clips"), list(found["by_change"].items()), ("clips",)))
    for modality, why in found["other_steps"].items():
        say(f"{modality} was made in another way: {why}")
    rows = [
        (modality, s["feature"], f"{s['before']:.4g}", f"{s['after']:.4g}", f"{s['size']:.2f}")
        for modality, shifts in found["drift"].items()
        for s in shifts[:3]
        if s["size"] > 0
    ]
    if rows:
        columns = ("modality", "feature", "mean before", "after", "in std")
        show(table("largest drifts, train split", columns, rows, columns[2:]))


@click.command("publish")
@click.argument("version")
@CORPUS
@STORE
@click.option(
    "--force", is_flag=True, help="Also where checks fail or the version was withdrawn; needs --reason."
)
@REASON
def publish_command(version: str, corpus: str | None, store: str | None, force: bool, reason: str) -> None:
    """Give readers a candidate, or an older version again.

    The checks run once more, with the limits of the corpus's last run.
    """
    from mimdata.pipeline.checks.judge import judge
    from mimdata.pipeline.store.snapshot import Snapshot

    versions = versions_of(corpus, store)
    manifest = versions.find(version)[1]
    snapshot = Snapshot(versions.store, versions.corpus)
    config = configuration(None, (), ("checks",), store=store, corpus=versions.corpus)
    listed = snapshot.ledger().get("corpus", {}).get("in", manifest.rows)
    failed = judge(versions, manifest.version, config.checks, listed).failed
    obstacles = [*failed, *([w] if (w := versions.withdrawn(manifest.version)) else [])]
    if obstacles and not (force and reason):
        raise UsageError(
            f"{manifest.version} is not published: {'; '.join(obstacles)}. Give --force and a --reason to publish it all the same"
        )
    versions.publish(manifest.version, why=reason, failed=failed)
    say(f"Readers of {versions.corpus} now get {manifest.version}.")


@click.command("rollback")
@click.argument("version", required=False)
@CORPUS
@STORE
@REASON
def rollback_command(version: str | None, corpus: str | None, store: str | None, reason: str) -> None:
    """Give readers an earlier version, by default the one before.

    The version that they had counts as withdrawn: rebuilds do not publish it again by themselves.
    """
    versions = versions_of(corpus, store)
    was = versions.latest()
    now = versions.rollback(version, reason)
    say(f"Readers of {versions.corpus} now get {now}; {was} is withdrawn.")


def _pin(name: str, pinned: bool, says: str) -> Callable[..., Any]:
    @click.command(name)
    @click.argument("version")
    @CORPUS
    @STORE
    @REASON
    def command(version: str, corpus: str | None, store: str | None, reason: str) -> None:
        versions = versions_of(corpus, store)
        found = versions.pin(version, pinned=pinned, why=reason)
        say(f"{found} {says}.")

    command.help = f"{'Keep a version from' if pinned else 'Let a version go to'} `mimdata gc`."
    return command


pin_command = _pin("pin", True, "is pinned: gc leaves it alone")
unpin_command = _pin("unpin", False, "is not pinned any more")
