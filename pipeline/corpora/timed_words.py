"""Words with times that come with a corpus: a words CSD, joined to each transcript through its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.csd import ComputationalSequence, read_csd
from mimdata.pipeline.records import GivenWord, words_of

PATTERN = "*TimestampedWords.csd"
SILENCES = frozenset({"sp", "sil", ""})
LONGEST = 3000  # words of one utterance: joining takes the square of them
MARGIN = 2.0  # seconds; CMU-MOSI's label intervals run up to 0.5 s off the words


@dataclass(frozen=True)
class SpokenWords:
    """All words of one video, silences left out: normalised spellings and times (n, 2) in seconds."""

    spellings: tuple[str, ...]
    times: npt.NDArray[np.float64]


@dataclass(frozen=True)
class WordSource:
    """Reads one video of a words CSD at a time."""

    sequence: ComputationalSequence
    ids: frozenset[str]

    def of(self, video: str) -> SpokenWords | None:
        """The words of `video`, or None where the CSD lacks it."""
        if video not in self.ids:
            return None
        entry = self.sequence.entry(video)
        order = np.argsort(entry.intervals[:, 0], kind="stable")
        try:
            words = entry.strings()
        except ValueError as error:
            raise MimdataError(f"{self.sequence.path}, {video}: {error}. Fetch the file again.") from error
        timed: list[bool] = np.isfinite(entry.intervals.sum(axis=1)).tolist()
        kept = [i for i in order if timed[i] and words[i] not in SILENCES and normalised(words[i])]
        return SpokenWords(tuple(normalised(words[i]) for i in kept), entry.intervals[kept])


def find_word_source(root: Path) -> WordSource | None:
    """The words CSD in `root` or a folder below it, if there is one; the first by name."""
    for pattern in (PATTERN, f"*/{PATTERN}", f"*/*/{PATTERN}"):
        for path in sorted(root.glob(pattern)):
            sequence = read_csd(path)
            return WordSource(sequence, frozenset(sequence.ids()))
    return None


@lru_cache(maxsize=65536)
def normalised(word: str) -> str:
    """Letters and digits in lower case: "It's," → "its"."""
    return "".join(filter(str.isalnum, word.casefold()))


def join_words(
    text: str, spoken: SpokenWords, start: float, end: float | None
) -> tuple[GivenWord, ...] | None:
    """Times for each word of `text`, relative to `start`, or None unless every word finds its place.

    `start` and `end` are seconds in the video; words up to 2 s outside of that span take part, so a time may be
    negative or lie past the end. Words that are written apart in one and together in the other share their
    time by letters; a word without letters gets an empty interval after the word before it.
    """
    near = (spoken.times[:, 1] > start - MARGIN) & (
        spoken.times[:, 0] < (np.inf if end is None else end) + MARGIN
    )
    window = np.flatnonzero(near)
    words = words_of(text)
    letters = [normalised(word) for word in words]
    audible = [i for i, spelling in enumerate(letters) if spelling]
    a, b = [letters[i] for i in audible], [spoken.spellings[i] for i in window]
    if max(len(a), len(b)) > LONGEST:
        return None
    edges = np.full((len(words), 2), np.nan)
    for kind, a0, a1, b0, b1 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "insert":  # words that the transcript leaves out
            continue
        run = _same_letters("".join(a[a0:a1]), b, b0, b1)
        if run is None:
            return None
        edges[audible[a0:a1]] = _spread(a[a0:a1], b[run], spoken.times[window[run]])
    return _given(words, edges, start)


def _same_letters(letters: str, b: Sequence[str], b0: int, b1: int) -> slice | None:
    """The first run of words within b[b0:b1] that spell `letters`; fillers before and after it are left out."""
    for first in range(b0, b1):
        length = 0
        for last in range(first, b1):
            length += len(b[last])
            if length >= len(letters):
                if letters == "".join(b[first : last + 1]):
                    return slice(first, last + 1)
                break
    return None


def _spread(a: Sequence[str], b: Sequence[str], times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Edges (len(a), 2) in the times (len(b), 2) of the same letters, linear within each word of `b`."""
    if len(a) == len(b) and all(x == y for x, y in zip(a, b, strict=True)):
        return times
    ends = np.cumsum([len(spelling) for spelling in b])
    starts = ends - [len(spelling) for spelling in b]
    result = []
    position = 0
    for spelling in a:
        first = int(np.searchsorted(ends, position, side="right"))
        position += len(spelling)
        last = int(np.searchsorted(ends, position, side="left"))
        edge = []
        for index, letter in ((first, position - len(spelling)), (last, position)):
            share = (letter - starts[index]) / (ends[index] - starts[index])
            edge.append(times[index, 0] + share * (times[index, 1] - times[index, 0]))
        result.append(edge)
    return np.array(result)


def _given(words: Sequence[str], edges: npt.NDArray[np.float64], start: float) -> tuple[GivenWord, ...]:
    given: list[GivenWord] = []
    known = edges[~np.isnan(edges[:, 0])]
    last = float(known[0, 0]) - start if len(known) else 0.0
    for word, (begin, until) in zip(words, edges, strict=True):
        if np.isnan(begin):
            given.append(GivenWord(word, last, last))
        else:
            last = max(float(until) - start, float(begin) - start)
            given.append(GivenWord(word, float(begin) - start, last))
    return tuple(given)
