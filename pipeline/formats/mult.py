"""The form of MulT: folds of arrays {text (n, T, 300), audio (n, T, d), vision (n, T, d), labels (n, 1, 1), id}.

Utterances are filled up with rows of zeros in front. The file has no words: theirs are "". Its aligned files have one
T for all modalities; in others `text` has a row a word, `audio` and `vision` hold frames of their own rates without times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.spread import SPREAD, spread
from mimdata.pipeline.formats.word_values import Reading, WordValues, label, matrix, place_of, unaligned
from mimdata.pipeline.records import Float32, Split

NAME = "mult"
MODALITIES = ("text", "audio", "vision")


def is_fold(fold: Any) -> bool:
    """Whether a fold has arrays of these names."""
    return isinstance(fold, Mapping) and {*MODALITIES, "labels"} <= set(fold)


def read(fold: Mapping[str, Any], split: Split, reading: Reading) -> Iterator[WordValues]:
    """The utterances of a fold, without their padding.

    Raises MimdataError where modalities are not aligned, unless their frames are to be shared out.
    """
    arrays = {m: np.asarray(fold[m]) for m in MODALITIES}
    shapes = {m: a.shape for m, a in arrays.items()}
    labels = fold["labels"]
    names = fold.get("id", [f"{split}{i}" for i in range(len(labels))])
    if len({(len(labels), len(names)), *((s[0], s[0]) for s in shapes.values())}) != 1:
        raise MimdataError(f"{split} has {len(labels)} labels, {len(names)} ids and arrays of {shapes}")
    if any(len(s) != 3 for s in shapes.values()):
        raise MimdataError(f"{split} has arrays of {shapes}: expected (utterances, rows, features)")
    framed = len({s[1] for s in shapes.values()}) != 1
    if framed and not reading.spread:
        raise unaligned(split, shapes)
    counted: dict[str, int] = {}
    for i in range(len(labels)):
        values = {m: matrix(a[i], f"the values of {m} in row {i} of {split}") for m, a in arrays.items()}
        values = _by_word(values) if framed else _from(_first(values.values()), values)
        video, segment, start, end = _place(names[i], counted)
        words = ("",) * len(values["text"])
        sentiment = label(labels[i], f"row {i} of {split}")
        how = SPREAD if framed else "published"
        yield WordValues(video, segment, split, sentiment, words, values, start=start, end=end, alignment=how)


def _by_word(values: Mapping[str, Float32]) -> dict[str, Float32]:
    """Frames shared out among the rows of `text`, each without its own padding."""
    found = {m: v[_first([v]) :] for m, v in values.items()}
    words = [""] * len(found["text"])
    return {m: v if m == "text" else spread(v, words) for m, v in found.items()}


def _from(first: int, values: Mapping[str, Float32]) -> dict[str, Float32]:
    return {m: v[first:] for m, v in values.items()}


def _first(values: Iterable[Float32]) -> int:
    """The first row in which any modality is not zero; the last row where all are."""
    there = np.any([(v != 0).any(axis=1) for v in values], axis=0)
    return int(there.argmax()) if there.any() else len(there) - 1


def _place(name: Any, counted: dict[str, int]) -> tuple[str, int, float | None, float | None]:
    """Video, segment and span. Names are `video[k]`, or (video, start, end), whose segments are counted here."""
    parts: Sequence[Any] = np.atleast_1d(np.asarray(name, object)).tolist()
    if len(parts) != 3:
        return *place_of(parts[0]), None, None
    video = place_of(parts[0])[0]
    counted[video] = counted.get(video, -1) + 1
    return video, counted[video], float(parts[1]), float(parts[2])


def write(utterances: Iterable[WordValues]) -> Mapping[str, Any]:
    """The document, each fold as long as the longest utterance of all; `text` has a row a word, others their frames if any."""
    found = [u for u in utterances if u.split is not None]
    longest = {m: max(len(_rows(u, m)) for u in found) for m in MODALITIES}
    return {
        split: _fold([u for u in found if u.split == split], found[0], longest)
        for split in ("train", "valid", "test")
    }


def _rows(u: WordValues, modality: str) -> Float32:
    return u.values[modality] if modality == "text" else u.frames.get(modality, u.values[modality])


def _fold(utterances: Sequence[WordValues], some: WordValues, longest: Mapping[str, int]) -> dict[str, Any]:
    fold: dict[str, Any] = {}
    for m in MODALITIES:
        fold[m] = np.zeros((len(utterances), longest[m], _rows(some, m).shape[1]), np.float32)
        for i, u in enumerate(utterances):
            rows = _rows(u, m)
            fold[m][i, longest[m] - len(rows) :] = rows
    labels = [np.nan if u.sentiment is None else u.sentiment for u in utterances]
    fold["labels"] = np.array(labels, np.float32).reshape(-1, 1, 1)
    fold["id"] = np.array([u.clip_id for u in utterances], object)
    return fold
