"""The columns of an aligned dataset: one row an utterance, lists over its words.

    clip_id, video_id, segment, split, speaker, language, source, start, end, text     the utterance
    sentiment, sentiment_M …, emotion_NAME …                                           its labels, null if absent
    words, word_type, word_start, word_end, word_confidence, word_status               (w,) lists, seconds
    alignment, suspect                                                                 what placed the words
    token_ids, token_words                                                             (t,) word pieces
    M_mean [, M_std, M_max]                                                            (w, d) float32
    M_valid, M_frames, M_nearest                                                       (w,) lists

M is a modality. `word_type` is "word" or "pause" (pauses are rows of their own, when kept); `token_words`
indexes the rows of type "word" in their order, −1 for special tokens. `M_valid` says where M's values are
real; elsewhere they are zero. `M_frames` counts the frames (or word pieces) that were pooled, `M_nearest`
marks words shorter than a frame that took the nearest one. This module imports pyarrow alone: training
reads it without the extraction stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

STATISTICS = ("mean", "std", "max")
WORD_STATUSES = ("aligned", "interpolated", "missing")  # by records.WordStatus

UTTERANCE_FIELDS = (
    pa.field("clip_id", pa.string(), nullable=False),
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("segment", pa.int32(), nullable=False),
    pa.field("split", pa.string()),
    pa.field("speaker", pa.string()),
    pa.field("language", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("start", pa.float64()),
    pa.field("end", pa.float64()),
    pa.field("text", pa.string(), nullable=False),
    pa.field("sentiment", pa.float32()),
)

WORD_FIELDS = (
    pa.field("words", pa.list_(pa.string()), nullable=False),
    pa.field("word_type", pa.list_(pa.string()), nullable=False),
    pa.field("word_start", pa.list_(pa.float32()), nullable=False),
    pa.field("word_end", pa.list_(pa.float32()), nullable=False),
    pa.field("word_confidence", pa.list_(pa.float32()), nullable=False),
    pa.field("word_status", pa.list_(pa.string()), nullable=False),
    pa.field("alignment", pa.string(), nullable=False),
    pa.field("suspect", pa.list_(pa.string()), nullable=False),
)

TOKEN_FIELDS = (
    pa.field("token_ids", pa.list_(pa.int32()), nullable=False),
    pa.field("token_words", pa.list_(pa.int32()), nullable=False),
)


def label_fields(names: Iterable[str]) -> list[pa.Field]:
    """One nullable float32 column a label, in the order of the names."""
    return [pa.field(name, pa.float32()) for name in names]


def modality_fields(modality: str, dim: int, statistics: Sequence[str]) -> list[pa.Field]:
    """The columns of one modality: a (w, dim) list for each pooled statistic, then its masks."""
    matrix = matrix_type(dim)
    return [
        *(pa.field(f"{modality}_{statistic}", matrix, nullable=False) for statistic in statistics),
        pa.field(f"{modality}_valid", pa.list_(pa.bool_()), nullable=False),
        pa.field(f"{modality}_frames", pa.list_(pa.int32()), nullable=False),
        pa.field(f"{modality}_nearest", pa.list_(pa.bool_()), nullable=False),
    ]


def matrix_type(dim: int) -> pa.DataType:
    """(w, dim) float32 as a list of fixed-size lists.

    Its elements cannot be null: a reader need not work out their presence, and decodes a third faster.
    """
    line = pa.list_(pa.field("element", pa.float32(), nullable=False), dim)
    return pa.list_(pa.field("element", line, nullable=False))


def value_leaves(schema: pa.Schema) -> list[str]:
    """The Parquet columns of a schema that hold values of modalities, by their paths."""
    found = []
    for field in schema:
        inner = field.type.value_type if pa.types.is_list(field.type) else field.type
        if pa.types.is_fixed_size_list(inner):
            found.append(value_leaf(field.name))
    return found


def value_leaf(name: str) -> str:
    """The path of the Parquet column that holds the numbers of a column of (w, d) values."""
    return f"{name}.list.element.list.element"


def row_fields(modalities: Mapping[str, tuple[int, Sequence[str]]], tokens: bool) -> list[pa.Field]:
    """The columns that pooling makes: words, word pieces and each modality's values.

    `modalities` maps a modality to its dimension and its pooled statistics.
    """
    fields = [*WORD_FIELDS, *(TOKEN_FIELDS if tokens else ())]
    for modality, (dim, statistics) in modalities.items():
        fields += modality_fields(modality, dim, statistics)
    return fields
