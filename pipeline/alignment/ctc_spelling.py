"""What a CTC model can write of a transcript's word: the characters of its vocabulary, cut into spoken words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.alignment.normalise import is_english, is_sound, plain, spoken
from mimdata.pipeline.records import Bool

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Alphabet:
    """The columns of a model's emissions: its characters, the mark between words (None for none), and blank."""

    characters: Mapping[str, int]
    delimiter: int | None
    blank: int

    def spell(self, word: str) -> tuple[tuple[int, ...], ...]:
        """The columns of a word's characters, apart where a mark inside it (a hyphen) is none of them.

        A letter stands for itself, or in the case that the model writes, or without its accents; one that it
        cannot write at all is left out.
        """
        pieces: list[list[int]] = [[]]
        for character in _core(word):
            columns = self._columns(character)
            if columns is None and not _sounds(character):
                pieces.append([])
            pieces[-1] += columns or ()
        return tuple(tuple(piece) for piece in pieces if piece)

    def _columns(self, character: str) -> tuple[int, ...] | None:
        for form in _forms(character):
            columns = tuple(self.characters.get(c, -1) for c in form)
            if columns and min(columns) >= 0:
                return columns
        return None


@dataclass(frozen=True)
class Spelling:
    """A transcript as a CTC model writes it.

    symbols (n,): columns of the emissions; owners (n,): the word of each, −1 for the mark between words; optional
    (n,): what may be left out, which the marks may: where words are no more than characters nobody writes them.
    audible (w,): False for a word that is punctuation alone.
    """

    symbols: Indices
    owners: Indices
    optional: Bool
    audible: Bool


def spelled(words: Sequence[str], language: str, alphabet: Alphabet) -> Spelling:
    """The words of a transcript in this language, spelt for a model with this alphabet."""
    symbols: list[int] = []
    owners: list[int] = []
    heard = [_said(word, language) for word in words]
    for i, (said, _) in enumerate(heard):
        for piece in (piece for word in said for piece in alphabet.spell(word)):
            if symbols and alphabet.delimiter is not None:
                symbols.append(alphabet.delimiter)
                owners.append(-1)
            symbols += piece
            owners += [i] * len(piece)
    owner = np.array(owners, np.int64)
    audible = np.array([one for _, one in heard], np.bool_)
    return Spelling(np.array(symbols, np.int64), owner, owner < 0, audible)


def _said(word: str, language: str) -> tuple[tuple[str, ...], bool]:
    """The spoken words of a transcript's word, and whether it can be heard.

    English numbers and symbols are read out; other languages are taken as they are written.
    """
    text = plain(word)
    if is_sound(text.lower()):
        return (), True
    if is_english(language):
        english = spoken(word, lambda _: False)
        if english.words:
            return english.words, True
    return (text,), any(map(_sounds, text))


def _sounds(character: str) -> bool:
    """A letter, a digit or a mark upon one."""
    return character.isalnum() or unicodedata.category(character).startswith("M")


def _core(word: str) -> str:
    """Without what stands around the letters."""
    at = [i for i, character in enumerate(word) if _sounds(character)]
    return word[at[0] : at[-1] + 1] if at else ""


def _forms(character: str) -> Iterator[str]:
    """The ways in which a vocabulary may hold a character, the likeliest first."""
    yield from (character, character.lower(), character.upper())
    for cased in (character.lower(), character.upper()):
        yield unicodedata.normalize("NFD", cased)
    for cased in (character.lower(), character.upper()):
        yield "".join(c for c in unicodedata.normalize("NFD", cased) if not unicodedata.combining(c))
