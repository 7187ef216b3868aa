"""Results as Arrow columns and back: tracks, tokens, words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mimdata.pipeline.records import Tokens, Track, Words

Result = Track | Tokens | Words

TRACK = pa.schema(
    [
        pa.field("dim", pa.int32()),
        pa.field("times", pa.list_(pa.float32())),
        pa.field("values", pa.list_(pa.float32())),
        pa.field("reason", pa.list_(pa.uint8())),
        pa.field("absent", pa.string()),
    ]
)
TOKENS = pa.schema(
    [
        pa.field("dim", pa.int32()),
        pa.field("ids", pa.list_(pa.int32())),
        pa.field("words", pa.list_(pa.int32())),
        pa.field("values", pa.list_(pa.float32())),
    ]
)
WORDS = pa.schema(
    [
        pa.field("words", pa.list_(pa.string())),
        pa.field("intervals", pa.list_(pa.float32())),
        pa.field("confidence", pa.list_(pa.float32())),
        pa.field("status", pa.list_(pa.uint8())),
        pa.field("pauses", pa.list_(pa.float32())),
        pa.field("source", pa.string()),
        pa.field("suspect", pa.list_(pa.string())),
    ]
)


def schema_of(result: Result) -> pa.Schema:
    """The columns that a result is stored in."""
    return {Track: TRACK, Tokens: TOKENS, Words: WORDS}[type(result)]


def encode(result: Result) -> dict[str, object]:
    """One row of `schema_of(result)`."""
    if isinstance(result, Track):
        return {
            "dim": result.values.shape[1],
            "times": result.times.ravel(),
            "values": result.values.ravel(),
            "reason": result.reason,
            "absent": result.absent,
        }
    if isinstance(result, Tokens):
        return {
            "dim": result.values.shape[1],
            "ids": result.ids,
            "words": result.words,
            "values": result.values.ravel(),
        }
    return {
        "words": list(result.words),
        "intervals": result.intervals.ravel(),
        "confidence": result.confidence,
        "status": result.status,
        "pauses": result.pauses.ravel(),
        "source": result.source,
        "suspect": list(result.suspect),
    }


def table(rows: Sequence[dict[str, object] | None], schema: pa.Schema) -> pa.Table:
    """Rows as a table; a missing row (a failure) becomes nulls."""
    columns = [
        pa.array([None if row is None else row[field.name] for row in rows], field.type) for field in schema
    ]
    return pa.table(columns, schema=schema)


def decode(rows: pa.Table) -> list[Result]:
    """The results of a table that `table` made, failures left out by the caller."""
    names = set(rows.column_names)
    if "ids" in names:
        return [_tokens(rows, i) for i in range(rows.num_rows)]
    if "reason" in names:
        return [_track(rows, i) for i in range(rows.num_rows)]
    return [_words(rows, i) for i in range(rows.num_rows)]


def _array(rows: pa.Table, name: str, i: int) -> np.ndarray:
    values: np.ndarray = rows.column(name)[i].values.to_numpy(zero_copy_only=False)
    return values


def _track(rows: pa.Table, i: int) -> Track:
    dim = rows.column("dim")[i].as_py()
    return Track(
        times=_array(rows, "times", i).reshape(-1, 2),
        values=_array(rows, "values", i).reshape(-1, dim),
        reason=_array(rows, "reason", i),
        absent=rows.column("absent")[i].as_py(),
    )


def _tokens(rows: pa.Table, i: int) -> Tokens:
    dim = rows.column("dim")[i].as_py()
    return Tokens(
        ids=_array(rows, "ids", i),
        words=_array(rows, "words", i),
        values=_array(rows, "values", i).reshape(-1, dim),
    )


def _words(rows: pa.Table, i: int) -> Words:
    return Words(
        words=tuple(rows.column("words")[i].as_py()),
        intervals=_array(rows, "intervals", i).reshape(-1, 2),
        confidence=_array(rows, "confidence", i),
        status=_array(rows, "status", i),
        pauses=_array(rows, "pauses", i).reshape(-1, 2),
        source=rows.column("source")[i].as_py(),
        suspect=tuple(rows.column("suspect")[i].as_py()),
    )
