"""A run's folder: what a training run writes down, and that no file of it is ever half written.

    config.json  environment.json  metrics.jsonl  model.safetensors  report.json  curves.png  events.*
    state.safetensors       while it trains: what --resume goes on from

metrics.jsonl grows by one line an epoch; events.* is TensorBoard's; all others appear whole.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimdata.mim.files import write_whole
from mimdata.pipeline.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch.utils.tensorboard import SummaryWriter

    from mimdata.mim.config import TrainConfig
    from mimdata.mim.dataset import Dataset

LIBRARIES = (
    "mimdata",
    "torch",
    "numpy",
    "pyarrow",
    "accelerate",
    "safetensors",
    "torchmetrics",
    "transformers",
)
CHECKPOINT, METRICS, REPORT, STATE = "model.safetensors", "metrics.jsonl", "report.json", "state.safetensors"
CONFIG = "config.json"
EVENTS = "events.*"  # TensorBoard's


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The best model so far."""
        return self.path / CHECKPOINT

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """A JSON document, whole."""
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        write_whole(self.path / name, f"{text}\n".encode())

    @property
    def state(self) -> Path:
        """What a stopped run goes on from."""
        return self.path / STATE

    def begin(self, config: TrainConfig, dataset: Dataset, device: torch.device, epoch: int) -> None:
        """Write what the run is; forget what a stopped run noted of `epoch` and later ones."""
        self.write_json(CONFIG, run_config(config, dataset))
        about = {"dataset": dataset.manifest.digest, "corpus": dataset.corpus}
        self.write_json("environment.json", environment(device.type) | about)
        kept = [line for line in self.epochs() if line["epoch"] < epoch]
        text = "".join(_line(line) for line in kept)
        write_whole(self.path / METRICS, text.encode())
        for events in self.path.glob(EVENTS):
            events.unlink()

    @property
    def finished(self) -> bool:
        """Whether the run came to its report."""
        return (self.path / REPORT).exists()

    def report(self) -> dict[str, Any]:
        """The report of a finished run."""
        found: dict[str, Any] = json.loads((self.path / REPORT).read_text(encoding="utf-8"))
        return found

    def sub(self, name: str) -> RunFolder:
        """The folder of a run that is part of this one."""
        (self.path / name).mkdir(parents=True, exist_ok=True)
        return RunFolder(self.path / name)

    @contextmanager
    def events(self) -> Iterator[SummaryWriter]:
        """TensorBoard's writer, with the epochs that were noted so far."""
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self.path)) as writer:
            for line in self.epochs():
                add_events(writer, line)
            yield writer

    def add_epoch(self, line: Mapping[str, Any]) -> None:
        """One more line of metrics.jsonl."""
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(_line(line))

    def epochs(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line that was cut off by a crash is left out."""
        path = self.path / METRICS
        lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
        return [json.loads(line) for line in lines[:-1]]

    def end(self, report: Mapping[str, Any]) -> None:
        """Write the report and the curves; there is nothing to resume any more."""
        epochs = self.epochs()
        draw_curves(self.path / "curves.png", epochs)
        self.write_json(REPORT, report)
        self.state.unlink(missing_ok=True)


def add_events(writer: SummaryWriter, epoch: Mapping[str, Any]) -> None:
    """The numbers of one epoch for TensorBoard."""
    for group in ("train", "valid", "open"):
        for name, value in (epoch[group] or {}).items():
            if isinstance(value, int | float):
                writer.add_scalar(f"{group}/{name}", value, epoch["epoch"])


def _line(epoch: Mapping[str, Any]) -> str:
    return json.dumps(epoch, ensure_ascii=False, allow_nan=False) + "\n"


def new_run_folder(path: Path) -> RunFolder:
    """An empty folder for a run. Raises UsageError if a run lies there already."""
    if any((path / name).exists() for name in (CONFIG, CHECKPOINT, METRICS, REPORT)):
        raise UsageError(f"{path} holds a run already: give another --run-dir, --resume it, or remove it")
    path.mkdir(parents=True, exist_ok=True)
    return RunFolder(path)


def run_config(config: TrainConfig, dataset: Dataset) -> dict[str, Any]:
    """What config.json says: every setting, and the dataset's folder and digest."""
    return {
        "train": config.to_dict(),
        "dataset": str(dataset.folder.absolute()),
        "digest": dataset.manifest.digest,
    }


def stopped_run(path: Path) -> tuple[RunFolder, dict[str, Any]]:
    """The folder of a run to go on with, and what its config.json says. Raises UsageError where there is none."""
    folder = RunFolder(path)
    if folder.finished:
        raise UsageError(f"{path} is finished: there is nothing to resume; its report is in {REPORT}")
    try:
        content = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        return folder, {name: content[name] for name in ("train", "dataset", "digest")} | content
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{path} holds no run that could be resumed: {CONFIG}: {error}") from error


def run_name(corpus: str, fusion: str, now: datetime | None = None) -> str:
    """What a run is called unless it is told otherwise: its time, corpus and fusion."""
    return f"{now or datetime.now(UTC):%Y%m%d-%H%M%S}-{corpus}-{fusion}"


def environment(device: str) -> dict[str, Any]:
    """What ran, and on what."""
    import torch

    libraries = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            libraries[name] = "not installed"
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "libraries": libraries,
    }


def draw_curves(path: Path, epochs: Sequence[Mapping[str, Any]]) -> None:
    """The losses and the share of open gates over the epochs, as a picture."""
    from matplotlib.figure import Figure  # without pyplot, which would look for a display

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    loss, gates = figure.subplots(1, 2)
    at = [e["epoch"] for e in epochs]
    loss.plot(at, [e["train"]["fused"] for e in epochs], label="train")
    if all(e.get("valid") for e in epochs):
        loss.plot(at, [e["valid"]["loss"] for e in epochs], label="valid")
    for modality in epochs[0]["open"]:
        gates.plot(at, [e["open"][modality] for e in epochs], label=modality)
    loss.set(xlabel="epoch", ylabel="loss of the fused prediction")
    gates.set(xlabel="epoch", ylabel="share of open gates", ylim=(-0.03, 1.03))
    for axes in (loss, gates):
        axes.locator_params(axis="x", integer=True)
        axes.legend(frameon=False)
    beside = path.with_name(f".{path.name}.tmp")
    figure.savefig(beside, format="png", dpi=120)
    beside.replace(path)
