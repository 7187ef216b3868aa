"""The synthesiser: results depend on the arguments alone, and words are where their sound is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.espeak import phonemes, synthesise


def test_an_utterance_does_not_depend_on_those_before_it() -> None:
    sentence = "I really love this movie, it was great."
    samples, rate, words = synthesise(sentence, "en-us+f2", 180, 60)
    for other, voice in (("Hm.", "en-us"), ("The zebra was awful, I guess so.", "en"), ("yes", "en-us+m3")):
        synthesise(other, voice, 300, 90)
        phonemes("mimdata")
        again, _, words_again = synthesise(sentence, "en-us+f2", 180, 60)
        assert np.array_equal(samples, again)
        assert words == words_again
    assert rate == 22050


def test_threads_do_not_spoil_each_other() -> None:
    texts = [f"This is sentence number {n}" for n in range(12)]
    expected = [synthesise(text)[0] for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: synthesise(text)[0], texts))
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_one_time_for_each_word_in_order() -> None:
    text = "  Well, I paid 25 dollars -  it's one of the  best films ever! "
    samples, rate, words = synthesise(text)
    assert [word.word for word in words] == text.split()
    edges = np.array([(word.start, word.end) for word in words])
    assert (edges[:, 0] <= edges[:, 1]).all()
    assert (edges[1:, 0] >= edges[:-1, 1]).all()
    assert edges[-1, 1] <= len(samples) / rate
    spoken = edges[[word != "-" for word in text.split()]]
    assert (spoken[:, 1] - spoken[:, 0] > 0.02).all()
    assert [word.word for word in words if not word.exact] == ["of", "the"]  # spoken as one


def test_pauses_are_outside_of_words() -> None:
    samples, rate, words = synthesise("good, bad")
    gap = samples[round(words[0].end * rate) + 441 : round(words[1].start * rate)]
    assert len(gap) > 0.1 * rate
    assert np.abs(gap).max() < 0.05 * np.abs(samples).max()


def test_words_as_a_list_are_the_same_text() -> None:
    assert np.array_equal(synthesise(["hello", "world"])[0], synthesise("hello world")[0])


@pytest.mark.parametrize(
    ("word", "ipa"), [("cat", "kˈæt"), ("yknow", "ˈɪnoʊ"), ("25", "twˈɛnti fˈaɪv"), ("", ""), (" ", "")]
)
def test_letter_to_sound(word: str, ipa: str) -> None:
    assert phonemes(word) == ipa


def test_nothing_to_say_is_silence_without_words() -> None:
    samples, _, words = synthesise("   ")
    assert words == ()
    assert np.abs(samples).max(initial=0.0) < 1e-3


def test_unknown_voice_says_what_to_try() -> None:
    with pytest.raises(MimdataError, match='no voice "klingonese"'):
        synthesise("hello", "klingonese")
    with pytest.raises(ValueError, match="rate_wpm"):
        synthesise("hello", rate_wpm=1000)
