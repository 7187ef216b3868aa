"""From raw files to a published dataset, with every real part: the promises that a user relies on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mimdata.pipeline.corpora.demo_builder import build_demo
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.formats.unpickle import load
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.tracks import tracks_of
from tests.command import Command


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw") / "demo"
    build_demo(root, utterances=6, videos=3)
    return root


@pytest.fixture(scope="module")
def built(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A store that one process has filled."""
    command = Command(tmp_path_factory.mktemp("work"))
    command("extract", "--corpus", "demo", "--root", str(corpus), "--workers", "0")
    command("align", "--workers", "0")
    return command


def digest(command: Command) -> str:
    (latest,) = [d for d in command("status", "--json").lines()[0]["datasets"] if d["latest"]]
    return str(latest["digest"])


def test_two_workers_in_another_place_give_the_same_bytes(
    built: Command, corpus: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    moved.symlink_to(corpus)
    other = Command(tmp_path)
    other("extract", "--corpus", "demo", "--root", str(moved), "--workers", "2", "--store", "elsewhere")
    other("align", "--workers", "2", "--store", "elsewhere")
    (theirs,) = other("status", "--store", "elsewhere", "--json").lines()[0]["datasets"]
    assert theirs["digest"] == digest(built)


def test_the_second_run_computes_nothing_and_says_so(built: Command) -> None:
    for job, stages in (("extract", ["text", "audio", "vision"]), ("align", ["words", "rows", "dataset"])):
        lines = built(job, "--json").lines()
        assert [line["stage"] for line in lines] == stages
        assert {(line["planned"], line["computed"], line["cached"], line["failed"]) for line in lines} == {
            (6, 0, 6, 0)
        }
        assert all(
            set(line) == {"stage", "planned", "computed", "cached", "failed", "seconds", "busy"}
            for line in lines
        )
    assert "Nothing to compute" in built("extract").out


def test_status_adds_up(built: Command) -> None:
    (status,) = built("status", "--json").lines()
    demo = status["corpora"]["demo"]
    assert demo["clips"] == 6
    assert demo["tracks"] == {"audio": 6, "text": 6, "vision": 6}
    assert (demo["words"], demo["failures"]) == (6, 0)
    for stage in demo["ledger"].values():
        assert stage["in"] == stage["out"] + sum(stage["excluded"].values())
    assert {"version", "digest", "rows", "latest"} <= set(status["datasets"][0])


def test_inspect_shows_the_row_that_the_shard_holds(built: Command) -> None:
    (found,) = built("inspect", "demo0001[1]", "--json").lines()
    shard = (
        pq.read_table(built.folder / ".mimdata/datasets/demo" / found["shard"])
        .slice(found["row"], 1)
        .to_pylist()[0]
    )
    assert shard["clip_id"] == found["clip_id"] == "demo0001[1]"
    assert shard["words"] == found["words"] == found["text"].split()
    assert [list(pair) for pair in zip(shard["word_start"], shard["word_end"], strict=True)] == found[
        "intervals"
    ]
    assert {name: m["dim"] for name, m in found["modalities"].items()} == {
        "text": 384,
        "audio": 25,
        "vision": 16,
    }
    assert all(0 < m["valid"] <= m["frames"] for m in found["modalities"].values())


def test_word_times_agree_with_what_was_spoken(built: Command, corpus: Path) -> None:
    from mimdata.workflows.agreement import agreement, demo_truth

    truth = demo_truth(corpus)
    found = {clip: built("inspect", clip, "--json").lines()[0]["intervals"] for clip in list(truth)[:3]}
    measured = agreement([[start for start, _ in found[c]] for c in found], [truth[c] for c in found])
    assert measured.median_ms <= 30
    assert measured.within_100_ms >= 0.9


def test_why_names_the_parameter(built: Command) -> None:
    lines = built("why", "demo0000[0]", "--set", "extractors.vision.fps=2", "--json").lines()
    states = {line["stage"]: line for line in lines}
    assert states["vision"]["changes"] == ["step.parameters.fps: 5.0 → 2.0"]
    assert states["audio"]["state"] == "stored"


def test_one_new_transcript_line_costs_one_clip(built: Command, corpus: Path, tmp_path: Path) -> None:
    import shutil

    changed = tmp_path / "changed"
    shutil.copytree(corpus, changed)
    path = changed / "Raw/Transcript/Segmented/Combined/demo0002.txt"
    lines = path.read_text().splitlines()
    lines[0] = lines[0].rsplit("___", 1)[0] + "___This is another text altogether"
    path.write_text("\n".join(lines) + "\n")
    store = tmp_path / "store"
    shutil.copytree(built.folder / ".mimdata", store)
    options = ("--corpus", "demo", "--root", str(changed), "--store", str(store), "--workers", "0", "--json")
    computed = {
        line["stage"]: line["computed"]
        for job in ("extract", "align")
        for line in built(job, *options).lines()
    }
    assert computed == {"text": 1, "audio": 0, "vision": 0, "words": 1, "rows": 1, "dataset": 6}
    (why, *_) = built("why", "demo0002[0]", *options[:6], "--json").lines()
    assert why["state"] == "stored; replaced an earlier result"
    assert "another text altogether" in why["changes"][0]


def test_a_run_that_is_killed_is_completed_by_the_next(built: Command, corpus: Path, tmp_path: Path) -> None:
    """kill -9 of the driver and its workers as soon as the first features lie in the store."""
    store = tmp_path / "store"
    options = ["--corpus", "demo", "--root", str(corpus), "--store", str(store)]
    code = "from mimdata.pipeline.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "extract", *options, "--workers", "2"], start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(store.glob("tracks/*/*/[!.]*.parquet")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    command = Command(tmp_path)
    lines = command("extract", *options, "--workers", "0", "--json").lines()
    assert all(line["cached"] + line["computed"] == 6 for line in lines)
    assert any(line["cached"] for line in lines)
    command("align", *options, "--workers", "0")
    (version,) = command("status", "--store", str(store), "--json").lines()[0]["datasets"]
    assert version["digest"] == digest(built)
    assert not list(store.rglob(".tmp-*"))


def damaged(root: Path, source: Path) -> list[dict[str, Any]]:
    """A manifest of everything that goes wrong in the field; returns its rows."""
    from tests.recordings import write_tone

    good = (source / "Raw/Videos/Full/Combined/demo0000.mp4").read_bytes()
    (root / "good.mp4").write_bytes(good)
    (root / "cut.mp4").write_bytes(good[: len(good) // 2])
    (root / "empty.mp4").write_bytes(b"")
    (root / "text.mp4").write_text("this is no video")
    write_tone(root / "tone.mp4", seconds=1.0)
    span = {"start": 0.26, "end": 4.42}
    text = "My friends said the village was rather wonderful from beginning to end"
    return [
        {"clip_id": "good[0]", "source": "good.mp4", "text": text, "sentiment": 2.0, **span},
        {"clip_id": "cut[0]", "source": "cut.mp4", "text": text, **span},
        {"clip_id": "empty[0]", "source": "empty.mp4", "text": text},
        {"clip_id": "text[0]", "source": "text.mp4", "text": text},
        {"clip_id": "gone[0]", "source": "gone.mp4", "text": text},
        {"clip_id": "late[0]", "source": "good.mp4", "text": text, "start": 500, "end": 510},
        {"clip_id": "long[0]", "source": "good.mp4", "text": text, "start": 0, "end": 510},
        {"clip_id": "mute[0]", "source": "good.mp4", "text": "", **span},
        {"clip_id": "label[0]", "source": "good.mp4", "text": text, "sentiment": 9.0, **span},
        {"clip_id": "good[0]", "source": "good.mp4", "text": text, **span},
        {"clip_id": "out[0]", "source": "../good.mp4", "text": text, **span},
        {"clip_id": "none[0]", "source": "good.mp4", "text": text, "start": 3, "end": 3},
        {"clip_id": "cyrillic[0]", "source": "good.mp4", "text": "это было прекрасно", **span},
        {"clip_id": "tone[0]", "source": "tone.mp4", "text": "nobody speaks here"},
    ]


def test_nothing_drops_unseen(built: Command, corpus: Path, tmp_path: Path) -> None:
    rows = damaged(tmp_path, corpus)
    (tmp_path / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    command = Command(tmp_path)
    command("extract", "--corpus", "manifest", "--root", str(tmp_path), "--workers", "0", code=3)
    command("align", "--workers", "0", code=3)
    failures = command("failures", "--json").lines()
    causes: dict[str, set[str]] = {}
    for failure in failures:
        causes.setdefault(failure["clip_id"], set()).add(failure["cause"])
        assert failure["message"]
        assert failure["retry"].startswith("mimdata ")
    usable = {"good[0]", "cyrillic[0]", "tone[0]"}
    assert set(causes) - {"good[0]"} == {row["clip_id"] for row in rows} - usable
    for clip, cause in {
        "empty[0]": "not a media file",
        "text[0]": "not a media file",
        "gone[0]": "missing file",
        "late[0]": "span past the end",
        "long[0]": "span past the end",
        "mute[0]": "empty transcript",
        "label[0]": "label out of range",
        "good[0]": "duplicate clip id",
        "out[0]": "path leaves the root",
        "none[0]": "bad span",
    }.items():
        assert cause in causes[clip], (clip, causes[clip])
    (status,) = command("status", "--json").lines()
    assert status["datasets"][0]["rows"] == len(usable)
    ledger = status["corpora"]["manifest"]["ledger"]
    assert ledger["corpus"]["in"] == len(rows)
    assert ledger["rows"]["out"] == len(usable)
    tone = command("inspect", "tone[0]", "--json").lines()[0]
    assert tone["modalities"]["vision"]["valid"] == 0
    assert tone["suspect"]
    cyrillic = command("inspect", "cyrillic[0]", "--json").lines()[0]
    assert set(cyrillic["status"]) == {"interpolated"}
    assert cyrillic["suspect"]


@pytest.mark.parametrize("form", ["mmsa", "mult"])
def test_a_version_goes_out_unaligned_and_comes_back_spread(built: Command, form: str) -> None:
    """The frames that were pooled, and of what is longer than asked for the means of equal parts."""
    out = ("export", "pickle", "--corpus", "demo", "--form", form, "--unaligned", "--frames")
    built(*out, "2000", "-o", f"{form}.pkl")
    built(*out, "100", "-o", f"{form}-short.pkl")
    folder = built.folder
    whole, short = (load(folder / name) for name in (f"{form}.pkl", f"{form}-short.pkl"))
    versions = Versions(Folder(str(folder / ".mimdata")), "demo")
    version, _ = versions.find("latest")
    tracks = {m: tracks_of(versions.store, version, m) for m in ("text", "audio", "vision")}
    seen = 0
    for fold in whole:
        for i, name in enumerate(whole[fold]["id"]):
            clip_id = name if form == "mult" else f"{name.replace('$_$', '[')}]"
            for m in ("audio", "vision"):
                frames = tracks[m][clip_id].values
                rows = whole[fold][m][i]
                assert np.array_equal(rows[-len(frames) :] if form == "mult" else rows[: len(frames)], frames)
                assert not (rows[: -len(frames)] if form == "mult" else rows[len(frames) :]).any()
                assert short[fold][m].shape[1] <= 100
            few = short[fold]["audio"][i]
            frames = tracks["audio"][clip_id].values
            few = few[-100:] if form == "mult" else few[:100]
            assert len(frames) > 100
            assert np.allclose(few.mean(axis=0), frames.mean(axis=0), rtol=0.02, atol=0.05)
            if form == "mmsa":
                assert whole[fold]["audio_lengths"][i] == len(frames)
                states = tracks["text"][clip_id].values
                assert np.array_equal(whole[fold]["text"][i][: len(states)], states)
            seen += 1
    assert seen == 6
    call = ("import", "pickle", f"{form}.pkl", "--corpus", f"back-{form}")
    assert "--spread-frames" in built(*call, code=1).err
    done = built(*call, "--spread-frames", "--json").lines()[0]
    assert (done["rows"], done["form"]) == (6, form)
    for refused in ("misa", "mag-bert"):
        words = ("export", "pickle", "--corpus", "demo", "--form", refused, "--unaligned", "-o", "x")
        assert "made of words" in built(*words, code=2).err
    none = ("export", "pickle", "--corpus", f"back-{form}", "--form", form, "--unaligned", "-o", "x")
    assert "has no frames of text" in built(*none, code=1).err
