"""Where a model runs, in which precision and in how many processes, by accelerate."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mimdata.mim.model import Mim
from mimdata.pipeline.errors import MimdataError

MIXED = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}  # our names for what accelerate calls mixed precision


@dataclass(frozen=True)
class Place:
    """One process of a training.

    prepare: puts a model on the device, under the precision. scaler: scales losses for fp16, else None.
    process: which of `processes` this is; the first writes and speaks.

    The model is not wrapped for data parallelism: its wrapper sums gradients in hooks of backward(), and both sets
    of gradients are taken by torch.autograd.grad, which calls no hooks. `add_up` sums them instead.
    """

    device: torch.device
    prepare: Callable[[Mim], Mim]
    scaler: torch.amp.GradScaler | None = None
    process: int = 0
    processes: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.process == 0

    def add_up(self, tensors: list[Tensor]) -> list[Tensor]:
        """The sum of each tensor over all processes."""
        if self.processes == 1:
            return tensors
        whole = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(whole)
        parts = torch.split(whole, [tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def from_first(self, value: Any) -> Any:
        """What the first process has here."""
        if self.processes == 1:
            return value
        from accelerate.utils import broadcast_object_list

        held = [value]
        broadcast_object_list(held)
        return held[0]

    def from_all(self, value: Any) -> list[Any]:
        """What each process has here, in their order."""
        if self.processes == 1:
            return [value]
        held: list[Any] = [None] * self.processes
        torch.distributed.all_gather_object(held, value)
        return held


def accelerated(device: str, precision: str) -> Place:
    """The place for "auto", "cpu" or "cuda" and "fp32", "bf16" or "fp16".

    As many processes as `torchrun` or `accelerate launch` started. Raises MimdataError for a GPU that is
    not there, and for fp16 without one.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    if device == "cuda" and not torch.cuda.is_available():
        raise MimdataError("device cuda was asked for, and torch sees no GPU: use --device auto or cpu")
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if precision == "fp16" and on_cpu:
        raise MimdataError("precision fp16 needs a GPU, and this runs on the CPU: use bf16 or fp32")
    # Accelerate keeps one state a process, and would refuse a second run of another precision or device.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=on_cpu, mixed_precision=MIXED[precision])

    def prepare(model: Mim) -> Mim:
        prepared: Mim = accelerator.prepare_model(model, evaluation_mode=True)
        return prepared

    return Place(
        accelerator.device,
        prepare,
        accelerator.scaler,
        accelerator.process_index,
        accelerator.num_processes,
    )


@contextmanager
def repeatable(asked: bool) -> Iterator[None]:
    """Within it, if asked, operations that do not repeat exactly on a GPU raise instead."""
    before = torch.are_deterministic_algorithms_enabled()
    if asked:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to repeat itself
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def among_processes() -> Iterator[None]:
    """After it, the processes that train together have let go of each other.

    gloo's threads free the tensors of the last exchange after it is over, and need the interpreter for that: one that
    asks for it while the interpreter ends aborts the process. A short sleep hands it to them.
    """
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
            time.sleep(0.1)
