"""What the model reads: one batch of utterances as padded tensors and masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenBatch:
    """Word pieces of a batch, for a text encoder that is trained with the model.

    ids (B, K) int64 vocabulary ids; real (B, K) bool, False on padding; steps (B, K) int64: the time step
    that each piece belongs to, −1 for [CLS], [SEP] and padding, which therefore belong to no word. largest: the
    highest id, which the host keeps, so that checking it does not wait for a GPU; found when it is not given.
    """

    ids: Tensor
    real: Tensor
    steps: Tensor
    largest: int | None = None

    def __post_init__(self) -> None:
        if self.largest is None:
            object.__setattr__(self, "largest", int(self.ids.max()))


@dataclass(frozen=True)
class Batch:
    """B utterances of at most L time steps (words, and pauses where the dataset keeps them).

    values {modality: (B, L, d) float32}, zero where not valid; valid {modality: (B, L) bool}, False on
    padding and on words that the modality has no value for; lengths (B,) int64 steps; sentiment (B,) and
    emotions (B, E) float32, NaN where there is no label; clip_ids B names; tokens where they are asked for.
    """

    values: Mapping[str, Tensor]
    valid: Mapping[str, Tensor]
    lengths: Tensor
    sentiment: Tensor
    emotions: Tensor
    clip_ids: tuple[str, ...]
    tokens: TokenBatch | None = None

    def __len__(self) -> int:
        return len(self.clip_ids)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device; copies from pinned memory do not block."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        tokens = self.tokens and TokenBatch(
            move(self.tokens.ids), move(self.tokens.real), move(self.tokens.steps), self.tokens.largest
        )
        return Batch(
            {name: move(tensor) for name, tensor in self.values.items()},
            {name: move(tensor) for name, tensor in self.valid.items()},
            move(self.lengths),
            move(self.sentiment),
            move(self.emotions),
            self.clip_ids,
            tokens,
        )
