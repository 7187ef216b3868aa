"""Runs on disk: what each one is, how far it came, what it reached. Imports no torch.

    RUNS/RUN/config.json                      one training
    RUNS/RUN/VARIANT/seed-SEED/config.json    the trainings of a series (series.py); RUN/config.json says so

Trainings that differ in nothing but the seed are one group, with mean and standard deviation.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mimdata.mim.run_folder import CONFIG, RunFolder
from mimdata.mim.series import FULL, FUSIONS, LEFT_OUT
from mimdata.pipeline.errors import UsageError

FINISHED, RUNNING, INTERRUPTED, DAMAGED = "finished", "running", "interrupted", "damaged"
QUIET = 300.0  # seconds without a write after which a training counts as interrupted …
EPOCHS_QUIET = 3.0  # … or so many of its longest epoch, whichever is longer
SEED, ENVIRONMENT = "seed-", "environment.json"
NOT_MEASURES = ("n", "loss", "reasons", "intervals")


@dataclass(frozen=True)
class Spread:
    """Mean of n trainings and their sample standard deviation; std is None for one."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Run:
    """One training. written: seconds since 1970 of its last write; digest: of the dataset it was trained on.

    epochs: those that are done; best_epoch and valid_loss: of the lowest validation loss so far, None before
    the first epoch (valid_loss also where nothing validates); test: the report's measures, empty until it is
    finished. state: finished, running, interrupted, or damaged, with `trouble` saying why.
    """

    path: Path
    written: float
    state: str
    corpus: str = ""
    digest: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 0
    best_epoch: int | None = None
    valid_loss: float | None = None
    test: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True)
class Group:
    """One row: trainings with equal settings but for the seed. planned: how many there will be in the end."""

    name: str
    runs: tuple[Run, ...]
    planned: int

    @property
    def written(self) -> float:
        """When one of them was last written."""
        return max(run.written for run in self.runs)

    @property
    def first(self) -> Run:
        """The one that speaks for what all have in common."""
        return self.runs[0]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of those that began."""
        return tuple(run.settings["seed"] for run in self.runs if "seed" in run.settings)

    @property
    def state(self) -> str:
        """That of all: finished when every planned one is, running or damaged when any is."""
        states = [run.state for run in self.runs]
        for state in (DAMAGED, RUNNING):
            if state in states:
                return state
        return FINISHED if states.count(FINISHED) == self.planned else INTERRUPTED

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the test measures, in the report's order."""
        return tuple(dict.fromkeys(n for run in self.runs for n in run.test if n not in NOT_MEASURES))

    def test(self, measure: str) -> Spread | None:
        """A test measure over the finished trainings that have it."""
        return spread(run.test.get(measure) for run in self.runs)

    def interval(self, measure: str) -> tuple[float, float] | None:
        """The bootstrap interval of a test measure, where the group is one training that has it."""
        found = self.first.test.get("intervals", {}).get(measure) if len(self.runs) == 1 else None
        return found and (found[0], found[1])

    @property
    def valid_loss(self) -> Spread | None:
        """The lowest validation loss."""
        return spread(run.valid_loss for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """One document; times in UTC, measures as {mean, std, n}."""
        return {
            "name": self.name,
            "written": datetime.fromtimestamp(self.written, UTC).isoformat(timespec="seconds"),
            "state": self.state,
            "corpus": self.first.corpus,
            "dataset": self.first.digest,
            "fusion": self.first.settings.get("fusion"),
            "planned": self.planned,
            "runs": [
                {
                    "path": str(run.path),
                    "seed": run.settings.get("seed"),
                    "state": run.state,
                    "epochs": run.epochs,
                    "best_epoch": run.best_epoch,
                }
                for run in self.runs
            ],
            "valid_loss": _plain(self.valid_loss),
            "test": {name: _plain(self.test(name)) for name in self.measures},
        }


def spread(values: Iterable[float | None]) -> Spread | None:
    """Mean and deviation of the values that there are, None where there is none."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    return Spread(statistics.fmean(there), statistics.stdev(there) if len(there) > 1 else None, len(there))


def list_runs(folder: Path, *, each: bool = False, now: float | None = None) -> list[Group]:
    """The runs in a folder, those written last first; a series variant by variant, or `each` training alone.

    A folder without config.json is no run. One that cannot be read is listed as damaged.
    """
    found: list[Group] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if (path / CONFIG).is_file():
            found += read_groups(path, path.name, now)
    if each:
        found = [_alone(group, run) for group in found for run in group.runs]
    latest: dict[str, float] = {}
    for group in found:
        root = _root(group.name)
        latest[root] = max(group.written, latest.get(root, 0.0))
    # Sorting is stable: the variants of a series stay together, in their order.
    return sorted(found, key=lambda group: (-latest[_root(group.name)], _root(group.name)))


def find_groups(place: str, folder: Path, now: float | None = None) -> list[Group]:
    """A run by its name in a folder of runs, or by its path; of a series all its variants.

    RUN/VARIANT and RUN/VARIANT/seed-SEED name a part of a series. Raises UsageError where there is none.
    """
    for path in (folder / place, Path(place)):
        if (path / CONFIG).is_file() or _trainings(path):
            return read_groups(path, place.rstrip("/"), now)
    raise UsageError(
        f"no run {place!r}: looked for {CONFIG} in {folder / place} and {place}; `mimdata runs` lists a store's runs"
    )


def read_groups(path: Path, name: str, now: float | None = None) -> list[Group]:
    """One group for a training, for a variant of a series, or for each variant of a series that began."""
    if not (path / CONFIG).is_file():
        return [_variant(path, name, _seeds(path.parent), now)]
    seeds = _seeds(path)
    variants = sorted((p for p in path.iterdir() if _trainings(p)), key=_order) if seeds else []
    if not variants:
        return [Group(name, (read_run(path, now),), max(1, seeds))]
    names = [name] if len(variants) == 1 else [f"{name}/{p.name}" for p in variants]
    return [_variant(p, n, seeds, now) for p, n in zip(variants, names, strict=True)]


def read_run(path: Path, now: float | None = None) -> Run:
    """One training's folder, also while it is being written to; damaged where it cannot be read."""
    folder, written = RunFolder(path), _written(path)
    try:
        content = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        epochs, report = folder.epochs(), folder.report() if folder.finished else {}
        best, loss = _best(epochs)
        return Run(
            path=path,
            written=written,
            state=FINISHED if report else _unfinished(written, epochs, now),
            corpus=_corpus(path, content),
            digest=content["digest"],
            settings=dict(content["train"]),
            epochs=len(epochs),
            best_epoch=best,
            valid_loss=loss,
            test=dict(report.get("test", {})),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Run(path, written, DAMAGED, trouble=f"{type(error).__name__}: {error}")


def _variant(path: Path, name: str, seeds: int, now: float | None) -> Group:
    runs = tuple(read_run(p, now) for p in _trainings(path))
    return Group(name, runs, max(seeds, len(runs)))


def _alone(group: Group, run: Run) -> Group:
    """A training of a group as one by itself."""
    if len(group.runs) == group.planned == 1 and not run.path.name.startswith(SEED):
        return group
    root = _root(group.name)
    return Group(f"{root}/{run.path.parent.name}/{run.path.name}", (run,), 1)


def _root(name: str) -> str:
    return name.split("/", 1)[0]


def _trainings(path: Path) -> list[Path]:
    """The trainings of a variant, by seed."""
    found = [p.parent for p in path.glob(f"{SEED}*/{CONFIG}")]
    return sorted(found, key=lambda p: (len(p.name), p.name))


def _seeds(path: Path) -> int:
    """How many seeds of each variant a series trains; 0 for a training, and where one cannot tell."""
    try:
        content = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        return int(content["series"]["seeds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _order(variant: Path) -> tuple[int, str]:
    """The model before the ablations, these as series.py trains them."""
    names = (FULL, *LEFT_OUT, *(f"fusion-{fusion}" for fusion in FUSIONS))
    return (names.index(variant.name) if variant.name in names else len(names)), variant.name


def _written(path: Path) -> float:
    """When a file of the run itself was last written."""
    times = [0.0]
    for entry in path.iterdir():
        with suppress(OSError):  # renamed meanwhile
            times += [entry.stat().st_mtime] if entry.is_file() else []
    return max(times)


def _unfinished(written: float, epochs: Sequence[Mapping[str, Any]], now: float | None) -> str:
    longest = max((float(line["seconds"]) for line in epochs), default=0.0)
    quiet = (time.time() if now is None else now) - written
    return RUNNING if quiet < max(QUIET, EPOCHS_QUIET * longest) else INTERRUPTED


def _best(epochs: Sequence[Mapping[str, Any]]) -> tuple[int | None, float | None]:
    """(epoch, validation loss) of the lowest loss so far, as the trainer chooses; without validation the train loss chooses."""
    losses = [line["valid"]["loss"] if line["valid"] else line["train"]["fused"] for line in epochs]
    if not losses:
        return None, None
    best = losses.index(min(losses))
    return epochs[best]["epoch"], losses[best] if epochs[best]["valid"] else None


def _corpus(path: Path, content: Mapping[str, Any]) -> str:
    """As environment.json says it; before it is written, as the dataset's folder is named."""
    try:
        return str(json.loads((path / ENVIRONMENT).read_text(encoding="utf-8"))["corpus"])
    except (OSError, ValueError, KeyError):
        return Path(content["dataset"]).parent.name


def _plain(value: Spread | None) -> dict[str, Any] | None:
    return None if value is None else dict(vars(value))
