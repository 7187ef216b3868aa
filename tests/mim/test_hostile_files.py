"""Checkpoints and running states of any bytes and any claims: an error of one line that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save

from mimdata.mim.checkpoint import KINDS, load, read_description
from mimdata.mim.config import TrainConfig
from mimdata.mim.dataset import open_dataset
from mimdata.mim.run_folder import RunFolder
from mimdata.mim.trainer import train
from mimdata.pipeline.errors import MimdataError
from tests.pipeline.fuzz.laws import fuzz, hostile, outcome, put

CONFIG = TrainConfig(
    width=20, steps=12, layers=1, epochs=1, patience=0, device="cpu", batch_size=16, save_every=2
)


@pytest.fixture(scope="module")
def run(made: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    train(CONFIG, open_dataset(made), folder, lambda _: None, lambda _: None)
    return folder


def entry(path: Path, name: str) -> Any:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[name])


def test_any_bytes_in_a_checkpoint(tmp_path: Path, run: RunFolder) -> None:
    valid = run.checkpoint.read_bytes()
    path = put(tmp_path / "model.safetensors", valid)
    load(path)
    header = int.from_bytes(valid[:8], "little") + 8
    short = valid[:header]  # changes fall into the header, not into the weights

    @settings(fuzz, max_examples=fuzz.max_examples // 2)
    @given(hostile(short, tokens=(b"\xff" * 8, b"F64", b"[0,9999999999]")))
    def check(data: bytes) -> None:
        put(path, data + valid[header:])
        outcome(lambda: load(path), path.name)
        outcome(lambda: read_description(path), path.name)

    check()


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.none(), max_size=2)
)


def test_any_values_in_a_description(tmp_path: Path, run: RunFolder) -> None:
    weights, content = load_file(run.checkpoint), entry(run.checkpoint, "mimdata")
    path = tmp_path / "model.safetensors"
    keys = st.sampled_from(
        [("format",), *((k,) for k in KINDS), *(("config", k) for k in content["config"]), ("dims", "text")]
    )

    @settings(fuzz, max_examples=fuzz.max_examples // 2)
    @given(st.dictionaries(keys, VALUES, min_size=1, max_size=2))
    def check(changes: dict[tuple[str, ...], Any]) -> None:
        changed = json.loads(json.dumps(content))
        for place, value in changes.items():
            inner = (
                changed
                if len(place) == 1 or not isinstance(changed.get(place[0]), dict)
                else changed[place[0]]
            )
            inner[place[-1]] = value
        put(path, save(weights, metadata={"mimdata": json.dumps(changed)}))
        outcome(lambda: load(path), path.name)

    check()


BERT = {
    "model_type": "bert",
    "hidden_size": 20,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "vocab_size": 9,
}


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"width": 10**9 * 5}},
        {"config": {"layers": 10**12}},
        {"config": {"steps": 10**12, "purify": False}},
        {"outputs": 10**12},
        {"dims": {"text": 10**12}},
        {"text_encoder": {**BERT, "num_hidden_layers": 10**9}},
        {"text_encoder": {**BERT, "vocab_size": 10**12}},
        {"text_encoder": {"model_type": "../../evil"}},
        {"text_encoder": {**BERT, "auto_map": {"AutoModel": "evil/code--model.Model"}}},
    ],
    ids=str,
)
def test_a_description_that_claims_a_giant_is_refused_at_once(
    tmp_path: Path, run: RunFolder, change: dict[str, Any]
) -> None:
    content = entry(run.checkpoint, "mimdata")
    for name, value in change.items():
        content[name] = {**content[name], **value} if isinstance(content[name], dict) else value
    path = put(
        tmp_path / "model.safetensors", save(load_file(run.checkpoint), {"mimdata": json.dumps(content)})
    )
    assert outcome(lambda: load(path), path.name) is None


def test_any_bytes_in_a_running_state(tmp_path: Path, made: Path) -> None:
    """A damaged state ends the run in one line."""
    from mimdata.mim.state import load_state

    valid = _state(tmp_path, made)
    header = int.from_bytes(valid[:8], "little") + 8
    path = tmp_path / "state.safetensors"
    running, place, digest = _running(made)
    load_state(put(path, valid), running, place, digest)

    @settings(fuzz, max_examples=fuzz.max_examples // 2)
    @given(hostile(valid[:header], tokens=(b"\xff" * 8, b"model.", b"average.", b"epoch", b"counts")))
    def check(data: bytes) -> None:
        put(path, data + valid[header:])
        state = torch.get_rng_state()
        outcome(lambda: load_state(path, running, place, digest), path.name)
        torch.set_rng_state(state)

    check()


def _running(made: Path) -> Any:
    from mimdata.mim.device import accelerated
    from mimdata.mim.model import Mim
    from mimdata.mim.state import Progress, Running
    from mimdata.mim.update import optimizers

    dataset = open_dataset(made)
    place = accelerated("cpu", "fp32")
    model = Mim(CONFIG, dataset.dims(CONFIG.modalities, CONFIG.pooled)).to(place.device)
    progress = Progress.start(len(CONFIG.modalities), place.device)
    return Running(model, optimizers(model, CONFIG), None, progress), place, dataset.manifest.digest


def _state(tmp_path: Path, made: Path) -> bytes:
    from mimdata.mim.state import save_state

    running, place, digest = _running(made)
    save_state(tmp_path / "saved", running, place, digest)
    return (tmp_path / "saved").read_bytes()


def test_a_description_without_its_parts_is_no_checkpoint(tmp_path: Path) -> None:
    path = put(tmp_path / "model.safetensors", save({}, {"mimdata": json.dumps({"format": 2})}))
    with pytest.raises(MimdataError, match="it has no config"):
        load(path)
