"""Media: one decode a clip, sound and frames where the time stamps say."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimdata.pipeline.media import SAMPLE_RATE, Media
from tests.pipeline.films import CONTAINERS, LONG, SOUNDS, Codecs, beeps, numbered, seen, write_film


def onsets(sound: np.ndarray) -> np.ndarray:
    """When beeps begin, in seconds."""
    loud = np.flatnonzero(np.abs(sound) > 0.2)
    return loud[np.r_[True, np.diff(loud) > SAMPLE_RATE // 2]] / SAMPLE_RATE


@pytest.mark.parametrize("kind", [*CONTAINERS, *SOUNDS])
def test_sound_and_pictures_keep_time_with_each_other(films: dict[str, Path], kind: str) -> None:
    media = Media(films[kind], None, None, audio=True, fps={10.0} if kind in CONTAINERS else ())
    sound = media.audio()
    assert sound is not None
    assert sound.dtype == np.float32
    assert len(sound) == round(media.duration * SAMPLE_RATE)
    assert media.duration == pytest.approx(LONG, abs=0.06)
    starts = onsets(sound)
    delay = starts[1] - 1  # of the encoder: containers without a note of it begin a little later
    assert 0 <= delay < 0.03
    np.testing.assert_allclose(starts[:LONG], np.arange(LONG) + delay, atol=0.002)
    if kind in CONTAINERS:
        shown = seen(media, 10.0)
        expected = [int((k / 10 + 0.05 - delay) * 25 + 1e-6) for k in range(len(shown) - 1)]
        late = np.subtract([number for number in shown[:-1] if number is not None], expected)
        assert np.abs(late).max() <= 1  # MPEG-PS and AVI keep the lead of the sound to a picture
        assert len(np.unique(late)) <= 2
    assert media.decodes == 1


@pytest.mark.parametrize("kind", [*CONTAINERS, *SOUNDS])
def test_a_span_is_found_without_decoding_all_before_it(films: dict[str, Path], kind: str) -> None:
    rates = {5.0} if kind in CONTAINERS else set()
    whole = Media(films[kind], None, None, audio=True, fps=rates)
    span = Media(films[kind], 30.0, 32.0, audio=True, fps=rates)
    all_sound, sound = whole.audio(), span.audio()
    assert all_sound is not None
    assert sound is not None
    cut = all_sound[30 * SAMPLE_RATE : 32 * SAMPLE_RATE]
    # AAC fills bands with noise of its own, which depends on where decoding began. Time stamps of Matroska and FLV are whole milliseconds: entered elsewhere, sound may lie half of one beside.
    shifts = [np.abs(np.roll(cut, shift) - sound)[100:-100].max() for shift in range(-9, 10)]
    assert min(shifts) < 0.2 if kind in ("mkv", "flv", "ogg") else shifts[9] < 5e-3
    if rates:
        for a, b in zip(list(whole.frames(5.0))[150:160], span.frames(5.0), strict=True):
            assert a.image is not None
            assert b.image is not None
            assert np.array_equal(a.image, b.image)
        assert span.packets < whole.packets / 2
    assert whole.decodes == 1


def test_spans_side_by_side_show_each_picture_once(films: dict[str, Path]) -> None:
    edges = [0.0, 3.4, 11.0, 25.48, LONG]
    shown = [
        n for a, b in pairwise(edges) for n in seen(Media(films["mp4"], a, b, audio=False, fps={25.0}), 25.0)
    ]
    assert shown == list(range(LONG * 25))


def test_everything_is_decoded_in_one_pass(films: dict[str, Path]) -> None:
    media = Media(films["mp4"], 5.0, 8.0, audio=True, fps={5.0, 2.0})
    assert media.decodes == 0
    media.audio()
    first = seen(media, 5.0)
    assert seen(media, 5.0) == first
    assert len(seen(media, 2.0)) == 6
    assert [frame.time for frame in media.frames(2.0)] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert media.decodes == 1


def test_frames_beyond_the_budget_are_decoded_again_instead_of_kept(films: dict[str, Path]) -> None:
    kept = Media(films["mp4"], None, None, audio=True, fps={5.0})
    streamed = Media(films["mp4"], None, None, audio=True, fps={5.0}, frame_budget=10 * 48 * 64 * 3)
    assert seen(streamed, 5.0) == seen(kept, 5.0)
    assert np.array_equal(streamed.audio(), kept.audio())
    assert (kept.decodes, streamed.decodes) == (1, 2)


def test_values_do_not_depend_on_what_else_is_asked(films: dict[str, Path]) -> None:
    together = Media(films["mkv"], 20.0, 22.0, audio=True, fps={5.0, 3.0})
    assert np.array_equal(together.audio(), Media(films["mkv"], 20.0, 22.0, audio=True, fps=()).audio())
    alone = Media(films["mkv"], 20.0, 22.0, audio=False, fps={3.0})
    for a, b in zip(together.frames(3.0), alone.frames(3.0), strict=True):
        assert np.array_equal(a.image, b.image)


def test_what_was_not_announced_cannot_be_had(films: dict[str, Path]) -> None:
    media = Media(films["mp4"], None, 1.0, audio=False, fps={5.0})
    with pytest.raises(ValueError, match="not asked for"):
        media.frames(4.0)
    with pytest.raises(ValueError, match="not asked for"):
        media.audio()


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_variable_frame_rate_goes_by_time_stamps(tmp_path: Path, kind: str) -> None:
    times = [0.0, 0.3, 1.0, 1.04, 2.6]  # pictures of different lengths
    film = write_film(tmp_path / f"vfr.{kind}", times=times, sound=beeps(3, 44_100))
    media = Media(film, 0.0, 2.6, audio=False, fps={5.0})
    # middles of the intervals: 0.1, 0.3, 0.5 … 2.5
    assert seen(media, 5.0) == [0, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi", "flv"])
def test_a_picture_a_second_stays_up_for_its_second(tmp_path: Path, kind: str) -> None:
    """The last one too, though most containers only know the rate that was declared, here 25 a second."""
    codecs = CONTAINERS[kind]
    film = write_film(
        tmp_path / f"slow.{kind}", times=np.arange(5.0), sound=beeps(5, codecs.rate), codecs=codecs
    )
    shown = seen(Media(film, 0.0, 5.0, audio=False, fps={5.0}), 5.0)
    assert shown == [number for number in range(5) for _ in range(5)]


@pytest.mark.parametrize("name", ["still.png", "still.jpg"])
def test_a_photograph_is_a_film_of_one_picture(tmp_path: Path, name: str) -> None:
    Image.fromarray(numbered(5)).save(tmp_path / name)
    media = Media(tmp_path / name, None, None, audio=True, fps={5.0})
    assert media.duration == pytest.approx(0.04)
    assert media.audio() is None
    assert seen(media, 5.0) == [5]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "mov"])
def test_a_file_may_begin_at_any_time(tmp_path: Path, kind: str) -> None:
    codecs = CONTAINERS[kind]
    film = write_film(
        tmp_path / f"late.{kind}",
        times=7 + np.arange(100) / 25,
        sound=beeps(4, codecs.rate),
        sound_starts=7.0,
        codecs=codecs,
    )
    media = Media(film, None, None, audio=True, fps={5.0})
    assert media.duration == pytest.approx(4, abs=0.05)
    assert seen(media, 5.0)[1:4] == [7, 12, 17] or seen(media, 5.0)[1:4] == [
        6,
        11,
        16,
    ]  # AAC begins 23 ms earlier
    sound = media.audio()
    assert sound is not None
    assert np.diff(onsets(sound)) == pytest.approx([1, 1, 1], abs=0.002)


def test_a_stream_that_begins_later_or_ends_earlier_leaves_silence_or_no_frame(tmp_path: Path) -> None:
    codecs = CONTAINERS["mov"]
    sound = beeps(4, codecs.rate)
    late_sound = write_film(
        tmp_path / "a.mov", times=np.arange(100) / 25, sound=sound, sound_starts=2.0, codecs=codecs
    )
    media = Media(late_sound, None, None, audio=True, fps={5.0})
    heard = media.audio()
    assert heard is not None
    assert not heard[: 2 * SAMPLE_RATE - 40].any()  # the resampler rings for a few samples
    np.testing.assert_allclose(onsets(heard), [2, 3, 4, 5], atol=0.001)
    shown = seen(media, 5.0)
    assert None not in shown[:20]
    assert shown[20:] == [None] * 10
    late_picture = write_film(tmp_path / "b.mov", times=2 + np.arange(50) / 25, sound=sound, codecs=codecs)
    shown = seen(Media(late_picture, None, None, audio=True, fps={5.0}), 5.0)
    assert shown[:10] == [None] * 10
    assert shown[10] == 2


def test_a_span_that_begins_before_its_sound_does(tmp_path: Path) -> None:
    codecs = Codecs(audio="pcm_s16le", key_every=10)
    film = write_film(
        tmp_path / "late.mov",
        times=np.arange(500) / 25,
        sound=beeps(8, codecs.rate),
        sound_starts=12.0,
        codecs=codecs,
    )
    media = Media(film, 10.0, 14.0, audio=True, fps={5.0})
    assert seen(media, 5.0) == [252 + 5 * k for k in range(20)]
    heard = media.audio()
    assert heard is not None
    np.testing.assert_allclose(onsets(heard), [2, 3], atol=0.001)
    assert media.packets < 500  # of 1250: the span's beginning was sought all the same


def test_gaps_in_the_sound_are_silent_and_shift_nothing(tmp_path: Path) -> None:
    """Matroska whose sound pauses for a second, as recorders leave it: written from two halves."""
    import av

    film = tmp_path / "gap.mkv"
    half = write_film(tmp_path / "half.mkv", sound=beeps(2, 44_100), codecs=Codecs(None, "pcm_s16le"))
    with av.open(str(film), "w") as out, av.open(str(half)) as first:
        stream = out.add_stream_from_template(first.streams.audio[0])
        for offset in (0.0, 3.0):
            with av.open(str(half)) as source:
                for packet in source.demux(audio=0):
                    if packet.pts is not None:
                        shift = round(offset / float(packet.time_base))
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        out.mux(packet)
    heard = Media(film, None, None, audio=True, fps=()).audio()
    assert heard is not None
    np.testing.assert_allclose(onsets(heard), [0, 1, 3, 4], atol=0.002)
    assert not heard[round(2.1 * SAMPLE_RATE) : round(2.9 * SAMPLE_RATE)].any()


def test_channels_are_averaged_and_never_overdriven(tmp_path: Path) -> None:
    tone = (0.9 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)).astype(np.float32)
    for layout in ("mono", "stereo"):
        film = write_film(
            tmp_path / f"{layout}.wav", sound=tone, codecs=Codecs(None, "pcm_s16le", layout=layout)
        )
        heard = Media(film, None, None, audio=True, fps=()).audio()
        assert heard is not None
        expected = 0.9 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
        np.testing.assert_allclose(heard[200:-200], expected[200:-200], atol=2e-3)


def test_tones_above_8_khz_do_not_fold_back(tmp_path: Path) -> None:
    tone = (0.9 * np.sin(2 * np.pi * 11_000 * np.arange(44_100) / 44_100)).astype(np.float32)
    film = write_film(tmp_path / "high.wav", sound=tone, codecs=Codecs(None, "pcm_s16le"))
    heard = Media(film, None, None, audio=True, fps=()).audio()
    assert heard is not None
    assert np.abs(heard[200:-200]).max() < 0.002


def test_a_telephone_held_upright_shows_upright_pictures(tmp_path: Path) -> None:
    """An MP4 whose track header says "turn by 90° clockwise", as telephones write it."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24] = 220  # the sensor's upper half is bright: once turned clockwise, the right half
    film = write_film(tmp_path / "phone.mp4", times=np.arange(25) / 25, images=[image] * 25)
    data = film.read_bytes()
    fixed, one = 1 << 16, 1 << 30
    upright = struct.pack(">9i", fixed, 0, 0, 0, fixed, 0, 0, 0, one)
    turned = struct.pack(">9i", 0, fixed, 0, -fixed, 0, 0, 48 * fixed, 0, one)
    track = data.index(b"tkhd")
    film.write_bytes(data[:track] + data[track:].replace(upright, turned, 1))
    shown = next(Media(film, None, None, audio=False, fps={5.0}).frames(5.0)).image
    assert shown is not None
    assert shown.shape == (64, 48, 3)
    assert shown[:, 30:].mean() > 180 > 60 > shown[:, :18].mean()


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    import av

    film = tmp_path / "song.mp3"
    with av.open(str(film), "w") as out:
        sound = out.add_stream("libmp3lame", rate=44_100, layout="mono")
        cover = out.add_stream("mjpeg", rate=1, width=64, height=48, pix_fmt="yuvj420p")
        cover.disposition = 0x400  # attached picture
        frame = av.AudioFrame.from_ndarray(beeps(2, 44_100)[None], format="fltp", layout="mono")
        frame.sample_rate = 44_100
        resampler = av.AudioResampler(format=sound.format, layout="mono", rate=44_100, frame_size=1152)
        for packet in cover.encode(av.VideoFrame.from_ndarray(numbered(5), format="rgb24")):
            out.mux(packet)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(sound.encode(piece))
    media = Media(film, None, None, audio=True, fps={5.0})
    assert not media.has_video
    assert {frame.image is None for frame in media.frames(5.0)} == {True}


@pytest.mark.shared_data
def test_real_recordings_decode(shared_data: Path) -> None:
    clips = sorted((shared_data / "clips").glob("grid*/*.mpg"))
    assert len(clips) == 27
    for path in clips[::4]:
        media = Media(path, None, None, audio=True, fps={5.0})
        sound = media.audio()
        assert sound is not None
        assert len(sound) == round(media.duration * SAMPLE_RATE)
        assert np.abs(sound).max() > 0.9
        assert (np.abs(sound) >= 1).sum() <= 1  # the mix of two equal channels overdrives nothing
        images = [frame.image for frame in media.frames(5.0)]
        assert len(images) == 15
        assert all(image is not None and image.shape == (288, 360, 3) for image in images)


@pytest.mark.shared_data
def test_real_edge_cases_decode(shared_data: Path) -> None:
    edge = shared_data / "clips" / "edge_cases"
    mute = Media(edge / "no_audio_track.mp4", None, None, audio=True, fps={5.0})
    assert mute.audio() is None
    flash = Media(edge / "1001_DFA_ANG_XX.flv", None, None, audio=True, fps={5.0})
    assert flash.duration == pytest.approx(2.235, abs=0.01)
    assert all(frame.image is not None for frame in flash.frames(5.0))
    # Its sound begins 2.43 s into the film.
    late = Media(edge / "face_then_no_face.mov", None, None, audio=True, fps={5.0}).audio()
    assert late is not None
    assert not late[: round(2.4 * SAMPLE_RATE)].any()
    assert late[round(2.45 * SAMPLE_RATE) :].any()
