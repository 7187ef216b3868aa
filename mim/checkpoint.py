"""A trained model as one safetensors file: weights, and all that is needed to build and feed it again.

The header's `mimdata` entry is JSON: format, configuration, modalities' dims, outputs, emotions, the text
encoder's configuration, the dataset's corpus, version and digest, the steps that made it (extractors, aligner,
pooling), the train statistics that standardise the features, and the epoch. Nothing is pickled. Equal models give equal bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mimdata.mim.config import TrainConfig, train_config
from mimdata.mim.dataset import Dataset
from mimdata.mim.files import write_whole
from mimdata.mim.model import Mim
from mimdata.mim.text_encoder import from_description
from mimdata.pipeline.errors import MimdataError

FORMAT = 2
ENTRY = "mimdata"
LARGEST = 2**24  # of one size that a description names, such as a vocabulary
KINDS: dict[str, Any] = {  # what a description holds
    **dict.fromkeys(("config", "dims", "dataset", "modalities", "aligner", "pooling", "statistics"), dict),
    **{"outputs": int, "epoch": int, "emotions": list, "text_encoder": dict | None},
}
PLACES = ("device",)  # settings that shape no weight on one device and stay out of the file


@dataclass(frozen=True)
class Description:
    """What a checkpoint says beside its weights."""

    content: Mapping[str, Any]

    @property
    def config(self) -> TrainConfig:
        """The configuration that it was trained with."""
        return train_config(self.content["config"], "checkpoint: ")

    @property
    def dims(self) -> dict[str, int]:
        """Columns of each modality's values."""
        return dict(self.content["dims"])


def describe(model: Mim, dataset: Dataset, dims: Mapping[str, int], outputs: int, epoch: int) -> Description:
    """The description of a model that was trained on a dataset."""
    config = model.config
    names = [f"{m}_{s}" for m in config.modalities for s in dataset.pooled(m, config.pooled)]
    return Description(
        {
            "format": FORMAT,
            "config": {k: v for k, v in config.to_dict().items() if k not in PLACES}
            | {"text_encoder": _portable(config.text_encoder)},
            "dims": dict(dims),
            "outputs": outputs,
            "emotions": list(dataset.emotions),
            "text_encoder": model.text_encoder and model.text_encoder.describe(),
            "dataset": {
                "corpus": dataset.corpus,
                "version": dataset.manifest.version,
                "digest": dataset.manifest.digest,
            },
            "modalities": {m: dict(dataset.manifest.modalities[m]) for m in config.modalities},
            "aligner": dataset.manifest.content["aligner"],
            "pooling": dataset.manifest.content["pooling"],
            "statistics": {n: dataset.statistics(n) for n in names} if config.standardise else {},
            "epoch": epoch,
        }
    )


def _portable(encoder: str) -> str:
    """The name of an encoder, without the place where its folder lay: equal trainings give equal bytes anywhere."""
    return Path(encoder).name if Path(encoder).is_absolute() else encoder


def save(path: Path, model: Mim, description: Description) -> None:
    """Write the file whole or not at all: a run that is killed leaves the one before."""
    from safetensors.torch import save as to_bytes

    tensors: dict[str, Tensor] = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    # One entry: safetensors writes several in no fixed order.
    header = {ENTRY: json.dumps(description.content, sort_keys=True, ensure_ascii=False, allow_nan=False)}
    write_whole(path, to_bytes(tensors, metadata=header))


def load(path: Path) -> tuple[Mim, Description]:
    """The model in evaluation mode, on the CPU, and its description. Raises MimdataError."""
    from safetensors.torch import load as from_bytes

    description = read_description(path)
    try:
        weights = from_bytes(path.read_bytes())
        _check_size(description, weights)
        with torch.device("meta"):  # shapes without memory: a description costs its writer nothing
            shapes = {name: tensor.shape for name, tensor in _build(description).state_dict().items()}
        if shapes != {name: tensor.shape for name, tensor in weights.items()}:
            raise ValueError("their names or shapes are others")
        model = _build(description)
        model.load_state_dict(weights)
    except Exception as error:  # safetensors, torch and transformers each raise their own
        raise MimdataError(f"the weights in {path} do not fit their own description: {error}") from error
    return model.eval(), description


def _build(description: Description) -> Mim:
    content = description.content
    encoder = content["text_encoder"] and from_description(content["text_encoder"])
    return Mim(description.config, description.dims, content["outputs"], encoder)


def _check_size(description: Description, weights: Mapping[str, Tensor]) -> None:
    """Raises ValueError for layers or steps that the weights cannot have: to build them alone would never end."""
    config, encoder = description.config, description.content["text_encoder"] or {}
    layers = [n for name, n in encoder.items() if "layer" in name and isinstance(n, int)]
    if max(config.layers, *layers, 0) > len(weights):
        raise ValueError(f"more layers than its {len(weights)} tensors")
    largest = max((abs(n) for n in encoder.values() if isinstance(n, int)), default=0)
    if config.steps * config.width > LARGEST or largest > LARGEST:
        raise ValueError("a size beyond all reason")


def read_description(path: Path) -> Description:
    """What a checkpoint says of itself, from its header alone. Raises MimdataError."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > path.stat().st_size:
                raise ValueError("its header is longer than the file")
            content = json.loads(json.loads(file.read(size))["__metadata__"][ENTRY])
        found = content["format"]
        if found == FORMAT and (
            odd := [name for name, kind in KINDS.items() if not isinstance(content.get(name), kind)]
        ):
            raise ValueError(f"it has no {', '.join(odd)}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise MimdataError(
            f"{path} is no checkpoint of mimdata ({type(error).__name__}: {error}): give a model.safetensors"
        ) from error
    if found != FORMAT:
        raise MimdataError(f"{path} has format {found}, this mimdata reads format {FORMAT}: train again")
    return Description(content)
