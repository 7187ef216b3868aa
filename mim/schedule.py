"""How the learning rates change over a training: a factor for each update. Imports no torch.

    warm-up     k / (warmup · n)                           for the first warmup · n of n updates
    constant    1
    linear      (n − k) / (n − warmup · n)                 down to 0
    cosine      ½ (1 + cos(π (k − warmup · n) / (n − warmup · n)))

A factor follows from the number of the update alone, so a run that goes on needs no state of it.
"""

from __future__ import annotations

import math


def factor(schedule: str, warmup: float, update: int, updates: int) -> float:
    """The factor of the update-th of `updates`, counted from 1; `warmup` is a share of all."""
    rising = warmup * updates
    if update < rising:
        return update / rising
    done = (update - rising) / max(updates - rising, 1)
    if schedule == "linear":
        return max(1 - done, 0.0)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return 1.0
