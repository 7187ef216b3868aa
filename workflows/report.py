"""The report of a rebuild: one document, and how it reads as JSON, Markdown and HTML."""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from mimdata.pipeline.books import StageReport
from mimdata.pipeline.checks.check import FAILED, Check
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.snapshot import FailureRow
from mimdata.pipeline.terminal import printable

FORMAT = 1
LATEST = "latest"
NAMED = 20  # clips that a retry command names before it tries all that failed

PUBLISHED, UNCHANGED, CANDIDATE, BROKEN, STOPPED = "published", "unchanged", "candidate", "failed", "stopped"
SAYS = {
    PUBLISHED: "a new version is published",
    UNCHANGED: "nothing changed: the version that readers have is the corpus's",
    CANDIDATE: "built, but not published",
    BROKEN: "failed; readers have the version they had",
    STOPPED: "stopped; the next run goes on",
}


@dataclass
class Report:
    """One rebuild. All times are UTC; `reason` says why a version was not published, or what went wrong."""

    corpus: str
    started: datetime
    command: str
    state: str = BROKEN
    reason: str = ""
    seconds: float = 0.0
    version: Mapping[str, Any] | None = None
    latest: str | None = None
    stages: list[StageReport] = field(default_factory=list)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    ledger_before: Mapping[str, Any] = field(default_factory=dict)
    coverage: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    checks: Sequence[Check] = ()
    suspects: int = 0
    difference: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    removed: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def says(self) -> str:
        """The state in words."""
        return SAYS[self.state]

    @property
    def failed_checks(self) -> list[str]:
        """The names of the checks that failed."""
        return [check.name for check in self.checks if check.state == FAILED]

    def to_json(self) -> dict[str, Any]:
        """The document that report.json holds."""
        plain = {
            name: value for name, value in vars(self).items() if name not in ("stages", "checks", "started")
        }
        return {
            "format": FORMAT,
            **plain,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "stages": [stage.to_json() for stage in self.stages],
            "checks": [check.to_json() for check in self.checks],
        }


def grouped(failures: Iterable[FailureRow], store: str, corpus: str) -> list[dict[str, Any]]:
    """Failures by stage and cause, most frequent first, each group with the command that tries it again."""
    groups: defaultdict[tuple[str, str], list[FailureRow]] = defaultdict(list)
    for row in failures:
        groups[row.stage, row.cause].append(row)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [
        {
            "stage": stage,
            "cause": cause,
            "clips": len(rows),
            "examples": [f"{row.clip_id or row.source}: {row.message}" for row in rows[:3]],
            "hint": rows[0].hint,
            "retry": _retry(stage, rows, store, corpus),
        }
        for (stage, cause), rows in ordered
    ]


def _retry(stage: str, rows: Sequence[FailureRow], store: str, corpus: str) -> str:
    if stage == "corpus":
        return rows[0].retry
    command = "align" if stage in ("words", "rows") else "extract"
    ids = sorted({row.clip_id for row in rows})
    only = "".join(f" --only '{name}'" for name in ids) if len(ids) <= NAMED else ""
    return f"mimdata {command} --store {store} --corpus {corpus}{only} --retry-failed"


def coverage(content: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """By split: the number of words, and each modality's share of them that has values."""
    return {
        split: {"words": counts["words"]}
        | {m: counts.get(m, 0) / max(counts["words"], 1) for m in content["modalities"]}
        for split, counts in content["coverage"].items()
    }


def markdown(report: Report) -> str:
    """For a mail or a pull request."""
    return _template("report.md.j2", escape=False).render(report=report, changes=_changes(report))


def html(report: Report, curves: Path | None = None) -> str:
    """One file without any other: styles and pictures are in it."""
    picture = base64.b64encode(curves.read_bytes()).decode() if curves and curves.exists() else ""
    return _template("report.html.j2", escape=True).render(
        report=report, changes=_changes(report), picture=picture
    )


def _changes(report: Report) -> list[tuple[str, str]]:
    if not report.difference:
        return []
    found = report.difference
    counts = Counter(found["by_change"])
    lines = [("clips added", str(len(found["added"]))), ("clips removed", str(len(found["removed"])))]
    lines += [(f"clips with another {name}", str(n)) for name, n in counts.most_common()]
    for modality, shifts in found["drift"].items():
        worst = shifts[0]
        lines.append(
            (f"{modality}: largest drift", f"{worst['feature']}, {worst['size']:.2f} standard deviations")
        )
    return lines


@cache
def _template(name: str, *, escape: bool) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mimdata.workflows"),
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"plain": _plain, "number": lambda value: f"{value:,}", "cell": _cell}
    return environment.get_template(name)


def _plain(value: object) -> str:
    """A text of the corpus without control characters."""
    return printable(str(value))


def _cell(value: object) -> str:
    """A text of the corpus in a Markdown table: no markup, no HTML, no new column."""
    text = printable(str(value))
    for character in "\\`*_[]|#~":
        text = text.replace(character, f"\\{character}")
    return text.replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class Reports:
    """The reports of a corpus: FOLDER/CORPUS/TIME/, and `latest` beside them."""

    place: Folder

    def last(self) -> dict[str, Any]:
        """The newest report's document; empty before the first, or when it cannot be read."""
        try:
            name = self.place.read(LATEST).decode().strip()
            found: dict[str, Any] = json.loads(self.place.read(f"{name}/report.json"))
        except (OSError, ValueError):
            return {}
        return found

    def write(self, report: Report, more: Mapping[str, bytes], curves: Path | None = None) -> Folder:
        """Write a report in all its forms, and `more` beside it; returns its folder."""
        name = self._free(f"{report.started:%Y%m%d-%H%M%S}")
        documents = {
            **more,
            "report.md": markdown(report).encode(),
            "report.html": html(report, curves).encode(),
            "report.json": (json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n").encode(),
        }
        for file, content in documents.items():
            self.place.write(f"{name}/{file}", content)
        self.place.write(LATEST, f"{name}\n".encode())
        return self.place.sub(name)

    def _free(self, name: str) -> str:
        """A name that no report has: a clock can go backwards."""
        taken = set(self.place.folders())
        names = (name, *(f"{name}-{i}" for i in range(2, len(taken) + 3)))
        return next(candidate for candidate in names if candidate not in taken)
