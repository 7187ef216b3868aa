"""Whether a dataset fits a checkpoint, and the dataset as the checkpoint reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mimdata.mim.checkpoint import Description
from mimdata.mim.dataset import Dataset
from mimdata.pipeline.dataset.manifest import Manifest
from mimdata.pipeline.errors import UsageError

LIBRARIES = "libraries"  # the part of a step's identity that may move between training and use
STATISTICS = "statistics"  # of pooling: a dataset may have more of them than the model reads


@dataclass(frozen=True)
class Fitted:
    """A dataset as a checkpoint reads it, and remarks that a person should read."""

    dataset: Dataset
    remarks: tuple[str, ...]


def fitted(
    dataset: Dataset, description: Description, modalities: Sequence[str], *, labelled: bool = True
) -> Fitted:
    """The dataset with the statistics that the model was trained with.

    It fits where the modalities come from the same steps with the same parameters and weights, pooled alike,
    whatever the recordings; other versions of a step's libraries and another word aligner are remarks.
    `labelled`: whether its labels must be the model's. Raises UsageError that names both sides.
    """
    config, remarks = description.config, []
    dims = dataset.dims(modalities, config.pooled)
    for m in modalities:
        trained, here = description.content["modalities"][m], dataset.manifest.modalities[m]
        _same(f"{m} steps", _step(trained), _step(here), dataset)
        _same(f"{m} feature names", trained["feature_names"], here["feature_names"], dataset)
        _same(f"{m} columns", description.dims[m], dims[m], dataset)
        remarks += [
            f"{m}: {line}; the features may differ in their last digits"
            for line in _differences(_libraries(trained), _libraries(here))
        ]
    trained, here = (
        _without(c["pooling"], STATISTICS) for c in (description.content, dataset.manifest.content)
    )
    _same("pooling", trained, here, dataset)
    remarks += [
        f"word aligner: {line}; words may lie elsewhere"
        for line in _differences(description.content["aligner"], dataset.manifest.content["aligner"])
    ]
    if labelled and config.task == "emotions":
        _same("emotions", description.content["emotions"], list(dataset.emotions), dataset)
    statistics = {**dataset.manifest.content["statistics"], **description.content["statistics"]}
    content = {**dataset.manifest.content, "statistics": statistics}
    return Fitted(Dataset(dataset.folder, Manifest(content)), tuple(remarks))


def _step(modality: Mapping[str, Any]) -> dict[str, Any]:
    return _without(modality["step"], LIBRARIES)


def _without(content: Mapping[str, Any], left_out: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != left_out}


def _libraries(modality: Mapping[str, Any]) -> Any:
    return modality["step"].get(LIBRARIES, {})


def _same(what: str, trained: Any, here: Any, dataset: Dataset) -> None:
    different = "; ".join(_differences(trained, here))
    if different:
        raise UsageError(
            f"the model does not fit the dataset in {dataset.folder}: {what}: {different}. Extract and align as "
            "for the training, choose another with --dataset, or leave the modality out with --modalities"
        )


def _differences(trained: Any, here: Any, name: str = "") -> Iterator[str]:
    """Each leaf that differs: its name, what the model was trained on, what the dataset has."""
    if isinstance(trained, Mapping) and isinstance(here, Mapping):
        for key in sorted(set(trained) | set(here)):
            yield from _differences(trained.get(key), here.get(key), f"{name}.{key}" if name else str(key))
    elif isinstance(trained, list) and isinstance(here, list) and len(trained) == len(here):
        first = next((i for i, (a, b) in enumerate(zip(trained, here, strict=True)) if a != b), None)
        if first is not None:
            yield from _differences(trained[first], here[first], f"{name}[{first}]")
    elif trained != here:
        said = f"{name}: " if name else ""
        yield f"{said}trained on {_short(trained)}, the dataset has {_short(here)}"


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} ({', '.join(map(str, value[:3]))} …)"
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:12]}…"
