"""Updates in pieces: gradient accumulation, and several processes over gloo."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mimdata.mim import shards
from mimdata.mim.batch import Batch
from mimdata.mim.blocks import decode
from mimdata.mim.config import TrainConfig
from mimdata.mim.dataset import open_dataset
from mimdata.mim.device import Place
from mimdata.mim.loader import Feed, Loading, Update
from mimdata.mim.model import Mim
from mimdata.mim.run_folder import RunFolder
from mimdata.mim.trainer import train
from mimdata.mim.update import optimizers, update

QUIET = TrainConfig(
    width=20,
    steps=12,
    layers=1,
    epochs=3,
    device="cpu",
    lr=0.05,
    attention_dropout=0,
    relu_dropout=0,
    residual_dropout=0,
    embedding_dropout=0,
    batch_size=16,
)
MIDDLE = "mimdata.mim.purification.noise_like"
STEPS = "mimdata.mim.update._optimizer"


def descent(groups: Any, config: TrainConfig) -> torch.optim.Optimizer:
    """Plain gradient descent: Adam would hide a wrong scale of the gradients, and blow rounding up where one is zero."""
    return torch.optim.SGD(groups)


def make_plain(patch: Callable[[str, Any], None]) -> None:
    """No noise, and plain descent."""
    patch(MIDDLE, lambda alpha: torch.full_like(alpha, 0.5))
    patch(STEPS, descent)


@pytest.fixture(scope="module")
def equal(
    tmp_path_factory: pytest.TempPathFactory, write_version: Callable[..., Path], made_rows: Any
) -> Path:
    """A version in which every utterance has six words and every word all modalities."""
    random = np.random.default_rng(0)
    dims = {"text": 6, "audio": 4, "vision": 3}
    rows = [
        replace(
            row,
            values={f"{m}_mean": random.normal(size=(6, d)).astype(np.float32) for m, d in dims.items()},
            valid={m: np.ones(6, bool) for m in dims},
            token_ids=None,
        )
        for row in made_rows
    ]
    return write_version(tmp_path_factory.mktemp("equal"), rows, {m: (d, ("mean",)) for m, d in dims.items()})


def run(config: TrainConfig, dataset: Path, folder: Path) -> dict[str, torch.Tensor]:
    folder.mkdir()
    train(config, open_dataset(dataset), RunFolder(folder), lambda _: None, lambda _: None)
    return load_file(folder / "model.safetensors")


def assert_close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        torch.testing.assert_close(tensor, b[name], atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_pieces_add_up_to_the_whole(
    equal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    make_plain(monkeypatch.setattr)
    config = replace(QUIET, update=order)
    whole = run(config, equal, tmp_path / "whole")
    pieces = run(replace(config, batch_size=4, accumulate=4), equal, tmp_path / "pieces")
    assert_close(whole, pieces)


WORKER = """
import sys, torch
from mimdata.mim import purification, update
purification.noise_like = lambda alpha: torch.full_like(alpha, 0.5)
update._optimizer = lambda groups, config: torch.optim.SGD(groups)
torch.set_num_threads(1)
from mimdata.mim.commands.train import train
train(sys.argv[1:])
"""


def test_two_processes_come_to_the_weights_of_one_with_the_double_batch(
    equal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plain(monkeypatch.setattr)
    one = run(QUIET, equal, tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call = [sys.executable, "-c", WORKER, "--dataset", str(equal), "--run-dir", str(tmp_path / "two")]
    for name, value in (replace(QUIET, batch_size=8).to_dict()).items():
        call += ["--set", f"{name}={_toml(value)}"]
    common = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            call,
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert "acc2_non0" in said[0][0]
    assert said[1][0] == ""  # the first process alone speaks
    assert "cpu × 2" in said[0][1]
    assert_close(one, load_file(tmp_path / "two" / "model.safetensors"))


def _toml(value: Any) -> str:
    import json

    return json.dumps(value)


@pytest.mark.parametrize(("processes", "accumulate"), [(1, 1), (2, 1), (3, 2), (5, 4)])
def test_over_all_processes_every_utterance_comes_once(made: Path, processes: int, accumulate: int) -> None:
    feed = Feed(open_dataset(made), "train", Loading(("text",), steps=12, batch_size=3))
    parts = [
        list(feed.updates((1, 1), accumulate=accumulate, process=k, processes=processes))
        for k in range(processes)
    ]
    assert len({len(mine) for mine in parts}) == 1
    order: list[str] = []
    for updates in zip(*parts, strict=True):
        ids = [clip_id for update in updates for piece in update.pieces for clip_id in piece.clip_ids]
        assert {update.whole for update in updates} == {len(ids)}
        order += ids
    alone = [clip_id for batch in feed.batches((1, 1)) for clip_id in batch.clip_ids]
    assert order == alone
    assert len(set(order)) == 64


@pytest.mark.parametrize("start", [0, 3, 6, 7])
def test_an_epoch_goes_on_at_any_update(made: Path, start: int) -> None:
    feed = Feed(open_dataset(made), "train", Loading(("text",), steps=12, batch_size=10, shuffle_rows=20))
    whole, rest = list(feed.updates((1, 2))), list(feed.updates((1, 2), start=start))
    assert [u.pieces[0].clip_ids for u in rest] == [u.pieces[0].clip_ids for u in whole[start:]]


def test_a_split_that_fits_is_decoded_once(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []

    def counted(*arguments: Any) -> Any:
        read.append(arguments[2])
        return decode(*arguments)

    monkeypatch.setattr(shards, "decode", counted)
    for rows, times in ((64, 1), (63, 2)):
        read.clear()
        feed = Feed(open_dataset(made), "train", Loading(("text",), steps=12, shuffle_rows=rows))
        for epoch in range(2):
            list(feed.batches((1, epoch)))
        assert len(read) == 5 * times


def test_scaled_losses_give_the_same_step(random_batch: Callable[..., Batch]) -> None:
    """fp16's scaling is by a power of two and is undone exactly; an overflow skips the step and halves the scale."""

    def stepped(scaler: torch.amp.GradScaler | None, batches: Sequence[Batch]) -> Mim:
        torch.manual_seed(0)
        model = Mim(replace(QUIET, clip_norm=1.0), {"text": 6, "audio": 4, "vision": 3})
        both, place = optimizers(model, QUIET), Place(torch.device("cpu"), lambda m: m, scaler)
        for batch in batches:
            torch.manual_seed(1)
            update(model, Update((batch,), len(batch)), both, model.config, place)
        return model

    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    good = random_batch([12, 8, 5])
    plain, scaled = stepped(None, [good]), stepped(scaler, [good])
    for (name, a), (_, b) in zip(plain.named_parameters(), scaled.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name, atol=1e-7, rtol=1e-5)
    before = stepped(None, [])
    endless = replace(good, values={m: v * torch.inf for m, v in good.values.items()})
    after = stepped(scaler, [endless])
    for (name, a), (_, b) in zip(before.named_parameters(), after.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert scaler.get_scale() == 2.0**9
