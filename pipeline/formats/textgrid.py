"""TextGrid files of Praat and the Montreal Forced Aligner: their interval tiers.

Own code where a library exists: praatio 6.2 reads a truncated file as a shorter one and drops minus signs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.tiers import Interval, Tiers, encoding_of, free_name, read_bytes

# Praat reads strings in quotes, flags in angles and numbers that stand free, and skips all else, such as
# `intervals [1]:` and `xmin =`; so its long and its short text form are one. A comment begins with "!".
# Source: Praat manual, "TextGrid file formats".
_TOKEN = re.compile(
    r"""
    "(?P<text>(?:[^"]|"")*)"
  | (?<!\S)(?P<flag><exists>|<absent>)
  | (?<!\S)(?P<number>[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?!\S)
  | (?<!\S)!.*
    """,
    re.VERBOSE,
)
MOST_TIERS = 1000


def read_textgrid(path: Path) -> Tiers:
    """Long and short text form, UTF-8 or UTF-16. Of two tiers of one name the second is called NAME_2.

    Raises MimdataError for a file that cannot be read, is no TextGrid, or not a whole one.
    """
    data = read_bytes(path, "TextGrid")
    try:
        return _parse(_Tokens(data.decode(encoding_of(data))))
    except (_Unexpected, UnicodeDecodeError) as error:
        raise MimdataError(
            f"{path.name} is no TextGrid that can be read ({error}): "
            "save it from Praat as a text file or a short text file, in UTF-8 or UTF-16"
        ) from error


class _Unexpected(Exception):  # noqa: N818  (it never leaves this file)
    """What was expected and what was found instead."""


class _Tokens:
    """The strings, flags and numbers of a file, one after the other."""

    def __init__(self, text: str) -> None:
        self._found: Iterator[re.Match[str]] = (m for m in _TOKEN.finditer(text) if m.lastgroup)

    def _next(self, kind: str, what: str) -> str:
        match = next(self._found, None)
        if match is None:
            raise _Unexpected(f"it ends where {what} should stand")
        if match.lastgroup != kind:
            raise _Unexpected(f"expected {what}, found {match[0][:30]}")
        return match[kind]

    def text(self, what: str) -> str:
        return self._next("text", what).replace('""', '"')

    def flag(self) -> str:
        return self._next("flag", "<exists>")

    def number(self, what: str) -> float:
        number = float(self._next("number", what))
        if not math.isfinite(number):
            raise _Unexpected(f"expected {what}, found a number without bounds")
        return number

    def count(self, what: str) -> int:
        number = self.number(what)
        if number < 0 or number != int(number):
            raise _Unexpected(f"expected {what}, found {number:g}")
        return int(number)


def _parse(tokens: _Tokens) -> Tiers:
    kind = tokens.text("ooTextFile"), tokens.text("TextGrid")
    if kind != ("ooTextFile", "TextGrid"):
        raise _Unexpected(f'expected "ooTextFile" "TextGrid", found {" ".join(kind)[:40]!r}')
    tokens.number("the start of the file")
    end = tokens.number("the end of the file")
    tiers: dict[str, tuple[Interval, ...]] = {}
    if tokens.flag() == "<exists>":
        number = tokens.count("the number of tiers")
        if number > MOST_TIERS:
            raise _Unexpected(f"it says that it has {number} tiers, at most {MOST_TIERS} are read")
        for _ in range(number):
            _read_tier(tokens, tiers)
    return Tiers(tiers, end)


def _read_tier(tokens: _Tokens, tiers: dict[str, tuple[Interval, ...]]) -> None:
    kind, name = tokens.text("the class of a tier"), tokens.text("the name of a tier")
    tokens.number("the start of a tier")
    tokens.number("the end of a tier")
    size = tokens.count("the size of a tier")
    if kind == "TextTier":
        for _ in range(size):
            tokens.number("the time of a point")
            tokens.text("the label of a point")
    elif kind == "IntervalTier":
        items = [_read_interval(tokens) for _ in range(size)]
        tiers[free_name(name, tiers)] = tuple(item for item in items if item.label)
    else:
        raise _Unexpected(f"expected IntervalTier or TextTier, found {kind[:30]!r}")


def _read_interval(tokens: _Tokens) -> Interval:
    start, end = tokens.number("the start of an interval"), tokens.number("the end of an interval")
    return Interval(start, end, tokens.text("the label of an interval").strip())
