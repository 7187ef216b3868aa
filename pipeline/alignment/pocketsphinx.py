"""The default word aligner: English forced alignment, with a fallback that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mimdata.pipeline.alignment.decoder import FRAME, Heard, SphinxDecoder, dictionary_path, model_digests
from mimdata.pipeline.alignment.normalise import Spoken, is_english, spoken
from mimdata.pipeline.alignment.places import Seconds, placed_words
from mimdata.pipeline.alignment.pronounce import arpabet, dictionary_words
from mimdata.pipeline.alignment.speech import detect_speech, spread
from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.records import Clip, Float32, Words, words_of
from mimdata.pipeline.steps import AlignWords, Reads, Resources

if TYPE_CHECKING:
    from mimdata.pipeline.media import Media

# Measured by benchmarks/bench_alignment_grid.py: right words against wrong ones, clean and at 10 dB of noise.
EVEN_NATS = -7.0  # a frame; a word that scores this is as likely right as wrong
NATS_TO_LOGIT = 1.0
POOREST_MATCH = -7.5  # nats a frame over all words; right transcripts score better, most wrong ones worse


@dataclass(frozen=True)
class PocketsphinxAligner:
    """Finds each word of an English transcript in the sound."""

    name: ClassVar[str] = "pocketsphinx"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("pocketsphinx", "espeakng-loader")

    @property
    def reads(self) -> Reads:
        return Reads(text=True, audio=True)

    def weights(self) -> Mapping[str, str]:
        """Digests of the acoustic model and of the dictionary in pocketsphinx's wheel."""
        return model_digests()

    def open(self, resources: Resources) -> AlignWords:
        """Read the dictionary; the model is loaded with the first clip that needs it."""
        return _Alignment(dictionary_words(dictionary_path()), SphinxDecoder())


@dataclass(frozen=True)
class _Alignment:
    """Aligns one clip after the other, each by itself."""

    dictionary: frozenset[str]
    decoder: SphinxDecoder

    def __call__(self, media: Media, clip: Clip) -> Words:
        """The clip's words in time. Raises ClipError for an empty transcript."""
        words = words_of(clip.text)
        if not words:
            raise ClipError(
                "empty transcript", f"{clip.clip_id} has no words", "give it a text, or leave it out"
            )
        said = tuple(spoken(word, self.dictionary.__contains__) for word in words)
        audible = np.array([one.audible for one in said], np.bool_)
        audio = media.audio()
        duration = media.duration
        result = self._try(clip, audio, said)
        if isinstance(result, str):
            return spread(words, audible, audio, duration, (result,))
        places, confidence, suspect = result
        return placed_words(
            words, places.clip(max=duration), confidence, audible, duration, PocketsphinxAligner.name, suspect
        )

    def _try(
        self, clip: Clip, audio: Float32 | None, said: Sequence[Spoken]
    ) -> tuple[Seconds, Seconds, tuple[str, ...]] | str:
        """Places and confidences of the words, and what is odd; or, as a phrase, why there are none."""
        if not is_english(clip.language):
            return f"not aligned: pocketsphinx knows English only, the clip is in {clip.language!r}"
        if audio is None:
            return "not aligned: no audio track"
        if not len(detect_speech(audio)):
            return "not aligned: no speech in the sound"
        forms = [self._pronounceable(one.words) for one in said]
        flat = [word for form in forms for word in form]
        if not flat:
            return "not aligned: nothing in the transcript has an English pronunciation"
        phones = {word: arpabet(word) for word in flat if word not in self.dictionary}
        heard = self.decoder.align(audio, flat, phones)
        if heard is None:
            return "not aligned: the transcript does not fit the sound"
        return _by_transcript(heard, [len(form) for form in forms])

    def _pronounceable(self, words: Sequence[str]) -> list[str]:
        return [word for word in words if word in self.dictionary or arpabet(word)]


def _by_transcript(heard: Heard, counts: Sequence[int]) -> tuple[Seconds, Seconds, tuple[str, ...]]:
    """Spoken words back to transcript words, of which number i has counts[i] spoken ones.

    → places (w, 2) seconds, NaN where nothing is spoken; confidence (w,) in [0, 1]; what is odd.
    """
    count = np.asarray(counts)
    lengths = heard.frames[:, 1] - heard.frames[:, 0]
    has = count > 0
    first = (np.cumsum(count) - count)[has]
    places = np.full((len(count), 2), np.nan)
    places[has, 0] = heard.frames[first, 0] * FRAME
    places[has, 1] = heard.frames[first + count[has] - 1, 1] * FRAME
    total = np.add.reduceat(heard.nats * lengths, first)
    confidence = np.zeros(len(count))
    confidence[has] = likelihood(total / np.add.reduceat(lengths, first))
    overall = float(heard.nats @ lengths / lengths.sum())
    if overall >= POOREST_MATCH:
        return places, confidence, ()
    return places, confidence, (f"transcript hardly matches the sound: {overall:.1f} nats a frame",)


def likelihood(nats: Seconds) -> Seconds:
    """Nats a frame → confidence in [0, 1]: how likely a word with this score is the one that was said."""
    return np.asarray(1 / (1 + np.exp(-NATS_TO_LOGIT * (nats - EVEN_NATS))))
