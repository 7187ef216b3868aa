"""Where a model runs and in which precision, by accelerate; and whether a GPU must repeat itself exactly."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from mimdata.mim.model import Mim
from mimdata.pipeline.errors import MimdataError

MIXED = {"fp32": "no", "bf16": "bf16"}  # our names for what accelerate calls mixed precision


def accelerated(device: str, precision: str) -> tuple[torch.device, Callable[[Mim], Mim]]:
    """The device ("auto", "cpu" or "cuda"), and what puts a model there under a precision ("fp32" or "bf16").

    Raises MimdataError for a GPU that is not there, and for more than one process.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    if device == "cuda" and not torch.cuda.is_available():
        raise MimdataError("device cuda was asked for, and torch sees no GPU: use --device auto or cpu")
    # Accelerate keeps one state a process, and would refuse a second run of another precision or device.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=MIXED[precision])
    if accelerator.num_processes > 1:
        raise MimdataError("training runs in one process: start `mimdata train` without accelerate launch")
    return accelerator.device, accelerator.prepare_model


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
