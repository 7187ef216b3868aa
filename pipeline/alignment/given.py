"""Word times that came with the corpus, laid on the transcript's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mimdata.pipeline.alignment.match import matched_words
from mimdata.pipeline.errors import ClipError
from mimdata.pipeline.records import Clip, Words, words_of
from mimdata.pipeline.steps import AlignWords, Reads, Resources

if TYPE_CHECKING:
    from mimdata.pipeline.media import Media


@dataclass(frozen=True)
class GivenAligner:
    """Takes the word times of the manifest, or of a corpus's own word file."""

    name: ClassVar[str] = "given"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()

    @property
    def reads(self) -> Reads:
        return Reads(text=True, words=True)

    def weights(self) -> Mapping[str, str]:
        return {}

    def open(self, resources: Resources) -> AlignWords:
        return _by_given_times


def _by_given_times(_: Media, clip: Clip) -> Words:
    """The clip's words at their given times. Raises ClipError without a transcript or without word times."""
    words = words_of(clip.text)
    if not words:
        raise ClipError("empty transcript", f"{clip.clip_id} has no words", "give it a text, or leave it out")
    hint = "give `words` in the manifest, or align with pocketsphinx"
    if not clip.words:
        raise ClipError("no given words", f"{clip.clip_id} came without word times", hint)
    try:
        # The clip's length is no part of this step's key: the last pause ends with the last word.
        return matched_words(words, clip.words, None, GivenAligner.name)
    except ValueError as error:
        raise ClipError("no given words", f"{clip.clip_id}: {error}", hint) from error
