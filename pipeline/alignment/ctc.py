"""Word alignment in any language that a Hugging Face CTC model writes (wav2vec 2.0, HuBERT, MMS)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mimdata.pipeline.alignment.ctc_files import model_files, model_folder
from mimdata.pipeline.alignment.ctc_model import CtcModel
from mimdata.pipeline.alignment.ctc_spelling import Indices, Spelling, spelled
from mimdata.pipeline.alignment.ctc_viterbi import BestPath, best_path
from mimdata.pipeline.alignment.places import Seconds, placed_words
from mimdata.pipeline.alignment.speech import detect_speech, spread
from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.extractors.weights import digests
from mimdata.pipeline.records import Clip, Float32, Words, words_of
from mimdata.pipeline.steps import AlignWords, Reads, Resources

if TYPE_CHECKING:
    from mimdata.pipeline.media import Media

ENGLISH = "facebook/wav2vec2-base-960h"
BLANK = 0  # its column of the emissions that are asked for; those of the text follow


@dataclass(frozen=True)
class CtcAligner:
    """Finds each word of a transcript in the sound, by the characters that a CTC model hears.

    `model` is a folder, or a hub name whose files are in the local cache; the digests of its files are in the
    identity, the name is not. `language` names the adapter of a multilingual model (MMS). A sound longer than `window`
    seconds is heard in several. An alignment whose characters have a mean posterior below `poorest` is suspect.
    """

    model: str = field(default=ENGLISH, metadata={"identity": False})
    language: str | None = None
    window: float = 30.0
    poorest: float = 0.5  # of unrelated sentences, heard perfectly, 95 in 100 share fewer letters in order

    name: ClassVar[str] = "ctc"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    @property
    def reads(self) -> Reads:
        return Reads(text=True, audio=True)

    def weights(self) -> Mapping[str, str]:
        """Digests of configuration, vocabulary and weights. Raises UsageError where they are not at hand."""
        return digests(model_files(model_folder(self.model, self.language), self.language))

    def open(self, resources: Resources) -> AlignWords:
        """Load the model. Raises UsageError for one that has no CTC head or writes no letters."""
        folder = model_folder(self.model, self.language)
        return _Alignment(CtcModel(folder, self.language, self.window, resources.device), self.poorest)


@dataclass(frozen=True)
class _Alignment:
    """Aligns one clip after the other, each by itself."""

    model: CtcModel
    poorest: float

    def __call__(self, media: Media, clip: Clip) -> Words:
        """The clip's words in time. Raises ClipError for an empty transcript."""
        words = words_of(clip.text)
        if not words:
            raise ClipError(
                "empty transcript", f"{clip.clip_id} has no words", "give it a text, or leave it out"
            )
        spelling = spelled(words, clip.language, self.model.alphabet)
        audio, duration = media.audio(), media.duration
        result = self._try(audio, spelling)
        if isinstance(result, str):
            return spread(words, spelling.audible, audio, duration, (result,))
        places, confidence, suspect = result
        return placed_words(
            words,
            places.clip(max=duration),
            confidence,
            spelling.audible,
            duration,
            CtcAligner.name,
            suspect,
        )

    def _try(
        self, audio: Float32 | None, spelling: Spelling
    ) -> tuple[Seconds, Seconds, tuple[str, ...]] | str:
        """Places and confidences of the words, and what is odd; or, as a phrase, why there are none."""
        if audio is None:
            return "not aligned: no audio track"
        if not len(detect_speech(audio)):
            return "not aligned: no speech in the sound"
        if not len(spelling.symbols):
            return "not aligned: the model can write nothing of the transcript"
        columns, symbols = np.unique(spelling.symbols, return_inverse=True)
        log_probs = self.model.log_probs(audio, np.concatenate([[self.model.alphabet.blank], columns]))
        if np.isnan(log_probs).any():
            raise ClipError(
                "not finite", "the model answers this sound with NaN", "compare its weights' digests"
            )
        path = best_path(log_probs, symbols + 1, BLANK, spelling.optional)
        if path is None:
            return "not aligned: the transcript does not fit the sound"
        places, confidence, overall = by_word(path, symbols + 1, spelling, log_probs)
        if overall >= self.poorest:
            return places * self.model.stride, confidence, ()
        suspect = f"transcript hardly matches the sound: mean posterior {overall:.2f}"
        return places * self.model.stride, confidence, (suspect,)


def by_word(
    path: BestPath, symbols: Indices, spelling: Spelling, log_probs: Float32
) -> tuple[Seconds, Seconds, float]:
    """A path through emissions (t, k), of which symbols (n,) are columns, told by the words of a transcript.

    → places (w, 2) in frames, from the first of a word's first character to past the last of its last, NaN for a word
    without any; the mean posterior of its characters (w,), each the mean of its frames; and that of all characters.
    """
    frames = np.flatnonzero(path.symbols >= 0)
    which = path.symbols[frames]  # ascending, and each of a word's characters at least once
    lengths = np.bincount(which, minlength=len(symbols))
    heard = np.exp(log_probs[frames, symbols[which]].astype(np.float64)).clip(max=1.0)
    posterior = np.bincount(which, heard, minlength=len(symbols)) / np.maximum(lengths, 1)
    last = np.cumsum(lengths) - 1
    own = np.flatnonzero(spelling.owners >= 0)
    words, begin, count = np.unique(spelling.owners[own], return_index=True, return_counts=True)
    places, confidence = np.full((len(spelling.audible), 2), np.nan), np.zeros(len(spelling.audible))
    places[words, 0] = frames[(last - lengths + 1)[own[begin]]]
    places[words, 1] = frames[last[own[begin + count - 1]]] + 1
    confidence[words] = np.add.reduceat(posterior[own], begin) / count
    return places, confidence, float(posterior[own].mean())
