"""Alignment by CTC models: of a sound whose words' times are known, in windows, and what the words of a text become."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mimdata.pipeline.alignment.ctc import CtcAligner
from mimdata.pipeline.alignment.ctc_spelling import Alphabet, spelled
from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Words, WordStatus
from mimdata.pipeline.steps import Resources, WordAligner
from mimdata.pipeline.store.fingerprint import step_identity
from tests.pipeline.alignment.ctc_models import (
    SPECIAL,
    STRIDE,
    random_model,
    save,
    spoken,
    tone_model,
    vocabulary,
    write,
)

FRAME, ROUNDING = STRIDE / 16_000, 1e-5
A, I, M = WordStatus.ALIGNED, WordStatus.INTERPOLATED, WordStatus.MISSING  # noqa: E741
SENTENCE = "The hotel also sent tea and a towel that was wooden"
Align = Callable[[Path, str], Words]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "tones": save(folder / "tones", tone_model(), vocabulary()),
        "random": save(folder / "random", random_model(len(vocabulary())), vocabulary()),
    }


def aligner(model: Path, language: str = "en", **parameters: object) -> Align:
    """A new worker's aligner, for clips in this language."""
    opened = CtcAligner(str(model), **parameters).open(Resources())  # type: ignore[arg-type]

    def align(path: Path, text: str) -> Words:
        media = Media(path, None, None, audio=True, fps=())
        return opened(media, Clip("v[0]", "v", 0, path.name, None, None, text, language))

    return align


def as_bytes(words: Words) -> tuple[bytes, ...]:
    return tuple(getattr(words, name).tobytes() for name in ("intervals", "confidence", "status", "pauses"))


def test_is_a_word_aligner_whose_identity_is_its_files_wherever_they_lie(models: dict[str, Path]) -> None:
    ours = CtcAligner(str(models["tones"]))
    assert isinstance(ours, WordAligner)
    assert {"config.json", "vocab.json", "model.safetensors"} <= set(ours.weights())
    moved = models["tones"].with_name("moved")
    moved.symlink_to(models["tones"])
    assert step_identity(CtcAligner(str(moved))) == step_identity(ours)
    assert step_identity(CtcAligner(str(models["random"]))) != step_identity(ours)
    assert step_identity(ours)["parameters"] == {"language": None, "window": 30.0, "poorest": 0.5}


def test_known_times_are_found_within_a_frame(models: dict[str, Path], tmp_path: Path) -> None:
    sound, times = spoken(SENTENCE)
    words = aligner(models["tones"])(write(tmp_path / "a.wav", sound), SENTENCE)
    assert (words.source, words.suspect) == ("ctc", ())
    assert words.words == tuple(SENTENCE.split())
    assert words.status.tolist() == [A] * len(times)
    assert np.abs(words.intervals - np.array(times)).max() <= FRAME + ROUNDING
    assert words.confidence.min() > 0.99
    assert len(words.pauses) == len(times) + 1
    assert np.abs(words.pauses[1:, 0] - np.array(times)[:, 1]).max() <= FRAME + ROUNDING


def test_a_long_sound_in_windows_gives_what_one_window_gives(models: dict[str, Path], tmp_path: Path) -> None:
    text = " ".join([SENTENCE] * 8)
    sound, times = spoken(text)
    path = write(tmp_path / "a.wav", sound)
    whole = aligner(models["tones"], window=60.0)(path, text)
    assert len(sound) > 40 * 16_000
    assert np.abs(whole.intervals - np.array(times)).max() <= FRAME + ROUNDING
    assert as_bytes(aligner(models["tones"], window=8.0)(path, text)) == as_bytes(whole)
    assert as_bytes(aligner(models["tones"])(path, text)) == as_bytes(whole)


def test_windows_together_give_what_each_alone_gives(models: dict[str, Path]) -> None:
    """As on a GPU, where windows of one length share a forward pass; the last, shorter one has its own."""
    model = CtcAligner(str(models["random"]), window=8.0).open(Resources()).model  # type: ignore[attr-defined]
    sound = np.random.default_rng(0).normal(0, 0.1, 700_000).astype(np.float32)
    columns = np.arange(len(vocabulary()))
    alone = model.log_probs(sound, columns)
    passes = [len(windows) for windows in model._passes(len(sound))]
    model._together = 4
    grouped = [len(windows) for windows in model._passes(len(sound))]
    assert set(passes) == {1}
    assert (sum(grouped), max(grouped), grouped[-1]) == (len(passes), 4, 1)
    assert np.allclose(model.log_probs(sound, columns), alone, atol=1e-4)


@pytest.mark.parametrize("samples", [1600, 16_000, 127_999, 128_000, 128_001, 192_001, 192_400, 500_000])
def test_windows_leave_out_no_frame_and_give_none_twice(models: dict[str, Path], samples: int) -> None:
    model = CtcAligner(str(models["random"]), window=8.0).open(Resources()).model  # type: ignore[attr-defined]
    sound = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    log_probs = model.log_probs(sound, np.arange(len(vocabulary())))
    assert len(log_probs) == (samples - 400) // STRIDE + 1
    assert np.allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-5)


def test_a_clip_depends_on_itself_alone(models: dict[str, Path], tmp_path: Path) -> None:
    texts = [SENTENCE, "a hotel", "a towel was wooden that that also", "the " * 400, "tea — 映画 23"]
    paths = [write(tmp_path / f"{i}.wav", spoken(SENTENCE[: 9 + 7 * i])[0]) for i in range(len(texts))]
    jobs = list(zip(paths, texts, strict=True))
    alone = [as_bytes(aligner(models["random"])(*job)) for job in jobs]
    together, order = aligner(models["random"]), list(range(len(jobs))) * 2
    random.Random(1).shuffle(order)
    for i in order:
        assert as_bytes(together(*jobs[i])) == alone[i]


def test_what_the_model_cannot_write_lies_between_its_neighbours(
    models: dict[str, Path], tmp_path: Path
) -> None:
    sound, times = spoken("the hotel was wooden")
    text = "“The 映画 hotel — <laugh> was wooden!”"
    words = aligner(models["tones"])(write(tmp_path / "a.wav", sound), text)
    assert words.words == tuple(text.split())
    assert words.status.tolist() == [A, I, A, M, I, A, A]
    assert np.abs(words.intervals[[0, 2, 5, 6]] - np.array(times)).max() <= FRAME + ROUNDING
    assert words.intervals[1].tolist() == [words.intervals[0, 1], words.intervals[2, 0]]
    assert words.intervals[3].tolist() == [words.intervals[2, 1]] * 2
    assert words.confidence[[1, 3, 4]].tolist() == pytest.approx([0.2, 0, 0.2])


def test_a_wrong_transcript_is_suspect(models: dict[str, Path], tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", spoken(SENTENCE)[0])
    text = "now she hid it there until I turned in"
    words = aligner(models["tones"])(path, text)
    assert words.suspect[0].startswith("transcript hardly matches the sound: mean posterior 0.")
    assert "mean posterior" not in "".join(aligner(models["tones"], poorest=0.0)(path, text).suspect)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("這 部 電影", "not aligned: the model can write nothing of the transcript"),
        ("the hotel " * 40, "not aligned: the transcript does not fit the sound"),
    ],
)
def test_what_cannot_be_aligned_is_spread_over_the_speech_and_says_why(
    models: dict[str, Path], tmp_path: Path, text: str, why: str
) -> None:
    words = aligner(models["tones"])(write(tmp_path / "a.wav", spoken("the hotel")[0]), text)
    assert words.source == "speech"
    assert words.suspect[0] == why
    assert set(words.status.tolist()) == {I}


def test_silence_gives_words_over_the_whole_span(models: dict[str, Path], tmp_path: Path) -> None:
    words = aligner(models["tones"])(write(tmp_path / "a.wav", np.zeros(32_000, np.float32)), "one two")
    assert words.source == "span"
    assert words.suspect == ("not aligned: no speech in the sound",)


def test_an_empty_transcript_is_an_error_of_the_clip(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="has no words"):
        aligner(models["tones"])(write(tmp_path / "a.wav", np.zeros(32_000, np.float32)), " ")


def alphabet(letters: str) -> Alphabet:
    found = vocabulary(letters)
    return Alphabet({c: found[c] for c in letters}, found["|"], found["<pad>"])


def written(text: str, language: str, letters: str) -> str:
    """A text as it is spelt; | between spoken words."""
    tokens = (*SPECIAL, *letters)
    return "".join(tokens[i] for i in spelled(text.split(), language, alphabet(letters)).symbols.tolist())


@pytest.mark.parametrize(
    ("text", "language", "letters", "expected"),
    [
        ("Don’t shout!", "en", "DONTSHU'", "DON'T|SHOUT"),
        ("23 well-known", "en", "abcdefghijklmnopqrstuvwxyz", "twenty|three|well|known"),
        ("23 Häuser", "de", "HAäeusr", "Häuser"),
        ("Straße", "de", "STRAE", "STRASSE"),
        ("Élan café", "fr", "acéfln", "élan|café"),
        ("Élan café", "fr", "ACEFLN", "ELAN|CAFE"),
        ("l’eau", "fr", "aelu", "l|eau"),
        ("l’eau", "fr", "aelu'", "l'eau"),
        ("我 喜欢，你", "zh", "我喜欢你", "我|喜欢|你"),
        ("我 喜 欢", "en", "我喜欢", "我|喜|欢"),
        ("हिन्दी नहीं।", "hi", "हिनदी्ं", "हिन्दी|नहीं"),
        ("ｆｕｌｌ ﬁt", "de", "fuliT", "full|fiT"),
        ("(lacht) [Musik] <noise> ha", "de", "ahcltmusik", "lacht|musik|ha"),
        ("… — !", "de", "abc", ""),
    ],
)
def test_words_are_spelt_as_the_model_writes(text: str, language: str, letters: str, expected: str) -> None:
    assert written(text, language, letters) == expected


def test_marks_between_words_may_be_left_out_and_belong_to_none() -> None:
    spelling = spelled(["a", "—", "b-a", "7"], "de", alphabet("ab"))
    assert spelling.owners.tolist() == [0, -1, 2, -1, 2]
    assert spelling.optional.tolist() == [False, True, False, True, False]
    assert spelling.audible.tolist() == [True, False, True, True]
