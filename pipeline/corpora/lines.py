"""Lines of text files whose encoding is not to be trusted: UTF-8 with or without a mark, else Windows-1252."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mimdata.pipeline.errors import MimdataError

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    """(line number from 1, text without its line end, whether it is UTF-8) of every line that is not blank.

    A line that is no UTF-8 is read as Windows-1252, which transcripts of the web often are. Raises MimdataError
    for UTF-16.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if number == 1:
                if raw.startswith(UTF16_MARKS):
                    raise MimdataError(f"{path} is UTF-16: expected UTF-8. Save it again as UTF-8.")
                raw = raw.removeprefix(UTF8_MARK)
            text, clean = decoded(raw)
            if text.strip():
                yield number, text.rstrip("\r\n"), clean


def decoded(raw: bytes) -> tuple[str, bool]:
    """The text of `raw` and whether it is UTF-8."""
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace"), False
