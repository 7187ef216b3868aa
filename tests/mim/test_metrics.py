"""Measures of sentiment and emotions against scikit-learn, scipy and numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, mean_absolute_error

from mimdata.mim.metrics import emotion_scores, sentiment_scores


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = np.round(random.uniform(-3, 3, 300) * 5) / 5
    y[:60] = 0  # a fifth of the labels, as in MOSEI
    p = np.clip(y + random.normal(0, 1, 300), -4, 4)
    p[60:70] = [0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0, 0, 3.5, -3.5]  # ties and exact zeros
    return p, y


def test_sentiment_measures_against_sklearn_and_scipy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = pair
    some = y != 0
    expected = {"mae": mean_absolute_error(y, p), "corr": pearsonr(p, y).statistic}
    for classes, limit in ((7, 3), (5, 2)):
        level = (np.round(np.clip(x, -limit, limit)) for x in (y, p))
        expected[f"acc{classes}"] = accuracy_score(*level)
    for name, predicted, true in (
        ("has0", p >= 0, y >= 0),
        ("non0", p[some] > 0, y[some] > 0),
    ):
        expected[f"acc2_{name}"] = accuracy_score(true, predicted)
        expected[f"f1_{name}"] = f1_score(true, predicted, average="weighted")
    expected["magbert_mae"] = mean_absolute_error(y[some], p[some])
    expected["magbert_corr"] = pearsonr(p[some], y[some]).statistic
    expected["magbert_acc2"] = accuracy_score(y[some] >= 0, p[some] >= 0)
    expected["magbert_f1"] = f1_score(y[some] >= 0, p[some] >= 0, average="weighted")
    scores = sentiment_scores(torch.tensor(p), torch.tensor(y))
    assert scores.values == pytest.approx(expected, abs=1e-6)
    assert scores.reasons == {}


def test_rounding_is_half_to_even() -> None:
    scores = sentiment_scores(torch.tensor([0.5, 1.5, 2.5, -0.5]), torch.tensor([0.0, 2.0, 2.0, 0.0]))
    assert scores.values["acc7"] == 1


def test_the_conventions_differ_where_predictions_are_zero() -> None:
    values = sentiment_scores(torch.tensor([0.0, 1.0, -1.0]), torch.tensor([1.0, 1.0, 0.0])).values
    assert values["acc2_non0"] == 0.5  # 0 > 0 is negative
    assert values["magbert_acc2"] == 1  # 0 ≥ 0 is positive
    assert values["acc2_has0"] == pytest.approx(2 / 3)


def test_constant_predictions_have_no_correlation_and_say_so() -> None:
    scores = sentiment_scores(torch.full((5,), 0.3), torch.tensor([1.0, -1, 2, 0, 3]))
    assert scores.values["corr"] is None
    assert "constant" in scores.reasons["corr"]
    assert scores.values["mae"] == pytest.approx(np.abs(0.3 - np.array([1, -1, 2, 0, 3])).mean())
    json.dumps(scores.values, allow_nan=False)


def test_labels_that_are_all_zero_leave_nothing_to_the_non_zero_conventions() -> None:
    scores = sentiment_scores(torch.rand(4), torch.zeros(4))
    nothing = {name for name, value in scores.values.items() if value is None}
    assert nothing == {
        "corr",
        "acc2_non0",
        "f1_non0",
        "magbert_mae",
        "magbert_corr",
        "magbert_acc2",
        "magbert_f1",
    }
    assert set(scores.reasons) == nothing


def test_emotions_against_sklearn() -> None:
    random = np.random.default_rng(1)
    logits, felt = random.normal(size=(50, 2)), (random.uniform(size=(50, 2)) > 0.6).astype(float)
    felt[:10, 1] = np.nan
    values = emotion_scores(torch.tensor(logits), torch.tensor(felt), ("happy", "sad")).values
    for i, (name, known) in enumerate((("happy", slice(None)), ("sad", slice(10, None)))):
        true, predicted = felt[known, i] > 0.5, logits[known, i] > 0
        assert values[f"acc_{name}"] == pytest.approx(accuracy_score(true, predicted))
        assert values[f"f1_{name}"] == pytest.approx(f1_score(true, predicted, average="weighted"), abs=1e-6)
    assert values["acc"] == pytest.approx((values["acc_happy"] + values["acc_sad"]) / 2)  # type: ignore[operator]


def test_presence_of_emotions_against_sklearn() -> None:
    random = np.random.default_rng(2)
    logits, felt = random.normal(size=(80, 3)), (random.uniform(size=(80, 3)) > 0.8).astype(float)
    names = ("happy", "sad", "fear")
    values = emotion_scores(torch.tensor(logits), torch.tensor(felt), names).values
    for i, name in enumerate(names):
        true, predicted = felt[:, i] > 0.5, logits[:, i] > 0
        assert values[f"wacc_{name}"] == pytest.approx(balanced_accuracy_score(true, predicted), abs=1e-6)
        assert values[f"f1pos_{name}"] == pytest.approx(f1_score(true, predicted), abs=1e-6)
    assert values["f1_macro"] == pytest.approx(f1_score(felt > 0.5, logits > 0, average="macro"), abs=1e-6)


def test_weighted_accuracy_is_moseis_formula() -> None:
    """(TP · N/P + TN) / 2N, Tong et al. 2017: 1 of 2 felt and 3 of 4 not felt are found."""
    felt = torch.tensor([[1.0], [1], [0], [0], [0], [0]])
    logits = torch.tensor([[1.0], [-1], [1], [-1], [-1], [-1]])
    values = emotion_scores(logits, felt, ("anger",)).values
    assert values["wacc_anger"] == pytest.approx((1 * 4 / 2 + 3) / 8)
    assert values["wacc"] == values["wacc_anger"]


def test_an_emotion_that_nobody_feels_has_no_recall_and_says_so() -> None:
    felt = torch.tensor([[0.0, 1], [0, 0], [0, 1]])
    scores = emotion_scores(torch.tensor([[-1.0, 1], [-1, -1], [-2, -1]]), felt, ("fear", "happy"))
    assert scores.values["acc_fear"] == 1
    assert scores.values["wacc_fear"] is None
    assert "one class" in scores.reasons["wacc_fear"]
    assert "neither" in scores.reasons["f1pos_fear"]
    assert scores.values["wacc"] == scores.values["wacc_happy"] == pytest.approx(0.75)
    assert scores.values["f1_macro"] == scores.values["f1pos_happy"] == pytest.approx(2 / 3)


def test_no_utterances_and_one_utterance_each_have_their_reason() -> None:
    nothing = sentiment_scores(torch.zeros(0), torch.zeros(0))
    assert set(nothing.values.values()) == {None}
    assert set(nothing.reasons.values()) == {"no utterances"}
    one = sentiment_scores(torch.tensor([1.0]), torch.tensor([2.0]))
    assert {name for name, value in one.values.items() if value is None} == {"corr", "magbert_corr"}
    assert "two utterances" in one.reasons["corr"]
    unlabelled = emotion_scores(torch.zeros(2, 1), torch.full((2, 1), torch.nan), ("sad",))
    assert set(unlabelled.values.values()) == {None}
    assert unlabelled.reasons["f1_macro"] == "no emotion has it"


def test_nearly_constant_predictions_correlate_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    y = torch.tensor([-1.0, 0, 2, 1], dtype=torch.float64)
    assert sentiment_scores(1 + 1e-6 * y, y).values["corr"] == pytest.approx(1)
    assert not recwarn.list


FINITE = st.floats(-4, 4, width=32)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE), max_size=6))
def test_a_measure_is_a_finite_number_or_none_with_a_reason(rows: list[tuple[float, float]]) -> None:
    p, y = (torch.tensor(rows, dtype=torch.float64).reshape(-1, 2)).unbind(1)
    for scores in (
        sentiment_scores(p, y),
        emotion_scores(p[:, None], (y[:, None] > 0).double(), ("joy",)),
    ):
        assert all(value is None or np.isfinite(value) for value in scores.values.values())
        assert {name for name, value in scores.values.items() if value is None} == set(scores.reasons)
        assert all(scores.reasons.values())
