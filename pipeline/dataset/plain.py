"""Values in a shard as they are in memory: plain numbers, one page a row group, found without decoding anything.

Nested Parquet takes longer to decode than a batch takes to copy, and what is decoded are levels: which number begins
which list. Of a column whose elements cannot be null they say nothing that the words of the utterances do not say. So
values are neither compressed nor encoded (PLAIN), a row group's are one data page, and there they are the page's last
bytes. Any reader of Parquet decodes such a file; one that knows of it copies the bytes.

Source of the format: Apache Parquet, parquet.thrift (PageHeader) and Encodings.md; Apache Thrift, compact protocol.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from io import FileIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mimdata.pipeline.dataset.schema import value_leaf, value_leaves

GROUP_ROWS = 128
GROUP_BYTES = 2**26  # of values; a reader holds some groups in memory
PAGE = 2**30  # larger than what a group holds, so that it is never cut
HEAD = 16  # bytes of a page's header that are looked at: its kind and two sizes
LONGEST_HEADER = 64
DATA_PAGE = 0  # parquet.thrift, PageType


def shard_bytes(table: pa.Table, group_rows: int = GROUP_ROWS) -> bytes:
    """A shard as a Parquet file, at most so many rows a row group. Equal tables give equal bytes."""
    values = set(value_leaves(table.schema))
    leaves = _leaves(table.schema)
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression={leaf: "none" if leaf in values else "zstd" for leaf in leaves},
        compression_level={leaf: 3 for leaf in leaves if leaf not in values},
        use_dictionary=False,
        write_statistics=[leaf for leaf in leaves if leaf not in values],
        data_page_size=PAGE,
    ) as writer:
        for group in _groups(table, group_rows):
            writer.write_table(group, row_group_size=group_rows)
    return sink.getvalue()


def value_columns(metadata: pq.FileMetaData) -> dict[str, int]:
    """The number of each Parquet column that holds values, by its name in the schema of the table."""
    paths = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    return {p.partition(".")[0]: i for i, p in enumerate(paths) if p.endswith(value_leaf(""))}


def seek_values(file: FileIO, column: pq.ColumnChunkMetaData, count: int) -> None:
    """Go to where the `count` values of a column of a row group begin in its open shard: from there on they are float32.

    Raises ValueError for a column that is not as `shard_bytes` writes it, or has not so many values.
    """
    name = column.path_in_schema.partition(".")[0]
    begin, length = column.data_page_offset, column.total_compressed_size
    if column.compression != "UNCOMPRESSED" or not set(column.encodings) <= {"PLAIN", "RLE"}:
        raise ValueError(f"the values of {name} are not plain numbers")
    file.seek(begin)
    kind, whole, stored = _page(file.read(HEAD))
    # The chunk is one page when nothing but a header lies beside it.
    if kind != DATA_PAGE or whole != stored or not 0 < length - stored < LONGEST_HEADER or 4 * count > stored:
        raise ValueError(f"the values of {name} are not one page, or not as many as its words")
    file.seek(begin + length - 4 * count)


def read_values(file: FileIO, out: npt.NDArray[np.float32]) -> None:
    """Read values into (n,) contiguous numbers. Raises ValueError where the file ends before."""
    content = out.view(np.uint8).data
    while content:
        done = file.readinto(content)
        if not done:
            raise ValueError("it is cut off")
        content = content[done:]


def _page(head: bytes) -> tuple[int, int, int]:
    """A page's kind and its two sizes, the first three fields of PageHeader, each an i32 of the compact protocol."""
    at, found = 0, []
    for _ in range(3):
        if at >= len(head) or head[at] != 0x15:  # the next field, an i32
            raise ValueError("a page has no header")
        value = shift = 0
        at += 1
        while at < len(head):
            byte = head[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found.append((value >> 1) ^ -(value & 1))
    return found[0], found[1], found[2]


def _groups(table: pa.Table, most: int) -> Iterator[pa.Table]:
    """The rows, at most so many and, unless it is a single one, at most GROUP_BYTES of values at a time."""
    begin, held = 0, 0
    for i, size in enumerate(_value_bytes(table).tolist()):
        if i > begin and (i - begin == most or held + size > GROUP_BYTES):
            yield table.slice(begin, i - begin)
            begin, held = i, 0
        held += size
    if begin < len(table):
        yield table.slice(begin)


def _value_bytes(table: pa.Table) -> npt.NDArray[np.int64]:
    """(n,) bytes of values of each row."""
    found = np.zeros(len(table), np.int64)
    for leaf in value_leaves(table.schema):
        column = table.column(leaf.partition(".")[0])
        words = pc.list_value_length(column).to_numpy().astype(np.int64)
        found += words * column.type.value_type.list_size * 4
    return found


def _leaves(schema: pa.Schema) -> list[str]:
    """The paths of all Parquet columns of a schema."""
    empty = io.BytesIO()
    pq.write_table(schema.empty_table(), empty)
    columns = pq.read_metadata(empty).schema
    return [columns.column(i).path for i in range(len(columns))]
