"""Parquet files as bytes: how small tables of the store are written and read."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mimdata.pipeline.errors import MimdataError

# Each page with its CRC: without them a third of all flipped bits gives other values without a word, with them none does.
CHECKED: dict[str, Any] = {"write_page_checksum": True}


class UnreadableError(MimdataError, pa.ArrowException):  # type: ignore[misc]
    """Bytes that are no Parquet file, or one that is damaged."""


def to_bytes(table: pa.Table, **options: Any) -> bytes:
    """A table as a Parquet file, zstd unless the options say otherwise."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **{"compression": "zstd", **options})
    return buffer.getvalue()


def from_bytes(content: bytes, columns: list[str] | None = None, schema: pa.Schema | None = None) -> pa.Table:
    """The table of a Parquet file. Raises UnreadableError for what is none, is damaged, or has not these columns.

    `pq.read_table` would import `pyarrow.dataset` and with it pandas, a second that a person waits for.
    """
    try:
        table = opened(pa.BufferReader(content)).read(columns=columns, use_threads=False)
    except (
        pa.ArrowException,
        OSError,
        UnicodeDecodeError,
    ) as error:  # OSError: a footer that cannot be parsed
        raise UnreadableError(f"not a whole Parquet file: {str(error).splitlines()[0]}") from error
    expected = columns or (schema.names if schema is not None else table.column_names)
    if table.column_names != expected or (schema is not None and table.schema.types != schema.types):
        raise UnreadableError(f"not the columns {', '.join(expected)}")
    return table


def opened(source: Any) -> pq.ParquetFile:
    """A Parquet file over a Python file or buffer, to be read with `use_threads=False`.

    No thread of Arrow then touches it, to read ahead or to decode: one that lets go of a Python object while the interpreter
    ends aborts the process.
    """
    return pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True)
