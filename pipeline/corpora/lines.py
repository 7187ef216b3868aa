"""Lines of text files whose encoding is not to be trusted: UTF-8 with or without a mark, else Windows-1252."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import IO, AnyStr

from mimdata.pipeline.errors import MimdataError

UTF8_MARK = b"\xef\xbb\xbf"
LONGEST = 16 * 2**20  # of one line: a file without line ends must not be read whole
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    """(line number from 1, text without its line end, whether it is UTF-8) of every line that is not blank.

    A line that is no UTF-8 is read as Windows-1252, which transcripts of the web often are. Raises MimdataError
    for UTF-16.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(bounded(file, path), 1):
            if number == 1:
                if raw.startswith(UTF16_MARKS):
                    raise MimdataError(f"{path} is UTF-16: expected UTF-8. Save it again as UTF-8.")
                raw = raw.removeprefix(UTF8_MARK)
            text, clean = decoded(raw)
            if text.strip():
                yield number, text.rstrip("\r\n"), clean


def bounded(file: IO[AnyStr], path: Path) -> Iterator[AnyStr]:
    """The lines of an open file with their ends. Raises MimdataError for one beyond all reason."""
    while line := file.readline(LONGEST):
        if len(line) == LONGEST:
            raise MimdataError(
                f"{path} has a line of more than {LONGEST // 2**20} MiB: it is no text of this kind."
            )
        yield line


def read_cells(path: Path) -> Iterator[tuple[int, list[str] | None]]:
    """(line number, cells) of every row of a CSV file that is not blank; None for cells that cannot be read."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(bounded(file, path))
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error:  # a cell beyond the limit of the library, such as after a quote that never ends
                yield rows.line_num, None
                continue
            if cells:
                yield rows.line_num, cells


def decoded(raw: bytes) -> tuple[str, bool]:
    """The text of `raw` and whether it is UTF-8."""
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace"), False
