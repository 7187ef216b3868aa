"""The configuration: its sources in order of authority, and errors that name the key and what it accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimdata.mim.config import TrainConfig, load_train_config, read_document, train_config
from mimdata.pipeline.errors import UsageError


def test_the_command_line_goes_before_the_file_before_the_environment() -> None:
    environment = {
        "MIMDATA_TRAIN_EPOCHS": "1",
        "MIMDATA_TRAIN__LR": "0.5",
        "MIMDATA_TRAIN_FUSION": "add",
        "HOME": "/",
    }
    file = {"train": {"epochs": 2, "lr": 0.25}, "store": "elsewhere"}
    config = load_train_config(file, {"epochs": 3, "seed": None}, environment)
    assert (config.epochs, config.lr, config.fusion, config.seed) == (3, 0.25, "add", 3407)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"fusion": "sum"},
            r"\[train\] fusion accepts add, multiplication, concatenation or tensor, found 'sum'",
        ),
        ({"epochs": 0}, r"\[train\] epochs accepts a whole number ≥ 1, found 0"),
        ({"epochs": True}, r"epochs accepts a whole number"),
        ({"lr": -1.0}, r"lr accepts a number > 0, found -1.0"),
        ({"lr": float("nan")}, r"lr accepts a number"),
        ({"relu_dropout": 1.5}, r"relu_dropout accepts a number ≥ 0 and ≤ 1"),
        ({"standardise": "yes"}, r"standardise accepts true or false, found 'yes'"),
        ({"modalities": []}, r"modalities accepts different names"),
        ({"modalities": ["text", "text"]}, r"modalities accepts different names"),
        ({"pooled": "median"}, r"pooled accepts different names out of mean, std, max"),
        ({"epoch": 3}, r"\[train\] epoch is no setting of training: there are modalities, "),
        ({"width": 12}, r"width accepts an even multiple of heads \(5\), found 12"),
        ({"finetune_text": True, "modalities": ["audio"]}, r"finetune_text needs text"),
        ({"fusion": "tensor", "modalities": "a,b,c,d"}, r"at most 3 modalities"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_can(table: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_train_config({"train": table}, {}, {})


def test_the_environment_is_named_by_its_variable() -> None:
    with pytest.raises(UsageError, match=r"MIMDATA_TRAIN_\* seed accepts a whole number ≥ 0, found 'x'"):
        load_train_config({}, {}, {"MIMDATA_TRAIN_SEED": "x"})


def test_a_configuration_reads_back_from_its_own_dictionary() -> None:
    config = TrainConfig(modalities=("text", "audio"), fusion="tensor", lr=0.01, purify=False)
    assert train_config(config.to_dict()) == config


def test_modalities_as_a_list_or_joined() -> None:
    joined = load_train_config({}, {"modalities": "text, audio"}, {})
    assert (
        joined.modalities
        == load_train_config({"train": {"modalities": ["text", "audio"]}}, {}, {}).modalities
    )


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[train\n")
    with pytest.raises(UsageError, match=r"run\.toml is not TOML"):
        read_document(tmp_path / "run.toml")
    with pytest.raises(UsageError, match="cannot read the configuration"):
        read_document(tmp_path / "none.toml")
