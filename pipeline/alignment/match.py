"""Known times to a transcript's words: pairs two spellings of one text, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np

from mimdata.pipeline.alignment.places import Seconds, letters, placed_words
from mimdata.pipeline.records import Bool, GivenWord, Words

# What aligners write where nobody speaks.
SILENCES = frozenset({"", "sil", "sp", "<sil>", "<sp>", "<eps>", "<s>", "</s>", "#", "<p:>", "silence"})


def matched_words(
    words: Sequence[str], timed: Sequence[GivenWord], duration: float | None, source: str
) -> Words:
    """The transcript's words with the times of `timed`, which may be spelt or counted differently.

    Words are compared by their letters and digits alone. Where the texts differ, as many words on both sides
    are paired in order; otherwise the transcript's words share the time between their paired neighbours and are
    interpolated. Silences (SILENCES) are left out; a label of several words counts as that many.
    `duration` in seconds is where the last pause ends; without it, the last word. Raises ValueError if nothing
    in `timed` is a word.
    """
    audible = np.array([_key(word) != "" for word in words], np.bool_).reshape(len(words))
    heard = _single(_speech(timed, words))
    if not heard:
        raise ValueError("no timed words, only silences")
    times = np.array([(word.start, word.end) for word in heard]).clip(min=0.0)
    suspect = _oddities(heard)
    places, unused = _places(words, [word.word for word in heard], times, audible)
    if unused:
        suspect.append(f"timed words that the transcript lacks: {unused} of {len(heard)}")
    # Starts ascend even where the given ones do not quite.
    known = ~np.isnan(places[:, 0])
    places[known, 0] = np.maximum.accumulate(places[known, 0])
    places[known, 1] = np.maximum(places[known, 1], places[known, 0])
    end = float(times[:, 1].max()) if duration is None else duration
    return placed_words(words, places, np.ones(len(words)), audible, end, source, suspect)


def _speech(timed: Sequence[GivenWord], words: Sequence[str]) -> list[GivenWord]:
    """Without silences; a transcript that says "sil" or "#" keeps its own."""
    said = {word.lower() for word in words}
    return [
        word for word in timed if (label := word.word.strip().lower()) not in SILENCES or label in said - {""}
    ]


def _single(timed: Sequence[GivenWord]) -> list[GivenWord]:
    """Labels of several words, cut by their numbers of letters."""
    found: list[GivenWord] = []
    for item in timed:
        parts = item.word.split()
        share = np.cumsum(np.concatenate([[0], letters(parts)])) / max(int(letters(parts).sum()), 1)
        edges = (item.start + (item.end - item.start) * share).tolist()
        found += [GivenWord(part, edges[i], edges[i + 1]) for i, part in enumerate(parts)]
    return found


def _oddities(timed: Sequence[GivenWord]) -> list[str]:
    found = []
    if any(word.start < 0 for word in timed):
        found.append(f"given times begin before the clip: at {min(word.start for word in timed):.2f} s")
    if any(word.end < word.start for word in timed):
        found.append("given times end before they start")
    if any(after.start < before.start for before, after in pairwise(timed)):
        found.append("given times are not in the order of the words")
    return found


def _places(words: Sequence[str], heard: Sequence[str], times: Seconds, audible: Bool) -> tuple[Seconds, int]:
    """(w, 2) places of the transcript's words, NaN for one without; and the number of timed words not used."""
    places = np.full((len(words), 2), np.nan)
    mine = np.flatnonzero(audible)
    keys = [_key(words[i]) for i in mine.tolist()]
    unused = 0
    pairs = SequenceMatcher(None, keys, [_key(word) for word in heard], autojunk=False).get_opcodes()
    for _, i, j, k, m in pairs:
        if j - i == m - k:  # equal, or another spelling of as many words
            places[mine[i:j]] = times[k:m]
        else:
            unused += m - k
    return places, unused


def _key(word: str) -> str:
    """Letters and digits, in lower case."""
    return "".join(filter(str.isalnum, word.casefold()))
