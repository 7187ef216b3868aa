"""Several trainings as one run: other seeds, and the paper's ablations; one report of means and deviations.

    RUN/config.json  RUN/VARIANT/seed-SEED/…  RUN/report.json

Each training is a run folder of its own. A series that was stopped goes on with the training that was under way.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mimdata.mim.config import TrainConfig

if TYPE_CHECKING:
    from mimdata.mim.dataset import Dataset
    from mimdata.mim.run_folder import RunFolder
    from mimdata.mim.trainer import OnEpoch, Say

FULL = "full"
FUSIONS = ("add", "multiplication", "concatenation", "tensor")
LEFT_OUT: dict[str, dict[str, Any]] = {
    "no-upn": {"purify": False},
    "no-kgs": {"intra": False, "inter": False},
    "no-intra": {"intra": False},
    "no-inter": {"inter": False},
}


@dataclass(frozen=True)
class Series:
    """What is trained: so many seeds, counted up from the configuration's, and the ablations or the model alone."""

    seeds: int = 1
    ablate: bool = False

    def variants(self, config: TrainConfig) -> dict[str, TrainConfig]:
        """The configurations by name: the model, without each of its parts, and with each other fusion.

        A part that does not apply (a fusion of more modalities than it takes) is left out.
        """
        changes: dict[str, dict[str, Any]] = {FULL: {}} | (LEFT_OUT if self.ablate else {})
        if self.ablate:
            others = [
                f for f in FUSIONS if f != config.fusion and (f != "tensor" or len(config.modalities) <= 3)
            ]
            changes |= {f"fusion-{fusion}": {"fusion": fusion} for fusion in others}
        return {name: replace(config, **change) for name, change in changes.items()}

    def runs(self, config: TrainConfig) -> dict[str, TrainConfig]:
        """Every training by its folder in the run's."""
        return {
            f"{name}/seed-{seed}": replace(variant, seed=seed)
            for name, variant in self.variants(config).items()
            for seed in range(config.seed, config.seed + self.seeds)
        }


def train_series(
    series: Series, config: TrainConfig, dataset: Dataset, folder: RunFolder, say: Say, on_epoch: OnEpoch
) -> dict[str, Any]:
    """Train all that is not trained yet and write the report. Raises MimdataError.

    Returns {run, series: {seeds, ablate}, runs: {folder: report}, summary: {variant: {split: {measure:
    {mean, std, n}}}}}; std is that of a sample, null for one seed.
    """
    from mimdata.mim.trainer import train

    reports: dict[str, dict[str, Any]] = {}
    todo = series.runs(config)
    for i, (name, each) in enumerate(todo.items(), start=1):
        mine = folder.sub(name)
        if mine.finished:
            say(f"{name} ({i} of {len(todo)}): finished before")
            reports[name] = mine.report()
            continue
        say(f"{name} ({i} of {len(todo)})")
        reports[name] = train(each, dataset, mine, say, on_epoch).to_json()
    return {
        "run": folder.path.name,
        "series": {"seeds": series.seeds, "ablate": series.ablate},
        "runs": reports,
        "summary": {
            variant: _summary([r for name, r in reports.items() if name.startswith(f"{variant}/")])
            for variant in series.variants(config)
        },
    }


def _summary(reports: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found = list(reports)
    return {
        split: {
            name: _spread([report[split][name] for report in found])
            for name, value in found[0][split].items()
            if isinstance(value, int | float | None) and name != "n"
        }
        for split in ("valid", "test")
    }


def _spread(values: list[float | None]) -> dict[str, Any]:
    """Mean and deviation of those that there are."""
    there = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(there) if there else None,
        "std": statistics.stdev(there) if len(there) > 1 else None,
        "n": len(there),
    }
