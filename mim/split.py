"""A split of a dataset version as rows, tables and batches, read when they are asked for. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mimdata.pipeline.errors import MimdataError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow.dataset

    from mimdata.mim.batch import Batch
    from mimdata.mim.dataset import Dataset

Row = dict[str, Any]


class Split(Mapping[str, Row]):
    """Utterances by their clip ids, in canonical order.

    A row is {column: value}: text, numbers and None as Python has them; what belongs to W words as arrays, (W,) or
    (W, d); words as a list. The columns are described in pipeline/dataset/schema.py.
    """

    def __init__(self, dataset: Dataset, name: str) -> None:
        self.dataset, self.name = dataset, name
        self.files: Sequence[Path] = dataset.shards(name)

    def __repr__(self) -> str:
        return (
            f"<{self.name} of {self.dataset.corpus} {self.dataset.manifest.version}: {len(self)} utterances>"
        )

    def __len__(self) -> int:
        return self.dataset.rows(self.name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __getitem__(self, clip_id: str) -> Row:
        """One utterance. Raises KeyError for a clip id that is not of this split."""
        file, group, row = self._places[clip_id]
        return _row(_read(file, group).slice(row, 1))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns; none where the split is empty."""
        if not self.files:
            return ()
        with _opened(self.files[0]) as shard:
            return tuple(shard.schema_arrow.names)

    def rows(self) -> Iterator[Row]:
        """All utterances, a row group at a time in memory."""
        for file, group in self._groups():
            table = _read(file, group)
            for i in range(len(table)):
                yield _row(table.slice(i, 1))

    def scan(self) -> pyarrow.dataset.Dataset:
        """As a pyarrow dataset: filters and columns are applied while reading; DuckDB reads it by its variable's name."""
        import pyarrow.dataset

        return pyarrow.dataset.dataset([str(file) for file in self.files], format="parquet")

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All utterances in memory, or only these columns."""
        self._known(columns)
        return self.scan().to_table(columns=columns and list(columns))

    def pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All utterances as a pandas frame, or only these columns. pandas must be installed."""
        return self.table(columns).to_pandas()

    def polars(self) -> pl.LazyFrame:
        """As a lazy polars frame. polars must be installed."""
        import polars as pl

        return pl.scan_parquet([str(file) for file in self.files])

    def batches(
        self,
        batch_size: int = 16,
        *,
        modalities: Sequence[str] | None = None,
        statistics: Sequence[str] = ("mean",),
        shuffle: tuple[int, int] | None = None,
        steps: int | None = None,
        standardise: bool = True,
        tokens: bool = False,
        labelled: bool = False,
    ) -> Iterator[Batch]:
        """One epoch of padded torch batches, as `mimdata train` reads them.

        modalities: which, None for all. statistics: of the pooled ones. shuffle: (seed, epoch), None for the canonical
        order. steps: cut to so many words, None for none. standardise: by the train split's mean and standard
        deviation. tokens: word pieces too. labelled: leave out utterances without a sentiment.
        Raises MimdataError for a modality that the dataset lacks, and for a damaged shard.
        """
        from mimdata.mim.loader import Feed, Loading
        from mimdata.mim.order import read_rows

        if steps is None:
            steps = int(max([1, *read_rows(self.dataset, self.name, "sentiment").lengths]))
        loading = Loading(
            tuple(modalities or self.dataset.manifest.modalities),
            tuple(statistics),
            steps,
            batch_size,
            standardise,
            tokens,
            labelled=labelled,
        )
        return Feed(self.dataset, self.name, loading).batches(shuffle)

    @cached_property
    def _places(self) -> Mapping[str, tuple[Path, int, int]]:
        return {
            clip_id: (file, group, i)
            for file, group in self._groups()
            for i, clip_id in enumerate(_read(file, group, ["clip_id"]).column(0).to_pylist())
        }

    def _groups(self) -> Iterator[tuple[Path, int]]:
        for file in self.files:
            with _opened(file) as shard:
                groups = shard.num_row_groups
            yield from ((file, group) for group in range(groups))

    def _known(self, columns: Sequence[str] | None) -> None:
        if unknown := set(columns or ()) - set(self.columns):
            raise MimdataError(
                f"no column {sorted(unknown)[0]!r} in {self.dataset.folder}: it has {', '.join(self.columns)}"
            )


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(file) as shard:
            yield shard
    except (OSError, ValueError) as error:
        raise MimdataError(
            f"the shard {file} cannot be read ({str(error).splitlines()[0]}): run `mimdata align` again"
        ) from error


def _read(file: Path, group: int, columns: Sequence[str] | None = None) -> pa.Table:
    with _opened(file) as shard:
        return shard.read_row_group(group, columns)


def _row(one: pa.Table) -> Row:
    return {name: _value(one.column(name).combine_chunks()) for name in one.column_names}


def _value(array: pa.Array) -> Any:
    """The one value of an array: numbers of words as an array, anything else as Python has it."""
    width: list[int] = []
    inner, kind = array, array.type
    while pa.types.is_nested(kind) and not pa.types.is_struct(kind):
        if pa.types.is_fixed_size_list(kind):
            width.append(kind.list_size)
        inner, kind = inner.flatten(), kind.value_type
    numbers = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if inner is array or not numbers or not array[0].is_valid:
        return array[0].as_py()
    return np.array(inner.to_numpy(zero_copy_only=False)).reshape(-1, *width)
