"""The running state of a training, as one safetensors file: all that the next update depends on.

Tensors: `model.*`, `average.*` (EMA), `purifier.I.*` and `everything.I.*` (the optimizers' state of their I-th
weight), `sums` and `open` (the epoch's losses and gates so far), `noise.K` and `gpu_noise.K` (random states of the
K-th process). The header's `state` entry is JSON: format, dataset digest, settings, epoch, updates and utterances done in
it, the best epoch so far, the loss scale. The order of utterances follows from seed and epoch, the learning rate from the
number of the update, so neither is kept. Nothing is pickled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from mimdata.mim.config import TrainConfig
from mimdata.mim.device import Place
from mimdata.mim.files import write_whole
from mimdata.mim.model import Mim
from mimdata.mim.objective import Losses
from mimdata.mim.update import Optimizers, Updated
from mimdata.pipeline.errors import MimdataError

FORMAT = 2
ENTRY = "state"
FREE = (
    "device",
    "compile",
    "save_every",
    "workers",
    "copies_gib",
)  # settings that a run may change when it goes on
LOSSES = tuple(Losses.__dataclass_fields__)


@dataclass
class Best:
    """The lowest loss so far, its epoch, and how many epochs have gone since."""

    loss: float = math.inf
    epoch: int = 0
    since: int = 0

    def better(self, loss: float, epoch: int) -> bool:
        """Take note of an epoch's loss; whether it is the lowest."""
        if loss < self.loss:
            self.loss, self.epoch, self.since = loss, epoch, 0
            return True
        self.since += 1
        return False


@dataclass
class Progress:
    """How far a training is: the epoch under way, and what its updates so far came to.

    sums (6,): the losses by the order of LOSSES, weighted by utterances. open (2, M): open gates and steps.
    """

    sums: Tensor
    open: Tensor
    epoch: int = 1
    updates: int = 0
    count: int = 0
    best: Best = field(default_factory=Best)

    @staticmethod
    def start(modalities: int, device: torch.device) -> Progress:
        """Before the first update."""
        return Progress(torch.zeros(len(LOSSES), device=device), torch.zeros(2, modalities, device=device))

    def add(self, pieces: list[Updated]) -> None:
        """Take note of an update."""
        for piece in pieces:
            named, output = piece.losses.named(), piece.output
            self.sums += torch.stack([named[name] for name in LOSSES]) * piece.count
            self.open += torch.stack(
                [output.gates.detach().sum((0, 2)), output.steps.sum((0, 2)).to(output.gates.dtype)]
            )
            self.count += piece.count
        self.updates += 1

    def next_epoch(self) -> None:
        """Begin the next epoch."""
        self.sums.zero_()
        self.open.zero_()
        self.epoch, self.updates, self.count = self.epoch + 1, 0, 0


@dataclass(frozen=True)
class Running:
    """Everything that changes while a model trains."""

    model: Mim
    optimizers: Optimizers
    average: AveragedModel | None
    progress: Progress

    @property
    def judged(self) -> Mim:
        """The model that is evaluated and kept: the averaged one where there is one."""
        if self.average is None:
            return self.model
        return cast(Mim, self.average.module)


def save_state(path: Path, running: Running, place: Place, dataset: str) -> None:
    """Write the state whole or not at all. Called by every process; the first one writes."""
    noise = place.from_all(torch.get_rng_state())
    on_gpu = place.device.type == "cuda"
    gpu_noise = place.from_all(torch.cuda.get_rng_state(place.device)) if on_gpu else []
    parts = place.from_all((running.progress.sums.cpu(), running.progress.open.cpu(), running.progress.count))
    if not place.first:
        return
    progress = running.progress
    tensors = _tensors(running)
    tensors |= {f"noise.{i}": state for i, state in enumerate(noise)}
    tensors |= {f"gpu_noise.{i}": state for i, state in enumerate(gpu_noise)}
    tensors |= {"sums": torch.stack([p[0] for p in parts]), "open": torch.stack([p[1] for p in parts])}
    content = {
        "format": FORMAT,
        "dataset": dataset,
        "train": running.model.config.to_dict(),
        "epoch": progress.epoch,
        "updates": progress.updates,
        "counts": [p[2] for p in parts],
        "best": asdict(progress.best) | {"loss": _json_number(progress.best.loss)},
        "scaler": place.scaler.state_dict() if place.scaler else None,
    }
    from safetensors.torch import save as to_bytes

    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_whole(path, to_bytes(whole, metadata={ENTRY: json.dumps(content, sort_keys=True)}))


def load_state(path: Path, running: Running, place: Place, dataset: str) -> None:
    """Put a saved state into a training that was built from the same configuration. Raises MimdataError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            content = json.loads(file.metadata()[ENTRY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
        _check(path, content, running.model.config, place, dataset)
        _restore(running, place, content, tensors)
    except MimdataError:
        raise
    except (
        OSError,
        SafetensorError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
    ) as error:
        raise MimdataError(
            f"{path} cannot be read ({error}): remove it, and --resume starts the run again"
        ) from error


def _restore(
    running: Running, place: Place, content: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    running.model.load_state_dict(_under(tensors, "model"))
    if running.average is not None:
        running.average.load_state_dict(_under(tensors, "average"))
    for name, optimizer in running.optimizers.named().items():
        _load_optimizer(optimizer, _under(tensors, name))
    progress, me = running.progress, place.process
    progress.sums.copy_(tensors["sums"][me])
    progress.open.copy_(tensors["open"][me])
    progress.epoch, progress.updates = content["epoch"], content["updates"]
    progress.count = content["counts"][me]
    best = content["best"]
    progress.best = Best(math.inf if best["loss"] is None else best["loss"], best["epoch"], best["since"])
    torch.set_rng_state(tensors[f"noise.{me}"])
    if place.device.type == "cuda":
        torch.cuda.set_rng_state(tensors[f"gpu_noise.{me}"], place.device)
    if place.scaler is not None:
        place.scaler.load_state_dict(content["scaler"])


def _check(path: Path, content: Mapping[str, Any], config: TrainConfig, place: Place, dataset: str) -> None:
    if content["format"] != FORMAT:
        raise MimdataError(f"{path} has format {content['format']}, this mimdata reads {FORMAT}: train again")
    if content["dataset"] != dataset:
        raise MimdataError(
            f"{path}: the run was trained on the dataset {content['dataset'][:12]}, this is {dataset[:12]}: "
            "resume it with that version, or start a new run"
        )
    before, now = content["train"], json.loads(json.dumps(config.to_dict()))
    if changed := [name for name in now if name not in FREE and before.get(name) != now[name]]:
        said = ", ".join(f"{name} {before.get(name)} → {now[name]}" for name in changed)
        raise MimdataError(
            f"{path}: the run was trained with other settings ({said}): put them back in its config.json, or start a new run"
        )
    if len(content["counts"]) != place.processes:
        raise MimdataError(
            f"{path}: the run was trained by {len(content['counts'])} processes, these are {place.processes}: "
            "resume it with as many"
        )


def _tensors(running: Running) -> dict[str, Tensor]:
    tensors = {f"model.{name}": t for name, t in running.model.state_dict().items()}
    if running.average is not None:
        tensors |= {f"average.{name}": t for name, t in running.average.state_dict().items()}
    for name, optimizer in running.optimizers.named().items():
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{i}.{key}": value for key, value in state.items()}
    return tensors


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        i, _, key = name.partition(".")
        state.setdefault(int(i), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")
    }


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None
