"""Utterances of decoded blocks as one padded batch: each number is copied once, into memory that a GPU can fetch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mimdata.mim.batch import Batch, TokenBatch
from mimdata.mim.blocks import Block

Place = tuple[Block, int]  # an utterance: its block, and its number there


def collate(
    places: Sequence[Place], dims: Mapping[str, int], steps: int, *, fixed: bool, tokens: bool, pin: bool
) -> Batch:
    """One batch of some utterances, each cut to its first `steps` words; zero and False beyond each one's end.

    fixed: pad to `steps`, else to the longest of them. Word pieces of words that were cut are left out.
    """
    spans = [(b, int(b.first[i]), min(int(b.first[i + 1] - b.first[i]), steps)) for b, i in places]
    lengths = [n for _, _, n in spans]
    whole = steps if fixed else max([1, *lengths])
    shape = len(places), whole
    values = {m: torch.empty(*shape, d, pin_memory=pin) for m, d in dims.items()}
    valid = {m: torch.zeros(shape, dtype=torch.bool, pin_memory=pin) for m in dims}
    for m in dims:
        numbers, mask = values[m].numpy(), valid[m].numpy()
        for i, (block, begin, n) in enumerate(spans):
            numbers[i, :n] = block.values[m][begin : begin + n]
            numbers[i, n:] = 0
            mask[i, :n] = block.valid[m][begin : begin + n]

    def tensor(made: Tensor) -> Tensor:
        return made.pin_memory() if pin else made

    return Batch(
        values,
        valid,
        tensor(torch.tensor(lengths, dtype=torch.int64)),
        tensor(torch.from_numpy(np.array([b.sentiment[i] for b, i in places], np.float32))),
        tensor(torch.from_numpy(np.stack([b.emotions[i] for b, i in places]))),
        tuple(b.clip_ids[i].as_py() for b, i in places),
        _tokens(places, steps, pin=pin) if tokens else None,
    )


def _tokens(places: Sequence[Place], limit: int, *, pin: bool) -> TokenBatch:
    spans = [(b, slice(int(b.token_first[i]), int(b.token_first[i + 1]))) for b, i in places]
    # Pieces of words that were cut go too, so that the encoder reads what the other modalities read.
    read = [b.token_steps[span] < limit for b, span in spans]
    pieces = [int(mask.sum()) for mask in read]
    shape = len(places), max([1, *pieces])
    ids, steps = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    for i, ((block, span), mask) in enumerate(zip(spans, read, strict=True)):
        ids[i, : pieces[i]] = block.token_ids[span][mask]
        steps[i, : pieces[i]] = block.token_steps[span][mask]
    made = [ids, steps, np.arange(shape[1]) < np.array(pieces)[:, None]]
    ids_, steps_, real = (torch.from_numpy(a).pin_memory() if pin else torch.from_numpy(a) for a in made)
    return TokenBatch(ids_, real, steps_, int(ids.max(initial=0)))
