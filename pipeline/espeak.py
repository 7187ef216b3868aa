"""The speech synthesiser espeak-ng: sound with word times, and letter-to-sound, from the wheel's own library.

espeak-ng keeps state between calls (flutter, noise, filter memory), so that an utterance would depend on the one
before it; neither `espeak_Terminate` nor a fixed seed clears it. Every call here therefore loads the library
afresh (half a millisecond), under a lock, and unloads it: a result depends on its arguments alone, provided
that nothing else in the process holds the same library open.
"""

from __future__ import annotations

import _ctypes
import ctypes
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Float32

# From espeak-ng's public header speak_lib.h, API revision 12.
_SYNCHRONOUS, _PHONEME_EVENTS, _DO_NOT_EXIT = 2, 0x0001, 0x8000
_WORD, _PHONEME = 1, 7
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_UTF8, _POSITION_CHARACTER, _IPA = 1, 1, 2

_lock = Lock()  # the library is one global state machine


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),  # a phoneme's name; "_" begins a pause
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class SpokenWord:
    """A word of a spoken text and where it sounds, in seconds from the first sample.

    espeak-ng speaks some pairs as one ("of the", "was a"): their time is then shared by letters, not `exact`.
    """

    word: str
    start: float
    end: float
    exact: bool = True


@dataclass(frozen=True)
class _Mark:
    """The start of a word (`position` counts characters from 0) or of a phoneme, at a sample."""

    kind: int
    position: int
    sample: int
    pause: bool


def synthesise(
    text: str | Sequence[str],
    voice: str = "en-us",
    rate_wpm: int = 175,
    pitch: int = 50,
    pitch_range: int = 50,
    volume: int = 100,
) -> tuple[Float32, int, tuple[SpokenWord, ...]]:
    """Speak `text`, or words joined by blanks → (n,) float32 in [−1, 1), its sample rate, its words in time.

    `voice` is a language, with an optional variant ("en-us+f2"); rate 80–450 words a minute, pitch and its
    range 0–99, volume 0–200. There is one SpokenWord for each word that white space delimits, in order; a word
    ends where its last phoneme does, and one that is not spoken (a dash) has an empty interval. Raises
    MimdataError for an unknown voice, and ValueError for a parameter out of range.
    """
    for name, value, low, high in (
        ("rate_wpm", rate_wpm, 80, 450),
        ("pitch", pitch, 0, 99),
        ("pitch_range", pitch_range, 0, 99),
        ("volume", volume, 0, 200),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} must be in {low}–{high}, not {value}")
    text = text if isinstance(text, str) else " ".join(text)
    parameters = {_RATE: rate_wpm, _PITCH: pitch, _RANGE: pitch_range, _VOLUME: volume}
    with _library(voice) as (library, sample_rate):
        for parameter, value in parameters.items():
            library.espeak_SetParameter(parameter, value, 0)
        samples, marks = _speak(library, text)
    return samples, sample_rate, _word_times(text, marks, len(samples), sample_rate)


@lru_cache(maxsize=65536)
def phonemes(word: str, language: str = "en-us") -> str:
    """Pronunciation of a word (or a short text) in IPA, with stress marks; words are parted by a blank.

    Empty for what has no sound. Words that are foreign to the language are spelt out as espeak-ng sees fit.
    """
    parts: list[str] = []
    with _library(language) as (library, _):
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        rest = ctypes.c_char_p(word.replace("\0", " ").encode())
        while rest.value:  # one clause a call; the pointer becomes null after the last
            parts.append((library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA) or b"").decode())
    return " ".join(" ".join(parts).split())


@contextmanager
def _library(voice: str) -> Iterator[tuple[ctypes.CDLL, int]]:
    """The library in its first state, with `voice` set, and its sample rate."""
    import espeakng_loader

    with _lock:
        library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        try:
            data = str(espeakng_loader.get_data_path()).encode()
            rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _DO_NOT_EXIT)
            if rate <= 0:
                raise MimdataError(
                    f"espeak-ng cannot read its data: looked in {data.decode()}. Reinstall espeakng-loader."
                )
            library.espeak_ng_SetRandSeed(ctypes.c_long(1))
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise MimdataError(
                    f'espeak-ng has no voice "{voice}": try "en-us", or a variant as "en-us+f2".'
                )
            yield library, rate
        finally:
            library.espeak_Terminate()
            _unload(library)


def _unload(library: ctypes.CDLL) -> None:
    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)


def _speak(library: ctypes.CDLL, text: str) -> tuple[Float32, list[_Mark]]:
    chunks: list[Float32] = []
    marks: list[_Mark] = []

    def receive(wav: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if wav and count > 0:
            chunks.append(np.ctypeslib.as_array(wav, (count,)).astype(np.float32) / np.float32(32768))
        i = 0
        while events[i].type:
            event = events[i]
            marks.append(
                _Mark(event.type, event.text_position - 1, event.sample, event.name.startswith(b"_"))
            )
            i += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    data = text.replace("\0", " ").encode()
    library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    return np.concatenate(chunks) if chunks else np.zeros(0, np.float32), marks


def _word_times(text: str, marks: list[_Mark], length: int, rate: int) -> tuple[SpokenWord, ...]:
    words = text.split()
    groups = _groups(marks, _owners(text), length)
    times: list[SpokenWord] = []
    for (first, start, end), (until, _, _) in zip(groups, [*groups[1:], (len(words), 0, 0)], strict=True):
        shares = np.cumsum([0, *(sum(map(str.isalnum, word)) for word in words[first:until])])
        edges = (start + (end - start) * shares / max(shares[-1], 1)) / rate
        exact = int(np.count_nonzero(np.diff(shares))) <= 1
        for i, word in enumerate(words[first:until]):
            times.append(SpokenWord(word, float(edges[i]), float(edges[i + 1]), exact))
    return tuple(times)


def _groups(marks: list[_Mark], owners: list[int], length: int) -> list[tuple[int, int, int]]:
    """(first word, start, end in samples) of each stretch that espeak-ng reports, from word 0, ascending."""
    groups = [(0, 0, 0)] if owners else []
    bounds = [*(mark.sample for mark in marks[1:]), length][: len(marks)]
    for mark, until in zip(marks, bounds, strict=True):
        if mark.kind == _WORD and 0 <= mark.position < len(owners):
            word = owners[mark.position]
            if word > groups[-1][0]:
                groups.append((word, mark.sample, mark.sample))
        elif mark.kind == _PHONEME and not mark.pause and groups:
            groups[-1] = (*groups[-1][:2], max(until, groups[-1][2]))
    return groups


def _owners(text: str) -> list[int]:
    """For each character the index of the word that it is part of, or that follows it."""
    owners, index, inside = [], 0, False
    for character in text:
        if character.isspace():
            index, inside = index + inside, False
        else:
            inside = True
        owners.append(index)
    return owners
