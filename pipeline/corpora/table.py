"""Label tables of published corpora: CSV with a header, each row by column name or as a Problem."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mimdata.pipeline.corpora.lines import UTF16_MARKS, bounded
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Problem

MOST_COLUMNS = 1000


@dataclass(frozen=True)
class TableRow:
    """One row: where it stands ("label.csv:3") and its cells by column, stripped."""

    place: str
    cells: dict[str, str]


def read_table(path: Path, columns: Sequence[str]) -> Iterator[TableRow | Problem]:
    """Rows in order; a Problem in the place of one that is no CSV, no UTF-8, or too long or short.

    Raises MimdataError for a file that cannot be read, or whose header lacks one of `columns`.
    """
    rows = csv.reader(_lines(path))
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise MimdataError(
            f"{path} has no header that can be read ({error}): expected {', '.join(columns)}."
        ) from None
    missing = [name for name in columns if name not in header]
    if missing or len(header) > MOST_COLUMNS:
        found = ", ".join(header[:20]) or "nothing"
        raise MimdataError(
            f"{path} must have the columns {', '.join(columns)}: {', '.join(missing) or 'too many'} missing, "
            f"found {found}. Point --root at the folder of the corpus as published."
        )
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield bad_row(path, line, f"is no CSV ({error})")
            continue
        if any(cell.strip() for cell in cells):
            yield _row(path, line, header, cells)


def bad_row(path: Path, line: int, fault: str) -> Problem:
    """The Problem of one row of a table that cannot be read."""
    return Problem("bad row", f"{path.name}:{line} {fault}", "correct the row", source=path.name)


def _row(path: Path, line: int, header: list[str], cells: list[str]) -> TableRow | Problem:
    if len(cells) != len(header):
        return bad_row(path, line, f"has {len(cells)} cells, the header {len(header)}")
    if any("\ud800" <= c <= "\udfff" for cell in cells for c in cell):
        return bad_row(path, line, "is no UTF-8: save the file as UTF-8")
    named = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    return TableRow(f"{path.name}:{line}", named)


def _lines(path: Path) -> Iterator[str]:
    """Lines with their ends; a byte that is no UTF-8 becomes a lone surrogate, which `_row` finds."""
    try:
        with path.open("rb") as file:
            if file.read(2) in UTF16_MARKS:
                raise MimdataError(f"{path} is UTF-16: expected UTF-8. Save it again as UTF-8.")
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield from bounded(text, path)
    except OSError as error:
        raise MimdataError(
            f"cannot read {path} ({error.strerror}): point --root at the folder of the corpus as published."
        ) from None
