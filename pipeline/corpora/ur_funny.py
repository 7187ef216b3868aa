"""UR-FUNNY, version 2: sentences of TED talks that were laughed at, and others (Hasan et al., EMNLP 2019).

data_folds.pkl             {train, dev, test: [id, …]}
language_sdk.pkl           {id: {context_sentences: […], punchline_sentence: …, …}}
humor_label_sdk.pkl        {id: 1 or 0}
urfunny2_videos/ID.mp4     context and punchline of each

Source of the layout: README.md of the repository ROC-HCI/UR-FUNNY, which spells a name `langauge_sdk` at times. Pickles are
read as formats/unpickle.py does: nothing of them runs. Word intervals are not read: the description does not say from
where they count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mimdata.pipeline.corpora.media_index import VIDEO_SUFFIXES, MediaIndex, index_media
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.unpickle import load
from mimdata.pipeline.records import Clip, Problem, Split

FOLDS, LABELS = "data_folds.pkl", "humor_label_sdk.pkl"
LANGUAGE = ("language_sdk.pkl", "langauge_sdk.pkl")
FILMS = "urfunny2_videos"
SPLITS: tuple[tuple[Split, str], ...] = (("train", "train"), ("valid", "dev"), ("test", "test"))


class UrFunnyCorpus:
    """UR-FUNNY version 2 as published: three of its pickles and its films in one folder."""

    name: ClassVar[str] = "ur-funny"

    def clips(self, root: Path) -> Iterator[Clip | Problem]:
        """Clips of train, valid and test in the folds' order. Raises MimdataError without a readable pickle."""
        folds = _mapping(root / FOLDS, "train, dev and test")
        language = next((root / name for name in LANGUAGE if (root / name).is_file()), root / LANGUAGE[0])
        said, labels = _mapping(language, "ids"), _mapping(root / LABELS, "ids")
        films = index_media(root, FILMS, VIDEO_SUFFIXES)
        for split, part in SPLITS:
            ids = folds.get(part)
            if not isinstance(ids, list | tuple):
                raise MimdataError(f"{root / FOLDS} has no list {part!r}: download it again")
            for name in ids:
                yield _clip(name, split, said, labels, films)

    def check(self, root: Path) -> Iterator[Problem]:
        """Nothing beyond what `clips` reports."""
        return iter(())


def _mapping(path: Path, of: str) -> Mapping[Any, Any]:
    document = load(path)
    if not isinstance(document, Mapping):
        raise MimdataError(
            f"{path} must map {of} to values, found a {type(document).__name__}: it is no file of UR-FUNNY"
        )
    return document


def _clip(
    name: Any, split: Split, said: Mapping[Any, Any], labels: Mapping[Any, Any], films: MediaIndex
) -> Clip | Problem:
    if isinstance(name, bool) or not isinstance(name, int | str):
        return _bad(f"{FOLDS} names a {type(name).__name__}, expected an id", FOLDS)
    entry, label = said.get(name), labels.get(name)
    if not isinstance(entry, Mapping):
        return _bad(f"{LANGUAGE[0]} has nothing of {name}", LANGUAGE[0])
    text = " ".join(
        [*_sentences(entry.get("context_sentences")), *_sentences(entry.get("punchline_sentence"))]
    )
    if not isinstance(label, int | np.integer) or label not in (0, 1):
        return _bad(f"{LABELS} has {label!r} of {name}, expected 0 or 1", LABELS)
    source = films.find(str(name))
    if source is None:
        message = f"{name} has no film {FILMS}/{name}.mp4"
        return Problem("missing file", message, "fetch the file", f"{name}[0]", f"{FILMS}/{name}.mp4")
    emotions = {"humor": float(label)}
    return Clip(f"{name}[0]", str(name), 0, source, None, None, text, "en", split, None, emotions)


def _sentences(value: Any) -> Iterator[str]:
    """The texts in a text, or in a list of texts or of lists of them."""
    if isinstance(value, str):
        yield from value.split()
    elif isinstance(value, list | tuple):
        for part in value:
            for inner in part if isinstance(part, list | tuple) else (part,):
                if isinstance(inner, str):
                    yield from inner.split()


def _bad(message: str, source: str) -> Problem:
    return Problem("bad entry", message, "correct the entry, or download the file again", source=source)
