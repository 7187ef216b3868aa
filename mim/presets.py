"""Published hyper-parameters under a name. Imports no torch.

Both are one set: the paper and the partial release give Adam at 1e-5 for BERT and all other weights, batches of 16, 100
epochs without early stopping, d = 80, T = 50, three layers of five heads and their dropouts, seed 3407, a fine-tuned
bert-base-uncased. Behaviour stays ours (masks, standardisation, guidance by utterance); docs/model.md has the settings
that do as the release does.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mimdata.pipeline.errors import UsageError

PAPER: Mapping[str, Any] = MappingProxyType(
    {
        "finetune_text": True,
        "text_encoder": "bert-base-uncased",
        "lr": 1e-5,
        "text_lr": 1e-5,
        "batch_size": 16,
        "epochs": 100,
        "patience": 0,
        "width": 80,
        "steps": 50,
        "layers": 3,
        "heads": 5,
        "attention_dropout": 0.5,
        "relu_dropout": 0.3,
        "residual_dropout": 0.3,
        "embedding_dropout": 0.2,
        "optimizer": "adam",
        "seed": 3407,
    }
)
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType({"mosi-paper": PAPER, "mosei-paper": PAPER})


def preset(name: str | None) -> dict[str, Any]:
    """The settings of a preset, none for None. Raises UsageError for a name that there is not."""
    if name is None:
        return {}
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}: there are {', '.join(PRESETS)}")
    return dict(PRESETS[name])
