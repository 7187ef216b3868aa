"""Utterances of decoded blocks as one padded batch, gathered at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mimdata.mim.batch import Batch, TokenBatch
from mimdata.mim.blocks import Block, Int64, Place, joined
from mimdata.mim.memory import Memory


def collate(
    places: Sequence[Place], dims: Mapping[str, int], steps: int, *, fixed: bool, tokens: bool, memory: Memory
) -> Batch:
    """One batch of some utterances, each cut to its first `steps` words; zero and False beyond each one's end.

    fixed: pad to `steps`, else to the longest of them. Word pieces of words that were cut are left out.
    """
    block, rows = joined(places)
    first = block.first[rows]
    lengths = np.minimum(block.first[rows + 1] - first, steps)
    whole = steps if fixed else max(1, int(lengths.max()))
    real = np.arange(whole) < lengths[:, None]
    padding = ~real
    # Where a step has no word, any word of the block is read, and then wiped out.
    source = np.where(real, first[:, None] + np.arange(whole), 0).reshape(-1)
    values = {m: memory.floats((*real.shape, d)) for m, d in dims.items()}
    valid = {m: np.zeros(real.shape, np.bool_) for m in dims}
    for m in dims:
        numbers = values[m].numpy()
        if len(block.valid[m]):
            # "clip" checks no index, which "raise" does by way of a second copy.
            np.take(block.values[m], source, axis=0, out=numbers.reshape(-1, dims[m]), mode="clip")
            np.take(block.valid[m], source, out=valid[m].reshape(-1), mode="clip")
        numbers[padding] = 0
        valid[m][padding] = False
    return Batch(
        values,
        {m: memory.holding(mask) for m, mask in valid.items()},
        memory.holding(lengths),
        memory.holding(block.sentiment[rows]),
        memory.holding(block.emotions[rows]),
        tuple(block.clip_ids.take(rows).to_pylist()),
        _tokens(block, rows, steps, memory) if tokens else None,
    )


def _tokens(block: Block, rows: Int64, limit: int, memory: Memory) -> TokenBatch:
    pieces = np.diff(block.token_first)[rows]
    row = np.repeat(np.arange(len(rows)), pieces)
    source = np.repeat(block.token_first[rows], pieces) + _counted(pieces)
    # Pieces of words that were cut go too, so that the encoder reads what the other modalities read.
    read = block.token_steps[source] < limit
    row, source = row[read], source[read]
    pieces = np.bincount(row, minlength=len(rows))
    shape = len(rows), max(1, int(pieces.max()))
    ids, steps = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
    at = row, _counted(pieces)
    ids[at], steps[at] = block.token_ids[source], block.token_steps[source]
    real = np.arange(shape[1]) < pieces[:, None]
    return TokenBatch(memory.holding(ids), memory.holding(real), memory.holding(steps), int(ids.max()))


def _counted(lengths: Int64) -> Int64:
    """0, 1, … of each of some runs, one run after another."""
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)
