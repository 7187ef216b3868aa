"""Media of no use: each mistake has a cause of its own, and damage costs only the clips that it hits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.media import SAMPLE_RATE, Media
from tests.pipeline.films import CONTAINERS, SOUNDS, beeps, seen, write_film


def failure(path: Path, start: float | None = None, end: float | None = None) -> ClipError:
    """What asking for the clip's sound and frames raises, twice the same."""
    media = Media(path, start, end, audio=True, fps={5.0})
    with pytest.raises(ClipError) as first:
        media.audio()
    with pytest.raises(ClipError) as second:
        list(media.frames(5.0))
    assert str(first.value) == str(second.value)
    assert "\n" not in str(first.value)
    assert first.value.hint
    return first.value


def test_each_mistake_has_its_own_cause(tmp_path: Path, films: dict[str, Path]) -> None:
    missing = failure(tmp_path / "none.mp4")
    assert (missing.cause, missing.permanent) == ("missing file", False)
    (tmp_path / "empty.mp4").touch()
    empty = failure(tmp_path / "empty.mp4")
    assert (empty.cause, empty.permanent) == ("not a media file", True)
    assert "0 bytes" in str(empty)
    (tmp_path / "text.mp4").write_text("to be filmed\n" * 1000)
    assert failure(tmp_path / "text.mp4").cause == "not a media file"
    (tmp_path / "folder.mp4").mkdir()
    folder = failure(tmp_path / "folder.mp4")
    assert (folder.cause, folder.permanent) == ("unreadable file", False)
    assert failure(films["mp4"], 5.0, 5.0).cause == "empty span"
    assert failure(films["mp4"], 7.0, 5.0).cause == "empty span"
    assert failure(films["mp4"], float("nan"), 5.0).cause == "empty span"
    assert failure(films["mp4"], 40.5, 41.0).cause == "span past the end"
    assert failure(films["mp4"], 38.0, 41.0).cause == "span past the end"


def test_a_span_that_ends_a_little_late_is_shortened(films: dict[str, Path]) -> None:
    media = Media(films["mov"], 38.0, 40.4, audio=True, fps={5.0})
    assert media.duration == pytest.approx(2.0)
    sound = media.audio()
    assert sound is not None
    assert len(sound) == 2 * SAMPLE_RATE


def test_a_file_without_sound_or_pictures_is_told(tmp_path: Path) -> None:
    subtitles = tmp_path / "talk.srt"
    subtitles.write_text("1\n00:00:01,000 --> 00:00:02,000\nhello there\n\n")
    assert failure(subtitles).cause == "no audio or video stream"


def test_no_sound_is_none_and_not_silence(tmp_path: Path) -> None:
    film = write_film(tmp_path / "mute.mp4", times=np.arange(50) / 25)
    media = Media(film, None, None, audio=True, fps={5.0})
    assert media.audio() is None
    assert seen(media, 5.0) == [2 + 5 * k for k in range(10)]


def test_pictures_of_absurd_size_are_refused(tmp_path: Path) -> None:
    Image.new("L", (8200, 8200)).save(tmp_path / "huge.png")
    assert failure(tmp_path / "huge.png").cause == "frame too large"


@pytest.mark.parametrize("share", [0.0005, 0.02, 0.3, 0.7, 0.97])
@pytest.mark.parametrize("kind", [*CONTAINERS, *SOUNDS])
def test_a_file_that_is_cut_off(films: dict[str, Path], tmp_path: Path, kind: str, share: float) -> None:
    """Clips before the cut are whole, clips after it fail with a cause, and nothing else happens."""
    data = films[kind].read_bytes()
    cut = tmp_path / films[kind].name
    cut.write_bytes(data[: int(len(data) * share)])
    rates = {5.0} if kind in CONTAINERS else set()
    after = Media(cut, 39.2, 39.9, audio=True, fps=rates)
    with pytest.raises(ClipError) as error:
        after.audio()
    assert error.value.cause in {"not a media file", "damaged stream", "span past the end", "empty span"}
    assert error.value.permanent
    if share >= 0.3 and kind not in (
        "mp4",
        "mov",
    ):  # these keep their index at the end: nothing is left of them
        intact = Media(films[kind], 3.0, 6.0, audio=True, fps=rates)
        before = Media(cut, 3.0, 6.0, audio=True, fps=rates)
        assert np.array_equal(intact.audio(), before.audio())
        if rates:
            assert seen(before, 5.0) == seen(intact, 5.0)


def test_a_cut_off_file_is_noticed_whatever_is_asked(films: dict[str, Path], tmp_path: Path) -> None:
    data = films["mkv"].read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    for audio, rates in ((True, set()), (False, {5.0}), (True, {5.0})):
        media = Media(cut, None, None, audio=audio, fps=rates)
        with pytest.raises(ClipError, match=r"it is cut off, the clip runs to 40\.0 s"):
            media.audio() if audio else media.frames(5.0)


def test_a_film_with_its_index_in_front_is_whole_up_to_the_cut(tmp_path: Path) -> None:
    film = write_film(
        tmp_path / "film.mp4",
        times=np.arange(500) / 25,
        sound=beeps(20, 44_100),
        options={"movflags": "faststart"},
    )
    data = film.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 6 // 10])
    intact, before = (Media(path, 4.0, 8.0, audio=True, fps={5.0}) for path in (film, cut))
    assert np.array_equal(intact.audio(), before.audio())
    assert seen(before, 5.0) == seen(intact, 5.0)
    after = failure(cut, 16.0, 18.0)
    assert after.cause == "damaged stream"
    assert "at 16.0 s: it is cut off, the clip runs to 18.0 s" in str(after)
    assert failure(cut).cause == "damaged stream"


@pytest.mark.parametrize("kind", ["mpg", "mp4", "flv"])
def test_flipped_bits_end_in_a_cause_or_in_finite_numbers(
    films: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    """Not every codec notices them; clips elsewhere are untouched, the clip itself is refused or of full length."""
    data = bytearray(films[kind].read_bytes())
    rng = np.random.default_rng(0)
    for position in rng.integers(len(data) * 0.48, len(data) * 0.52, 40):
        data[position] ^= 1 << int(rng.integers(8))
    flipped = tmp_path / f"flipped.{kind}"
    flipped.write_bytes(data)
    for start in (3.0, 33.0):
        whole = Media(films[kind], start, start + 2, audio=True, fps={5.0})
        media = Media(flipped, start, start + 2, audio=True, fps={5.0})
        assert np.allclose(media.audio(), whole.audio(), atol=1e-2)
        assert seen(media, 5.0) == seen(whole, 5.0)
    hit = Media(flipped, 18.5, 21.5, audio=True, fps={5.0})
    sound, cause = None, ""
    try:
        sound = hit.audio()
    except ClipError as error:
        cause = error.cause
    assert (sound is None) == (cause == "damaged stream")
    if sound is not None:
        assert len(sound) == 3 * SAMPLE_RATE
        assert np.isfinite(sound).all()
        assert len(seen(hit, 5.0)) == 15


@pytest.mark.parametrize("kind", ["ts", "mkv"])
def test_damage_is_the_business_of_the_clips_it_hits(
    films: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    data = bytearray(films[kind].read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40_000] = np.random.default_rng(1).bytes(40_000)
    damaged = tmp_path / f"damaged.{kind}"
    damaged.write_bytes(data)
    for start in (3.0, 33.0):
        whole = Media(films[kind], start, start + 2, audio=True, fps={5.0})
        media = Media(damaged, start, start + 2, audio=True, fps={5.0})
        assert np.allclose(media.audio(), whole.audio(), atol=1e-3)
        assert seen(media, 5.0) == seen(whole, 5.0)
