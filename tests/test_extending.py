"""A package of its own adds a corpus, an extractor and an aligner: docs/examples/mimdata-grid, installed and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "mimdata-grid"

Run = Callable[..., list[dict[str, object]]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The command with the example installed beside it."""
    site, work = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work")
    source = tmp_path_factory.mktemp("source")
    for file in EXAMPLE.iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    install = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--python",
        sys.executable,
    ]
    subprocess.run([sys.executable, "-m", *install, "--target", str(site), str(source)], check=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "MIMDATA_STORE": str(work / "store"),
        "MIMDATA_WORKERS": "0",
    }

    def call(*arguments: str, code: int = 0) -> list[dict[str, object]]:
        command = [
            sys.executable,
            "-c",
            "from mimdata.pipeline.cli import main; main()",
            *arguments,
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=work, check=False)
        assert done.returncode == code, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return call


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files named as in GRID; their sound is a tone."""
    from tests.recordings import write_tone

    root = tmp_path_factory.mktemp("grid")
    for name in ("one", "two"):
        write_tone(root / f"{name}.mpg", seconds=1.0)
    (root / "transcripts.tsv").write_text("one\tbin blue\ntwo\tlay red\ngone\tset white\n")
    return root


def test_the_example_is_found(run: Run) -> None:
    assert {"grid", "mosei"} <= {line["name"] for line in run("corpora")}
    assert {"loudness", "even"} <= {line["name"] for line in run("extractors")}


def test_the_example_runs_from_end_to_end(run: Run, grid: Path) -> None:
    loudness = ("--set", "extractors.loudness.name=loudness", "--modality", "loudness", "--modality", "text")
    run("extract", "--corpus", "grid", "--root", str(grid), *loudness, code=3)
    stages = run("align", "--aligner", "even", *loudness[2:], code=3)
    assert stages[-1]["computed"] == 2
    (found,) = run("inspect", "one[0]")
    assert found["words"] == ["bin", "blue"]
    assert found["alignment"] == "even"
    assert found["modalities"]["loudness"]["valid"] >= 100  # type: ignore[index]
    assert {line["cause"] for line in run("failures")} == {"missing file"}
