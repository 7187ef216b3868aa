"""Forced alignment of one utterance's spoken words with pocketsphinx and the English model of its wheel."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Float32

FRAME = 0.01  # seconds; the acoustic model's frame
SHORTEST = 1600  # samples; less than 0.1 s of sound holds no word and upsets the front end
BEAM = 1e-150  # no utterance is lost to pruning, even at 5 dB of noise, and it costs no measurable time
MOST_ADDED = 4000  # words; the dictionary's spare room, after which a fresh decoder is made
# Scores are stored in units of 1024 steps of the log base 1.0001, and come out exponentiated.
NATS = 1024.0

_FILLERS = frozenset({"<s>", "</s>", "<sil>", "[NOISE]", "[SPEECH]", "(NULL)"})
_VARIANT = re.compile(r"\(\d+\)$")  # "with(2)" is the second pronunciation of "with"


@dataclass(frozen=True)
class Heard:
    """Where each spoken word was found: frames (s, 2), first and past the last; nats (s,) per frame.

    nats says how much worse the word's sounds fit than the best sounds of the whole model would: 0 is perfect.
    """

    frames: npt.NDArray[np.int64]
    nats: npt.NDArray[np.float64]


class SphinxDecoder:
    """One decoder of this process. What it hears in an utterance depends on that utterance alone.

    `beam` None leaves pocketsphinx its own, which benchmarks compare with.
    """

    def __init__(self, beam: float | None = BEAM) -> None:
        self._beam = beam
        self._decoder: Any = None
        self._added: set[str] = set()
        self._lock = Lock()  # one utterance at a time

    def align(self, audio: Float32, words: Sequence[str], phones: Mapping[str, str]) -> Heard | None:
        """audio (n,) mono at 16 kHz in [−1, 1] and its spoken words → their places; None if they do not fit.

        `phones` gives the pronunciation of each word that the dictionary lacks; a word must have the same one
        in every call.
        """
        if len(audio) < SHORTEST or not words:
            return None
        samples = np.clip(np.rint(audio.astype(np.float64) * 32768), -32768, 32767).astype("<i2")
        with self._lock:
            try:
                heard = self._decode(samples.tobytes(), words, phones)
            except RuntimeError:
                heard = None
            if heard is None:
                self._decoder = None  # a decoder that failed once fails or errs again
        return heard

    def _decode(self, samples: bytes, words: Sequence[str], phones: Mapping[str, str]) -> Heard | None:
        decoder = self._ready(words, phones)
        decoder.reinit_feat()  # forgets the cepstral mean of the utterance before
        decoder.set_align_text(" ".join(words))
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        segments = decoder.seg()
        return None if segments is None else _heard(segments, words)

    def _ready(self, words: Sequence[str], phones: Mapping[str, str]) -> Any:
        """The decoder, with all words in its dictionary."""
        wanted = {word for word in words if word in phones}
        if self._decoder is None or len(self._added) + len(wanted) > MOST_ADDED:
            self._decoder, self._added = _new_decoder(self._beam), set()
        for word in sorted(wanted - self._added):
            self._decoder.add_word(word, phones[word], False)
            self._added.add(word)
        return self._decoder


def _new_decoder(beam: float | None) -> Any:
    from pocketsphinx import Decoder

    beams = {} if beam is None else {"beam": beam, "pbeam": beam, "wbeam": beam}

    return Decoder(
        hmm=str(_acoustic_model()),
        dict=str(dictionary_path()),
        lm=None,
        bestpath=False,  # on a quarter of utterances it invents a last word of one frame
        lw=1.0,  # nothing competes with the transcript but silence, which must not be penalised sixfold
        compallsen=True,  # scores relative to all sounds, not to those that the transcript allows
        loglevel="FATAL",
        **beams,
    )


def _heard(segments: Any, words: Sequence[str]) -> Heard | None:
    """The segments that are words; None unless they are exactly the words that were asked for."""
    found = [segment for segment in segments if segment.word not in _FILLERS]
    if [_VARIANT.sub("", segment.word) for segment in found] != list(words):
        return None
    frames = np.array([(segment.start_frame, segment.end_frame + 1) for segment in found], np.int64)
    score = np.array([NATS * math.log(max(segment.ascore, 1e-300)) for segment in found])
    return Heard(frames, score / np.maximum(frames[:, 1] - frames[:, 0], 1))


def dictionary_path() -> Path:
    """CMUdict as it comes with pocketsphinx."""
    return _model_folder() / "cmudict-en-us.dict"


@cache
def model_digests() -> dict[str, str]:
    """sha256 of the acoustic model (all its files) and of the dictionary."""
    model = hashlib.sha256()
    for path in sorted(_acoustic_model().iterdir()):
        model.update(f"{path.name}\n{path.stat().st_size}\n".encode() + path.read_bytes())
    return {
        "pocketsphinx/en-us": model.hexdigest(),
        "pocketsphinx/cmudict-en-us.dict": hashlib.sha256(dictionary_path().read_bytes()).hexdigest(),
    }


def _acoustic_model() -> Path:
    return _model_folder() / "en-us"


def _model_folder() -> Path:
    """Where the wheel keeps its model, found without importing the library."""
    spec = find_spec("pocketsphinx")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "model" / "en-us"
        if folder.is_dir():
            return folder
    raise MimdataError(
        "pocketsphinx has no English model: looked for model/en-us in its package. Reinstall pocketsphinx from PyPI."
    )
