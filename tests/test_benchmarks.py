"""The scripts that readers run on data of their own do what their help says."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from mimdata.pipeline.formats.unpickle import load

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=BENCHMARKS, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "script", sorted(p.name for p in BENCHMARKS.glob("*.py") if "argparse" in p.read_text())
)
def test_each_script_says_what_it_takes(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: " + script in done.stdout


def test_the_full_pickle_becomes_a_table_by_one_command(shared_data: Path, tmp_path: Path) -> None:
    rows = load(shared_data / "mosi" / "dev229_misa_form.pkl")
    file = tmp_path / "mosi.pkl"
    file.write_bytes(pickle.dumps({"train": rows[:24], "dev": rows[24:36], "test": rows[36:48]}))
    small = ["--epochs", "1", "--set", "finetune_text=false", "--set", "layers=1", "--device", "cpu"]
    call = ["results_pickle.py", str(file), "--corpus", "mosi", "--work", str(tmp_path / "work")]
    done = run(*call, "--seeds", "2", "--no-ablate", *small)
    assert done.returncode == 0, done.stderr
    assert ": 48 utterances (48 computed)" in done.stdout
    assert "mean ± deviation of 2 seeds" in done.stdout
    assert len(list((tmp_path / "work" / "mosi-paper").rglob("model.safetensors"))) == 2
