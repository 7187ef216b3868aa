"""The path of a text through emissions, against a search over all that the frames could say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimdata.pipeline.alignment.ctc_viterbi import BestPath, best_path

BLANK = 0


def texts(symbols: Sequence[int], optional: Sequence[bool]) -> Iterator[tuple[int, ...]]:
    """The positions of the symbols that are said: with and without each that may be left out."""
    for left_out in product(*[(False, True) if one else (False,) for one in optional]):
        yield tuple(i for i, gone in enumerate(left_out) if not gone)


def alignments(frames: int, symbols: Sequence[int], optional: Sequence[bool]) -> Iterator[tuple[int, ...]]:
    """Every way to give `frames` frames to the text, by CTC's own rule: which position each is, or −1 for blank."""
    for said in texts(symbols, optional):
        for way in product((-1, *said), repeat=frames):
            labels = [BLANK if i < 0 else symbols[i] for i in way]
            merged = [label for k, label in enumerate(labels) if k == 0 or labels[k - 1] != label]
            order = [i for k, i in enumerate(way) if i >= 0 and (k == 0 or way[k - 1] != i)]
            if order == list(said) and [m for m in merged if m != BLANK] == [symbols[i] for i in said]:
                yield way


def score_of(log_probs: np.ndarray, symbols: Sequence[int], way: Sequence[int]) -> float:
    return float(sum(log_probs[t, BLANK if i < 0 else symbols[i]] for t, i in enumerate(way)))


def progress(way: Sequence[int]) -> tuple[int, ...]:
    """How far along a way is, from its last frame back: blanks count between the symbols."""
    states, last = [], -1
    for i in way:
        last = max(last, i)
        states.append(2 * i + 1 if i >= 0 else 2 * last + 2)
    return tuple(reversed(states))


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, list[int], list[bool]]:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames, n = int(random.integers(0, 7)), int(random.integers(0, 5))  # drawn ones would be small
    symbols = random.integers(1, 4, n).tolist()
    optional = [False] * n
    for i in range(1, n - 1):
        optional[i] = not optional[i - 1] and bool(random.integers(2))
    whole = draw(st.booleans())  # whole numbers make ties
    log_probs = random.integers(-3, 1, (frames, 4)) if whole else random.uniform(-20, 0, (frames, 4))
    return log_probs.astype(np.float64), symbols, optional


@settings(max_examples=200, deadline=None)
@given(problems(), st.sampled_from([1, 20, 2**20]))
def test_equals_the_search_over_all_alignments(
    problem: tuple[np.ndarray, list[int], list[bool]], kept: int
) -> None:
    log_probs, symbols, optional = problem
    found = best_path(log_probs, np.array(symbols, np.int64), BLANK, np.array(optional, np.bool_), kept)
    ways = {way: score_of(log_probs, symbols, way) for way in alignments(len(log_probs), symbols, optional)}
    if not ways:
        assert found is None
        return
    assert found is not None
    assert found.score == pytest.approx(max(ways.values()))
    assert ways[tuple(found.symbols.tolist())] == pytest.approx(found.score)
    if (log_probs == np.rint(log_probs)).all():
        best = [way for way, score in ways.items() if score == found.score]
        assert tuple(found.symbols.tolist()) == max(best, key=progress)


def emissions(frames: int, v: int = 30, seed: int = 0) -> np.ndarray:
    return np.log(np.random.default_rng(seed).dirichlet(np.ones(v), frames)).astype(np.float32)


def symbols_of(*symbols: int) -> np.ndarray:
    return np.array(symbols, np.int64)


def same(a: BestPath | None, b: BestPath | None) -> bool:
    return a is not None and b is not None and a.score == b.score and np.array_equal(a.symbols, b.symbols)


def test_more_symbols_than_frames_have_no_path() -> None:
    assert best_path(emissions(3), symbols_of(1, 2, 3, 4), BLANK) is None
    assert best_path(emissions(0), symbols_of(1), BLANK) is None


def test_equal_symbols_in_a_row_need_a_frame_between() -> None:
    assert best_path(emissions(2), symbols_of(1, 1), BLANK) is None
    found = best_path(emissions(3), symbols_of(1, 1), BLANK)
    assert found is not None
    assert found.symbols.tolist() == [0, -1, 1]


def test_what_the_model_rules_out_has_no_path() -> None:
    log_probs = np.zeros((5, 3))
    log_probs[:, 2] = -np.inf
    assert best_path(log_probs, symbols_of(1, 2), BLANK) is None


def test_no_text_is_all_blank() -> None:
    found = best_path(np.full((4, 2), -1.0), symbols_of(), BLANK)
    assert found is not None
    assert found.symbols.tolist() == [-1] * 4
    assert found.score == -4
    assert same(best_path(emissions(0), symbols_of(), BLANK), BestPath(symbols_of(), 0.0))


def test_of_equal_paths_symbols_come_as_early_as_they_can() -> None:
    found = best_path(np.zeros((5, 3)), symbols_of(1, 2), BLANK)
    assert found is not None
    assert found.symbols.tolist() == [0, 1, -1, -1, -1]


@pytest.mark.parametrize("optional", [[True, False], [False, True], [False, True, True, False]])
def test_a_symbol_at_an_end_cannot_be_left_out(optional: list[bool]) -> None:
    with pytest.raises(ValueError, match="neighbour on both sides"):
        best_path(emissions(9), np.arange(1, len(optional) + 1), BLANK, np.array(optional))


def test_memory_is_bounded_and_changes_nothing() -> None:
    log_probs, symbols = emissions(1200), np.random.default_rng(1).integers(1, 30, 300)
    optional = np.arange(300) % 5 == 2
    whole = best_path(log_probs, symbols, BLANK, optional)
    for kept in (1, 601 * 7, 601 * 1199, 601 * 1200):
        assert same(best_path(log_probs, symbols, BLANK, optional, kept), whole)


def test_planted_intervals_are_found_exactly() -> None:
    random = np.random.default_rng(2)
    truth = np.repeat(np.arange(40), random.integers(1, 9, 40))
    truth = np.concatenate([np.full(15, -1), truth, np.full(20, -1)])
    symbols = np.arange(40) % 7 + 1
    log_probs = np.full((len(truth), 8), np.log(0.02), np.float32)
    log_probs[np.arange(len(truth)), np.where(truth < 0, BLANK, symbols[truth])] = np.log(0.86)
    found = best_path(log_probs, symbols, BLANK)
    assert found is not None
    assert found.symbols.tolist() == truth.tolist()
