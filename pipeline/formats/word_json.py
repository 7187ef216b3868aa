"""Word times in JSON: what WhisperX and openai-whisper write, and the Montreal Forced Aligner's `--output_format json`.

Whisper   {"language", "segments": [{"start", "end", "text", "speaker", "words": [{"word", "start", "end"}]}]}
a bare list of words, WhisperX's `word_segments`
MFA       {"start", "end", "tiers": {"words": {"type": "interval", "entries": [[start, end, label], …]}, …}}

Seconds from the recording's beginning. WhisperX leaves a word that it could not align without times: it is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.tiers import Interval, Tiers, encoding_of, read_bytes


def read_word_json(path: Path) -> Tiers:
    """MFA's tiers, or one tier "words". Raises MimdataError for JSON of another kind."""
    document = load_json(path)
    tiers: dict[str, tuple[Interval, ...]]
    if isinstance(document, dict) and isinstance(document.get("tiers"), dict):
        tiers = {str(name): tuple(_entries(tier)) for name, tier in document["tiers"].items()}
    else:
        tiers = {"words": tuple(word for words in _lists(document) for word in timed_words(words))}
        if not tiers["words"]:
            raise MimdataError(
                f"{path.name} has no words with times: expected WhisperX's or Whisper's segments with words, a list of "
                "words, or tiers of the Montreal Forced Aligner"
            )
    ends = [item.end for items in tiers.values() for item in items]
    return Tiers(tiers, max(ends, default=0.0))


def load_json(path: Path) -> Any:
    """The document of a file. Raises MimdataError."""
    data = read_bytes(path, "transcript")
    try:
        return json.loads(data.decode(encoding_of(data)))
    except (ValueError, RecursionError) as error:
        raise MimdataError(f"{path.name} is no JSON that can be read ({error}): write it again") from error


def timed_words(words: Any) -> Iterator[Interval]:
    """The words of a list that have times, stripped."""
    for item in words if isinstance(words, list) else ():
        if isinstance(item, dict):
            start, end = (seconds(item.get(name)) for name in ("start", "end"))
            label = item.get("word", item.get("text"))
            if start is not None and end is not None and isinstance(label, str) and label.strip():
                yield Interval(start, end, label.strip())


def seconds(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _lists(document: Any) -> Iterator[Any]:
    if isinstance(document, list):
        yield document
    elif isinstance(document, dict):
        segments = document.get("segments")
        for segment in segments if isinstance(segments, list) else ():
            if isinstance(segment, dict):
                yield segment.get("words")


def _entries(tier: Any) -> Iterator[Interval]:
    entries = tier.get("entries") if isinstance(tier, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[2], str):
            start, end = seconds(entry[0]), seconds(entry[1])
            if start is not None and end is not None and entry[2].strip():
                yield Interval(start, end, entry[2].strip())
