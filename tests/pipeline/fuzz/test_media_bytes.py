"""Films: any bytes, damaged headers, and headers that claim what no film has."""

from __future__ import annotations

import struct
from collections import deque
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.limits import MAX_PICTURES, Pace
from mimdata.pipeline.media import SAMPLE_RATE, Media
from tests.pipeline.films import CONTAINERS, SOUNDS, Codecs, beeps, write_film
from tests.pipeline.fuzz.laws import fuzz, hostile, outcome, put

KINDS = {**CONTAINERS, **SOUNDS, "webm": Codecs("libvpx", "libopus", rate=48_000)}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A film of half a second in each container."""
    folder = tmp_path_factory.mktemp("small")
    return {
        kind: write_film(
            folder / f"film.{kind}", times=np.arange(12) / 25, sound=beeps(0.5, codecs.rate), codecs=codecs
        ).read_bytes()
        for kind, codecs in KINDS.items()
    }


def watch(path: Path, start: float | None = None, end: float | None = None) -> None:
    """Decode a clip whole; what comes out is finite, and as long as it says."""
    media = Media(path, start, end, audio=True, fps={5.0})
    sound = media.audio()
    if sound is not None:
        assert np.isfinite(sound).all()
        assert len(sound) == round(media.duration * SAMPLE_RATE)
    for frame in media.frames(5.0):
        assert np.isfinite(frame.time)
        assert frame.image is None or frame.image.ndim == 3


@pytest.mark.parametrize("kind", KINDS)
def test_any_bytes_in_a_film(tmp_path: Path, small: dict[str, bytes], kind: str) -> None:
    path = put(tmp_path / f"film.{kind}", small[kind])
    watch(path)

    @settings(fuzz, max_examples=fuzz.max_examples // 2)
    @given(hostile(small[kind], tokens=(b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\0" * 4, b"\x80\0\0\0")))
    def check(data: bytes) -> None:
        put(path, data)
        outcome(lambda: watch(path), path.name)
        outcome(lambda: watch(path, 0.1, 0.3), path.name)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_any_four_bytes_of_a_header(tmp_path: Path, small: dict[str, bytes], kind: str) -> None:
    """Every header field once as large, as small and as negative as it can be, a few at a time."""
    data = small[kind]
    places = np.random.default_rng(0).permutation(min(len(data), 700))[:25]
    path = tmp_path / f"film.{kind}"
    for place in places.tolist():
        for claim in (b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\0"):
            put(path, data[:place] + claim + data[place + 4 :])
            outcome(lambda: watch(path), path.name)


def cause(path: Path, start: float | None = None, end: float | None = None) -> str:
    with pytest.raises(ClipError) as caught:
        watch(path, start, end)
    assert path.name in str(caught.value)
    assert str(caught.value).isprintable()
    return caught.value.cause


def test_a_container_that_claims_huge_pictures(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.avi", times=[0.0, 0.04], codecs=Codecs("ffvhuff", None))
    size = struct.pack("<ii", 64, 48)
    data = film.read_bytes()
    assert size in data
    film.write_bytes(data.replace(size, struct.pack("<ii", 16_000, 16_000)))
    assert cause(film) == "frame too large"


def test_a_picture_larger_than_its_file_can_be(tmp_path: Path) -> None:
    """A JPEG of 1 kB that says 16,000 × 16,000, which would take 1.1 GB."""
    photograph = tmp_path / "film.jpg"
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(photograph)
    data = photograph.read_bytes()
    size = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 48, 64)
    assert data.count(size) == 1
    photograph.write_bytes(data.replace(size, size[:5] + struct.pack(">HH", 16_000, 16_000)))
    assert outcome(lambda: watch(photograph), photograph.name) is None
    assert cause(photograph) == "damaged stream"


def test_a_film_that_claims_to_last_for_years(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", times=np.arange(12) / 25, codecs=Codecs(audio=None))
    data = bytearray(film.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3  # Matroska's Duration, a double of milliseconds
    data[place : place + 8] = struct.pack(">d", 1e12)
    film.write_bytes(data)
    assert cause(film) == "clip too long"
    watch(film, 0.0, 0.3)  # what is really there can be used


@pytest.mark.parametrize(("channels", "rate"), [(60_000, 16_000), (1, 2_000_000_000), (1, 1), (65, 16_000)])
def test_sound_of_absurd_channels_and_rates(tmp_path: Path, channels: int, rate: int) -> None:
    film = write_film(
        tmp_path / "film.wav", sound=beeps(1, 16_000), codecs=Codecs(None, "pcm_s16le", 16_000, "mono")
    )
    data = bytearray(film.read_bytes())
    place = data.index(b"fmt ") + 10
    data[place : place + 12] = struct.pack(
        "<HIIH", channels, rate, min(2 * rate * channels, 2**32 - 1), 2 * channels % 2**16
    )
    film.write_bytes(data)
    assert cause(film) in ("impossible sound", "not a media file")


def test_a_film_of_more_pictures_than_any_camera_takes(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=50_000, width=64, height=48, pix_fmt="yuv420p")
        for number in range(3000):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 50_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert cause(film, 0.0, 0.05) == "too many frames"


def test_a_slow_motion_film_is_no_flood() -> None:
    pace = Pace("film.mp4")
    for number in range(5000):
        pace.take(number / 240)
    with pytest.raises(ClipError, match=f"more than {MAX_PICTURES} frames a second"):
        deque((pace.take(20.0) for _ in range(50_000)), 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{film}\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{film}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile '{name}'\n"),
        ("list.sdp", "v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n"),
    ],
)
def test_a_playlist_is_no_film(tmp_path: Path, small: dict[str, bytes], name: str, text: str) -> None:
    """It names other files, and so would lead out of the corpus."""
    film = put(tmp_path / "secret" / "film.ts", small["ts"])
    put(tmp_path / "film.ts", small["ts"])
    path = put(tmp_path / name, text.format(film=film, name="film.ts").encode())
    assert cause(path) == "not a media file"
