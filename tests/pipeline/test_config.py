"""Configuration: who wins, what is refused, and TOML that comes back as it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimdata.pipeline.config import RunConfig, load_config, nested
from mimdata.pipeline.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text('store = "from-file"\nworkers = 3\n[extractors.vision]\nfps = 10.0\n')
    return path


def test_command_line_over_file_over_environment_over_last_run(file: Path) -> None:
    environment = {"MIMDATA_STORE": "from-environment", "MIMDATA_DEVICE": "cuda", "MIMDATA_WORKERS": "7"}
    last = {"root": "/last", "device": "cpu"}
    found = load_config(file, {"workers": 5, "corpus": None}, environment, last)
    assert (found.workers, found.store, found.device, str(found.root)) == (5, "from-file", "cuda", "/last")


def test_a_parameter_keeps_its_step(file: Path) -> None:
    found = load_config(file, {}, {"MIMDATA_EXTRACTORS__AUDIO__FEATURE_SET": "ComParE_2016"})
    assert found.extractors["vision"].name == "facenet"
    assert found.build_extractors()["vision"].reads.fps == 10.0
    assert found.extractors["audio"].parameters == {"feature_set": "ComParE_2016"}


def test_toml_comes_back_as_it_went(file: Path, tmp_path: Path) -> None:
    config = load_config(file, {"corpus": "mosei", "modalities": ["text"], "train": {"fusion": "add"}}, {})
    again = tmp_path / "again.toml"
    again.write_text(config.to_toml())
    assert load_config(again, {}, {}) == config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("workers = -1", "workers: should be greater than or equal to 0, found -1"),
        ('worker_memory = "0GiB"', "worker_memory: should be a size such as 4GiB, found '0GiB'"),
        ("clip_seconds = 0", "clip_seconds: should be greater than 0, found 0"),
        ("wokers = 1", "unknown key wokers: there are aligner"),
        (
            '[pooling]\nweights = "median"',
            "pooling.weights: should be 'overlap' or 'mean', found 'median'",
        ),
        ("store = ", "is not TOML"),
    ],
)
def test_a_mistake_names_file_key_and_what_is_accepted(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load_config(path, {}, {})
    assert says in str(error.value)
    assert "bad.toml" in str(error.value)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"extractors": {"vision": {"fbs": 3}}}, "facenet has no parameter 'fbs': its parameters are fps, "),
        (
            {"extractors": {"audio": {"feature_set": "MFCC"}}},
            "opensmile: feature_set: Input should be 'eGeMAPSv02'",
        ),
        (
            {"extractors": {"audio": {"name": "praat"}}},
            "no extractors entry is named 'praat': installed are arrays, bert,",
        ),
        ({"extractors": {"audio": {"name": "bert"}}}, "put it under [extractors.text]"),
        ({"modalities": ["touch"]}, "no extractor gives the modality 'touch'"),
    ],
)
def test_a_mistake_in_a_step_says_what_there_is(values: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as error:
        load_config(None, values, {}).build_extractors()
    assert says in str(error.value)


def test_assignments_nest_and_read_as_toml() -> None:
    assert nested(("a.b=1", "a.c=[1, 2]", "d=plain text", "e=true")) == {
        "a": {"b": 1, "c": [1, 2]},
        "d": "plain text",
        "e": True,
    }
    with pytest.raises(UsageError, match="KEY=VALUE"):
        nested(("a.b",))


def test_every_default_works() -> None:
    config = RunConfig()
    assert set(config.build_extractors()) == {"text", "audio", "vision"}
    assert config.build_aligner().name == "pocketsphinx"
