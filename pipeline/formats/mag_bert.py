"""The form of MAG-BERT and MIM: lists of ((words, visual, acoustic), label, "video[k]").

In place of words, or beside them, rows may hold their numbers in a vocabulary, which is not in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.word_values import FOLDS, Reading, WordValues, label, matrix, place_of
from mimdata.pipeline.records import Split

NAME = "mag-bert"


def is_fold(fold: Any) -> bool:
    """Whether a fold is a list whose first row has this form."""
    if not isinstance(fold, list | tuple) or not fold:
        return False
    row = fold[0]
    return isinstance(row, list | tuple) and len(row) == 3 and isinstance(row[0], list | tuple)


def read(fold: Sequence[Any], split: Split, reading: Reading) -> Iterator[WordValues]:
    """The utterances of a fold. Raises MimdataError for a row that is none."""
    for i, row in enumerate(fold):
        try:
            parts, sentiment, name = row
            rows = [part for part in parts if np.ndim(part) == 2]
            words = _words(parts, reading.vocabulary)
            visual, acoustic = rows
        except KeyError as error:
            raise MimdataError(
                f"row {i} of {split} has the word {error}, which the vocabulary does not number"
            ) from error
        except (TypeError, ValueError, StopIteration) as error:
            raise MimdataError(
                f"row {i} of {split} is not ((words, visual, acoustic), label, segment); where only the numbers of its words "
                "are there, give {word: number} with --vocabulary"
            ) from error
        values = {
            "audio": matrix(acoustic, f"the acoustic values of {name}"),
            "vision": matrix(visual, f"the visual values of {name}"),
        }
        video, segment = place_of(name)
        yield WordValues(video, segment, split, label(sentiment, str(name)), words, values)


def _words(parts: Sequence[Any], vocabulary: Mapping[int, str]) -> tuple[str, ...]:
    """The part that holds words, else the one that holds their numbers. Raises StopIteration without, and KeyError."""
    spoken = next((part for part in parts if len(part) and isinstance(part[0], str | bytes)), None)
    if spoken is not None:
        return tuple(w.decode("utf-8", "replace") if isinstance(w, bytes) else str(w) for w in spoken)
    numbered = next(part for part in parts if vocabulary and np.ndim(part) == 1 and len(part))
    return tuple(vocabulary[int(number)] for number in numbered)


def write(utterances: Iterable[WordValues]) -> Mapping[str, Any]:
    """The document: {train, dev, test}, float32 values, labels (1, 1)."""
    document: dict[str, list[Any]] = {"train": [], "dev": [], "test": []}
    for u in utterances:
        if u.split is None:
            continue
        sentiment = np.array([[np.nan if u.sentiment is None else u.sentiment]], np.float32)
        row = ((list(u.words), u.values["vision"], u.values["audio"]), sentiment, u.clip_id)
        document[FOLDS[u.split][-1]].append(row)
    return document
