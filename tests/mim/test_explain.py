"""What a model made of an utterance: gates against hand-computed ones, who taught, what is absent."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import pytest
import torch

from mimdata.mim.batch import Batch
from mimdata.mim.config import TrainConfig
from mimdata.mim.explain import explain
from mimdata.mim.model import Mim

DIMS = {"text": 6, "audio": 4, "vision": 3}


def _model(**settings: object) -> Mim:
    torch.manual_seed(0)
    config = TrainConfig(width=20, layers=1, steps=12, **settings)  # type: ignore[arg-type]
    outputs = 2 if config.task == "emotions" else 1
    return Mim(config, {m: DIMS[m] for m in config.modalities}, outputs).eval()


def test_gates_are_those_computed_by_hand(random_batch: Callable[..., Batch]) -> None:
    model = _model()
    last = model.purifiers["audio"].w4
    torch.nn.init.zeros_(last.weight)
    with torch.no_grad():  # α = bias + 3
        last.bias.copy_(torch.tensor([-3.0, -2.0, -8.0] + [0.0] * 9))
    found = explain(model, random_batch((3,)))[0].modalities["audio"].gates
    wanted = [(0, 0.4, 0.0), (1, 1.2 / (1 + math.exp(-1)) - 0.2, 1.0), (0, 0.0, -5.0)]
    for gate, (value, openness, alpha) in zip(found, wanted, strict=True):
        assert gate is not None
        assert gate.gate == value
        assert gate.openness == pytest.approx(openness, abs=1e-6)
        assert gate.alpha == pytest.approx(alpha, abs=1e-6)


def test_the_smallest_loss_teaches_and_weights_add_up(random_batch: Callable[..., Batch]) -> None:
    for e in explain(_model(), random_batch()):
        losses = {m: b.loss for m, b in e.modalities.items()}
        assert e.label is not None
        assert e.teacher == min(losses, key=lambda m: losses[m] or 0.0)
        assert sum(b.weight or 0 for b in e.modalities.values()) == pytest.approx(3)
        for b in e.modalities.values():
            assert b.purified is not None
            assert b.unpurified is not None
            better = abs(b.purified[0] - e.label[0]) < abs(b.unpurified[0] - e.label[0])  # type: ignore[operator]
            assert b.within in (("purified",) if better else ("unpurified", "neither"))


def test_what_is_absent_has_no_value_and_unlabelled_ones_no_teacher(
    random_batch: Callable[..., Batch],
) -> None:
    batch = random_batch((4,))
    vision, audio = torch.zeros(1, 4, dtype=torch.bool), torch.tensor([[True, False, True, True]])
    batch = dataclasses.replace(
        batch,
        valid={**batch.valid, "vision": vision, "audio": audio},
        sentiment=torch.full((1,), torch.nan),
    )
    for padding in ("masked", "reference"):
        e = explain(_model(padding=padding), batch)[0]
        assert [g is None for g in e.modalities["audio"].gates] == [False, True, False, False]
        assert e.modalities["vision"].gates == (None,) * 4
        assert e.modalities["vision"].purified is None
        assert e.label is None
        assert e.teacher is None
        assert {b.weight for b in e.modalities.values()} == {None}
        json.dumps(e.to_json(), allow_nan=False)


def test_emotions_and_a_subset_of_modalities(random_batch: Callable[..., Batch]) -> None:
    batch = dataclasses.replace(random_batch((5,)), emotions=torch.tensor([[1.5, torch.nan]]))
    e = explain(_model(task="emotions", modalities=("audio", "text"), purify=False), batch)[0]
    assert list(e.modalities) == ["audio", "text"]
    assert len(e.prediction) == 2
    assert e.label == (1.0, None)
    gate = e.modalities["audio"].gates[0]
    assert gate is not None
    assert (gate.gate, gate.alpha) == (1, None)
