"""Dropout on the CPU from 16 random bits an element: a fourth of the time of torch's, which draws a double each."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 2**16  # values of 16 bits: rates are met to 1 / 65536
LOWEST = -(2**15)


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """x with each element zeroed by chance `rate`, the others divided by 1 − rate; x itself when not training.

    Draws from torch's generator. On a GPU, and inside torch.compile, it is torch's own.
    """
    if not training or rate == 0:
        return x
    if x.device.type != "cpu" or rate == 1 or torch.compiler.is_compiling():
        return functional.dropout(x, rate, training)
    count = x.numel()
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[:count].view(x.shape)
    scale = (bits >= round(rate * LEVELS) + LOWEST).to(x.dtype).mul_(1 / (1 - rate))
    return x * scale
