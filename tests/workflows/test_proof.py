"""Proof: versions computed anew are equal, hidden sources of difference have no say, and origins are known."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command import Command
from tests.workflows.little import Little, voice, write_wave


@pytest.fixture
def command(corpus: Little, tmp_path: Path) -> Command:
    corpus.rebuild()
    return Command(tmp_path)


def place(corpus: Little) -> tuple[str, ...]:
    return ("--store", str(corpus.store), "--corpus", "manifest")


def test_a_sound_version_is_proved(corpus: Little, command: Command) -> None:
    verdict = command("verify", "--all", "--json", "--workers", "0", *place(corpus)).lines()[0]
    assert (verdict["clips"], verdict["equal"], verdict["differences"]) == (10, 10, [])
    few = command("verify", "--sample", "3", "--json", "--workers", "0", *place(corpus)).lines()[0]
    assert (few["clips"], few["equal"]) == (3, 3)


def test_what_changed_since_is_named(corpus: Little, command: Command) -> None:
    write_wave(corpus.root / "v1.wav", voice("other", 4.0))
    row = corpus.row("v2[1]")
    row["words"][0]["start"] = 0.05
    corpus.write()
    verdict = command("verify", "--all", "--json", "--workers", "0", *place(corpus), code=1).lines()[0]
    changed = dict(verdict["differences"])
    assert set(changed) == {"v1[0]", "v1[1]", "v2[1]"}
    assert "tracks/audio" in changed["v1[0]"]
    assert "words" in changed["v2[1]"]


def test_numbers_that_nobody_computed_are_found(corpus: Little, command: Command) -> None:
    """A version forged with care: shard, digest and manifest agree, the values are made up."""
    folder = next(path for path in (corpus.store / "datasets" / "manifest").iterdir() if path.is_dir())
    manifest = json.loads((folder / "manifest.json").read_text())
    shard = manifest["shards"][0]
    table = pq.read_table(folder / shard["file"])
    index = table.column_names.index("word_confidence")
    forged = table.column(index).combine_chunks()
    values = forged.flatten().to_numpy(zero_copy_only=False).copy()
    values[0] = 0.123
    import pyarrow as pa

    column = pa.ListArray.from_arrays(forged.offsets, pa.array(values, pa.float32()), type=forged.type)
    pq.write_table(table.set_column(index, table.schema.field(index), column), folder / shard["file"])
    import hashlib

    from mimdata.pipeline.dataset.manifest import digest_of

    content = (folder / shard["file"]).read_bytes()
    shard |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["digest"] = digest_of(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    verdict = command("verify", "--all", "--json", "--workers", "0", *place(corpus), code=1).lines()[0]
    assert len(verdict["differences"]) == 1
    assert "word_confidence" in verdict["differences"][0][1]


@pytest.mark.parametrize(
    ("environment", "workers"),
    [
        ({"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}, 1),
        ({"PYTHONHASHSEED": "2", "LC_ALL": "de_DE.UTF-8", "OMP_NUM_THREADS": "2", "PYTHONUTF8": "0"}, 2),
        ({"PYTHONHASHSEED": "3", "OPENBLAS_NUM_THREADS": "4", "HOME": "/nowhere"}, 4),
    ],
    ids=["one worker", "two workers", "four workers"],
)
def test_nothing_hidden_shapes_a_version(
    corpus: Little, tmp_path: Path, environment: dict[str, str], workers: int
) -> None:
    workflow = str(corpus.toml(tmp_path / "little.toml"))
    expected = corpus.digest()
    command = Command(tmp_path, tuple(environment.items()))
    done = command("rebuild", workflow, "--json", "--store", "elsewhere", "--set", f"workers={workers}")
    assert done.lines()[-1]["version"]["digest"] == expected


def test_every_column_has_an_origin(corpus: Little, command: Command) -> None:
    found = command("provenance", "v3[1]", "--json", *place(corpus)).lines()[0]
    named = {column for group in found["columns"].values() for column in group["columns"]}
    folder = corpus.store / "datasets" / "manifest" / found["version"]
    assert named == set(pq.read_schema(folder / found["shard"]).names)
    audio = found["columns"]["audio"]
    assert audio["step"]["step"] == "opensmile"
    assert (audio["start"], audio["end"]) == (2.0, 4.0)
    import hashlib

    assert audio["source"] == hashlib.sha256((corpus.root / "v3.wav").read_bytes()).hexdigest()
    assert pq.read_table(folder / found["shard"]).column("clip_id")[found["row"]].as_py() == "v3[1]"
    shown = command("provenance", "v3[1]", *place(corpus)).out
    assert "opensmile version 1" in shown
    assert "2 s to 4 s" in shown
    assert "no clip" in command("provenance", "v9[9]", *place(corpus), code=1).err


def test_readers_of_an_old_version_read_on_while_new_ones_come(corpus: Little, command: Command) -> None:
    folder = next(path for path in (corpus.store / "datasets" / "manifest").iterdir() if path.is_dir())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for i in range(3):
        corpus.add(f"w{i}", "train")
        corpus.rebuild(retention={"keep": 1, "grace_hours": 1})
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    corpus.add("w9", "train")
    report, _ = corpus.rebuild(retention={"keep": 1, "grace_hours": 0})
    assert folder.name in report.removed
    assert not folder.exists()
