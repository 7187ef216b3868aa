"""`mimdata predict`: a recording that a model has never seen, by the steps that made what it learned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from mimdata.mim.checkpoint import Description, load, save
from mimdata.pipeline.cli import main
from mimdata.pipeline.corpora.demo_builder import build_demo

SMALL = ("--set", "width=20", "--set", "layers=1", "--device", "cpu", "--epochs", "2")


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def one(*arguments: str | Path) -> dict[str, Any]:
    done = call(*arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo corpus (raw), its store, and a run trained on it."""
    folder = tmp_path_factory.mktemp("place")
    build_demo(folder / "raw", utterances=6, videos=3)
    shared = ("--store", folder / "store", "--workers", "0", "--root", folder / "raw", "--corpus", "demo")
    for job in ("extract", "align"):
        done = call(job, *shared)
        assert done.exit_code == 0, done.output
    for run, more in (("run", ()), ("emotions", ("--set", 'task="emotions"'))):
        done = call("train", "--store", folder / "store", "--run-dir", folder / run, *SMALL, *more)
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def row(place: Path) -> dict[str, Any]:
    """The dataset's first utterance."""
    shard = sorted((place / "store" / "datasets" / "demo").rglob("train-*.parquet"))[0]
    names = ["clip_id", "source", "start", "end", "text"]
    found: dict[str, Any] = pq.ParquetFile(shard).read(names).slice(0, 1).to_pylist()[0]
    return found


def span(row: dict[str, Any]) -> tuple[str, ...]:
    return "--start", str(row["start"]), "--end", str(row["end"])


@pytest.mark.parametrize("run", ["run", "emotions"])
def test_a_clip_of_the_dataset_is_predicted_as_in_the_dataset(
    place: Path, row: dict[str, Any], run: str
) -> None:
    known = one("explain", place / run, row["clip_id"])
    new = one("predict", place / run, place / "raw" / row["source"], "--text", row["text"], *span(row))
    assert new["prediction"] == pytest.approx(known["prediction"], abs=1e-5)
    assert new["words"] == known["words"]
    assert new["label"] is None
    for name, branch in known["modalities"].items():
        assert new["modalities"][name]["gates"] == branch["gates"]
        assert new["modalities"][name]["purified"] == pytest.approx(branch["purified"], abs=1e-5)


def test_given_words_take_the_place_of_text_and_aligner(
    place: Path, row: dict[str, Any], tmp_path: Path
) -> None:
    known = one("explain", place / "run", row["clip_id"])
    moved = [word | {"start": word["start"] / 2, "end": word["end"] / 2} for word in known["words"]]
    file = tmp_path / "words.json"
    file.write_text(json.dumps({"words": moved}))
    asked = ("predict", place / "run", place / "raw" / row["source"], *span(row), "--words", file)
    new = one(*asked)
    assert new["alignment"] == "given"
    assert [w["word"] for w in new["words"]] == row["text"].split()
    assert [w["end"] for w in new["words"]] == pytest.approx([w["end"] for w in moved], abs=1e-6)
    assert "word aligner: " in call(*asked).stderr


def test_the_table_ends_with_the_sentiment_or_each_emotion(place: Path, row: dict[str, Any]) -> None:
    asked = (place / "raw" / row["source"], "--text", row["text"], *span(row))
    new = one("predict", place / "run", *asked)
    shown = call("predict", place / "run", *asked).stdout
    assert f"Sentiment {new['prediction'][0]:+.2f} on the scale" in shown
    assert all(word in shown for word in row["text"].split())
    last = call("predict", place / "emotions", *asked).stdout.splitlines()[-1]
    assert last.count("%") == 6
    assert "happy " in last


def test_what_cannot_be_predicted_is_one_line(place: Path, row: dict[str, Any], tmp_path: Path) -> None:
    film, text = place / "raw" / row["source"], tmp_path / "no.mp4"
    text.write_text("no film")
    bad = tmp_path / "words.json"
    bad.write_text('[{"word": "a", "start": 2, "end": 1}]')
    for arguments, code, words in (
        ((tmp_path / "none.mp4", "--text", "hello"), 2, "no recording at"),
        ((film,), 2, "give one of them"),
        ((film, "--text", "a", "--words", bad), 2, "give one of them"),
        ((film, "--text", "  "), 2, "has no text"),
        ((film, "--text", "a", "--start", "3", "--end", "2"), 2, "ends at 2 s"),
        ((film, "--words", bad), 2, "ends before it starts"),
        ((film, "--words", tmp_path / "none.json"), 2, "cannot read"),
        ((text, "--text", "hello"), 1, "not a media file"),
        ((film, "--text", "hello", "--start", "500"), 1, "500"),
    ):
        done = call("predict", place / "run", *arguments)
        assert done.exit_code == code, done.output
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_other_weights_than_those_of_the_training_are_refused(
    place: Path, row: dict[str, Any], tmp_path: Path
) -> None:
    model, description = load(place / "run" / "model.safetensors")
    modalities = json.loads(json.dumps(description.content["modalities"]))
    modalities["text"]["step"]["weights"]["model.safetensors"] = "0" * 64
    save(tmp_path / "m.safetensors", model, Description({**description.content, "modalities": modalities}))
    done = call("predict", tmp_path / "m.safetensors", place / "raw" / row["source"], "--text", "hello")
    assert done.exit_code == 2
    assert "--text-model" in done.stderr


def test_features_of_unknown_origin_are_refused(place: Path, row: dict[str, Any], tmp_path: Path) -> None:
    model, description = load(place / "run" / "model.safetensors")
    modalities = {m: {**about, "step": {}} for m, about in description.content["modalities"].items()}
    save(tmp_path / "m.safetensors", model, Description({**description.content, "modalities": modalities}))
    done = call("predict", tmp_path / "m.safetensors", place / "raw" / row["source"], "--text", "hello")
    assert done.exit_code == 2
    assert "come from no extractor" in done.stderr


def test_real_recordings_with_and_without_sound_and_face(place: Path, shared_data: Path) -> None:
    clips = shared_data / "clips"
    film = sorted((clips / "grid").glob("*.mpg"))[0]
    found = one("predict", place / "run", film, "--text", "bin blue at f two now")
    assert all(branch["purified"] for branch in found["modalities"].values())
    for name, modality in (("no_audio_track.mpg", "audio"), ("no_face.mp4", "vision")):
        (film,) = (clips / "edge_cases").glob(name.split(".")[0] + ".*")
        done = call("predict", place / "run", film, "--text", "bin blue at f two now", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["modalities"][modality]["purified"] is None
        assert f"No value of {modality}" in done.stderr
