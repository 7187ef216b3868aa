"""What may be shown on a terminal: text of others must not drive it. Every command prints through `say`."""

from __future__ import annotations

import json
import logging
from typing import Any

import click

LONGEST = 1500  # characters of a message


def printable(text: str) -> str:
    r"""`text` on one line, what cannot be printed written as \x1b: escapes, line ends, marks of direction."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """`printable`, and what is long cut in its middle: a message that quotes a file stays a message."""
    shown = printable(text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST * 2 // 3]} … {shown[-LONGEST // 3 :]}"


def say(*lines: object, err: bool = False) -> None:
    """Print each of `lines` on one line, whatever it holds."""
    for line in lines:
        click.echo(printable(str(line)), err=err)  # noqa: TID251  # the one place


def json_line(value: object, **options: Any) -> str:
    """`value` as JSON on one line that is as safe to print: what cannot be printed stands as JSON's own escapes."""
    text = json.dumps(value, ensure_ascii=False, **options)
    return (
        text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    )


class OneLine(logging.Formatter):
    """Log lines whose message cannot drive the terminal, nor pass for two; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        record.message = printable(record.message)
        return super().formatMessage(record)
