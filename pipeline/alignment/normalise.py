"""What is spoken of a transcript's word: "23" is twenty three, "U.S." two letters, "—" nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from mimdata.pipeline.alignment.numerals import NUMERAL, spoken_numeral

Known = Callable[[str], bool]  # whether a dictionary holds a word in lower case

# Labels of sounds that are no words, as corpora write them in brackets.
_SOUNDS = frozenset({
    "applause", "breath", "breathes", "breathing", "cough", "coughing", "coughs", "cries", "crosstalk", "crying",
    "exhale", "exhales", "inaudible", "inhale", "inhales", "laugh", "laughing", "laughs", "laughter", "lipsmack",
    "mumble", "mumbles", "music", "noise", "pause", "sigh", "sighs", "sil", "silence", "sniff", "sniffs", "sound",
    "spn", "unintelligible", "unk", "vocnoise",
})  # fmt: skip
_BRACKETED = re.compile(r"^[\[({*]+([^\W\d_][\w -]*)[\])}*]+[.,;:!?]*$")
_ANGLED = re.compile(r"^<[^<>]*>[.,;:!?]*$")

_SYMBOLS = {
    "&": "and",
    "+": "plus",
    "%": "percent",
    "=": "equals",
    "@": "at",
    "°": "degrees",
    "×": "times",
    "÷": "divided by",
}
_NAMED = {"minus": "minus", "hash": "number", "dot": "dot"}
_UNSPOKEN = str.maketrans("", "", "™®©")
_PLAIN = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "⁄": "/", "−": "-"})
_OUTER = '"“”„«»‹›.,;:!?…¿¡()[]{}<>*~_-–—/\\|^'
_DOMAINS = "com|org|net|edu|gov"

_PIECE = re.compile(
    rf"""
    (?P<minus>(?<![\w])-(?=[$£€¥]?\.?\d))
  | (?P<hash>\#(?=\d))
  | (?P<numeral>[$£€¥]?(?:\.?\d)[^\s]*)
  | (?P<letters>(?:[^\W\d_]\.){{2,}}(?:[^\W\d_](?![^\W\d_]))?)
  | (?P<dot>\.(?=(?:{_DOMAINS})\b))
  | (?P<meridiem>(?<=\d)[ap]\.?m\b\.?)
  | (?P<word>'?[^\W\d_]+(?:'[^\W\d_]+)*'?)
  | (?P<symbol>[{re.escape("".join(_SYMBOLS))}])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Spoken:
    """The spoken words of one transcript word, in lower case.

    Without any, `audible` tells a sound that has no English letters (a noise label, another script) from
    what cannot be heard at all (punctuation).
    """

    words: tuple[str, ...]
    audible: bool


def spoken(word: str, known: Known) -> Spoken:
    """What is said when a transcript writes `word`.

    A word that the dictionary knows stays whole (hyphens, apostrophes and dots included); another is cut into
    numbers, letters, symbols and words, of which only those in Latin letters can be spoken.
    """
    text = plain(word).lower()
    if is_sound(text):
        return Spoken((), audible=True)
    whole = _whole(text, known)
    if whole:
        return Spoken((whole,), audible=True)
    words = tuple(said for said in _pieces(text, known) if _latin(said))
    return Spoken(words, audible=bool(words) or any(character.isalnum() for character in text))


def plain(word: str) -> str:
    """A word without typography: one code for one character, ' for every apostrophe, no ™."""
    return unicodedata.normalize("NFKC", _fractions(word).translate(_UNSPOKEN)).translate(_PLAIN)


def is_english(language: str) -> bool:
    """en, en-US, en_GB, eng and English are."""
    return language.lower().replace("_", "-").partition("-")[0] in ("en", "eng", "english")


def _fractions(word: str) -> str:
    """½ as 1/2, parted from a number before it, which NFKC would glue: 2½ is not 21/2."""
    return "".join(
        f" {unicodedata.normalize('NFKC', c)}" if unicodedata.decomposition(c).startswith("<fraction>") else c
        for c in word
    )


def is_sound(text: str) -> bool:
    """Whether a word in lower case labels a sound that is no word: <laugh>, (applause)."""
    found = _BRACKETED.match(text)
    return bool(_ANGLED.match(text)) or (found is not None and found[1].strip() in _SOUNDS)


def _whole(text: str, known: Known) -> str:
    """The form of the word that the dictionary has, if any."""
    core = text.strip(_OUTER)
    # A final dot belongs to a word that has dots inside: "u.s." is two letters, "no." ends a sentence.
    for form in (core + "." if "." in core else "", core, core.strip("'"), _unmarked(core)):
        if form and known(form) and any(map(str.isalpha, form)):
            return form
    return ""


def _unmarked(text: str) -> str:
    """Without accents: naïve → naive."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _latin(word: str) -> bool:
    return all("a" <= c <= "z" or c == "'" or "LATIN" in unicodedata.name(c, "") or c == "." for c in word)


def _pieces(text: str, known: Known) -> list[str]:
    found: list[str] = []
    at = 0
    while match := _PIECE.search(text, at):
        said, at = _piece(match, text, known)
        found += said
    return found


def _piece(match: re.Match[str], text: str, known: Known) -> tuple[list[str], int]:
    """The spoken words of one piece, and where the next begins."""
    kind, piece, end = match.lastgroup, match[0], match.end()
    if kind == "numeral":
        number = NUMERAL.match(text, match.start())
        return (spoken_numeral(number), number.end()) if number else ([], match.start() + 1)
    if kind == "letters":
        return [f"{letter}." for letter in piece if letter != "."], end
    if kind == "symbol":
        return _SYMBOLS[piece].split(), end
    if kind == "meridiem":
        return [f"{piece[0]}.m."], end
    if kind in _NAMED:
        return [_NAMED[kind]], end
    return [_whole(piece, known) or piece.strip("'")], end
