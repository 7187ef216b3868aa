"""The training of a rebuild: once for a version and its settings; a stopped one goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mimdata.mim.runs import FINISHED, INTERRUPTED, Run, list_runs

CURVES = "curves.png"


def train_on(version: Path, store: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """Train on a version with the settings of a table [train]; returns the report with the run's folder.

    A finished run of the same data and settings is not trained again. Raises MimdataError.
    """
    from mimdata.mim.commands.places import RUNS
    from mimdata.mim.config import TABLE, load_train_config
    from mimdata.mim.dataset import open_dataset
    from mimdata.mim.display import watching
    from mimdata.mim.run_folder import RunFolder, new_run_folder, run_name
    from mimdata.mim.trainer import train

    config = load_train_config({TABLE: dict(table)}, {})
    dataset = open_dataset(version)
    run = same_run(store / RUNS, dataset.manifest.digest, json.loads(json.dumps(config.to_dict())))
    if run is not None and run.state == FINISHED:
        return RunFolder(run.path).report() | {"run": str(run.path)}
    folder = (
        RunFolder(run.path) if run else new_run_folder(store / RUNS / run_name(dataset.corpus, config.fusion))
    )
    with watching(config.epochs) as (say, on_epoch):
        report = train(config, dataset, folder, say, on_epoch).to_json()
    return report | {"run": str(folder.path)}


def same_run(runs: Path, digest: str, settings: Mapping[str, Any]) -> Run | None:
    """A run of the same data and settings that is finished, or one that was stopped and can go on."""
    found = [run for group in list_runs(runs, each=True) for run in group.runs if run.digest == digest]
    mine = {run.state: run for run in reversed(found) if dict(run.settings) == dict(settings)}
    return mine.get(FINISHED) or mine.get(INTERRUPTED)


def used_digests(runs: Path) -> set[str]:
    """The digests of all datasets that some run was trained on."""
    return {run.digest for group in list_runs(runs, each=True) for run in group.runs}
