"""Aligned rows: one utterance's words, word pieces and pooled features as one row of the dataset's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mimdata.pipeline.alignment.pool import Pooled, Statistic, pool, pool_tokens
from mimdata.pipeline.config import PoolingConfig
from mimdata.pipeline.dataset.schema import WORD_STATUSES, matrix_type, row_fields
from mimdata.pipeline.records import Float32, Tokens, Track, Words

T = TypeVar("T", bound=np.generic)

VERSION = 3  # raised whenever the same inputs give another row


@dataclass(frozen=True)
class Timeline:
    """The rows of an utterance in time: its words and, when they are kept, the pauses between them.

    intervals (r, 2) float32 seconds; word (r,) int64: the index of the word, −1 for a pause.
    """

    intervals: Float32
    word: npt.NDArray[np.int64]

    @property
    def is_word(self) -> npt.NDArray[np.bool_]:
        """(r,) bool."""
        mask: npt.NDArray[np.bool_] = self.word >= 0
        return mask


def timeline(words: Words, pauses: str) -> Timeline:
    """Words alone (`pauses="drop"`), or words and pauses in order of their starts (`"keep"`)."""
    index = np.arange(len(words.words), dtype=np.int64)
    if pauses == "drop" or not len(words.pauses):
        return Timeline(words.intervals, index)
    intervals = np.concatenate([words.intervals, words.pauses])
    word = np.concatenate([index, np.full(len(words.pauses), -1, np.int64)])
    # Words keep their own order: ties of start go to the word, then to its place in the transcript.
    order = np.lexsort((np.arange(len(word)), intervals[:, 0]))
    return Timeline(intervals[order].astype(np.float32), word[order])


def row(words: Words, results: Mapping[str, Track | Tokens], pooling: PoolingConfig) -> pa.Table:
    """One utterance as a table of one row with the columns of `schema.row_fields`."""
    line = timeline(words, pooling.pauses)
    columns = _word_columns(words, line)
    layout: dict[str, tuple[int, Sequence[str]]] = {}
    tokens: Tokens | None = None
    for modality, result in results.items():
        statistics: Sequence[Statistic] = pooling.statistics
        if isinstance(result, Tokens):
            tokens, statistics = result, ("mean",)
            pooled = _spread(pool_tokens(result, len(words.words)), line)
        else:
            pooled = pool(result, line.intervals, statistics=statistics, weights=pooling.weights)
        layout[modality] = (result.values.shape[1], statistics)
        columns |= _modality_columns(modality, pooled, statistics)
    if tokens is not None:
        columns |= {"token_ids": [tokens.ids], "token_words": [tokens.words]}
    schema = pa.schema(row_fields(layout, tokens=tokens is not None))
    arrays = [
        value if isinstance(value, pa.Array) else pa.array(value, schema.field(name).type)
        for name, value in _ordered(columns, schema)
    ]
    return pa.table(arrays, schema=schema)


def _ordered(columns: Mapping[str, object], schema: pa.Schema) -> list[tuple[str, object]]:
    return [(name, columns[name]) for name in schema.names]


def _word_columns(words: Words, line: Timeline) -> dict[str, object]:
    index, is_word = line.word, line.is_word
    confidence = np.where(is_word, np.append(words.confidence, 0)[index], 0).astype(np.float32)
    status = np.append(words.status, 0)[index]
    return {
        "words": [[words.words[i] if i >= 0 else "" for i in index.tolist()]],
        "word_type": [["word" if yes else "pause" for yes in is_word.tolist()]],
        "word_start": [line.intervals[:, 0]],
        "word_end": [line.intervals[:, 1]],
        "word_confidence": [confidence],
        "word_status": [[WORD_STATUSES[code] for code in status.tolist()]],
        "alignment": [words.source],
        "suspect": [list(words.suspect)],
    }


def _spread(pooled: Pooled, line: Timeline) -> Pooled:
    """Values of words at the rows of the words; a pause has no word pieces."""
    return Pooled(
        statistics={name: _at(values, line.word) for name, values in pooled.statistics.items()},
        frames=_at(pooled.frames, line.word),
        valid=_at(pooled.valid, line.word),
        nearest=_at(pooled.nearest, line.word),
    )


def _at(values: npt.NDArray[T], index: npt.NDArray[np.int64]) -> npt.NDArray[T]:
    """The values at each index; zero for a pause."""
    nothing = np.zeros((1, *values.shape[1:]), values.dtype)
    found: npt.NDArray[T] = np.concatenate([values, nothing])[index]
    return found


def _modality_columns(modality: str, pooled: Pooled, statistics: Sequence[str]) -> dict[str, object]:
    columns: dict[str, object] = {
        f"{modality}_{name}": matrix_column(pooled.statistics[name]) for name in statistics
    }
    return columns | {
        f"{modality}_valid": [pooled.valid],
        f"{modality}_frames": [pooled.frames],
        f"{modality}_nearest": [pooled.nearest],
    }


def matrix_column(values: Float32) -> pa.Array:
    """(r, d) as one list of r fixed-size lists, without a Python object a number."""
    kind = matrix_type(values.shape[1])
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float32()), type=kind.value_type)
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), vectors, type=kind)
