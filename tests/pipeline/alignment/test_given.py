"""Given word times and TextGrids, laid on transcripts that are spelt or counted otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mimdata.pipeline.alignment.given import GivenAligner
from mimdata.pipeline.alignment.match import matched_words
from mimdata.pipeline.alignment.word_files import (
    ElanAligner,
    JsonAligner,
    TextgridAligner,
    WebvttAligner,
    WordFileAligner,
)
from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, GivenWord, Words, WordStatus
from mimdata.pipeline.steps import HasSidecar, Resources, WordAligner
from mimdata.pipeline.store.fingerprint import step_identity
from tests.pipeline.formats.test_word_formats import EAF, MFA, ROLLING

A, I, M = WordStatus.ALIGNED, WordStatus.INTERPOLATED, WordStatus.MISSING  # noqa: E741


def timed(*items: tuple[str, float, float]) -> tuple[GivenWord, ...]:
    return tuple(GivenWord(*item) for item in items)


def matched(text: str, *items: tuple[str, float, float], duration: float | None = None) -> Words:
    return matched_words(text.split(), timed(*items), duration, "given")


def test_equal_texts_keep_their_times_exactly() -> None:
    words = matched("Bin blue, NOW!", ("bin", 0.5, 1), ("blue", 1, 1.25), ("now", 2, 3), duration=4)
    assert words.words == ("Bin", "blue,", "NOW!")
    assert words.intervals.tolist() == [[0.5, 1], [1, 1.25], [2, 3]]
    assert words.status.tolist() == [A, A, A]
    assert words.confidence.tolist() == [1, 1, 1]
    assert words.pauses.tolist() == [[0, 0.5], [1.25, 2], [3, 4]]
    assert words.suspect == ()


def test_silences_are_pauses_and_no_words() -> None:
    words = matched("a b", ("sil", 0, 1), ("a", 1, 2), ("sp", 2, 2.5), ("b", 2.5, 3), ("", 3, 9))
    assert words.intervals.tolist() == [[1, 2], [2.5, 3]]
    assert words.suspect == ()


def test_another_spelling_keeps_the_time() -> None:
    assert matched("ok go", ("okay", 0, 1), ("go", 1, 2)).status.tolist() == [A, A]


def test_words_without_a_time_are_interpolated() -> None:
    words = matched("a b c — d", ("a", 0, 1), ("d", 3, 4))
    assert words.status.tolist() == [A, I, I, M, A]
    assert words.intervals.tolist() == [[0, 1], [1, 2], [2, 3], [3, 3], [3, 4]]


def test_times_that_the_transcript_lacks_are_said() -> None:
    words = matched("a d", ("a", 0, 1), ("uh", 1, 2), ("uh", 2, 3), ("d", 3, 4))
    assert words.intervals.tolist() == [[0, 1], [3, 4]]
    assert words.suspect == ("timed words that the transcript lacks: 2 of 4",)


def test_a_label_of_several_words_is_shared_by_letters() -> None:
    assert matched("of them", ("of them", 0, 6)).intervals.tolist() == [[0, 2], [2, 6]]


def test_odd_times_are_mended_and_said() -> None:
    words = matched("a b c", ("a", -0.5, 1), ("b", 3, 4), ("c", 2, 2.5))
    assert words.intervals.tolist() == [[0, 1], [3, 4], [3, 3]]
    assert words.suspect == (
        "given times begin before the clip: at -0.50 s",
        "given times are not in the order of the words",
    )


def test_no_timed_word_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="only silences"):
        matched("a b", ("sil", 0, 1))


def clip(text: str, words: tuple[GivenWord, ...] | None = None, start: float | None = None) -> Clip:
    end = None if start is None else start + 1.0
    return Clip("v[0]", "v", 0, "talk.wav", start, end, text, words=words)


def aligned(aligner: GivenAligner | WordFileAligner, clip: Clip, path: Path = Path("talk.wav")) -> Words:
    return aligner.open(Resources())(Media(path, clip.start, clip.end, audio=False, fps=()), clip)


def test_given_words_of_the_clip_are_taken() -> None:
    assert isinstance(GivenAligner(), WordAligner)
    words = aligned(GivenAligner(), clip("so it goes", timed(("so", 0, 1), ("it", 1, 2), ("goes", 2, 3))))
    assert words.source == "given"
    assert words.intervals.tolist() == [[0, 1], [1, 2], [2, 3]]


@pytest.mark.parametrize("words", [None, (), timed(("sp", 0, 1))])
def test_clip_without_word_times_fails_with_a_hint(words: tuple[GivenWord, ...] | None) -> None:
    with pytest.raises(ClipError, match=r"v\[0\]") as caught:
        aligned(GivenAligner(), clip("so it goes", words))
    assert caught.value.cause == "no given words"
    assert "pocketsphinx" in caught.value.hint


GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
6
<exists>
2
"IntervalTier"
"words"
0
6
4
0
1
""
1
2
"so"
2
2.5
"it"
2.5
6
"goes"
"IntervalTier"
"phones"
0
6
1
0
6
"x"
"""


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    (tmp_path / "talk.TextGrid").write_text(GRID, encoding="utf-8")
    return tmp_path / "talk.wav"


def test_textgrid_beside_the_recording_is_read(talk: Path) -> None:
    aligner = TextgridAligner()
    assert isinstance(aligner, WordAligner)
    assert isinstance(aligner, HasSidecar)
    assert aligner.sidecar(talk) == talk.with_suffix(".TextGrid")
    words = aligned(aligner, clip("So it goes."), talk)
    assert words.source == "textgrid"
    assert words.intervals.tolist() == [[1, 2], [2, 2.5], [2.5, 6]]
    assert words.pauses.tolist() == [[0, 1]]
    assert words.suspect == ("word too long: 'goes.' lasts 3.5 s",)


def test_times_count_from_the_clip_s_start(talk: Path) -> None:
    words = aligned(TextgridAligner(), clip("so it", start=1.5), talk)
    assert words.intervals.tolist() == [[0.0, 0.5], [0.5, 1.0]]


def test_textgrid_may_lie_in_a_folder_which_is_no_part_of_the_key(talk: Path) -> None:
    (talk.parent / "grids").mkdir()
    (talk.parent / "talk.TextGrid").rename(talk.parent / "grids" / "talk.TextGrid")
    assert TextgridAligner().sidecar(talk) is None
    aligner = TextgridAligner(folder="grids")
    assert aligned(aligner, clip("so it goes"), talk).status.tolist() == [A, A, A]
    assert step_identity(aligner) == step_identity(TextgridAligner())
    assert step_identity(aligner) != step_identity(TextgridAligner(tier="words"))


@pytest.mark.parametrize(
    ("aligner", "cause", "says"),
    [
        (TextgridAligner(tier="word"), "no word tier", "'words', 'phones'"),
        (TextgridAligner(folder="elsewhere"), "no TextGrid", "elsewhere"),
    ],
)
def test_what_is_missing_is_named(talk: Path, aligner: TextgridAligner, cause: str, says: str) -> None:
    with pytest.raises(ClipError, match=says) as caught:
        aligned(aligner, clip("so it goes"), talk)
    assert caught.value.cause == cause
    assert caught.value.hint


def test_damaged_textgrid_is_said(talk: Path) -> None:
    talk.with_suffix(".TextGrid").write_text(GRID[:120])
    with pytest.raises(ClipError) as caught:
        aligned(TextgridAligner(), clip("so it goes"), talk)
    assert caught.value.cause == "damaged TextGrid"


def test_clip_beyond_the_words_is_said(talk: Path) -> None:
    with pytest.raises(ClipError, match=r"from 20\.00 to 21\.00 s") as caught:
        aligned(TextgridAligner(), clip("so it goes", start=20.0), talk)
    assert caught.value.cause == "no given words"


@pytest.mark.shared_data
def test_hand_made_textgrid_gives_its_words(shared_data: Path) -> None:
    path = shared_data / "words_textgrid" / "mary.wav"
    words = aligned(TextgridAligner(), clip("Mary rolled the barrel."), path)
    assert np.round(words.intervals[:, 0], 2).tolist() == np.float32([0.32, 0.68, 0.98, 1.06]).tolist()
    assert words.suspect == ()


@pytest.mark.parametrize(
    ("aligner", "name", "content", "text", "intervals"),
    [
        (ElanAligner(), "talk.eaf", EAF, "So d&d.", [[0.5, 1.2], [1.2, 1.75]]),
        (JsonAligner(), "talk.json", json.dumps(MFA), "so goes", [[0.1, 0.4], [0.5, 0.9]]),
        (WebvttAligner(), "talk.vtt", ROLLING[:140], "so it goes", [[0.5, 0.9], [0.9, 1.4], [1.4, 2.0]]),
    ],
    ids=["elan", "json", "webvtt"],
)
def test_other_files_of_words(
    tmp_path: Path, aligner: WordFileAligner, name: str, content: str, text: str, intervals: list[list[float]]
) -> None:
    talk = tmp_path / "talk.wav"
    with pytest.raises(ClipError, match=f"{name} is not beside the recording"):
        aligned(aligner, clip(text), talk)
    (tmp_path / name).write_text(content, encoding="utf-8")
    words = aligned(aligner, clip(text), talk)
    assert words.source == aligner.name
    np.testing.assert_allclose(words.intervals, intervals, atol=1e-6)
    (tmp_path / name).write_text("<", encoding="utf-8")
    with pytest.raises(ClipError, match=name):
        aligned(aligner, clip(text), talk)
