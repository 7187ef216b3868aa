"""Which Parquet layout decodes fastest? One shard's values, word-aligned, as each layout and encoding, read from memory.

    python benchmarks/bench_parquet.py [--data ../shared/data]

Where the folder holds MOSI's word-aligned validation fold, also what its features take on the disk. Writes its section of docs/performance.md; `pipeline/dataset/schema.py` and `plain.py` hold what was chosen.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from report import in_turn, markdown, publish

from mimdata.pipeline.dataset.plain import read_values, seek_values, shard_bytes, value_columns
from mimdata.pipeline.dataset.schema import matrix_type, value_leaves

DIMS = (384, 25, 16)
ROWS, SHORTEST, LONGEST = 2048, 5, 50
Values = npt.NDArray[np.float32]
Layout = Callable[[Values, npt.NDArray[np.int32]], pa.Array]


def nullable(values: Values, begins: npt.NDArray[np.int32]) -> pa.Array:
    """list<fixed_size_list<float>>, as pyarrow makes it."""
    lines = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    return pa.ListArray.from_arrays(pa.array(begins), lines)


def chosen(values: Values, begins: npt.NDArray[np.int32]) -> pa.Array:
    """The same, of elements that cannot be null."""
    kind = matrix_type(values.shape[1])
    lines = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=kind.value_type)
    return pa.ListArray.from_arrays(pa.array(begins), lines, type=kind)


def flat(values: Values, begins: npt.NDArray[np.int32]) -> pa.Array:
    """One list of w × d numbers an utterance."""
    kind = pa.list_(pa.field("element", pa.float32(), nullable=False))
    return pa.ListArray.from_arrays(pa.array(begins * values.shape[1]), pa.array(values.ravel()), type=kind)


def opaque(values: Values, begins: npt.NDArray[np.int32]) -> pa.Array:
    """The bytes of an utterance's numbers, which no other reader understands."""
    offsets = pa.py_buffer(begins * values.shape[1] * 4)
    return pa.Array.from_buffers(pa.binary(), len(begins) - 1, [None, offsets, pa.py_buffer(values)])


LAYOUTS: dict[str, Layout] = {
    "nested, nullable": nullable,
    "nested, not null": chosen,
    "one flat list": flat,
    "opaque bytes": opaque,
}
ENCODINGS: dict[str, dict[str, Any]] = {
    "plain, zstd": {"compression": "zstd", "compression_level": 3},
    "plain, lz4": {"compression": "lz4"},
    "split bytes, zstd": {"compression": "zstd", "compression_level": 3, "split": True},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data")
    fold = parser.parse_args().data / "mosi" / "dev229_wordaligned.npz"
    random = np.random.default_rng(0)
    lengths = random.integers(SHORTEST, LONGEST + 1, ROWS)
    begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = [random.standard_normal((int(begins[-1]), d), np.float32) for d in DIMS]
    files = {
        (layout, encoding, group): _written(make, values, begins, group, **options)
        for layout, make in LAYOUTS.items()
        for encoding, options in ENCODINGS.items()
        for group in (128, 1024)
        if not (options.get("split") and make is opaque)
    }
    names = [f"m{i}" for i in range(len(DIMS))]
    shard = shard_bytes(pa.table(dict(zip(names, (chosen(v, begins) for v in values), strict=True))))
    runs = [lambda file=file: _read(file) for file in files.values()]
    with tempfile.NamedTemporaryFile() as file:
        file.write(shard)
        file.flush()
        shards = [lambda: _read(pa.py_buffer(shard)), lambda: _copy(Path(file.name), begins)]
        *seconds, decoded, copied = in_turn([*runs, *shards])
    whole = sum(v.nbytes for v in values)
    rows = [
        (layout, encoding, group, f"{ROWS / s:,.0f}", f"{len(file) / whole:.2f}")
        for ((layout, encoding, group), file), s in zip(files.items(), seconds, strict=True)
    ]
    for how, s in ("decoded", decoded), ("their bytes copied out of the file", copied):
        rows.append(
            (
                "as it is written",
                f"plain, one page a group; {how}",
                128,
                f"{ROWS / s:,.0f}",
                f"{len(shard) / whole:.2f}",
            )
        )
    publish(
        "Parquet layouts",
        "benchmarks/bench_parquet.py",
        f"{ROWS:,} utterances of {SHORTEST} to {LONGEST} words, {'/'.join(map(str, DIMS))} random float32 a word; one thread, "
        "no dictionary; medians of 5 reads out of memory, in turn. Random numbers compress worse than features do.\n\n"
        + markdown(("layout", "encoding", "rows a group", "utterances/s", "size against the numbers'"), rows)
        + (_sizes(fold) if fold.exists() else ""),
        ("mimdata", "pyarrow"),
    )


def _written(
    make: Layout,
    values: list[Values],
    begins: npt.NDArray[np.int32],
    group: int,
    *,
    split: bool = False,
    **how: Any,
) -> pa.Buffer:
    table = pa.table({f"m{i}": make(v, begins) for i, v in enumerate(values)})
    leaves = value_leaves(table.schema) or [f"{name}.list.element" for name in table.column_names]
    encoding = {"column_encoding": dict.fromkeys(leaves, "BYTE_STREAM_SPLIT")} if split else {}
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=group, use_dictionary=False, **how, **encoding)
    return pa.py_buffer(file.getvalue())


def _sizes(fold: Path) -> str:
    """What real features take in the layout that was chosen, as it is written and compressed instead."""
    with np.load(fold) as about:
        begins = np.concatenate([[0], np.cumsum(about["length"])]).astype(np.int32)
        features = {name: np.ascontiguousarray(about[name]) for name in ("visual", "acoustic")}
    rows = []
    for name, values in features.items():
        plain = len(shard_bytes(pa.table({name: chosen(values, begins)})))
        small = len(_written(chosen, [values], begins, 128, **ENCODINGS["split bytes, zstd"]))
        rows.append((name, values.shape[1], f"{plain / values.nbytes:.2f}", f"{small / values.nbytes:.2f}"))
    return (
        "\n\nReal features, MOSI's validation fold (z-scored FACET and COVAREP): size against the numbers'.\n\n"
        + markdown(("", "numbers a word", "as it is written", "split bytes, zstd"), rows)
    )


def _copy(path: Path, begins: npt.NDArray[np.int32]) -> None:
    """What the loader does: the bytes of each column of each row group into memory that is there."""
    room = [np.empty(128 * LONGEST * d, np.float32) for d in DIMS]
    with path.open("rb", buffering=0) as file, pq.ParquetFile(path) as shard:
        columns = value_columns(shard.metadata)
        for group in range(shard.num_row_groups):
            words = int(begins[min(ROWS, 128 * (group + 1))] - begins[128 * group])
            for i, d in enumerate(DIMS):
                seek_values(file, shard.metadata.row_group(group).column(columns[f"m{i}"]), words * d)
                read_values(file, room[i][: words * d])


def _read(file: pa.Buffer) -> None:
    with pq.ParquetFile(pa.BufferReader(file)) as table:
        for group in range(table.num_row_groups):
            table.read_row_group(group, use_threads=False)


if __name__ == "__main__":
    main()
