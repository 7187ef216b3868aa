"""The versions of a corpus's dataset: which are published, which wait, and what became of each.

STORE/candidates/CORPUS/VERSION/      complete and checked or not, but not for readers yet
STORE/datasets/CORPUS/VERSION/        published by one rename, never changed again
STORE/datasets/CORPUS/latest          the name of the version that readers get; moves last
STORE/datasets/CORPUS/history.jsonl   every act, in order (history.py)
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mimdata.pipeline.dataset.history import (
    PIN,
    PUBLISH,
    REMOVE,
    ROLLBACK,
    UNPIN,
    Fate,
    note,
    read_history,
)
from mimdata.pipeline.dataset.manifest import FILE, LAST, LATEST, Manifest, parse_manifest
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.lock import locked
from mimdata.pipeline.store.parts import DAMAGED

log = logging.getLogger("mimdata")


@dataclass(frozen=True)
class Version:
    """A version as lists show it; `withdrawn` says why readers were taken off it, empty when they were not."""

    manifest: Manifest
    candidate: bool
    latest: bool
    pinned: bool
    withdrawn: str

    @property
    def name(self) -> str:
        """Date and beginning of the digest."""
        return self.manifest.version

    def to_json(self) -> dict[str, Any]:
        """The line that `mimdata versions --json` prints."""
        m = self.manifest
        about = {"version": m.version, "digest": m.digest, "rows": m.rows, "created": m.content["created"]}
        state = {"candidate": self.candidate, "latest": self.latest, "pinned": self.pinned}
        return {"corpus": m.content["corpus"], **about, **state, "withdrawn": self.withdrawn}


@dataclass(frozen=True)
class Kept:
    """What `gc` makes of a version: removed, or why not."""

    version: str
    reason: str  # empty: removed


@dataclass(frozen=True)
class Versions:
    """All versions of one corpus in a store."""

    store: Folder
    corpus: str

    @property
    def published(self) -> Folder:
        """Where readers look."""
        return self.store.sub("datasets").sub(self.corpus)

    @property
    def candidates(self) -> Folder:
        """Where versions are written, and stay until they are published."""
        return self.store.sub("candidates").sub(self.corpus)

    def latest(self) -> str | None:
        """The version that readers get; None before the first."""
        return (
            self.published.read(LATEST).decode(errors="replace").strip()
            if self.published.exists(LATEST)
            else None
        )

    def fate(self) -> Fate:
        """What the history adds up to."""
        return Fate.of(read_history(self.published))

    def all(self) -> list[Version]:
        """Published ones in order of their (last) publication, then candidates by name."""
        fate = self.fate()
        latest = self.latest()
        order = {name: i for i, name in enumerate(fate.published)}
        names = sorted(_names(self.published), key=lambda name: (order.get(name, -1), name))
        found = [
            Version(
                m, False, m.version == latest, m.version in fate.pinned, fate.withdrawn.get(m.version, "")
            )
            for name in names
            if (m := self._read(self.published, name)) is not None
        ]
        waiting = (self._read(self.candidates, name) for name in _names(self.candidates))
        return [*found, *(Version(m, True, False, False, "") for m in waiting if m is not None)]

    def find(self, name: str) -> tuple[Folder, Manifest]:
        """The folder and manifest of a version by its name, the beginning of its name or digest, or `latest`.

        Raises MimdataError when there is none, or more than one.
        """
        wanted = self.latest() if name == LATEST else name
        all_names = dict.fromkeys(_names(self.published), self.published)
        all_names = {**dict.fromkeys(_names(self.candidates), self.candidates), **all_names}
        fitting = [
            n for n in all_names if wanted and (n.startswith(wanted) or _short(n).startswith(wanted[:12]))
        ]
        if wanted in all_names:
            fitting = [wanted]
        if len(fitting) != 1:
            which = f"{len(fitting)} versions" if fitting else "no version"
            there = ", ".join(all_names) or "none; run `mimdata extract` and `mimdata align`"
            raise MimdataError(
                f"{which} of {self.corpus} called {name!r} in {self.store.url}: there are {there}"
            )
        folder = all_names[fitting[0]]
        manifest = parse_manifest(folder.read(f"{fitting[0]}/{FILE}"), folder.path(f"{fitting[0]}/{FILE}"))
        return folder.sub(fitting[0]), manifest

    def made_from(self, inputs: str) -> Manifest | None:
        """The version that these inputs made, published or not; None if there is none."""
        for folder in (self.published, self.candidates):
            for name in _names(folder):
                manifest = self._read(folder, name)
                if manifest is not None and manifest.content["inputs"] == inputs:
                    return manifest
        return None

    def folder_of(self, manifest: Manifest) -> Folder:
        """Where the files of a version are."""
        published = self.published.exists(f"{manifest.version}/{FILE}")
        return (self.published if published else self.candidates).sub(manifest.version)

    def clear(self) -> None:
        """Set aside candidates that are damaged: nothing could be published from them, and their names are taken."""
        self._set_aside(self.candidates.folders(), "candidates")

    def _set_aside(self, names: Sequence[str], where: str) -> None:
        """Move those of these versions whose manifest cannot be read out of everybody's way."""
        for name in names:
            place = f"{where}/{self.corpus}/{name}"
            if self._read(self.store.sub(where).sub(self.corpus), name) is None:
                self.store.sub(DAMAGED).remove_folder(place)
                self.store.move(place, f"{DAMAGED}/{place}")
                log.warning("%s is set aside in %s, and written anew", place, DAMAGED)

    def withdrawn(self, name: str) -> str:
        """Why readers were taken off a version by a rollback; empty if they were not."""
        return self.fate().withdrawn.get(name, "")

    def publish(self, name: str, *, why: str = "", failed: Sequence[str] = ()) -> None:
        """Make a candidate (or an older version) what readers get: one rename, then `latest`."""
        with locked(self.store, f"versions-{self.corpus}", patient=True):
            if self.candidates.exists(name):
                self._set_aside(
                    [n for n in self.published.folders() if _short(n) == _short(name)], "datasets"
                )
            if not self.published.exists(name):
                self.published.publish(self.candidates.sub(name), name, FILE)
            elif self.candidates.exists(name):
                self.candidates.remove_folder(name, FILE)
            if self.latest() != name:
                note(self.published, PUBLISH, name, why, failed)
            self.published.write(LATEST, f"{name}\n".encode())
            self.store.sub("datasets").write(LAST, f"{self.corpus}\n".encode())

    def rollback(self, to: str | None, why: str) -> str:
        """Take readers back to an older version, by default the one before; the present one counts as withdrawn.

        Returns the version that is now the latest. Raises MimdataError when there is nothing to go back to.
        """
        with locked(self.store, f"versions-{self.corpus}", patient=True):
            now = self.latest()
            fate = self.fate()
            there = set(_names(self.published))
            if to is None:
                earlier = [n for n in fate.published if n in there and n != now and n not in fate.withdrawn]
                if not earlier:
                    raise MimdataError(
                        f"{self.corpus} has no earlier version to go back to: see `mimdata versions`"
                    )
                target = earlier[-1]
            else:
                target = self.find(to)[1].version
            if target not in there:
                raise MimdataError(f"{target} was never published: use `mimdata publish {target}`")
            if target == now:
                raise MimdataError(f"{target} is the latest version already")
            note(self.published, ROLLBACK, target, why)
            self.published.write(LATEST, f"{target}\n".encode())
        return target

    def pin(self, name: str, *, pinned: bool, why: str = "") -> str:
        """Keep a version from `gc`, or let it go again; returns its name."""
        with locked(self.store, f"versions-{self.corpus}", patient=True):
            found = self.find(name)[1].version
            note(self.published, PIN if pinned else UNPIN, found, why)
        return found

    def gc(
        self, keep: int, grace: timedelta, used: Collection[str], *, now: datetime, dry_run: bool = False
    ) -> list[Kept]:
        """Remove published versions beyond the newest `keep`, and candidates beyond as many; oldest first.

        Kept whatever their age: the latest, pinned ones, those whose digest is in `used`, and those that
        readers were sent to until less than `grace` ago. With `dry_run` nothing is removed.
        """
        with locked(self.store, f"versions-{self.corpus}", patient=True):
            versions = self.all()
            left = self.fate().left
            published = [v for v in versions if not v.candidate]
            waiting = [v for v in versions if v.candidate]
            newest = {v.name for v in (*published[-keep:], *waiting[-keep:])}
            judged = [Kept(v.name, _reason(v, newest, used, left.get(v.name), grace, now)) for v in versions]
            for kept in judged if not dry_run else ():
                if not kept.reason:
                    self._remove(kept.version)
        return judged

    def _remove(self, name: str) -> None:
        """Out of sight by one rename, then deleted, so that nobody ever opens half a version."""
        folder = self.published if self.published.exists(f"{name}/{FILE}") else self.candidates
        note(self.published, REMOVE, name)
        folder.remove_folder(name, FILE)

    def _read(self, folder: Folder, name: str) -> Manifest | None:
        """The manifest of a version; None, and a remark, where it is damaged."""
        try:
            return parse_manifest(folder.read(f"{name}/{FILE}"), folder.path(f"{name}/{FILE}"))
        except (MimdataError, OSError) as error:
            log.warning("%s", error)
            return None


def dataset_corpora(store: Folder) -> list[str]:
    """The corpora that have a version, published or not."""
    return sorted({*store.sub("datasets").folders(), *store.sub("candidates").folders()})


def _reason(
    version: Version,
    newest: Collection[str],
    used: Collection[str],
    left: datetime | None,
    grace: timedelta,
    now: datetime,
) -> str:
    if version.latest:
        return "the latest"
    if version.pinned:
        return "pinned"
    if version.manifest.digest in used:
        return "a run was trained on it"
    if version.name in newest:
        return "among the newest"
    if left is not None and now - left < grace:
        return f"readers may be at it until {(left + grace).isoformat(timespec='seconds')}"
    return ""


def _names(folder: Folder) -> list[str]:
    return [name for name in folder.folders() if folder.exists(f"{name}/{FILE}")]


def _short(name: str) -> str:
    """The beginning of the digest in a version's name."""
    return name.rpartition("-")[2]
