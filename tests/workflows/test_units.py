"""Workflow files are valid, and each unit is, by a tool of its own kind."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mimdata.mim.config import load_train_config, read_document
from mimdata.pipeline.cli import COMMANDS
from mimdata.pipeline.config import load_config

WORKFLOWS = Path(__file__).parents[2] / "workflows"
UNITS = WORKFLOWS / "units"


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.toml")), ids=lambda path: path.name)
def test_a_workflow_file_is_valid(file: Path) -> None:
    config = load_config(file, environment={})
    assert config.build_extractors()
    assert config.build_aligner()
    load_train_config(read_document(file), {}, environment={})


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_slurm_script_is_sound() -> None:
    run(str(Path(sys.executable).parent / "shellcheck"), str(UNITS / "rebuild.sbatch"))


def test_the_github_workflow_fits_its_schema() -> None:
    file = str(UNITS / "github-actions.yml")
    run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", file)


def test_the_crontab_has_a_time_and_a_command_a_line() -> None:
    from cronsim import CronSim

    lines = [line for line in (UNITS / "crontab").read_text().splitlines() if line and line[0] != "#"]
    jobs = [line for line in lines if not re.match(r"\w+=", line)]
    assert jobs
    for job in jobs:
        *time, command = job.split(maxsplit=5)
        from datetime import UTC, datetime

        assert next(CronSim(" ".join(time), datetime(2026, 1, 1, tzinfo=UTC))) == datetime(
            2026, 1, 1, 2, 30, tzinfo=UTC
        )
        assert "mimdata rebuild" in command


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_the_systemd_units_are_sound(tmp_path: Path) -> None:
    for name in ("mimdata-rebuild@.service", "mimdata-rebuild@.timer"):
        text = (UNITS / name).read_text().replace("/opt/mimdata/bin/mimdata", "/bin/true")
        (tmp_path / name.replace("@", "@demo")).write_text(text.replace("User=mimdata", "User=root"))
    service, timer = (str(tmp_path / f"mimdata-rebuild@demo.{kind}") for kind in ("service", "timer"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", service, timer], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "mimdata-rebuild" in line]
    assert not ours, ours


@pytest.mark.parametrize("unit", sorted(UNITS.iterdir()), ids=lambda path: path.name)
def test_a_unit_calls_a_command_that_there_is(unit: Path) -> None:
    called = re.findall(r"^(?!#).*\bmimdata ([a-z]+) ", unit.read_text(), re.MULTILINE)
    assert set(called) <= set(COMMANDS)
