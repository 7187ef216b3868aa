"""Pooling: what each word gets of the frames and word pieces it overlaps."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimdata.pipeline.alignment.pool import SDK_SLIVER, SLIVER, Pooled, Weights, pool, pool_tokens
from mimdata.pipeline.records import Float32, Reason, Tokens, Track


def track_of(times: object, values: object, invalid: tuple[int, ...] = ()) -> Track:
    held = np.asarray(values, np.float32).reshape(len(np.asarray(times)), -1).copy()
    reason = np.zeros(len(held), np.uint8)
    reason[list(invalid)] = Reason.NO_FACE
    held[list(invalid)] = 0
    return Track(np.asarray(times, np.float32).reshape(-1, 2), held, reason)


def intervals_of(*pairs: tuple[float, float]) -> Float32:
    return np.asarray(pairs, np.float32).reshape(-1, 2)


SECONDS = [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_frames_count_by_the_time_they_share_with_the_word() -> None:
    pooled = pool(track_of(SECONDS, [0, 4, 8, 100]), intervals_of((0.5, 2.25)))
    # 0.5 s of 0, 1 s of 4, 0.25 s of 8 in 1.75 s
    mean = (0.5 * 0 + 1 * 4 + 0.25 * 8) / 1.75
    variance = (0.5 * (0 - mean) ** 2 + (4 - mean) ** 2 + 0.25 * (8 - mean) ** 2) / 1.75
    assert pooled.statistics["mean"][0, 0] == np.float32(mean)
    assert pooled.statistics["std"][0, 0] == pytest.approx(variance**0.5, rel=1e-6)
    assert pooled.statistics["max"][0, 0] == 8
    assert pooled.frames.tolist() == [3]
    assert pooled.valid.tolist() == [True]
    assert pooled.nearest.tolist() == [False]


def test_plain_mean_counts_every_intersecting_frame_alike() -> None:
    pooled = pool(track_of(SECONDS, [0, 4, 8, 100]), intervals_of((0.5, 2.25), (1.9, 2.1)), weights="mean")
    assert pooled.statistics["mean"][:, 0].tolist() == [4.0, 6.0]
    assert pooled.frames.tolist() == [3, 2]
    assert not pooled.nearest.any()


def test_plain_mean_leaves_out_what_the_sdk_takes_for_no_overlap() -> None:
    track, words = track_of(SECONDS, [0, 4, 8, 100]), intervals_of((0.9995, 2.002), (1.9995, 2.0005))
    plain = pool(track, words, weights="mean")
    assert plain.frames.tolist() == [2, 0]
    assert plain.statistics["mean"][0, 0] == 6
    assert pool(track, words).frames.tolist() == [3, 1]


def test_word_shorter_than_a_frame_takes_the_nearest_and_says_so() -> None:
    track = track_of(SECONDS, [1, 2, 3, 4])
    pooled = pool(track, intervals_of((1.4, 1.5), (1.9, 2.3), (0, 1), (1.5, 2.5)))
    assert pooled.nearest.tolist() == [True, True, False, False]
    assert pooled.statistics["mean"][:, 0].tolist() == [2.0, 3.0, 1.0, 2.5]
    assert pooled.statistics["std"][:2, 0].tolist() == [0.0, 0.0]
    assert pooled.frames.tolist() == [1, 1, 1, 2]


def test_invalid_frames_do_not_count() -> None:
    track = track_of(SECONDS, [1, 50, 3, 4], invalid=(1, 3))
    pooled = pool(track, intervals_of((0, 3), (1.1, 1.9), (0.5, 1.6), (3, 4)))
    assert pooled.statistics["mean"][:, 0].tolist() == [2.0, 0.0, 1.0, 0.0]
    assert pooled.valid.tolist() == [True, False, True, False]
    assert pooled.frames.tolist() == [2, 0, 1, 0]


def test_empty_intervals_and_words_outside_the_track_are_not_valid() -> None:
    pooled = pool(track_of(SECONDS, [1, 2, 3, 4]), intervals_of((1, 1), (1.5, 1.5), (4, 5), (9, 10), (2, 3)))
    assert pooled.valid.tolist() == [False, False, False, False, True]
    assert pooled.statistics["mean"][:, 0].tolist() == [0, 0, 0, 0, 3]
    assert pooled.frames.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("words", [0, 3])
def test_track_without_frames_leaves_every_word_invalid(words: int) -> None:
    pooled = pool(Track.empty(5, "no audio track"), np.tile(np.float32([0, 1]), (words, 1)))
    assert pooled.statistics["mean"].shape == (words, 5)
    assert pooled.statistics["std"].dtype == np.float32
    assert not pooled.valid.any()


def test_no_words_give_no_rows() -> None:
    pooled = pool(track_of(SECONDS, [1, 2, 3, 4]), intervals_of())
    assert pooled.statistics["max"].shape == (0, 1)
    assert pooled.frames.shape == pooled.valid.shape == pooled.nearest.shape == (0,)


def test_rounding_of_times_brings_no_frame_into_a_word() -> None:
    ten_ms = np.arange(6001) * 0.01
    track = track_of(np.stack([ten_ms[:-1], ten_ms[1:]], 1), np.arange(6000))
    words = intervals_of(*((i / 10, (i + 1) / 10) for i in range(0, 599)))
    assert set(pool(track, words).frames.tolist()) == {10}


def test_only_the_asked_statistics_are_computed() -> None:
    pooled = pool(track_of(SECONDS, [1, 2, 3, 4]), intervals_of((0, 2)), statistics=("max",))
    assert list(pooled.statistics) == ["max"]


def test_unknown_statistic_or_weighting_is_refused() -> None:
    track = track_of(SECONDS, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="median"):
        pool(track, intervals_of((0, 1)), statistics=("median",))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sum"):
        pool(track, intervals_of((0, 1)), weights="sum")  # type: ignore[arg-type]


def reference(track: Track, intervals: Float32, weights: Weights) -> Pooled:
    """The definition, word by word and frame by frame."""
    d = track.values.shape[1]
    w = len(intervals)
    out = {name: np.zeros((w, d)) for name in ("mean", "std", "max")}
    frames, nearest = np.zeros(w, np.int32), np.zeros(w, np.bool_)
    for i, (a, b) in enumerate(intervals.astype(float).tolist()):
        chosen = []
        for k, (s, e) in enumerate(track.times.astype(float).tolist()):
            shared = min(b, e) - max(a, s)
            if track.valid[k] and shared > (SLIVER if weights == "overlap" else SDK_SLIVER):
                chosen.append((k, shared, e - s, abs((s + e) / 2 - (a + b) / 2)))
        if not chosen:
            continue
        if weights == "overlap" and all(b - a <= length - SLIVER for _, _, length, _ in chosen):
            nearest[i] = True
            chosen = [min(chosen, key=lambda c: (c[3], c[0]))]
        share = np.array([c[1] if weights == "overlap" else 1.0 for c in chosen])[:, None]
        x = track.values[[c[0] for c in chosen]].astype(float)
        out["mean"][i] = (x * share).sum(0) / share.sum()
        out["std"][i] = np.sqrt((share * (x - out["mean"][i]) ** 2).sum(0) / share.sum())
        out["max"][i] = x.max(0)
        frames[i] = len(chosen)
    return Pooled({k: v.astype(np.float32) for k, v in out.items()}, frames, frames > 0, nearest)


@st.composite
def tracks(draw: st.DrawFn, constant: bool = False) -> Track:
    n, d = draw(st.integers(0, 12)), draw(st.integers(1, 3))
    starts = np.cumsum([draw(st.integers(0, 20)) for _ in range(n)]) / 16  # exact in float32
    lengths = np.array([draw(st.integers(1, 40)) for _ in range(n)]) / 16  # frames overlap and leave gaps
    number = st.floats(-1e6, 1e6, width=32)
    if constant:
        values = np.tile([draw(number) for _ in range(d)], (n, 1))
    else:
        values = np.array([[draw(number) for _ in range(d)] for _ in range(n)]).reshape(n, d)
    invalid = tuple(i for i in range(n) if draw(st.integers(0, 4)) == 0)
    times = np.stack([starts, starts + lengths], 1).reshape(n, 2)
    reason = np.zeros(n, np.uint8)
    reason[list(invalid)] = Reason.NO_FACE
    values = np.where((reason == 0)[:, None], values, 0).astype(np.float32)
    return Track(times.astype(np.float32), values, reason)


spans = st.lists(st.tuples(st.integers(0, 250), st.integers(0, 60)), max_size=8).map(
    lambda drawn: np.asarray([(a / 16, (a + n) / 16) for a, n in drawn], np.float32).reshape(-1, 2)
)
weightings: st.SearchStrategy[Weights] = st.sampled_from(["overlap", "mean"])


@settings(max_examples=150, deadline=None)
@given(tracks(), spans, weightings)
def test_equals_the_definition_frame_by_frame(track: Track, words: Float32, weights: Weights) -> None:
    pooled, expected = pool(track, words, weights=weights), reference(track, words, weights)
    assert pooled.frames.tolist() == expected.frames.tolist()
    assert pooled.nearest.tolist() == expected.nearest.tolist()
    assert pooled.valid.tolist() == expected.valid.tolist()
    for name in ("mean", "std", "max"):
        np.testing.assert_allclose(
            pooled.statistics[name], expected.statistics[name], rtol=1e-6, atol=1e-3, err_msg=name
        )


@settings(max_examples=100, deadline=None)
@given(tracks(constant=True), spans, weightings)
def test_constant_track_is_conserved_exactly(track: Track, words: Float32, weights: Weights) -> None:
    pooled = pool(track, words, weights=weights)
    constant = track.values[track.valid][:1].repeat(pooled.valid.sum(), axis=0)
    assert np.array_equal(pooled.statistics["mean"][pooled.valid], constant)
    assert np.array_equal(pooled.statistics["max"][pooled.valid], constant)
    assert not pooled.statistics["std"].any()


@settings(max_examples=50, deadline=None)
@given(tracks(), spans, weightings, st.randoms())
def test_a_word_gets_the_same_bytes_whatever_its_neighbours(
    track: Track, words: Float32, weights: Weights, random: object
) -> None:
    order = np.random.default_rng(random.getrandbits(32)).permutation(len(words))  # type: ignore[attr-defined]
    straight, shuffled = pool(track, words, weights=weights), pool(track, words[order], weights=weights)
    for name in ("mean", "std", "max"):
        assert straight.statistics[name][order].tobytes() == shuffled.statistics[name].tobytes()


def test_precision_holds_on_a_long_track_far_from_zero() -> None:
    n = 200_000
    edges = np.arange(n + 1) / 128
    values = 1e6 + np.tile([0.0, 1.0], n // 2)
    pooled = pool(track_of(np.stack([edges[:-1], edges[1:]], 1), values), intervals_of((1500, 1501)))
    assert pooled.statistics["mean"][0, 0] == 1e6 + 0.5
    assert pooled.statistics["std"][0, 0] == 0.5


@pytest.mark.parametrize("weights", ["overlap", "mean"])
def test_longer_clips_run_no_more_python(weights: Weights) -> None:
    assert len({steps_of_python(seconds, weights) for seconds in (10, 60, 360)}) == 1


def steps_of_python(seconds: int, weights: Weights) -> int:
    """Lines run and functions called, here and in numpy, to pool so many seconds of speech."""
    edges = np.arange(100 * seconds + 1) / 100
    values = np.random.default_rng(0).standard_normal((100 * seconds, 3))
    track = track_of(np.stack([edges[:-1], edges[1:]], 1), values, invalid=tuple(range(0, 100 * seconds, 7)))
    starts = np.arange(0, seconds - 1, 0.4)
    words = np.stack([starts, starts + np.where(np.arange(len(starts)) % 5, 0.3, 0.004)], 1)
    steps = 0

    def count(*_: object) -> Any:
        nonlocal steps
        steps += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        pooled = pool(track, words.astype(np.float32), weights=weights)
    finally:
        sys.settrace(before)
    assert pooled.valid.sum() > seconds
    return steps


def test_word_pieces_are_averaged_and_special_tokens_left_out() -> None:
    tokens = Tokens(
        np.arange(6, dtype=np.int32),
        np.array([-1, 0, 0, 2, 2, -1], np.int32),
        np.array([[9, 9], [1, 2], [3, 4], [5, 5], [5, 5], [9, 9]], np.float32),
    )
    pooled = pool_tokens(tokens, 4)
    assert pooled.statistics["mean"].tolist() == [[2, 3], [0, 0], [5, 5], [0, 0]]
    assert pooled.frames.tolist() == [2, 0, 2, 0]
    assert pooled.valid.tolist() == [True, False, True, False]
    assert not pooled.nearest.any()


def test_no_word_pieces_leave_every_word_invalid() -> None:
    pooled = pool_tokens(
        Tokens(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 3), np.float32)), 2
    )
    assert pooled.statistics["mean"].shape == (2, 3)
    assert not pooled.valid.any()
