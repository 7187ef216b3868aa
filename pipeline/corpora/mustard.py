"""MUStARD: sarcasm in television series, one JSON document and a short film an utterance (Castro et al., ACL 2019).

sarcasm_data.json, data/sarcasm_data.json   {id: {utterance, speaker, context, context_speakers, show, sarcasm}}
…/utterances_final/ID.mp4                   the utterance; context_final/ holds what was said before and is not read

Source of the layout: the repository soujanyaporia/MUStARD and its archive mmsd_raw_data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mimdata.pipeline.corpora.media_index import VIDEO_SUFFIXES, MediaIndex, index_media
from mimdata.pipeline.dataset.splits import split_of
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem, Split

DOCUMENTS = ("sarcasm_data.json", "data/sarcasm_data.json")
FILMS = ("utterances_final", "mmsd_raw_data/utterances_final", "videos/utterances_final")
TEST_SHOW = "FRIENDS"  # of the paper's speaker-independent setup
NOBODY = re.compile(r"PERSON[0-9]*", re.IGNORECASE)  # whoever speaks in a clip of the web


class MustardCorpus:
    """MUStARD as published: the document of its repository, the films of its archive."""

    name: ClassVar[str] = "mustard"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """Clips in the order of the document. Raises MimdataError without a readable document."""
        path = next((root / name for name in DOCUMENTS if (root / name).is_file()), root / DOCUMENTS[0])
        folder = next((name for name in FILMS if (root / name).is_dir()), FILMS[0])
        films = index_media(root, folder, VIDEO_SUFFIXES)
        for name, entry in _entries(path).items():
            yield _clip(str(name), entry, f"{path.name}: {name}", folder, films)

    def check(self, root: Path) -> Iterator[Problem]:
        """Nothing beyond what `clips` reports."""
        return iter(())


def _entries(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise MimdataError(
            f"cannot read {path} ({error}): point --root at a folder with MUStARD's sarcasm_data.json and "
            "utterances_final/"
        ) from None
    if not isinstance(document, dict):
        raise MimdataError(
            f"{path} must hold {{id: utterance}}, found a {type(document).__name__}: download it again"
        )
    return document


def _clip(name: str, entry: Any, place: str, folder: str, films: MediaIndex) -> Clip | Problem:
    if fault := _fault(entry):
        return Problem("bad entry", f"{place} {fault}", "correct the entry", source=place.split(":")[0])
    source = films.find(name)
    if source is None:
        message = f"{place} has no film {folder}/{name}.mp4"
        return Problem("missing file", message, "fetch the file", f"{name}[0]", f"{folder}/{name}.mp4")
    speaker = None if NOBODY.fullmatch(entry["speaker"].strip()) else entry["speaker"].strip() or None
    split = _split(entry["show"], speaker or name)
    emotions = {"sarcasm": float(entry["sarcasm"])}
    text = " ".join(entry["utterance"].split())
    return Clip(f"{name}[0]", name, 0, source, None, None, text, "en", split, None, emotions, speaker)


def _fault(entry: Any) -> str:
    if not isinstance(entry, dict):
        return f"is a {type(entry).__name__}, expected an object"
    for field in ("utterance", "speaker", "show"):
        if not isinstance(entry.get(field), str):
            return f"has no text {field!r}"
    if not isinstance(entry.get("sarcasm"), bool):
        return f"has sarcasm {entry.get('sarcasm')!r}, expected true or false"
    return ""


def _split(show: str, group: str) -> Split:
    if show.strip().upper() == TEST_SHOW:
        return "test"
    return "train" if split_of(group) == "train" else "valid"
