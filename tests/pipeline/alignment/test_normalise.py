"""What is spoken of a transcript's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimdata.pipeline.alignment.decoder import dictionary_path
from mimdata.pipeline.alignment.normalise import spoken
from mimdata.pipeline.alignment.numerals import cardinal, ordinal
from mimdata.pipeline.alignment.pronounce import dictionary_words

KNOWN = dictionary_words(dictionary_path())


def said(word: str) -> str:
    return " ".join(spoken(word, KNOWN.__contains__).words)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Movie,", "movie"),
        ("“Wow!”", "wow"),
        ("don’t", "don't"),
        ("'em", "'em"),
        ("‘hello’", "hello"),
        ("it's.", "it's"),
        ("wo-", "wo"),
        ("and/or", "and or"),
        ("well-zorped", "well zorped"),
        ("naïve", "naive"),
        ("U.S.", "u.s."),
        ("N.B.C.", "n. b. c."),
        ("Dr.", "dr"),
        ("no.", "no"),
        ("amazon.com", "amazon dot com"),
        ("movie.It", "movie it"),
        ("&", "and"),
        ("C++", "c plus plus"),
        ("[adif]", "adif"),
        ("(uhh)", "uhh"),
        ("23", "twenty three"),
        ("0", "zero"),
        ("007", "zero zero seven"),
        ("1,000,000", "one million"),
        ("1984", "nineteen eighty four"),
        ("1905", "nineteen oh five"),
        ("2005", "two thousand five"),
        ("1990s", "nineteen nineties"),
        ("'80s", "eighties"),
        ("3rd", "third"),
        ("21st", "twenty first"),
        ("2.5", "two point five"),
        (".5", "point five"),
        ("-5", "minus five"),
        ("50%", "fifty percent"),
        ("$5", "five dollars"),
        ("$1", "one dollar"),
        ("$2.50", "two dollars fifty"),
        ("£3m", "three million pounds"),
        ("10:30am", "ten thirty a.m."),
        ("10:00", "ten o'clock"),
        ("3/4", "three quarters"),
        ("½", "one half"),
        ("9/11", "nine eleven"),
        ("5-6", "five to six"),
        ("555-1234", "five five five one two three four"),
        ("#1", "number one"),
        ("100°F", "one hundred degrees f"),
        ("mp3", "mp three"),
        ("١٢", "twelve"),
    ],
)
def test_written_words_are_read_as_english_speaks_them(written: str, expected: str) -> None:
    assert said(written) == expected


@pytest.mark.parametrize("written", ["—", "...", "😀", "$", "?!", "''"])
def test_punctuation_alone_cannot_be_heard(written: str) -> None:
    found = spoken(written, KNOWN.__contains__)
    assert (found.words, found.audible) == ((), False)


@pytest.mark.parametrize(
    "written", ["<vocnoise>", "[NOISE]", "(laughs)", "*sighs*", "{noise}.", "Москва", "日本,"]
)
def test_noises_and_other_scripts_are_heard_but_have_no_english_words(written: str) -> None:
    found = spoken(written, KNOWN.__contains__)
    assert (found.words, found.audible) == ((), True)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (115, "one hundred fifteen"),
        (12_000, "twelve thousand"),
        (1_000_001, "one million one"),
        (999_999_999_999_999, "nine hundred ninety nine trillion"),
    ],
)
def test_cardinals(number: int, expected: str) -> None:
    assert " ".join(cardinal(number)).startswith(expected)


def test_ordinals() -> None:
    spelt = [" ".join(ordinal(n)) for n in (1, 2, 5, 8, 12, 20, 43, 100)]
    assert spelt == [
        "first",
        "second",
        "fifth",
        "eighth",
        "twelfth",
        "twentieth",
        "forty third",
        "one hundredth",
    ]


def test_numbers_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="10\\^15"):
        cardinal(10**15)


@given(st.text(max_size=12))
def test_any_text_gives_words_that_the_decoder_can_take(text: str) -> None:
    found = spoken(text, KNOWN.__contains__)
    assert all(word and not set(word) & set(" ()<>[]\n\t") for word in found.words)
    assert found.audible or not found.words
