"""Pronunciations for the English acoustic model: its dictionary, and espeak-ng for words that are not in it."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

from mimdata.pipeline.espeak import phonemes

# espeak-ng's IPA for American English → the 39 phones of CMUdict, as the model was trained on it.
_ARPABET = {
    # vowels
    "iː": "IY", "i": "IY", "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "y": "IY", "eɪ": "EY", "e": "EY", "ɛ": "EH",
    "æ": "AE", "a": "AA", "aː": "AA", "ɑː": "AA", "ɑ": "AA", "ɒ": "AA", "ɔː": "AO", "ɔ": "AO", "oʊ": "OW",
    "o": "OW", "ʊ": "UH", "uː": "UW", "u": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɚ": "ER", "ɜː": "ER",
    "ɜ": "ER", "ɝ": "ER", "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "ø": "ER", "œ": "ER",
    # vowels before r
    "ɔːɹ": "AO R", "oːɹ": "AO R", "ɜːɹ": "ER", "ɚɹ": "ER", "aɪɚ": "AY ER", "oː": "AO", "ɹɹ": "R",
    # consonants
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V", "θ": "TH",
    "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "m": "M", "n": "N", "ŋ": "NG", "l": "L",
    "ɫ": "L", "ɹ": "R", "r": "R", "w": "W", "ʍ": "W", "j": "Y", "tʃ": "CH", "dʒ": "JH", "ɾ": "T", "ʔ": "T",
    # sounds of loan words, by their nearest English neighbour
    "x": "K", "χ": "K", "ç": "HH", "ɬ": "L", "ɲ": "N", "ʁ": "R", "ɣ": "G", "β": "V", "c": "K", "q": "K",
    # syllabic consonants
    "n̩": "AH N", "l̩": "AH L", "m̩": "AH M", "əl": "AH L",
}  # fmt: skip
_LONGEST_FIRST = re.compile("|".join(sorted(map(re.escape, _ARPABET), key=len, reverse=True)))
_SWITCH = re.compile(r"\([a-z-]+\)")  # espeak-ng marks a change of language: (fr)…(en-us)
_STRESS = str.maketrans("", "", "ˈˌ‿͡ ")


@cache
def dictionary_words(path: Path) -> frozenset[str]:
    """The words of a dictionary in CMUdict's format, without the numbers of further pronunciations."""
    with path.open(encoding="utf-8") as lines:
        return frozenset(line.partition(" ")[0].partition("(")[0] for line in lines)


@lru_cache(maxsize=65536)
def arpabet(word: str) -> str:
    """Phones of a word by espeak-ng's letter-to-sound, "JH AE K AH T"; empty for what it cannot pronounce."""
    return to_arpabet(phonemes(word))


def to_arpabet(ipa: str) -> str:
    """IPA → phones parted by blanks. Marks and sounds that English lacks are left out."""
    plain = unicodedata.normalize("NFD", _SWITCH.sub("", ipa)).translate(_STRESS)
    # NFD parts ç and the like; what the table writes composed is composed again.
    plain = unicodedata.normalize("NFC", plain)
    return " ".join(_ARPABET[found] for found in _LONGEST_FIRST.findall(plain))
