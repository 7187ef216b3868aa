"""`mimdata explain`: a trained model on one clip of its dataset."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from mimdata.pipeline.cli import main

SMALL = ("--set", "width=20", "--set", "layers=1", "--set", "steps=12", "--device", "cpu", "--epochs", "1")


def test_json_file_and_table_tell_the_same(made: Path, tmp_path: Path) -> None:
    run, call = tmp_path / "run", CliRunner().invoke
    assert call(main, ["train", "--dataset", str(made), "--run-dir", str(run), *SMALL]).exit_code == 0
    asked = ["explain", str(run), "test0[0]", "--dataset", str(made)]
    done = call(main, [*asked, "--json", "--output", str(tmp_path / "e.json")])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert json.loads((tmp_path / "e.json").read_text()) == found
    for branch in found["modalities"].values():
        assert len(branch["gates"]) == len(found["words"])
    shown = call(main, asked).stdout
    assert f"Teacher between modalities: {found['teacher']}" in shown
    assert f"{found['prediction'][0]:+.3f}" in shown
    assert max(map(len, shown.splitlines())) <= 80
    missing = call(main, ["explain", str(run), "nobody[0]", "--dataset", str(made)])
    assert missing.exit_code == 2
    assert "no clip 'nobody[0]'" in missing.output
