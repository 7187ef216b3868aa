"""The most probable path of a known text through a CTC model's emissions: exact, and in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.records import Bool, Float32

MOST_KEPT = 32 * 2**20  # bytes of moves; more frames than that are walked twice, from marks on the way

Indices = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Moves = npt.NDArray[np.int8]


@dataclass(frozen=True)
class BestPath:
    """Which symbol each frame belongs to: symbols (t,), −1 for blank; and the path's log-probability."""

    symbols: Indices
    score: float


def best_path(
    log_probs: Float32 | Scores,
    symbols: Indices,
    blank: int,
    optional: Bool | None = None,
    most_kept: int = MOST_KEPT,
) -> BestPath | None:
    """log_probs (t, v) and the symbols (n,) of a text, columns of them → the best path; None if there is none.

    Each frame gives one symbol or blank; equal symbols in a row need a blank between them, and frames are needed for
    all. A symbol for which `optional` (n,) is True may be left out; it is neither the first nor the last, nor beside
    another. Of equally good paths the one that is further along, at the last frame where they differ.
    Takes t × n steps; keeps `most_kept` bytes and the square root of what it did not keep.
    """
    leave_out = np.zeros(len(symbols), np.bool_) if optional is None else optional
    if leave_out[:1].any() or leave_out[-1:].any() or (leave_out[1:] & leave_out[:-1]).any():
        raise ValueError("an optional symbol must have a neighbour on both sides that is not")
    if len(log_probs) < np.count_nonzero(~leave_out):
        return None
    if not len(log_probs):
        return BestPath(np.zeros(0, np.int64), 0.0)
    found = _walk(_Trellis(log_probs, symbols, blank, leave_out), most_kept)
    if found is None:
        return None
    states, score = found
    return BestPath(np.where(states % 2 == 1, states // 2, -1), score)


def _walk(trellis: _Trellis, most_kept: int) -> tuple[Indices, float] | None:
    """The best path's states (t,) and its score.

    The moves of one block of frames at a time are kept; an earlier block is computed again from the scores at its
    beginning when the way back reaches it.
    """
    frames = len(trellis.log_probs)
    size = max(1, most_kept // trellis.width)
    blocks = [(first, min(first + size, frames)) for first in range(1, frames, size)] or [(1, 1)]
    marks = [trellis.first()]
    for block in blocks[:-1]:
        marks.append(trellis.forward(marks[-1], block)[0])
    scores, moves = trellis.forward(marks[-1], blocks[-1], keep=True)
    ends = range(max(trellis.width - 2, 0), trellis.width)  # the last symbol, or the blank after it
    state = max(ends, key=lambda end: (scores[end], end))
    if scores[state] == -np.inf:
        return None
    states = np.empty(frames, np.int64)
    states[-1] = state
    for i in range(len(blocks) - 1, -1, -1):
        if i < len(blocks) - 1:
            _, moves = trellis.forward(marks[i], blocks[i], keep=True)
        _back(states, moves, blocks[i])
    return states, float(scores[state])


def _back(states: Indices, moves: Moves, block: tuple[int, int]) -> None:
    """From the state at a block's last frame to the one before its first, by the moves (frames, states) that led there."""
    first, last = block
    state = int(states[last - 1])
    for frame in range(last - 1, first - 1, -1):  # each needs the one after it; a look-up apiece
        state -= int(moves[frame - first, state])
        states[frame - 1] = state


class _Trellis:
    """States of a text: blank, first symbol, blank, second symbol, …, blank. A move goes 0 to 4 states further.

    One and two as everywhere in CTC; three and four pass over an optional symbol, from the blank before it and from
    the symbol before that.
    """

    def __init__(self, log_probs: Float32 | Scores, symbols: Indices, blank: int, optional: Bool) -> None:
        self.log_probs = log_probs
        self.width = 2 * len(symbols) + 1
        self._labels = np.full(self.width, blank, np.int64)
        self._labels[1::2] = symbols
        over = np.concatenate([[False], optional[:-1]])[: len(symbols)]
        # Into each symbol: what bars the move, as something to add.
        self._jumps = [(2, _barred(_differs(symbols, 1)))]
        if optional.any():
            self._jumps += [(3, _barred(over)), (4, _barred(over & _differs(symbols, 2)))]

    def first(self) -> Scores:
        """Scores (s,) at the first frame: in the first blank or the first symbol."""
        scores = np.full(self.width, -np.inf)
        scores[:2] = self.log_probs[0, self._labels[:2]]
        return scores

    def forward(self, scores: Scores, block: tuple[int, int], keep: bool = False) -> tuple[Scores, Moves]:
        """Scores (s,) before a block of frames [first, last) → at its end, and the moves (frames, s) if asked for."""
        first, last = block
        moves = np.zeros((last - first if keep else 1, self.width), np.int8)
        reach = np.full(4 + self.width, -np.inf)  # four states before the first, which nothing comes from
        for frame in range(first, last):  # each needs the one before it; all states at once
            reach[4:] = scores
            scores = self._step(reach, moves[frame - first if keep else 0])
            scores += self.log_probs[frame, self._labels]
        return scores, moves

    def _step(self, reach: Scores, moves: Moves) -> Scores:
        """Each state's best way in, of which ties take the shortest; its length is written into `moves` (s,)."""
        best = np.maximum(reach[4:], reach[3:-1])
        np.greater(reach[3:-1], reach[4:], out=moves, casting="unsafe")
        into, moved = best[1::2], moves[1::2]
        for length, barred in self._jumps:
            way = reach[4 - length : -length][1::2] + barred
            better = way > into
            np.copyto(into, way, where=better)
            np.copyto(moved, length, where=better, casting="unsafe")
        return best


def _differs(symbols: Indices, before: int) -> Bool:
    """(n,) whether a symbol is another than the one so many before it; False where there is none."""
    there: Bool = np.zeros(len(symbols), np.bool_)
    there[before:] = symbols[before:] != symbols[:-before]
    return there


def _barred(allowed: Bool) -> Scores:
    return np.where(allowed, 0.0, -np.inf)
