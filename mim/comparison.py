"""Runs side by side: the settings in which they differ, and what they reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mimdata.mim.config import TrainConfig
from mimdata.mim.runs import Group, Spread

Interval = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """Each row has one entry a run, None where a run has none.

    settings: those that differ between the runs, or from the defaults where there is one run; with corpus, dataset
    (digest) and seeds. intervals: bootstrap intervals of the measures, for runs of one training.
    """

    runs: tuple[Group, ...]
    settings: Mapping[str, Sequence[Any]]
    valid_loss: Sequence[Spread | None]
    test: Mapping[str, Sequence[Spread | None]]
    intervals: Mapping[str, Sequence[Interval | None]]

    def to_json(self) -> dict[str, Any]:
        """One document; runs as in the list, measures as {mean, std, n}."""
        return {
            "runs": [group.to_json() for group in self.runs],
            "settings": {name: list(values) for name, values in self.settings.items()},
            "valid_loss": [_plain(value) for value in self.valid_loss],
            "test": {name: [_plain(value) for value in values] for name, values in self.test.items()},
            "intervals": {name: list(values) for name, values in self.intervals.items()},
        }


def compare(groups: Sequence[Group]) -> Comparison:
    """The comparison of one run or more."""
    measures = dict.fromkeys(name for group in groups for name in group.measures)
    return Comparison(
        runs=tuple(groups),
        settings=_differences(groups),
        valid_loss=[group.valid_loss for group in groups],
        test={name: [group.test(name) for group in groups] for name in measures},
        intervals={name: [group.interval(name) for group in groups] for name in measures},
    )


def _differences(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """Settings whose values are not all equal, in the order of the configuration."""
    tables = [_settings(group) for group in groups]
    others = [TrainConfig().to_dict()] if len(groups) == 1 else []
    found = {}
    for name in dict.fromkeys(key for table in tables for key in table):
        values = [table.get(name) for table in tables]
        if any(value != values[0] for value in values + [other.get(name, values[0]) for other in others]):
            found[name] = values
    return found


def _settings(group: Group) -> dict[str, Any]:
    """What a group was trained on and with; of several seeds all of them."""
    seeds = list(group.seeds)
    mine = dict(group.first.settings) | ({"seed": seeds} if len(seeds) > 1 else {})
    return {"corpus": group.first.corpus, "dataset": group.first.digest} | mine


def _plain(value: Spread | None) -> dict[str, Any] | None:
    return None if value is None else dict(vars(value))
