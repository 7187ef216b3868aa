"""Pronunciations of words that the dictionary lacks, judged by the words that it has."""

from __future__ import annotations

import random

import pytest

from mimdata.pipeline.alignment.decoder import dictionary_path
from mimdata.pipeline.alignment.pronounce import arpabet, dictionary_words, to_arpabet

PHONES = {
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
}  # fmt: skip


@pytest.mark.parametrize(
    ("ipa", "expected"),
    [
        ("dʒˈækɪt", "JH AE K IH T"),
        ("bˈʌʔn̩", "B AH T AH N"),
        ("fˈaɪɚ", "F AY ER"),
        ("bˈɜːd", "B ER D"),
        ("ɹˈʊɹɹəl", "R UH R AH L"),
        ("tʃˈɜːtʃ", "CH ER CH"),
        ("(fr)ʁˈu(en-us)", "R UW"),
        ("", ""),
    ],
)
def test_ipa_becomes_phones_of_the_dictionary(ipa: str, expected: str) -> None:
    assert to_arpabet(ipa) == expected


def test_letter_to_sound_agrees_with_the_dictionary() -> None:
    known: dict[str, list[list[str]]] = {}
    with dictionary_path().open(encoding="utf-8") as lines:
        for line in lines:
            word, *phones = line.split()
            known.setdefault(word.partition("(")[0], []).append(phones)
    sample = random.Random(0).sample(sorted(known), 400)
    errors = sum(min(distance(arpabet(word).split(), phones) for phones in known[word]) for word in sample)
    total = sum(min(map(len, known[word])) for word in sample)
    assert errors / total < 0.15  # 0.10 over 3000 words; names make most of it
    assert {phone for word in sample for phone in arpabet(word).split()} <= PHONES


def test_dictionary_words_carry_no_variant_numbers() -> None:
    words = dictionary_words(dictionary_path())
    assert {"with", "don't", "u.s."} <= words
    assert not [word for word in words if "(" in word]


def distance(a: list[str], b: list[str]) -> int:
    """Edit distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]
