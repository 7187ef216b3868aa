"""What became of a corpus's versions: every act in order, and what they add up to.

    STORE/datasets/CORPUS/history.jsonl   {act, version, at, by, why, failed} a line

The order of the lines is what counts, never the times in them: a clock may go backwards.
"""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from mimdata.pipeline.store.folder import Folder

FILE = "history.jsonl"
PUBLISH, ROLLBACK, PIN, UNPIN, REMOVE = "publish", "rollback", "pin", "unpin", "remove"


@dataclass(frozen=True)
class Act:
    """One line. `why` is the reason that a person gave; `failed` names the checks that were overruled with it."""

    act: str
    version: str
    at: str
    by: str
    why: str = ""
    failed: tuple[str, ...] = ()


def read_history(folder: Folder) -> list[Act]:
    """Every act, oldest first. A line that is no act is left out."""
    if not folder.exists(FILE):
        return []
    acts = []
    for line in folder.read(FILE).decode(errors="replace").splitlines():
        with suppress(ValueError, TypeError):
            values = json.loads(line)
            acts.append(Act(**{**values, "failed": tuple(values.get("failed", ()))}))
    return acts


def note(folder: Folder, act: str, version: str, why: str = "", failed: Sequence[str] = ()) -> None:
    """One more line; the caller holds the lock of the versions."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    line = Act(act, version, at, f"{_user()}@{socket.gethostname()}", why, tuple(failed))
    before = folder.read(FILE) if folder.exists(FILE) else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    text = json.dumps(asdict(line), ensure_ascii=False)
    folder.write(FILE, before + f"{text}\n".encode())


@dataclass
class Fate:
    """What a history adds up to.

    published: versions in order of their last publication. withdrawn: those that readers were taken off by a
    rollback, and why. left: when readers were last sent away from a version.
    """

    published: list[str] = field(default_factory=list)
    pinned: set[str] = field(default_factory=set)
    withdrawn: dict[str, str] = field(default_factory=dict)
    left: dict[str, datetime] = field(default_factory=dict)
    latest: str = ""

    @staticmethod
    def of(history: Sequence[Act]) -> Fate:
        """Replay a history."""
        fate = Fate()
        for act in history:
            fate.add(act)
        return fate

    def add(self, act: Act) -> None:
        """One more act."""
        if act.act in (PUBLISH, ROLLBACK):
            self._move(act)
        elif act.act == PIN:
            self.pinned.add(act.version)
        elif act.act == UNPIN:
            self.pinned.discard(act.version)
        elif act.act == REMOVE and act.version in self.published:
            self.published.remove(act.version)

    def _move(self, act: Act) -> None:
        if self.latest and self.latest != act.version:
            self.left[self.latest] = _time(act.at)
            if act.act == ROLLBACK:
                reason = f": {act.why}" if act.why else ""
                self.withdrawn[self.latest] = f"rolled back at {act.at} by {act.by}{reason}"
        if act.act == PUBLISH:
            self.published = [*(name for name in self.published if name != act.version), act.version]
        self.withdrawn.pop(act.version, None)
        self.latest = act.version


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
