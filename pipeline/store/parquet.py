"""Parquet files as bytes: how small tables of the store are written and read."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def to_bytes(table: pa.Table, **options: Any) -> bytes:
    """A table as a Parquet file, zstd unless the options say otherwise."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **{"compression": "zstd", **options})
    return buffer.getvalue()


def from_bytes(content: bytes, columns: list[str] | None = None) -> pa.Table:
    """The table of a Parquet file. Raises pa.ArrowException for what is none.

    `pq.read_table` would import `pyarrow.dataset` and with it pandas, a second that a person waits for.
    """
    return opened(pa.BufferReader(content)).read(columns=columns, use_threads=False)


def opened(source: Any) -> pq.ParquetFile:
    """A Parquet file over a Python file or buffer, to be read with `use_threads=False`.

    No thread of Arrow then touches it, to read ahead or to decode: one that lets go of a Python object while the interpreter
    ends aborts the process.
    """
    return pq.ParquetFile(source, pre_buffer=False)
