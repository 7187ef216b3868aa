"""`mimdata train`: options, exit codes, the one JSON line, and how little its import costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from mimdata.pipeline.cli import main

SMALL = ("--set", "width=20", "--set", "layers=1", "--set", "steps=12", "--device", "cpu", "--epochs", "1")


def test_importing_the_command_imports_no_torch() -> None:
    code = "import sys, mimdata.mim.commands.train; print([m for m in ('torch', 'pyarrow', 'pydantic', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_mim_imports_nothing_that_a_bare_gpu_box_lacks() -> None:
    absent = (
        "pydantic",
        "dask",
        "distributed",
        "av",
        "opensmile",
        "facenet_pytorch",
        "pocketsphinx",
        "tomli_w",
    )
    code = (
        f"import sys; [sys.modules.__setitem__(m, None) for m in {absent!r}]\n"
        "import mimdata.mim.commands.train, mimdata.mim.trainer, mimdata.mim.display, mimdata.mim.text_encoder\n"
        "print(sorted(m for m in sys.modules if m.startswith('mimdata.pipeline.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    light = ("dataset", "dataset.manifest", "dataset.plain", "dataset.schema", "errors", "files", "terminal")
    assert done.stdout.strip() == str([f"mimdata.pipeline.{name}" for name in light])


def test_json_ends_with_one_line(made: Path, tmp_path: Path) -> None:
    call = ["train", "--dataset", str(made), "--run-dir", str(tmp_path / "run"), "--json", *SMALL]
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert list(report) == ["run", "epochs", "best_epoch", "seconds", "valid", "test"]
    assert report["run"] == "run"
    assert report["test"]["n"] == 24
    assert "epoch 1, train" in done.stderr


def test_the_table_names_its_measures_and_the_run(made: Path) -> None:
    store = made.parents[2]
    done = CliRunner().invoke(main, ["train", "--store", str(store), "--modalities", "text,audio", *SMALL])
    assert done.exit_code == 0, done.output
    for word in ("acc2_has0", "acc2_non0", "magbert_mae", "valid (n = 24)", "test (n = 24)"):
        assert word in done.stdout
    folder = Path(done.stdout.rpartition("Run: ")[2].strip())
    assert folder.parent == store / "runs"
    config = json.loads((folder / "config.json").read_text())["train"]
    assert config["modalities"] == ["text", "audio"]


def test_a_file_holds_store_corpus_and_settings(made: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    store = str(made.parents[2])
    file.write_text(
        f'store = {json.dumps(store)}\ncorpus = "made"\n[train]\nwidth = 20\nlayers = 0\nsteps = 12\nepochs = 3\ndevice = "cpu"\n'
    )
    call = ["train", "--config", str(file), "--epochs", "1", "--run-dir", str(tmp_path / "run"), "--json"]
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["epochs"] == 1


def test_without_a_dataset_one_line_says_what_to_do(tmp_path: Path) -> None:
    for call in (["--store", str(tmp_path)], ["--store", str(tmp_path), "--corpus", "mosi"]):
        done = CliRunner().invoke(main, ["train", *call])
        assert done.exit_code == 1
        assert "`mimdata align`" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_wrong_use_is_exit_code_2(made: Path) -> None:
    for wrong in (["--fusion", "sum"], ["--set", "nonsense"], ["--set", "speed=9"], ["--epochs", "0"]):
        done = CliRunner().invoke(main, ["train", "--dataset", str(made), *wrong])
        assert done.exit_code == 2, done.output
