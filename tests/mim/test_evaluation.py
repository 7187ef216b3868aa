"""A model on a split: alone, without modalities, with intervals; and on datasets that do not fit it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mimdata.mim.batch import Batch
from mimdata.mim.checkpoint import Description, describe
from mimdata.mim.config import TrainConfig
from mimdata.mim.dataset import Dataset, open_dataset
from mimdata.mim.evaluation import Evaluation, evaluate, without
from mimdata.mim.fitting import fitted
from mimdata.mim.loader import Feed
from mimdata.mim.model import Mim
from mimdata.mim.text_encoder import TextEncoder
from mimdata.mim.trainer import build_model, loading_of
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.errors import MimdataError, UsageError
from tests.mim.conftest import SMALL, Row, WriteVersion

CPU = torch.device("cpu")
CONFIG = TrainConfig(width=20, layers=1, steps=12, device="cpu")
DIMS = {"text": 6, "audio": 4, "vision": 3}


def model_of(dataset: Dataset, config: TrainConfig = CONFIG) -> Mim:
    torch.manual_seed(1)
    return build_model(config, dataset).eval()


def evaluated(model: Mim, dataset: Dataset, *kept: str, split: str = "test") -> Evaluation:
    kept = kept or model.config.modalities
    loading = replace(loading_of(model.config, CPU), modalities=kept)
    return evaluate(
        model, Feed(dataset, split, loading), CPU, {m: d for m, d in DIMS.items() if m not in kept}
    )


def test_a_modality_that_is_left_out_is_one_that_nobody_has(
    made: Path, made_rows: list[Row], write_version: WriteVersion, tmp_path: Path
) -> None:
    nobody = [
        replace(row, valid={**row.valid, "audio": np.zeros_like(row.valid["audio"])}) for row in made_rows
    ]
    dataset, mute = open_dataset(made), open_dataset(write_version(tmp_path, nobody, SMALL))
    content = {**mute.manifest.content, "statistics": dataset.manifest.content["statistics"]}
    model = model_of(dataset)
    left_out = evaluated(model, dataset, "text", "vision")
    expected = evaluated(model, Dataset(mute.folder, Manifest(content)))
    assert torch.equal(left_out.predictions, expected.predictions)
    assert not torch.equal(left_out.predictions, evaluated(model, dataset).predictions)
    assert left_out.unimodal[:, 1].isnan().all()
    assert torch.equal(left_out.unimodal[:, 0], expected.unimodal[:, 0])


def test_unimodal_predictions_are_those_of_each_classifier(made: Path, made_rows: list[Row]) -> None:
    dataset = open_dataset(made)
    model = model_of(dataset)
    found = evaluated(model, dataset)
    alone = [evaluated(model, dataset, m).unimodal for m in DIMS]
    for k in range(3):
        assert torch.equal(found.unimodal[:, k].nan_to_num(99), alone[k][:, k].nan_to_num(99))
    faceless = [not row.valid["vision"].any() for row in made_rows if row.split == "test"]
    assert found.unimodal[:, 2, 0].isnan().tolist() == faceless
    assert found.without_any == 0
    assert evaluated(model, dataset, "vision").without_any == sum(faceless)


def test_a_fine_tuned_model_answers_without_text_and_its_tokens(random_batch: Callable[..., Batch]) -> None:
    from transformers import BertConfig, BertModel

    shape = BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    torch.manual_seed(0)
    model = Mim(replace(CONFIG, finetune_text=True), DIMS, 1, TextEncoder(BertModel(shape))).eval()
    whole = random_batch()
    heard = replace(
        whole,
        values={m: v for m, v in whole.values.items() if m != "text"},
        valid={m: v for m, v in whole.valid.items() if m != "text"},
    )
    output = model(without(heard, {"text": 6}))
    assert output.present.tolist() == [[False, True, True]] * 3
    assert output.prediction.isfinite().all()


def test_intervals_come_when_asked_and_are_json(made: Path) -> None:
    dataset = open_dataset(made)
    found = evaluated(model_of(dataset), dataset)
    assert "intervals" not in found.to_json()
    content = json.loads(json.dumps(found.to_json(intervals=True), allow_nan=False))
    low, high = content["intervals"]["mae"]
    assert low < content["mae"] < high
    assert set(content["intervals"]) == set(content) - {"n", "loss", "intervals", "reasons"}


def test_emotions_have_intervals_and_unimodal_logits(made: Path) -> None:
    dataset = open_dataset(made)
    found = evaluated(model_of(dataset, replace(CONFIG, task="emotions")), dataset)
    assert found.outputs == ("happy", "sad")
    assert found.unimodal.shape == (24, 3, 2)
    content = found.to_json(intervals=True)
    assert content["intervals"]["f1_macro"][0] <= content["f1_macro"] <= content["intervals"]["f1_macro"][1]
    assert content["intervals"]["wacc_happy"] is not None


def test_predictions_that_are_not_finite_are_said_with_the_first_clip(made: Path) -> None:
    dataset = open_dataset(made)
    model = model_of(dataset)
    with torch.no_grad():
        next(model.classifiers.parameters()).fill_(torch.nan)
        next(model.fusion.parameters()).fill_(torch.nan)
    with pytest.raises(MimdataError, match=r"not finite, first that of test0\[0\]"):
        evaluated(model, dataset)


def test_a_split_without_labels_has_no_measures(
    made_rows: list[Row], write_version: WriteVersion, tmp_path: Path
) -> None:
    rows = [replace(row, sentiment=None if row.split == "test" else row.sentiment) for row in made_rows]
    dataset = open_dataset(write_version(tmp_path, rows, SMALL))
    found = evaluated(model_of(dataset), dataset)
    assert found.clip_ids == ()
    assert found.unimodal.shape == (0, 3, 1)
    assert found.to_json(intervals=True)["intervals"] == {}
    assert found.to_json()["reasons"]["mae"] == "no utterances"


def changed(dataset: Dataset, modality: str, **change: Any) -> Dataset:
    """The same dataset, saying something else of a modality."""
    modalities = dict(dataset.manifest.modalities)
    modalities[modality] = {**modalities[modality], **change}
    return Dataset(dataset.folder, Manifest({**dataset.manifest.content, "modalities": modalities}))


STEP: Mapping[str, Any] = {
    "step": "facenet", "version": 1, "parameters": {"fps": 5.0}, "libraries": {"torch": "2.15.0"},
}  # fmt: skip


@pytest.fixture
def trained_on(made: Path) -> tuple[Dataset, Description]:
    """A dataset whose faces come from STEP, and the description of a model that was trained on it."""
    dataset = changed(open_dataset(made), "vision", step=STEP)
    return dataset, describe(model_of(dataset), dataset, DIMS, 1, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"step": {**STEP, "parameters": {"fps": 10.0}}}, "vision steps: parameters.fps: trained on 5.0, the dataset has 10.0"),
        ({"step": {**STEP, "version": 2}}, "version: trained on 1, the dataset has 2"),
        ({"feature_names": ["f0", "x", "f2"]}, r"vision feature names: \[1\]: trained on f1, the dataset has x"),
        ({"feature_names": ["f0"]}, r"trained on \['f0', 'f1', 'f2'\], the dataset has \['f0'\]"),
        ({"dim": 9}, "vision columns: trained on 3, the dataset has 9"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line_that_names_both(
    trained_on: tuple[Dataset, Description], change: dict[str, Any], says: str
) -> None:
    dataset, description = trained_on
    other = changed(dataset, "vision", **change)
    with pytest.raises(UsageError, match=says) as raised:
        fitted(other, description, ("text", "vision"))
    assert "\n" not in str(raised.value)
    assert str(dataset.folder) in str(raised.value)
    assert not fitted(other, description, ("text", "audio")).remarks  # the others fit


def test_other_recordings_fit_and_are_standardised_as_in_training(
    trained_on: tuple[Dataset, Description], made_rows: list[Row], write_version: WriteVersion, tmp_path: Path
) -> None:
    dataset, description = trained_on
    few = changed(open_dataset(write_version(tmp_path, made_rows[70:], SMALL)), "vision", step=STEP)
    assert few.manifest.digest != dataset.manifest.digest
    found = fitted(few, description, CONFIG.modalities)
    assert found.remarks == ()
    assert found.dataset.statistics("text_mean") == dataset.statistics("text_mean")


def test_other_library_versions_are_only_said(trained_on: tuple[Dataset, Description]) -> None:
    dataset, description = trained_on
    newer = changed(dataset, "vision", step={**STEP, "libraries": {"torch": "2.16.0"}})
    (remark,) = fitted(newer, description, CONFIG.modalities).remarks
    assert "vision: torch: trained on 2.15.0, the dataset has 2.16.0" in remark


def test_emotions_must_be_the_same(made: Path) -> None:
    dataset = open_dataset(made)
    config = replace(CONFIG, task="emotions")
    description = describe(model_of(dataset, config), dataset, DIMS, 2, 1)
    other = Dataset(dataset.folder, Manifest({**dataset.manifest.content, "emotions": ["sad", "happy"]}))
    with pytest.raises(UsageError, match="emotions"):
        fitted(other, description, config.modalities)
