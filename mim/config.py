"""The configuration of a training run: the model's shape, what it learns from, and how. Imports no torch."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mimdata.mim import presets
from mimdata.mim.settings import flag, names, number, one_of, read_settings, setting, text, whole
from mimdata.pipeline.errors import UsageError

TABLE = "train"
ENVIRONMENT_PREFIX = "MIMDATA_TRAIN_"


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a run, flat, as the table [train] of a TOML file holds them."""

    # The model
    modalities: tuple[str, ...] = setting(
        ("text", "audio", "vision"), names(), "modalities of the dataset that the model reads"
    )
    pooled: tuple[str, ...] = setting(
        ("mean",), names("mean", "std", "max"), "pooled statistics of a word; a modality gives those it has"
    )
    width: int = setting(80, whole(2), "d, the width of all representations; even, a multiple of `heads`")
    steps: int = setting(50, whole(5), "T, the time steps; longer rows are cut, shorter ones padded")
    layers: int = setting(3, whole(0), "transformer layers of voice and face")
    heads: int = setting(5, whole(1), "attention heads")
    attention_dropout: float = setting(0.5, number(0, 1), "dropout of attention weights")
    relu_dropout: float = setting(0.3, number(0, 1), "dropout after relu")
    residual_dropout: float = setting(0.3, number(0, 1), "dropout of residual branches")
    embedding_dropout: float = setting(0.2, number(0, 1), "dropout of the embedded input")
    activation: str = setting("tanh", one_of("tanh", "relu", "identity"), "f, before the mean over time")
    mean: str = setting("all", one_of("all", "kept"), "purified mean over all real steps, or those kept")
    padding: str = setting(
        "masked", one_of("masked", "reference"), "whether padding takes part: never, or as in the release"
    )
    fusion: str = setting(
        "concatenation",
        one_of("add", "multiplication", "concatenation", "tensor"),
        "how modalities are joined",
    )
    purify: bool = setting(True, flag(), "the purification network; without it nothing is gated")
    finetune_text: bool = setting(
        False, flag(), "train a text encoder on token ids; else stored text features"
    )
    text_encoder: str = setting(
        "minilm", text(), "with finetune_text: folder or name of a Hugging Face encoder"
    )
    gradient_checkpointing: bool = setting(False, flag(), "with finetune_text: less memory, more time")
    # What it learns from
    task: str = setting("sentiment", one_of("sentiment", "emotions"), "regression, or several labels")
    intra: bool = setting(True, flag(), "guidance within a modality")
    inter: bool = setting(True, flag(), "guidance between modalities")
    granularity: str = setting("sample", one_of("sample", "batch"), "choose teachers per sample or per batch")
    distillation: str = setting("scaled", one_of("scaled", "tempered"), "τ as a scale, or as a temperature")
    penalty: float = setting(0.1, number(0), "weight of the gates' openness")
    standardise: bool = setting(True, flag(), "mean 0, deviation 1 on the train split, for stored features")
    # How
    update: str = setting(
        "simultaneous", one_of("simultaneous", "sequential"), "both gradients from one forward pass, or two"
    )
    epochs: int = setting(100, whole(1), "most epochs")
    patience: int = setting(10, whole(0), "epochs without a better validation loss before stopping; 0: never")
    batch_size: int = setting(16, whole(1), "utterances in a batch")
    lr: float = setting(1e-3, number(0, above=True), "learning rate of all but the text encoder")
    text_lr: float = setting(1e-5, number(0, above=True), "learning rate of the text encoder")
    optimizer: str = setting("adam", one_of("adam", "adamw"), "both sets' optimizer")
    weight_decay: float = setting(0.0, number(0), "decay of matrices; vectors do not decay")
    schedule: str = setting(
        "constant", one_of("constant", "linear", "cosine"), "learning rates after the warm-up"
    )
    warmup: float = setting(0.0, number(0, 1), "share of all updates in which the learning rates rise")
    accumulate: int = setting(1, whole(1), "batches (forward passes) of one update")
    ema: float = setting(
        0.0, number(0, 1), "decay of the averaged weights that are evaluated and kept; 0: no averaging"
    )
    clip_norm: float = setting(0.0, number(0), "limit of each set's gradient norm; 0: none")
    seed: int = setting(3407, whole(0), "seed of weights, order and noise")
    shuffle_rows: int = setting(
        3072, whole(1), "utterances that are shuffled among each other, held in memory"
    )
    by_length: bool = setting(False, flag(), "put utterances of like length into one update")
    workers: int = setting(2, whole(1), "threads that read shards")
    copies_gib: float = setting(
        32.0, number(0), "what decoded copies of large splits may take on this disk; 0: none"
    )
    device: str = setting("auto", one_of("auto", "cpu", "cuda"), "where it runs")
    precision: str = setting(
        "fp32", one_of("fp32", "bf16", "fp16"), "bf16, fp16: mixed precision; fp16 on a GPU"
    )
    compile: bool = setting(False, flag(), "torch.compile: minutes to start; on a CPU slower")
    save_every: int = setting(
        500,
        whole(0),
        "updates between two savings of what --resume needs, which each epoch saves too; 0: none",
    )
    deterministic: bool = setting(False, flag(), "refuse operations of a GPU that do not repeat exactly")

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads) and (self.width % 2 or self.width % self.heads):
            raise UsageError(
                f"width accepts an even multiple of heads ({self.heads}), found {self.width}: try {2 * self.heads * 8}"
            )
        if self.fusion == "tensor" and len(self.modalities) > 3:
            raise UsageError(f"fusion tensor takes at most 3 modalities, found {', '.join(self.modalities)}")
        if self.finetune_text and "text" not in self.modalities:
            raise UsageError(
                f"finetune_text needs text among the modalities, found {', '.join(self.modalities)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The table that `train_config` reads back to an equal configuration."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}


def train_config(values: Mapping[str, Any], where: str = "") -> TrainConfig:
    """A configuration from raw values. Raises UsageError that names the key and what it accepts."""
    return TrainConfig(**read_settings(TrainConfig, values, where))


def load_train_config(
    document: Mapping[str, Any],
    given: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    preset: str | None = None,
) -> TrainConfig:
    """The command line over the file's table [train] over MIMDATA_TRAIN_* over a preset; None in `given` is not given.

    The table may name the preset: `preset = "mosi-paper"`.

    Each source is checked by itself first, so that an error says where the value came from.
    """
    table = document.get(TABLE, {})
    if not isinstance(table, Mapping):
        raise UsageError(f"[{TABLE}] must be a table of settings, found {table!r}")
    table = dict(table)
    named = table.pop("preset", None)
    variables = _variables(os.environ if environment is None else environment)
    typed = {key: value for key, value in given.items() if value is not None}
    sources = ((f"{ENVIRONMENT_PREFIX}* ", variables), (f"[{TABLE}] ", table), ("", typed))
    merged = presets.preset(preset or named)
    for where, layer in sources:
        merged |= read_settings(TrainConfig, layer, where)
    return TrainConfig(**merged)


def read_document(file: Path | None) -> dict[str, Any]:
    """A TOML file as a dictionary, empty for None. Raises UsageError."""
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the configuration {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error


def parse_value(raw: str) -> Any:
    """A text as TOML reads a value (16, true, 1e-3, ["a"]), or else the text itself."""
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw


def _variables(environment: Mapping[str, str]) -> dict[str, Any]:
    return {
        name.removeprefix(ENVIRONMENT_PREFIX).lstrip("_").lower(): parse_value(value)
        for name, value in sorted(environment.items())
        if name.startswith(ENVIRONMENT_PREFIX)
    }
