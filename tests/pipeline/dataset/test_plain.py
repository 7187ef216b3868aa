"""Shards whose values are plain: any reader decodes them, ours copies their bytes, and neither takes one for another."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimdata.pipeline.dataset.plain import GROUP_BYTES, read_values, seek_values, shard_bytes, value_columns
from mimdata.pipeline.dataset.schema import matrix_type


def table(lengths: Sequence[int], dims: Sequence[int] = (3,)) -> pa.Table:
    """Utterances of so many words; column m0, m1, … of so many random numbers a word."""
    random = np.random.default_rng(len(lengths))
    columns: dict[str, Any] = {"name": [f"clip {i}" for i in range(len(lengths))]}
    for k, dim in enumerate(dims):
        kind = matrix_type(dim)
        flat = pa.array(random.standard_normal(sum(lengths) * dim, np.float32))
        lines = pa.FixedSizeListArray.from_arrays(flat, type=kind.value_type)
        begins = pa.array(np.cumsum([0, *lengths]), pa.int32())
        columns[f"m{k}"] = pa.ListArray.from_arrays(begins, lines, type=kind)
    columns["place"] = list(range(len(lengths)))
    fields = [
        pa.field(name, c.type if isinstance(c, pa.Array) else pa.array(c).type, False)
        for name, c in columns.items()
    ]
    return pa.table(list(columns.values()), schema=pa.schema(fields))


def copied(path: Path, rows: pa.Table) -> dict[str, np.ndarray]:
    """The numbers of every column of values by their bytes, a row group after the other."""
    found: dict[str, list[np.ndarray]] = {}
    with path.open("rb", buffering=0) as file, pq.ParquetFile(path) as shard:
        done = 0
        for group in range(shard.num_row_groups):
            about = shard.metadata.row_group(group)
            for name, number in value_columns(shard.metadata).items():
                mine = rows.column(name).combine_chunks().slice(done, about.num_rows)
                out = np.empty(len(mine.flatten().flatten()), np.float32)
                seek_values(file, about.column(number), len(out))
                read_values(file, out)
                found.setdefault(name, []).append(out)
            done += about.num_rows
    return {name: np.concatenate(parts) for name, parts in found.items()}


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=40),
    dims=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    group=st.integers(1, 20),
)
def test_the_bytes_are_the_numbers_that_every_reader_decodes(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], dims: list[int], group: int
) -> None:
    rows = table(lengths, dims)
    path = tmp_path_factory.mktemp("shard") / "x.parquet"
    path.write_bytes(shard_bytes(rows, group))
    read = pq.read_table(path)
    assert read.equals(rows)
    assert read.schema.equals(rows.schema)
    for name, numbers in copied(path, rows).items():
        np.testing.assert_array_equal(
            numbers, rows.column(name).combine_chunks().flatten().flatten().to_numpy()
        )


def test_equal_tables_give_equal_bytes() -> None:
    rows = table([3, 0, 7, 2])
    assert shard_bytes(rows) == shard_bytes(pa.concat_tables([rows.slice(0, 1), rows.slice(1)]))


def test_long_utterances_make_small_row_groups(tmp_path: Path) -> None:
    words = GROUP_BYTES // 4 // 64 // 3  # three of them fill a group
    rows = table([words] * 7 + [4 * words, 1], (64,))
    path = tmp_path / "x.parquet"
    path.write_bytes(shard_bytes(rows))
    about = pq.read_metadata(path)
    assert [about.row_group(i).num_rows for i in range(about.num_row_groups)] == [3, 3, 1, 1, 1]
    for name, numbers in copied(path, rows).items():
        np.testing.assert_array_equal(
            numbers, rows.column(name).combine_chunks().flatten().flatten().to_numpy()
        )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"compression": "zstd"}, "not plain numbers"),
        ({"compression": "none", "use_dictionary": True}, "not plain numbers"),
        ({"compression": "none", "use_dictionary": False, "data_page_size": 1024}, "not one page"),
    ],
)
def test_other_encodings_are_refused_not_misread(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    rows = table([50] * 20, (16,))
    path = tmp_path / "x.parquet"
    pq.write_table(rows, path, **how)
    with pytest.raises(ValueError, match=message):
        copied(path, rows)


def test_too_many_words_and_cut_files_are_refused(tmp_path: Path) -> None:
    rows, path = table([5] * 4), tmp_path / "x.parquet"
    content = shard_bytes(rows)
    path.write_bytes(content)
    column = pq.read_metadata(path).row_group(0).column(1)
    with path.open("rb", buffering=0) as file, pytest.raises(ValueError, match="not as many as its words"):
        seek_values(file, column, 1_000)
    with io.FileIO(path) as file:
        seek_values(file, column, 60)
        path.write_bytes(content[: column.data_page_offset + 40])
        with pytest.raises(ValueError, match="cut off"):
            read_values(file, np.empty(60, np.float32))
