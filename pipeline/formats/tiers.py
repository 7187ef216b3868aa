"""What files of annotations have in common: tiers of labelled stretches, and how their bytes are read."""

from __future__ import annotations

import codecs
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from mimdata.pipeline.errors import MimdataError

LARGEST = 2**26  # bytes; an hour of words and phones takes 5 MB
MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig"}


@dataclass(frozen=True)
class Interval:
    """A labelled stretch of a recording, in seconds from its beginning."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Tiers:
    """The interval tiers of a file by name, without their empty intervals, and the file's end in seconds."""

    tiers: dict[str, tuple[Interval, ...]]
    end: float


def read_bytes(path: Path, what: str) -> bytes:
    """A file's content. Raises MimdataError for one that cannot be read, or is too large to be `what`."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise MimdataError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise MimdataError(
            f"{path.name} is larger than {LARGEST // 2**20} MiB: it is no {what} of a recording"
        )
    return data


def encoding_of(data: bytes) -> str:
    """UTF-16 or UTF-8, as its mark says; UTF-8 without one."""
    return next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")


def free_name(name: str, taken: Container[str]) -> str:
    """The name, or the first of NAME_2, NAME_3 … that is not taken."""
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name}_{number}"
    return free
