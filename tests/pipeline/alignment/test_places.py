"""Places for words without one, pauses, and what looks wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimdata.pipeline.alignment.places import fill, pauses_between, placed_words
from mimdata.pipeline.alignment.sanity import suspicions, unheard
from mimdata.pipeline.records import WordStatus

NOWHERE = (np.nan, np.nan)


def sized(*sizes: int) -> np.ndarray:
    return np.array(sizes, np.int64)


def test_words_without_a_place_share_the_gap_by_their_letters() -> None:
    filled = fill(np.array([(0, 1), NOWHERE, NOWHERE, (4, 5)]), sized(2, 1, 2, 2), 6.0)
    assert filled.tolist() == [[0, 1], [1, 2], [2, 4], [4, 5]]


def test_words_at_the_ends_reach_to_the_clip_s_ends() -> None:
    filled = fill(np.array([NOWHERE, (2, 3), NOWHERE]), sized(3, 3, 3), 5.0)
    assert filled.tolist() == [[0, 2], [2, 3], [3, 5]]


def test_silent_words_are_empty_at_their_neighbour_s_end() -> None:
    filled = fill(np.array([NOWHERE, (2, 3), NOWHERE, (4, 5), NOWHERE]), sized(0, 3, 0, 3, 0), 9.0)
    assert filled.tolist() == [[2, 2], [2, 3], [3, 3], [4, 5], [5, 5]]


def test_record_says_how_each_word_came_by_its_place() -> None:
    words = placed_words(
        ["so", "…", "日本", "yes"],
        np.array([(0.5, 1.0), NOWHERE, NOWHERE, (1.5, 2.0)]),
        np.array([0.9, 0, 0, 0.8]),
        np.array([True, False, True, True]),
        3.0,
        "given",
    )
    assert words.status.tolist() == [
        WordStatus.ALIGNED,
        WordStatus.MISSING,
        WordStatus.INTERPOLATED,
        WordStatus.ALIGNED,
    ]
    assert words.intervals.tolist() == [[0.5, 1], [1, 1], [1, 1.5], [1.5, 2]]
    assert words.confidence.tolist() == pytest.approx([0.9, 0, 0.2, 0.8])
    assert words.pauses.tolist() == [[0, 0.5], [2, 3]]
    assert words.suspect == ()


@given(
    st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 50), st.integers(0, 9))), max_size=9),
    st.lists(st.integers(0, 4), min_size=9, max_size=9),
)
def test_filled_places_ascend_and_pauses_hold_no_word(
    drawn: list[tuple[int, int] | None], sizes: list[int]
) -> None:
    starts = iter(sorted(item[0] for item in drawn if item))
    places = np.array([(s := next(starts), s + item[1]) if item else NOWHERE for item in drawn], float)
    places = places.reshape(-1, 2)
    filled = fill(places, sized(*sizes[: len(drawn)]), 60.0)
    assert np.isfinite(filled).all()
    assert (filled[:, 1] >= filled[:, 0]).all()
    assert (np.diff(filled[:, 0]) >= 0).all()
    for start, end in pauses_between(filled, 60.0).tolist():
        spans = filled[filled[:, 1] > filled[:, 0]]
        assert not ((spans[:, 0] < end) & (spans[:, 1] > start)).any()
        assert end - start > 0.099


def statuses(*codes: int) -> np.ndarray:
    return np.array(codes, np.uint8)


def test_a_word_of_three_seconds_is_suspect() -> None:
    found = suspicions(["a", "long"], np.array([[0, 1.0], [1, 4.5]]), statuses(0, 0), 5.0)
    assert found == ("word too long: 'long' lasts 3.5 s",)


def test_more_than_fifteen_words_a_second_are_suspect() -> None:
    starts = np.arange(16) / 20
    spans = np.stack([starts, starts + 0.05], 1)
    assert suspicions(["w"] * 16, spans, statuses(*[0] * 16), 5.0) == (
        "speech too fast: 16 words within one second, at 0.0 s",
    )
    assert suspicions(["w"] * 15, spans[:15], statuses(*[0] * 15), 5.0) == ()


def test_times_outside_the_clip_are_suspect() -> None:
    spans = np.array([[0.0, 0.5], [2.0, 3.0]])
    assert suspicions(["a", "b"], spans, statuses(0, 0), 2.5) == (
        "words outside the clip: from 0.00 to 3.00 s of 2.50 s",
    )
    assert suspicions(["a", "b"], spans, statuses(0, 0), None) == ()


def test_an_alignment_of_few_words_is_suspect() -> None:
    assert unheard(statuses(0, 1, 1, 2)) == ("few words aligned: 1 of 3",)
    assert unheard(statuses(0, 0, 1, 2)) == ()
    assert unheard(statuses(2)) == ()
