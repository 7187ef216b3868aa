"""Rows of a manifest as they come from a CSV, JSON Lines or Parquet file, a few at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mimdata.pipeline.corpora.lines import UTF16_MARKS, bounded
from mimdata.pipeline.errors import MimdataError

REQUIRED = ("source", "text")
SUFFIXES = (".csv", ".jsonl", ".parquet")
BATCH = 1024  # rows of Parquet in memory at a time
BATCH_BYTES = 2**28  # … and what they may take: a page of a few bytes can repeat a long text without end
MOST_COLUMNS = 1000


@dataclass(frozen=True)
class Row:
    """One row: where it stands ("manifest.csv:3"), its values by column, or what is wrong with its form."""

    place: str
    values: Mapping[str, Any]
    fault: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """All rows in order. Raises MimdataError for a file that is unreadable as a whole or lacks a column."""
    reader = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}[path.suffix.lower()]
    return reader(path)


def columns(path: Path) -> tuple[str, ...]:
    """The columns that the file declares: of the header, the schema, or the first object."""
    if path.suffix.lower() == ".parquet":
        return tuple(_parquet(path).schema_arrow.names)
    if path.suffix.lower() == ".csv":
        return tuple(_header(path))
    first = next((row for row in read_rows(path) if not row.fault), None)
    return tuple(first.values) if first else ()


def _text_lines(path: Path) -> Iterator[str]:
    """Lines with their ends, as UTF-8; a byte that is not becomes a lone surrogate, which `_encoding` finds."""
    with path.open("rb") as file:
        if file.read(2) in UTF16_MARKS:
            raise MimdataError(f"{path} is UTF-16: expected UTF-8. Save it again as UTF-8.")
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield from bounded(file, path)


def _encoding(values: Iterable[Any]) -> str:
    for value in values:
        if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            return "is no UTF-8: save the file as UTF-8"
    return ""


def _header(path: Path) -> list[str]:
    try:
        first = next(csv.reader(_text_lines(path)), [])
    except csv.Error as error:
        raise MimdataError(
            f"{path} has no header that can be read ({error}): expected column names."
        ) from None
    names = [name.strip() for name in first]
    require_columns(path, names)
    return names


def require_columns(path: Path, names: Iterable[str]) -> None:
    """Raises MimdataError unless `source` and `text` are among the names."""
    names = list(names)
    if len(names) > MOST_COLUMNS:
        raise MimdataError(
            f"{path} has {len(names)} columns, at most {MOST_COLUMNS} are read: is it a manifest?"
        )
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        separators = " The separator must be a comma." if len(names) == 1 and names[0] else ""
        raise MimdataError(
            f"{path} has no column {' and '.join(missing)}: found {', '.join(names) or 'nothing'}.{separators} "
            "A manifest needs at least the columns source and text."
        )
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise MimdataError(f"{path} has the column {', '.join(repeated)} twice: keep one.")


def _csv_rows(path: Path) -> Iterator[Row]:
    names = _header(path)
    rows = csv.reader(_text_lines(path))
    next(rows)
    line = rows.line_num + 1
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(f"{path.name}:{line}", {}, f"is no CSV ({error})")
            cells = []
        place, line = f"{path.name}:{line}", rows.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        values = {name: cell for name, cell in zip(names, cells, strict=False) if name}
        fault = _encoding(cells)
        if len(cells) > len(names):
            fault = f"has {len(cells)} cells, the header {len(names)}: put quotes around text with commas"
        yield Row(place, values, fault)


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_text_lines(path), 1):
        if not line.strip():
            continue
        place = f"{path.name}:{number}"
        if fault := _encoding([line]):
            yield Row(place, {}, fault)
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Row(place, {}, f"is no JSON ({error})")
            continue
        if isinstance(values, dict):
            yield Row(place, values)
        else:
            yield Row(place, {}, f"is a JSON {type(values).__name__}, expected an object")


def _parquet_rows(path: Path) -> Iterator[Row]:
    file = _parquet(path)
    require_columns(path, file.schema_arrow.names)
    number = 0
    for rows in _batches(file, path):
        for values in rows:
            number += 1
            yield Row(f"{path.name} row {number}", values)


def _batches(file: Any, path: Path) -> Iterator[list[dict[str, Any]]]:
    """Rows, some at a time. Whatever Arrow stumbles over in a damaged file becomes a MimdataError."""
    import pyarrow as pa

    try:
        for batch in file.iter_batches(BATCH):
            if batch.nbytes > BATCH_BYTES:
                raise MimdataError(f"{path} has rows of {batch.nbytes // BATCH:,} bytes: it is no manifest.")
            yield batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, TypeError, MemoryError) as error:
        raise MimdataError(f"{path} is damaged ({error}). Write it again.") from None


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise MimdataError(f"{path} is no Parquet file, or damaged ({error}). Write it again.") from None
