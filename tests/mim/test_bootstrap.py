"""Bootstrap intervals: the measures of a draw are those of metrics.py; intervals against scipy's and theory."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from mimdata.mim.bootstrap import drawn_measures, draws, intervals, measured, summed_measures
from mimdata.mim.metrics import task_scores

EMOTIONS = ("happy", "sad")
# Few different values, so that constant predictions, zero labels and single classes come up often.
LEVELS = st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.5, 1.5, 3.2])


def agree(p: np.ndarray, y: np.ndarray, task: str, counts: np.ndarray) -> None:
    """The measures of a draw by sums, and by metrics.py on the utterances written out as often as they count."""
    emotions = EMOTIONS if task == "emotions" else ()
    found = measured(
        summed_measures(torch.tensor(p), torch.tensor(y), task, emotions), counts[None], emotions
    )
    written = np.repeat(np.arange(len(p)), counts.astype(int))
    scores = task_scores(torch.tensor(p[written]), torch.tensor(y[written]), task, emotions)
    assert set(found) == set(scores.values)
    for name, value in scores.values.items():
        if value is None:
            assert np.isnan(found[name][0]), name
        else:
            assert found[name][0] == pytest.approx(value, abs=1e-6), name  # torchmetrics' F1 is float32


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(LEVELS, LEVELS, st.integers(0, 3)), min_size=1, max_size=9).filter(
        lambda r: any(c for *_, c in r)
    )
)
def test_sentiment_of_a_draw_is_what_metrics_say(rows: list[tuple[float, float, int]]) -> None:
    p, y, counts = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    agree(p[:, None], y[:, None], "sentiment", counts)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(LEVELS, LEVELS, *[st.sampled_from([0.0, 1.0, np.nan])] * 2, st.integers(1, 3)),
        min_size=1,
        max_size=8,
    )
)
def test_emotions_of_a_draw_are_what_metrics_say(rows: list[tuple[float, ...]]) -> None:
    table = np.array(rows, np.float64)
    agree(table[:, :2], table[:, 2:4], "emotions", table[:, 4])


def test_draws_count_n_utterances_each_equally_often() -> None:
    counts = draws(np.random.default_rng(1), 50, 4000)
    assert counts.shape == (4000, 50)
    assert (counts.sum(1) == 50).all()
    assert counts.mean(0) == pytest.approx(np.ones(50), abs=5 / np.sqrt(4000))
    assert counts.var() == pytest.approx(1 - 1 / 50, rel=0.03)  # of a multinomial count


def pair(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    y = np.round(random.uniform(-3, 3, n) * 3) / 3
    return torch.tensor(y + random.normal(size=n))[:, None], torch.tensor(y)[:, None]


def test_intervals_against_scipys_bootstrap_and_the_normal_approximation() -> None:
    p, y = pair(400)
    found = intervals(p, y, "sentiment", (), 4000)
    error = (p - y).abs().numpy().ravel()
    scipys = bootstrap((error,), np.mean, n_resamples=4000, method="percentile", rng=0).confidence_interval
    assert found["mae"] == pytest.approx(tuple(scipys), abs=0.01)
    width = 1.96 * error.std() / np.sqrt(400)
    assert found["mae"] == pytest.approx((error.mean() - width, error.mean() + width), abs=0.01)

    def corr(a: Any, b: Any) -> Any:
        return np.corrcoef(a, b)[0, 1]

    both = (p.numpy().ravel(), y.numpy().ravel())
    paired = bootstrap(
        both, corr, n_resamples=2000, method="percentile", paired=True, vectorized=False, rng=0
    )
    assert found["corr"] == pytest.approx(tuple(paired.confidence_interval), abs=0.01)


def test_nine_of_ten_intervals_and_more_hold_the_truth() -> None:
    """95% intervals of the mean absolute error, whose true value is that of |N(0, 1)|, √(2/π)."""
    held = 0
    for seed in range(200):
        low, high = intervals(*pair(150, seed), "sentiment", (), 400)["mae"] or (9.0, 9.0)
        held += low <= np.sqrt(2 / np.pi) <= high
    assert 0.90 <= held / 200 <= 0.99


def test_every_measure_lies_in_its_interval_and_equal_predictions_have_equal_intervals() -> None:
    p, y = pair(229)
    found, scores = intervals(p, y, "sentiment", ()), task_scores(p, y, "sentiment", ())
    assert set(found) == set(scores.values)
    for name, value in scores.values.items():
        low, high = found[name] or (np.nan, np.nan)
        assert low < float(value or np.nan) < high, name
    assert intervals(p, y, "sentiment", ()) == found


def test_more_draws_than_are_held_at_once_are_all_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    p, y = pair(40)
    whole = drawn_measures(p, y, "sentiment", (), 50)
    monkeypatch.setattr("mimdata.mim.bootstrap.HELD", 40 * 7)
    parts = drawn_measures(p, y, "sentiment", (), 50)
    for name, values in whole.items():
        assert parts[name] == pytest.approx(values, abs=1e-12, nan_ok=True)


def test_a_measure_that_many_draws_lack_has_no_interval() -> None:
    y = torch.tensor([[1.0]] + [[0.0]] * 9)  # the one that is not zero is missing in a third of the draws
    found = intervals(torch.linspace(-1, 1, 10)[:, None], y, "sentiment", ())
    assert found["acc2_non0"] is None
    assert found["magbert_corr"] is None
    assert found["mae"] is not None
    constant = intervals(torch.full((10, 1), 0.3), torch.linspace(-3, 3, 10)[:, None], "sentiment", ())
    assert constant["corr"] is None
    assert intervals(torch.zeros(0, 1), torch.zeros(0, 1), "sentiment", ()) == {}


def test_five_thousand_utterances_take_less_than_a_second() -> None:
    p, y = pair(5000)
    began = time.perf_counter()
    intervals(p, y, "sentiment", ())
    assert time.perf_counter() - began < 1
