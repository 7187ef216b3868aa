"""Forced alignment: of synthetic speech with known times, of real recordings, and what happens when it fails."""

from __future__ import annotations

import random
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mimdata.pipeline.alignment.normalise import is_english
from mimdata.pipeline.alignment.pocketsphinx import PocketsphinxAligner
from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.espeak import synthesise
from mimdata.pipeline.formats.textgrid import read_textgrid
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Float32, Words, WordStatus
from mimdata.pipeline.steps import Resources, WordAligner

SENTENCES = (
    "I really loved this movie from the very first scene",
    "the acting was terrible and the plot made no sense at all",
    "zorbified mimdata words have no entry in any dictionary",
    "it took 23 minutes and cost $5 — don't bother!",
)
Align = Callable[[Path, str], Words]


def write(path: Path, samples: Float32, rate: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The sentences, spoken, each with a quarter of a second of quiet around it."""
    folder = tmp_path_factory.mktemp("spoken")
    noise = np.random.default_rng(0).normal(0, 1e-4, 10_000).astype(np.float32)
    paths = []
    for i, text in enumerate(SENTENCES):
        samples, rate, _ = synthesise(text)
        quiet = noise[: rate // 4]
        paths.append(write(folder / f"{i}.wav", np.concatenate([quiet, samples, quiet]), rate))
    return paths


def aligned(language: str = "en") -> Align:
    """A new worker's aligner."""
    opened = PocketsphinxAligner().open(Resources())

    def align(path: Path, text: str) -> Words:
        media = Media(path, None, None, audio=True, fps=())
        return opened(media, Clip("v[0]", "v", 0, path.name, None, None, text, language))

    return align


def as_bytes(words: Words) -> tuple[bytes, ...]:
    return tuple(getattr(words, name).tobytes() for name in ("intervals", "confidence", "status", "pauses"))


def test_is_a_word_aligner_whose_weights_are_known() -> None:
    aligner = PocketsphinxAligner()
    assert isinstance(aligner, WordAligner)
    assert {len(digest) for digest in aligner.weights().values()} == {64}


def test_synthetic_speech_is_aligned_to_its_known_times(recordings: list[Path]) -> None:
    align = aligned()
    off = []
    for path, text in zip(recordings[:2], SENTENCES, strict=False):
        words = align(path, text)
        _, _, truth = synthesise(text)
        assert words.source == "pocketsphinx"
        assert words.words == tuple(text.split())
        off += [
            abs(float(start) - 0.25 - word.start)
            for start, word in zip(words.intervals[:, 0], truth, strict=True)
            if word.exact
        ]
    assert np.median(off) <= 0.025
    assert np.mean(np.array(off) <= 0.1) >= 0.95


def test_words_come_out_one_to_one_whatever_is_spoken_for_them(recordings: list[Path]) -> None:
    words = aligned()(recordings[3], SENTENCES[3])
    assert words.words == ("it", "took", "23", "minutes", "and", "cost", "$5", "—", "don't", "bother!")
    assert words.status.tolist() == [WordStatus.ALIGNED] * 7 + [WordStatus.MISSING] + [WordStatus.ALIGNED] * 2
    assert words.intervals[7].tolist() == [words.intervals[6, 1]] * 2
    assert words.confidence[7] == 0
    assert words.confidence[words.status == WordStatus.ALIGNED].min() > 0
    assert words.suspect == ()
    assert len(words.pauses) >= 2  # before and after


def test_words_of_no_dictionary_are_aligned(recordings: list[Path]) -> None:
    words = aligned()(recordings[2], SENTENCES[2])
    _, _, truth = synthesise(SENTENCES[2])
    assert words.status.tolist() == [WordStatus.ALIGNED] * 9
    assert abs(float(words.intervals[1, 0]) - 0.25 - truth[1].start) < 0.1


def test_noise_labels_and_other_scripts_lie_between_their_neighbours(recordings: list[Path]) -> None:
    text = "I really <laugh> loved this 映画 movie from the very first scene"
    words = aligned()(recordings[0], text)
    assert words.source == "pocketsphinx"
    assert [words.status[i] for i in (2, 5)] == [WordStatus.INTERPOLATED] * 2
    assert (words.status == WordStatus.ALIGNED).sum() == 10
    assert words.intervals[1, 1] <= words.intervals[2, 0] <= words.intervals[2, 1] <= words.intervals[3, 0]


def test_a_clip_depends_on_itself_alone(recordings: list[Path]) -> None:
    jobs = list(zip(recordings, SENTENCES, strict=True))
    jobs += [(recordings[0], "zorbified read lead mimdata"), (recordings[1], "the read lead the lead wound")]
    jobs += [(recordings[0], " ".join(["impossible"] * 200))]  # fails, and costs the decoder
    alone = [as_bytes(aligned()(*job)) for job in jobs]
    together = aligned()
    order = list(range(len(jobs))) * 2
    random.Random(1).shuffle(order)
    for i in order:
        assert as_bytes(together(*jobs[i])) == alone[i], jobs[i]


def test_a_wrong_transcript_is_suspect(recordings: list[Path]) -> None:
    align = aligned()
    assert align(recordings[0], SENTENCES[0]).suspect == ()
    found = align(recordings[0], SENTENCES[1])
    assert found.suspect
    assert found.confidence.mean() < 0.5 * align(recordings[0], SENTENCES[0]).confidence.mean()


@pytest.mark.parametrize(
    ("text", "language", "why"),
    [
        (SENTENCES[0], "de", "pocketsphinx knows English only"),
        ("這 部 電影", "en", "nothing in the transcript has an English pronunciation"),
        (" ".join(["impossible"] * 200), "en", "the transcript does not fit the sound"),
    ],
)
def test_what_cannot_be_aligned_is_spread_over_the_speech_and_says_why(
    recordings: list[Path], text: str, language: str, why: str
) -> None:
    words = aligned(language=language)(recordings[0], text)
    assert words.source == "speech"
    assert why in words.suspect[0]
    assert set(words.status.tolist()) == {WordStatus.INTERPOLATED}
    assert words.confidence.max() <= np.float32(0.2)
    assert 0.2 < words.intervals[0, 0] < 0.4


def test_silence_gives_words_over_the_whole_span(tmp_path: Path) -> None:
    words = aligned()(write(tmp_path / "silent.wav", np.zeros(32_000, np.float32)), "one two")
    assert words.source == "span"
    assert words.suspect == ("not aligned: no speech in the sound",)
    assert words.intervals.tolist() == [[0, 1], [1, 2]]


def test_an_empty_transcript_is_an_error_of_the_clip(recordings: list[Path]) -> None:
    with pytest.raises(ClipError) as caught:
        aligned()(recordings[0], "  ")
    assert caught.value.cause == "empty transcript"


def test_languages() -> None:
    assert all(map(is_english, ("en", "en-US", "en_GB", "eng", "English")))
    assert not any(map(is_english, ("de", "", "fr-CA", "enm")))


def grid_clip(shared_data: Path, name: str) -> tuple[Path, str, list[tuple[float, str]]]:
    folder = shared_data / "clips" / "grid"
    marks = [line.split() for line in (folder / f"{name}.align").read_text().splitlines()]
    spoken = [(int(start) / 25_000, word) for start, _, word in marks if word not in ("sil", "sp")]
    return folder / f"{name}.mpg", " ".join(word for _, word in spoken), spoken


@pytest.mark.shared_data
def test_agrees_with_the_timings_of_grid(shared_data: Path) -> None:
    align = aligned()
    off: list[float] = []
    for path in sorted((shared_data / "clips" / "grid").glob("*.align")):
        media, text, marks = grid_clip(shared_data, path.stem)
        words = align(media, text)
        assert words.source == "pocketsphinx"
        assert words.suspect == ()
        off += [abs(float(s) - start) for s, (start, _) in zip(words.intervals[:, 0], marks, strict=True)]
    assert len(off) == 126
    assert np.median(off) <= 0.025
    assert np.mean(np.array(off) <= 0.1) >= 0.95


@pytest.mark.shared_data
def test_aligns_every_word_of_spontaneous_speech(shared_data: Path) -> None:
    folder = shared_data / "words_textgrid"
    tier = read_textgrid(folder / "cold_corpus.TextGrid").tiers["words"]
    words = aligned()(folder / "cold_corpus.wav", " ".join(item.label for item in tier))
    assert words.suspect == ()
    assert set(words.status.tolist()) == {WordStatus.ALIGNED}
    off = np.abs(words.intervals[:, 0] - np.array([item.start for item in tier]))
    assert np.median(off) <= 0.025
    assert np.mean(off <= 0.1) >= 0.85  # "the uh uh" is timed otherwise there


@pytest.mark.shared_data
def test_clip_without_sound_is_spread_over_its_span(shared_data: Path) -> None:
    words = aligned()(shared_data / "clips" / "edge_cases" / "no_audio_track.mp4", "hello there")
    assert words.source == "span"
    assert words.suspect == ("not aligned: no audio track",)
